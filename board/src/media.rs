//! The vendor's media platform: libraries, who loads them, video ports.
//!
//! Does not belong here: the analog decoders (`devices.rs`), and what the platform is told (`hal-himpp`).

use serde::Deserialize;

/// What `capture = "himpp"` needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// Kernel modules to load first, in this order: the vendor's, as the script in the vendor's firmware has them.
    #[serde(default, rename = "module")]
    pub modules: Vec<KernelModule>,
    /// The libraries to load, as paths, each after those that it needs: the platform's own last.
    pub libraries: Vec<String>,
    /// The program that loads them.
    #[serde(default = "default_host")]
    pub host: String,
    /// A library to load before the C library (`LD_PRELOAD`), for libraries that were built for another one.
    pub preload: Option<String>,
    /// The user that the program becomes, where it may.
    pub user: Option<u32>,
    /// The group that it becomes.
    pub group: Option<u32>,
    /// The mode that a monitor is given; absent where the board has no monitor socket, or where it is not used.
    pub display: Option<MonitorMode>,
    /// The SoC's ports that decoders feed.
    #[serde(default, rename = "device")]
    pub devices: Vec<MediaDevice>,
}

/// A kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelModule {
    /// Its path in the root.
    pub file: String,
    /// Its parameters, separated by blanks: `mmz=anonymous,0,0x84000000,192M`.
    #[serde(default)]
    pub parameters: String,
}

/// A monitor's mode, progressive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorMode {
    /// Samples a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// Pictures a second.
    pub frame_rate: u8,
}

/// A video input device of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaDevice {
    /// The platform's number (`VI_DEV`).
    pub number: u8,
    /// The bus' format.
    pub interface: VideoInterface,
    /// How many channels share the bus: 1, 2 or 4.
    pub multiplex: u8,
    /// Which pins carry which component (`au32CompMask`).
    pub mask: [u32; 2],
    /// Whether data is taken on both clock edges.
    #[serde(default)]
    pub double_edge: bool,
    /// The channels (`VI_CHN`) that share the bus, in its order; where not given, as many as there are from `number` times
    /// `multiplex` on.
    inputs: Option<Vec<u8>>,
}

impl MediaDevice {
    /// The channels (`VI_CHN`) that share the bus, in its order.
    #[must_use]
    pub fn inputs(&self) -> Vec<u8> {
        let first = self.number.saturating_mul(self.multiplex);
        self.inputs.clone().unwrap_or_else(|| (first..first.saturating_add(self.multiplex)).collect())
    }
}

/// A digital video bus with embedded sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoInterface {
    /// ITU-R BT.656, 8 bits.
    Bt656,
    /// ITU-R BT.1120, 16 bits.
    Bt1120,
}

fn default_host() -> String {
    "/bin/mpp-host".to_owned()
}
