//! The shape of the settings file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use hal::{BitsPerSecond, ByteCount, ChannelId, FrameRate, Resolution, StreamConfig, StreamKind, VideoCodec};
use serde::{Deserialize, Serialize};
use store::StoreOptions;

use crate::role::Role;

/// The version of this shape; older ones are brought to it (`migrate.rs`), newer ones refused.
pub(crate) const VERSION: u32 = 2;

/// All of the owner's choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// The recorder's name, 1 to 64 characters.
    #[serde(default = "default_name")]
    pub(crate) name: String,
    /// The IANA time zone that people see.
    #[serde(default = "default_time_zone")]
    pub(crate) time_zone: String,
    #[serde(default)]
    pub(crate) web: Web,
    #[serde(default)]
    pub(crate) rtsp: Rtsp,
    #[serde(default)]
    pub(crate) storage: Storage,
    #[serde(default)]
    pub(crate) network: Network,
    #[serde(default)]
    pub(crate) time: Time,
    /// What alarm inputs lead to.
    #[serde(default, rename = "alarm")]
    pub(crate) alarms: Vec<Alarm>,
    /// The channels, by number.
    #[serde(default, rename = "channel")]
    pub(crate) channels: Vec<Channel>,
}

/// Where the web UI listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
}

/// Where RTSP listens. Off until the owner turns it on: plain RTSP shows video to whoever taps the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rtsp {
    pub(crate) enabled: bool,
    pub(crate) address: SocketAddr,
    pub(crate) tls_address: SocketAddr,
    /// Addresses and networks that may connect to either; none: everybody.
    pub(crate) allow: Vec<String>,
    pub(crate) multicast: Multicast,
}

/// Live streams sent once for all players of a network. Off until the owner turns it on: whoever is in that network sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Multicast {
    pub(crate) enabled: bool,
    /// The first of 256 addresses; each stream has its own.
    pub(crate) group: Ipv4Addr,
    /// 1: the recorder's own network; one more for each router.
    pub(crate) ttl: u8,
}

/// Where footage is kept, and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Storage {
    /// The oldest footage of a disk is overwritten beyond this.
    pub(crate) max_bytes: u64,
    /// The size of one segment file; `None`: as fits the disk.
    pub(crate) segment_bytes: Option<u64>,
    /// A disk that takes footage for the first time is encrypted.
    pub(crate) encrypt: bool,
    /// Every channel is recorded on two disks, while there are two.
    pub(crate) mirror: bool,
    /// Further folders for footage beside the data folder, each on a disk of its own; a board finds its disks itself.
    pub(crate) more_folders: Vec<PathBuf>,
}

/// The board's address; a PC has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// Ask the network for an address; `address` is not used then.
    pub(crate) dhcp: bool,
    pub(crate) address: Option<Ipv4Addr>,
    /// Leading bits of `address` that are the network's.
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) dns: Vec<Ipv4Addr>,
    /// What the recorder calls itself on the network.
    pub(crate) host_name: String,
}

/// Where a board gets the time from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Time {
    /// None by default: nothing leaves the recorder that its owner did not name.
    pub(crate) ntp_servers: Vec<String>,
}

/// What an alarm input does: it switches a relay, is an event on channels, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alarm {
    /// The board's name for the input.
    pub(crate) input: String,
    /// The channels on which something happens while it is active; they may be channels that are not there now.
    #[serde(default)]
    pub(crate) channels: Vec<ChannelId>,
    /// The board's name for the relay.
    #[serde(default)]
    pub(crate) relay: Option<String>,
    /// How long the relay stays on after the input became active.
    #[serde(default = "relay_sec")]
    pub(crate) relay_sec: u32,
}

/// One channel: a board input or a network camera, never both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Channel {
    pub(crate) number: ChannelId,
    pub(crate) title: String,
    /// Its footage goes after so many days; none: it stays as long as there is room.
    #[serde(default)]
    pub(crate) keep_days: Option<u32>,
    /// The same of what is recorded while something happens; none: as the rest.
    #[serde(default)]
    pub(crate) keep_event_days: Option<u32>,
    #[serde(default)]
    pub(crate) input: Option<Input>,
    #[serde(default)]
    pub(crate) camera: Option<Camera>,
}

