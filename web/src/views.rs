//! The bodies of the API: what is sent and what is taken, as plain types.
//!
//! Names carry their unit. What is taken refuses unknown fields, so that a misspelt one is not ignored. No type
//! that is sent has a place for a password.
//!
//! Does not belong here: behaviour (`api.rs`), checks of what is taken (`limits.rs`).

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger_views::TrustLedger;
use crate::loss_views::LostFootage;
use crate::time::UtcTime;
use crate::update_views::Image;

/// What a user may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Watches live and recorded video.
    Viewer,
    /// Works the recorder in daily use.
    Operator,
    /// Sets the recorder up.
    Integrator,
    /// May do everything.
    Owner,
}

/// What anyone may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct State {
    /// Whether the recorder has an owner.
    pub claimed: bool,
    /// The recorder's name.
    pub name: String,
    /// The program's version.
    pub version: String,
}

/// Makes the first owner.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimInput {
    /// The code on the recorder's screen or console.
    pub setup_code: String,
    /// The owner's name.
    pub user: String,
    /// The owner's password, 10 to 256 characters.
    pub password: String,
}

impl fmt::Debug for ClaimInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimInput").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Signs in.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginInput {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
}

impl fmt::Debug for LoginInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginInput").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// The user's name.
    pub user: String,
    /// What the user may do.
    pub role: Role,
    /// Goes into the header `X-CSRF-Token` of every call that changes something.
    pub csrf: String,
}

/// One channel and how it is doing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Channel {
    /// The channel's number, from 1.
    pub channel: u16,
    /// The channel's title.
    pub title: String,
    /// Where its picture comes from.
    pub source: ChannelSource,
    /// How it is doing.
    pub state: ChannelState,
    /// Whether its main stream is being written to disk.
    pub recording: bool,
    /// Its footage is deleted after so many days; null: it stays as long as there is room.
    #[schema(required)]
    pub keep_days: Option<u32>,
    /// The same of what it recorded while something happened; null: as the rest.
    #[schema(required)]
    pub keep_event_days: Option<u32>,
    /// Video at full size; null while there is none.
    #[schema(required)]
    pub main: Option<Stream>,
    /// Video at a small size; null while there is none.
    #[schema(required)]
    pub sub: Option<Stream>,
    /// Sound; null while there is none.
    #[schema(required)]
    pub audio: Option<Audio>,
    /// How much of the picture moves now, 0 to 100 percent; null where the recorder's hardware does not count it.
    #[schema(required)]
    pub motion_percent: Option<u8>,
}

/// Where a channel's picture comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelSource {
    /// An input of the recorder itself.
    Input,
    /// A network camera.
    Camera,
}

/// How a channel is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelState {
    /// For programs.
    pub code: ChannelStateCode,
    /// Since when.
    pub since: UtcTime,
    /// For people: what it is, and what to check.
    pub message: String,
}

/// How a channel is doing, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelStateCode {
    /// Pictures arrive.
    Ok,
    /// Not there yet.
    Starting,
    /// The input has no picture.
    NoSignal,
    /// The camera does not answer.
    Unreachable,
    /// The camera refuses the password.
    WrongPassword,
    /// The camera sends what the recorder cannot take.
    UnsupportedCodec,
    /// The camera has no such stream.
    NotFound,
    /// The camera is connected but sends nothing.
    Stalled,
    /// The input's device failed.
    Failed,
}

/// One video stream.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Stream {
    /// `h264` or `h265`.
    pub codec: String,
    /// Luma samples a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// Frames a second; 0 while unknown.
    pub frame_rate: f32,
    /// Measured bits a second; 0 while unknown.
    pub bit_rate_bps: u64,
}

/// One stream of sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Audio {
    /// `aac`, `g711a` or `g711u`.
    pub codec: String,
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// 1 mono, 2 stereo.
    pub channels: u8,
}

/// Changes a channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelInput {
    /// The new title, 1 to 64 characters.
    pub title: String,
    /// For how many days footage is kept, 1 to 3650; 0: as long as there is room. Left out: as before.
    #[serde(default)]
    pub keep_days: Option<u32>,
    /// The same of footage of events, at least as many days; 0: as the rest. Left out: as before.
    #[serde(default)]
    pub keep_event_days: Option<u32>,
}

/// A network camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Camera {
    /// The channel it feeds.
    pub channel: u16,
    /// The channel's title.
    pub title: String,
    /// Where it is; without user and password.
    pub url: String,
    /// The user the camera knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether a password is kept; the password itself is never sent.
    pub has_password: bool,
    /// How its packets travel.
    pub transport: Transport,
}

