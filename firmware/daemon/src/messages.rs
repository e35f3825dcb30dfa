//! What the warden and the roles say to one another, and the state that people see.
//!
//! The warden speaks first (`ToRole::Configure`); a role answers `Ready`, then sends a `Status` every second,
//! which is its sign of progress, and may ask for changes.

use std::path::PathBuf;
use std::time::Duration;

use auth::KeptSession;
use hal::{ChannelId, StreamKind, WallTime};
use serde::{Deserialize, Serialize};
use web::update_views::{OwnerKeyInput, PresenceInput, UpdateView};

use crate::footage_keys::{FootageKeys, SecretText};
use crate::role::Role;
use crate::settings::{Change, ChangeError, Settings};

/// How often a role reports.
pub(crate) const STATUS_EVERY: Duration = Duration::from_secs(1);

/// From the warden.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ToRole {
    /// What to do; again whenever it changes.
    Configure(Box<RoleConfig>),
    /// How the whole recorder is; to `serve` alone.
    Snapshot(Box<Snapshot>),
    /// The answer to the `Ask` of that number.
    Answer(u64, Answer),
    /// Words for whoever stands before the recorder's monitor; to `capture` alone.
    Console(String),
    /// Finish what must be finished, and exit.
    Shutdown,
}

/// From a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromRole {
    /// Configured and at work.
    Ready,
    /// Still making progress.
    Status(RoleStatus),
    /// A request, with a number for its answer.
    Ask(u64, Ask),
    /// Words for whoever stands before the recorder: its console and its monitor.
    Console(String),
}

/// All that a role is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleConfig {
    /// Rings and sockets, in memory.
    pub(crate) run_dir: PathBuf,
    /// The board, as `board_settings::find` takes it.
    pub(crate) board: String,
    /// The footage volumes; `record` alone has them.
    pub(crate) volumes: Vec<Volume>,
    /// What one channel's rings may take, where memory is short.
    pub(crate) ring_bytes: Option<u32>,
    /// Its part of the settings.
    pub(crate) settings: Settings,
    /// What only `serve` has.
    pub(crate) serve: Option<ServeSecrets>,
    /// What signs the ledger; `record` alone has it.
    pub(crate) ledger: Option<LedgerKey>,
    /// What footage is encrypted with; `record` alone has them.
    pub(crate) footage_keys: FootageKeys,
}

/// A place for footage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    /// The disk, as the kernel names it; empty where the operating system looks after disks.
    pub(crate) device: String,
    /// The volume's folder; `None` while there is no disk.
    pub(crate) dir: Option<PathBuf>,
    /// Counts disks: another number is another disk, or the same one back, at the same folder.
    pub(crate) generation: u32,
    /// What of the disk is for footage; `None` where the settings alone decide.
    pub(crate) capacity_bytes: Option<u64>,
    /// Whether footage is encrypted if this disk takes it for the first time, where its owner said so; else the settings say.
    pub(crate) encrypt: Option<bool>,
    /// How the disk is while there is no folder.
    pub(crate) state: DiskState,
    /// Why there is no folder, and what to do.
    pub(crate) message: String,
}

impl Volume {
    /// For people and logs.
    pub(crate) fn title(&self) -> String {
        match &self.dir {
            _ if !self.device.is_empty() => self.device.clone(),
            Some(dir) => dir.display().to_string(),
            None => "no disk".to_owned(),
        }
    }
}

/// A disk as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskView {
    /// The kernel's name for it: `sda`.
    pub(crate) device: String,
    pub(crate) model: String,
    pub(crate) bytes: u64,
    pub(crate) state: DiskUse,
}

/// What a disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DiskUse {
    /// Footage is written to it.
    Footage,
    /// It could be, after the one in use is gone.
    Spare,
    /// It is not ours; the owner may have it formatted.
    Unformatted,
    /// Being formatted now.
    Formatting,
    /// It does not read or cannot be mounted.
    Failed,
}

/// What signs the ledger.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerKey {
    /// The recorder's number in the ledger's origin, hexadecimal.
    pub(crate) recorder: String,
    /// The seed of an Ed25519 key (RFC 8032).
    pub(crate) seed: [u8; 32],
}