/// A board input and its encoders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// `backend:input`, such as `gst:test0`.
    pub(crate) source: String,
    /// Draw the time on the picture.
    #[serde(default = "yes")]
    pub(crate) clock: bool,
    /// Record sound where there is any.
    #[serde(default = "yes")]
    pub(crate) audio: bool,
    pub(crate) main: Stream,
    #[serde(default)]
    pub(crate) sub: Option<Stream>,
}

/// One encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    pub(crate) codec: VideoCodec,
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Frames a second.
    pub(crate) frame_rate: u32,
    pub(crate) bit_rate_bps: u32,
    /// Frames from keyframe to keyframe.
    pub(crate) gop_frames: u16,
}

/// A network camera.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Camera {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// A secret: it reaches `ingest` alone.
    #[serde(default)]
    pub(crate) password: Option<String>,
    #[serde(default)]
    pub(crate) transport: Transport,
}

/// How a camera's packets come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    #[default]
    Tcp,
    Udp,
}

impl Settings {
    /// What a recorder has before its owner chose anything.
    pub(crate) fn new() -> Self {
        Self {
            version: VERSION,
            name: default_name(),
            time_zone: default_time_zone(),
            web: Web::default(),
            rtsp: Rtsp::default(),
            storage: Storage::default(),
            network: Network::default(),
            time: Time::default(),
            alarms: Vec::new(),
            channels: Vec::new(),
        }
    }

    pub(crate) fn channel(&self, number: ChannelId) -> Option<&Channel> {
        self.channels.iter().find(|c| c.number == number)
    }

    /// What `role` may know: camera passwords go to `ingest`, and to nobody else.
    pub(crate) fn for_role(&self, role: Role) -> Self {
        let mut part = self.clone();
        if role != Role::Ingest {
            for camera in part.channels.iter_mut().filter_map(|c| c.camera.as_mut()) {
                camera.password = camera.password.take().map(|_| String::new());
            }
        }
        part
    }
}

impl Stream {
    /// The same in the HAL's words.
    pub(crate) fn config(&self, kind: StreamKind) -> StreamConfig {
        StreamConfig {
            kind,
            codec: self.codec,
            resolution: Resolution { width: self.width, height: self.height },
            frame_rate: FrameRate { numerator: self.frame_rate, denominator: 1 },
            bit_rate: BitsPerSecond(self.bit_rate_bps),
            gop_frames: self.gop_frames,
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        Self { address: any(8443) }
    }
}

impl Default for Rtsp {
    fn default() -> Self {
        Self {
            enabled: false,
            address: any(8554),
            tls_address: any(8322),
            allow: Vec::new(),
            multicast: Multicast::default(),
        }
    }
}

impl Default for Multicast {
    fn default() -> Self {
        // Of an organisation's own (RFC 2365 section 6.2).
        Self { enabled: false, group: Ipv4Addr::new(239, 192, 0, 0), ttl: 1 }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            dhcp: true,
            address: None,
            prefix: 24,
            gateway: None,
            dns: Vec::new(),
            host_name: "candor".to_owned(),
        }
    }
}

impl Storage {
    /// The size of one segment file on a disk of `max_bytes`.
    pub(crate) fn segment_bytes_of(&self, max_bytes: u64) -> u64 {
        let fitting = StoreOptions::with_max_bytes(ByteCount(max_bytes)).segment_bytes;
        self.segment_bytes.unwrap_or(fitting.0)
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            max_bytes: 16 << 30,
            segment_bytes: None,
            encrypt: true,
            mirror: false,
            more_folders: Vec::new(),
        }
    }
}

/// A password must not reach a log through `{:?}`.
impl std::fmt::Debug for Camera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Camera")
            .field("url", &self.url)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("transport", &self.transport)
            .finish()
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

fn default_name() -> String {
    "Candor".to_owned()
}

fn default_time_zone() -> String {
    "Etc/UTC".to_owned()
}

fn relay_sec() -> u32 {
    10
}

fn yes() -> bool {
    true
}