/// How a camera's packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    Tcp,
    /// Datagrams beside it.
    Udp,
}

/// Adds or changes a network camera.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraInput {
    /// The channel to feed; absent: the first free one. On a change it may be absent or the one in the path.
    pub channel: Option<u16>,
    /// The channel's title, 1 to 64 characters.
    pub title: String,
    /// `rtsp://` or `rtsps://`, at most 2048 bytes, without user and password.
    pub url: String,
    /// The user the camera knows.
    pub user: Option<String>,
    /// The password the camera knows; absent on a change: the one that is kept.
    pub password: Option<String>,
    /// How its packets shall travel.
    pub transport: Transport,
}

impl fmt::Debug for CameraInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CameraInput")
            .field("channel", &self.channel)
            .field("title", &self.title)
            .field("url", &self.url)
            .field("user", &self.user)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// What is recorded, in a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Timeline {
    /// One entry a channel.
    pub channels: Vec<ChannelTimeline>,
}

/// What is recorded of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelTimeline {
    /// The channel's number.
    pub channel: u16,
    /// In order of time, at most [`crate::limits::MAX_RUNS`]; those less than 2 s apart are one.
    pub runs: Vec<Run>,
    /// The start of the oldest footage of all time.
    #[schema(required)]
    pub oldest: Option<UtcTime>,
    /// The end of the newest footage of all time.
    #[schema(required)]
    pub newest: Option<UtcTime>,
}

/// Footage without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Run {
    /// Its first moment.
    pub start: UtcTime,
    /// Its end.
    pub end: UtcTime,
}

/// What a recording of a span of time would be, before it is fetched.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RecordingInfo {
    /// The moment of media time 0.
    pub start: UtcTime,
    /// The end of its last picture.
    pub end: UtcTime,
    /// The file's size.
    pub bytes: u64,
    /// Type and codecs, for Media Source Extensions.
    pub mime: String,
    /// Frames a second, for stepping; 0 while unknown.
    pub frame_rate: f64,
    /// Which wall time plays at which media time.
    pub pieces: Vec<Piece>,
}

/// A part of a recording without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Piece {
    /// Its first moment.
    pub start: UtcTime,
    /// Its end.
    pub end: UtcTime,
    /// Where in the file it begins.
    pub media_start_sec: f64,
}

/// How the recorder is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct System {
    /// The program's version.
    pub version: String,
    /// The software that runs.
    pub image: Image,
    /// Seconds since the recorder started.
    pub uptime_sec: u64,
    /// The recorder's clock.
    pub time: UtcTime,
    /// Its processes.
    pub roles: Vec<RoleStatus>,
    /// Its volumes.
    pub disks: Vec<Disk>,
    /// What did not get onto them, by channel and reason; empty where nothing was lost.
    pub lost: Vec<LostFootage>,
    /// How well the processes are confined.
    pub sandbox: Sandbox,
}

/// One process of the recorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoleStatus {
    /// `capture`, `ingest`, `record`, `serve`.
    pub role: String,
    /// Whether it runs.
    pub state: RoleState,
    /// Its process id; null while it does not run.
    #[schema(required)]
    pub pid: Option<u32>,
    /// How often it had to be started again.
    pub restarts: u32,
    /// In this state since.
    pub since: UtcTime,
    /// Resident memory; null while unknown.
    #[schema(required)]
    pub memory_bytes: Option<u64>,
    /// What people should know; null for nothing.
    #[schema(required)]
    pub note: Option<String>,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleState {
    /// It runs.
    Running,
    /// It was started and is not ready yet.
    Starting,
    /// It ended and will be started again.
    Restarting,
    /// It does not run, on purpose.
    Stopped,
}

/// Who can read the footage on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// Whoever has the disk.
    Off,
    /// This recorder; its recovery key does not, or there is none yet.
    DeviceOnly,
    /// This recorder, and whoever has its recovery key.
    Recoverable,
    /// Another recorder, or whoever has its recovery key.
    Locked,
}