impl std::fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerKey").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

/// The secrets of the network side.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ServeSecrets {
    /// The accounts file's text (crate `auth`).
    pub(crate) accounts: String,
    /// Who was signed in when a predecessor ended.
    pub(crate) sessions: Vec<KeptSession>,
    /// The certificate, PEM.
    pub(crate) certificate_pem: String,
    /// Its private key, PEM.
    pub(crate) key_pem: String,
}

impl std::fmt::Debug for ServeSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeSecrets").finish_non_exhaustive()
    }
}

/// What a role may ask of the warden.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Change the settings, atomically.
    Change(Change),
    /// Keep this accounts file.
    KeepAccounts(AccountsText),
    /// About the recorder's own software and its power.
    Order(Order),
    /// Erase this disk and take it for footage, encrypted or not; as the settings say where nothing is said.
    FormatDisk { device: String, encrypt: Option<bool> },
    /// Make the owner's recovery key, in the place of any other.
    NewRecoveryKey,
}

/// What an owner orders beside settings.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// End the update that is being received or verified.
    CancelUpdate,
    /// Show a code on the console.
    ShowPresenceCode,
    /// Take what this key signed, too.
    SetOwnerKey(OwnerKeyInput),
    /// Take it no more.
    RemoveOwnerKey(PresenceInput),
    /// Stop everything in order, and start again.
    Restart,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Codes are in some of them.
        f.write_str("Order(…)")
    }
}

/// Why an order was not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    /// For people: what it is and what to do.
    pub(crate) message: String,
}

/// Why an order was not followed, for programs; each is a code of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RefusalCode {
    NotABundle,
    WrongBoard,
    BadSignature,
    Damaged,
    Expired,
    TooOld,
    Downgrade,
    Busy,
    NotSupported,
    TooLarge,
    NoSpace,
    Cancelled,
    NothingToCancel,
    TooLate,
    NoFile,
    WrongCode,
    TooManyAttempts,
    NotAKey,
    NoOwnerKey,
    /// The recorder's own fault; the log says which.
    Failed,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// An accounts file on its way to the disk.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccountsText(pub(crate) String);

impl std::fmt::Debug for AccountsText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountsText(…)")
    }
}

/// The warden's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The change was made, and kept on disk.
    Changed(Option<ChannelId>),
    /// The accounts are on disk; the disk is being formatted.
    Kept,
    /// Nothing was changed.
    Refused(ChangeError),
    /// The order is followed, or why not.
    Ordered(Result<(), Refusal>),
    /// The recovery key that was made: it is nowhere else.
    RecoveryKey(SecretText),
}

/// A role's sign of progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum RoleStatus {
    /// From `capture` and `ingest`: the channels that they run.
    Channels(Vec<ChannelStatus>),
    /// From `record`.
    Record(RecordStatus),
    /// From `serve`: who is signed in, so that a crash of it signs nobody out.
    Serve(Vec<KeptSession>),
}

/// How a channel is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChannelStatus {
    pub(crate) channel: ChannelId,
    pub(crate) state: ChannelState,
    pub(crate) since: WallTime,
    /// What happened and what to do, when there is more to say than `state`.
    pub(crate) message: String,
    pub(crate) streams: Vec<StreamStatus>,
    /// How much of the picture moves, percent; `None` where nobody counts.
    pub(crate) motion_percent: Option<u8>,
}

/// A channel's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChannelState {
    Ok,
    Starting,
    NoSignal,
    Unreachable,
    WrongPassword,
    UnsupportedCodec,
    NotFound,
    Stalled,
    Failed,
}

/// One stream as it is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamStatus {
    pub(crate) kind: StreamKind,
    /// `h264`, `h265`, `aac`, `g711a`, `g711u`.
    pub(crate) codec: String,
    /// Video only.
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Units a second over the last seconds.
    pub(crate) units_per_sec: f64,
    pub(crate) bit_rate_bps: u32,
    /// Audio only.
    pub(crate) sample_rate: u32,
    pub(crate) audio_channels: u8,
}

