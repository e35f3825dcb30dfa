//! The bodies about the recorder's own software: what runs, what is on its way.
//!
//! The recorder's processes hand them to one another as they are, so what is sent can be read back, too.
//!
//! Does not belong here: behaviour (`api.rs`), and how a bundle is read (the daemon's).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::UtcTime;

/// The software that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// The program's version (Semantic Versioning 2.0.0).
    pub version: String,
    /// The source's revision; `unknown` in a build outside a checkout.
    pub commit: String,
    /// SHA-256 of the root file system, in hex; null where the operating system brings the program.
    #[schema(required)]
    pub root_sha256: Option<String>,
    /// Which slot of the flash it runs from; null where there are none.
    #[schema(required)]
    pub slot: Option<SlotName>,
    /// Whether it is new and has still to show that it is healthy.
    pub trying: bool,
    /// When it was built; null while unknown.
    #[schema(required)]
    pub created: Option<UtcTime>,
    /// Whose key signed it; null where nobody's was asked for.
    #[schema(required)]
    pub signed_by: Option<SignedBy>,
}

/// A place in the flash for one version of the software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SlotName {
    /// The first.
    A,
    /// The second, on boards with room for two.
    B,
}

/// Whose key signed an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignedBy {
    /// The publisher's.
    Release,
    /// The owner's own.
    Owner,
}

/// The recorder's software, and an update on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateView {
    /// Whether this recorder takes updates here.
    pub supported: bool,
    /// Why not, in words; null where it does.
    #[schema(required)]
    pub reason: Option<String>,
    /// What happens now.
    pub stage: UpdateStage,
    /// The software that runs.
    pub installed: Image,
    /// The other slot; null on boards that have one.
    #[schema(required)]
    pub other: Option<OtherSlot>,
    /// How the last update went; null before the first.
    #[schema(required)]
    pub last: Option<LastUpdate>,
    /// Versions below this one are never installed.
    pub floor: String,
    /// The keys whose signature is taken.
    pub keys: Vec<UpdateKey>,
    /// Bundles on USB sticks that are plugged in.
    pub usb: Vec<UsbBundle>,
}

/// What happens to an update now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateStage {
    /// For programs.
    pub code: UpdateStageCode,
    /// For people.
    pub message: String,
    /// Bytes done in this stage.
    pub done_bytes: u64,
    /// Bytes in this stage; 0 while unknown.
    pub total_bytes: u64,
    /// The version on its way; null while unknown.
    #[schema(required)]
    pub version: Option<String>,
}

/// What happens to an update now, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStageCode {
    /// Nothing.
    Idle,
    /// A bundle arrives; its head is verified before its images are taken.
    Receiving,
    /// All of it is here and is verified again, as it was kept.
    Verifying,
    /// It is being written. From here on it cannot be cancelled.
    Installing,
    /// The recorder restarts into it.
    Restarting,
    /// It runs, and must show that it is healthy.
    Checking,
    /// The last try failed; nothing was lost.
    Failed,
}

/// The slot that does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OtherSlot {
    /// Which.
    pub slot: SlotName,
    /// The version in it; null when it is empty or cannot be read.
    #[schema(required)]
    pub version: Option<String>,
    /// Whether it could be started.
    pub state: OtherSlotState,
}

/// Whether the other slot could be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtherSlotState {
    /// It could.
    Good,
    /// It was tried and was not healthy.
    Failed,
    /// There is nothing whole in it.
    Empty,
}

/// How the last update went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastUpdate {
    /// The version that was to be installed.
    pub version: String,
    /// How it went.
    pub outcome: UpdateOutcome,
    /// For people: what happened, and what runs now.
    pub message: String,
    /// When.
    pub at: UtcTime,
}

/// How an update went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateOutcome {
    /// It runs and is healthy.
    Good,
    /// It was not healthy, and the version before it runs again.
    RolledBack,
    /// It was not installed.
    Refused,
}

/// A key whose signature is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateKey {
    /// SHA-256 of the public key, in hex.
    pub id: String,
    /// Whose.
    pub kind: SignedBy,
}

/// A bundle on a USB stick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsbBundle {
    /// The stick's partition, such as `sdb1`.
    pub device: String,
    /// The file's name.
    pub file: String,
    /// The version that it says it has, unverified; null when it cannot be read.
    #[schema(required)]
    pub version: Option<String>,
    /// The file's size.
    pub bytes: u64,
}

/// Installs a bundle from a USB stick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsbInput {
    /// The stick's partition, as listed.
    pub device: String,
    /// The file's name, as listed.
    pub file: String,
    /// Whether a version older than the installed one is meant.
    #[serde(default)]
    pub downgrade: bool,
}

/// Enrols the owner's own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerKeyInput {
    /// An Ed25519 public key: 32 bytes in hex (RFC 8032 section 5.1.5).
    pub public_key: String,
    /// The code on the recorder's screen or console.
    pub code: String,
}

/// Proves to stand before the recorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceInput {
    /// The code on the recorder's screen or console.
    pub code: String,
}

/// Erases a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatInput {
    /// `ERASE`, typed by whoever means it.
    pub confirm: String,
    /// Whether footage on it is encrypted from then on; left out: as the setting `encrypt_new_disks` says.
    #[serde(default)]
    pub encrypt: Option<bool>,
}