/// For how long the footage of channels with one number of days stays on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Retention {
    /// The number of days; null: as long as there is room.
    #[schema(required)]
    pub keep_days: Option<u32>,
    /// What this footage uses.
    pub used_bytes: u64,
    /// For how long what is recorded now will stay, from the last 24 hours; less than `keep_days` where the disk is too small. Null
    /// in the first hour, and where nothing is recorded.
    #[schema(required)]
    pub expected_hours: Option<u64>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Disk {
    /// Where it is mounted; empty while it is not.
    pub path: String,
    /// The device's name, such as `sda`; null where the operating system looks after disks.
    #[schema(required)]
    pub device: Option<String>,
    /// Whether it takes footage.
    pub state: DiskState,
    /// Who can read its footage; null while unknown.
    #[schema(required)]
    pub encryption: Option<Encryption>,
    /// What people should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What footage may use.
    pub total_bytes: u64,
    /// What footage uses.
    pub used_bytes: u64,
    /// What locks keep of that from being deleted.
    pub locked_bytes: u64,
    /// For how long footage stays, by the days that channels have set.
    pub retention: Vec<Retention>,
    /// Written a second, over the last seconds.
    pub write_bytes_per_sec: u64,
    /// The start of the oldest footage.
    #[schema(required)]
    pub oldest: Option<UtcTime>,
    /// The end of the newest footage.
    #[schema(required)]
    pub newest: Option<UtcTime>,
    /// What is wrong although footage is recorded, and what to do.
    pub concerns: Vec<String>,
}

/// Whether a volume takes footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    /// It does.
    Ok,
    /// It is full and cannot overwrite.
    Full,
    /// It failed.
    Error,
    /// It holds nothing of the recorder's yet, and takes footage once the owner has had it erased.
    Unformatted,
    /// It was there and is not any more.
    Missing,
    /// Its footage is encrypted with a key that the recorder does not have.
    Locked,
}

/// How well the processes are confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sandbox {
    /// For programs.
    pub level: String,
    /// For people.
    pub message: String,
}

/// The trust line: what an owner wants to see at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trust {
    /// Who watches now.
    pub watching: Vec<Watching>,
    /// The disks as a whole.
    pub disk: TrustDisk,
    /// The processes as a whole.
    pub roles: TrustRoles,
    /// The channels as a whole.
    pub recording: TrustRecording,
    /// The ledger; null while there is no disk for it.
    #[schema(required)]
    pub ledger: Option<TrustLedger>,
}

/// One viewer of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Watching {
    /// The user, or the stream key's name.
    pub user: String,
    /// The viewer's address.
    pub from: String,
    /// The channel.
    pub channel: u16,
    /// Which of its streams.
    pub stream: StreamName,
    /// How.
    pub via: Via,
    /// Since when.
    pub since: UtcTime,
}

/// A channel's video streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamName {
    /// Full size.
    Main,
    /// Small size.
    Sub,
}

/// How somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Live in the browser.
    Browser,
    /// Live over RTSP.
    Rtsp,
    /// Recorded, in the browser.
    Playback,
    /// Recorded, as a file.
    Export,
}

/// The disks as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrustDisk {
    /// The worst of them.
    pub state: DiskState,
    /// For people.
    pub message: String,
}

/// The processes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrustRoles {
    /// How many run.
    pub running: u32,
    /// How many should.
    pub total: u32,
}

/// The channels as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrustRecording {
    /// How many are being recorded.
    pub channels: u32,
    /// How many there are.
    pub total: u32,
}

/// Live streams over plain RTSP as UDP multicast: sent once for all players, and seen by whoever is in the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RtspMulticast {
    /// Whether a player that asks for it gets it.
    pub enabled: bool,
    /// The first of 256 addresses, of which each stream has its own; in 239.0.0.0/8, ending in `.0`.
    pub group: String,
    /// 1: the recorder's own network; one more for each router.
    pub ttl: u8,
}

impl Default for RtspMulticast {
    fn default() -> Self {
        Self { enabled: false, group: "239.192.0.0".to_owned(), ttl: 1 }
    }
}

/// The recorder's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The recorder's name, 1 to 64 characters.
    pub name: String,
    /// The IANA name of the zone that times are shown in, such as `Europe/Berlin`.
    pub time_zone: String,
    /// Whether plain RTSP is served beside RTSPS.
    pub rtsp_enabled: bool,
    /// Who may connect to RTSP and RTSPS, as addresses and networks such as `192.0.2.0/24`, at most 32; none: everybody.
    #[serde(default)]
    #[schema(required)]
    pub rtsp_allow: Vec<String>,
    /// What of plain RTSP may be multicast.
    #[serde(default)]
    #[schema(required)]
    pub rtsp_multicast: RtspMulticast,
    /// Whether disks that take footage for the first time are encrypted; those that have some stay as they are.
    pub encrypt_new_disks: bool,
    /// Whether every channel is recorded on two disks, while there are two.
    #[serde(default)]
    #[schema(required)]
    pub mirror_disks: bool,
}