/// Whether the disk takes footage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DiskState {
    #[default]
    Ok,
    Full,
    /// It does not let the recorder write.
    Unwritable,
    Failed,
    /// There is none.
    Missing,
    /// There is one, but not for footage.
    Unformatted,
    /// Its footage is encrypted with a key that is not here.
    Locked,
}

/// How recording is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordStatus {
    /// The channels with footage in the last seconds.
    pub(crate) recording: Vec<ChannelId>,
    /// How the first volume is that is not well; `Ok` when all are.
    pub(crate) disk: DiskState,
    /// What that volume said.
    pub(crate) error: String,
    /// What did not get onto a volume, since the role began.
    pub(crate) lost: Vec<LossSum>,
    /// Each volume.
    pub(crate) volumes: Vec<VolumeStatus>,
    /// `None` while there is no disk for it.
    pub(crate) ledger: Option<LedgerSigned>,
}

/// What the ledger's last signature vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerSigned {
    /// Of the key.
    pub(crate) fingerprint: String,
    pub(crate) size: u64,
    /// The root of these leaves, hexadecimal.
    pub(crate) root: String,
    /// Unknown for a signature of an earlier life.
    pub(crate) signed: Option<WallTime>,
}

/// Who can read a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Encryption {
    Off,
    /// This recorder's recovery key does not open it; there may be none yet.
    DeviceOnly,
    Recoverable,
    /// Not this recorder.
    Locked,
}

/// For how long the footage of one rule stays on a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// `None`: as long as there is room.
    pub(crate) keep_days: Option<u32>,
    pub(crate) used_bytes: u64,
    /// `None` while too little is known.
    pub(crate) hours: Option<u64>,
}

/// Why footage did not get onto a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum LostBy {
    DiskFailed,
    /// It, or the recorder, did not keep up.
    DiskSlow,
    /// The store cannot take such a unit.
    Refused,
}

/// What is missing of one stream for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LossSum {
    pub(crate) channel: ChannelId,
    pub(crate) stream: StreamKind,
    pub(crate) cause: LostBy,
    /// How many stretches.
    pub(crate) times: u32,
    /// All of them together.
    pub(crate) micros: u64,
    /// The end of the last one.
    pub(crate) last: WallTime,
}

/// How one volume is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct VolumeStatus {
    /// As in [`Volume`].
    pub(crate) device: String,
    /// Who can read it; `None` while nobody knows.
    pub(crate) encryption: Option<Encryption>,
    /// Its folder, as the owner knows it; empty without a disk.
    pub(crate) path: String,
    /// The channels that it had footage of in the last seconds.
    pub(crate) recording: Vec<ChannelId>,
    pub(crate) disk: DiskState,
    /// What the disk said, when all is not well.
    pub(crate) error: String,
    pub(crate) total_bytes: u64,
    pub(crate) used_bytes: u64,
    /// What locks keep of that.
    pub(crate) locked_bytes: u64,
    pub(crate) retention: Vec<Expected>,
    pub(crate) write_bytes_per_sec: u64,
    pub(crate) oldest: Option<WallTime>,
    pub(crate) newest: Option<WallTime>,
    /// What is wrong although footage is recorded, for people.
    pub(crate) concerns: Vec<String>,
}

/// A role as the warden sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoleView {
    pub(crate) role: Role,
    pub(crate) state: RoleState,
    pub(crate) pid: Option<u32>,
    pub(crate) restarts: u32,
    pub(crate) since: WallTime,
    pub(crate) memory_bytes: u64,
    /// Why it was restarted last, if it was.
    pub(crate) note: String,
}

/// A role's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RoleState {
    Starting,
    Running,
    /// It ended; the warden waits before the next try.
    Restarting,
    Stopped,
}

/// The whole recorder at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) uptime_sec: u64,
    pub(crate) roles: Vec<RoleView>,
    pub(crate) channels: Vec<ChannelStatus>,
    pub(crate) record: RecordStatus,
    /// The board's disks; empty on a PC.
    pub(crate) disks: Vec<DiskView>,
    /// The recorder's own software; `None` until the warden has looked.
    pub(crate) software: Option<UpdateView>,
}
