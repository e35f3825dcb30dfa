//! What a recorder is started with: a settings file such as owners write.

use std::fmt::Write;
use std::path::PathBuf;

/// A recorder's settings, ports apart.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The channels; the first is number 1.
    pub channels: Vec<ChannelSetup>,
    /// What footage may take.
    pub max_bytes: u64,
    /// Of one segment.
    pub segment_bytes: u64,
    /// Whether a new volume is encrypted; it is when nothing is said.
    pub encrypt: Option<bool>,
    /// Further folders for footage.
    pub more_folders: Vec<PathBuf>,
}

/// Where a channel's picture comes from.
#[derive(Clone, Debug)]
pub enum ChannelSetup {
    /// A simulated input.
    Input(InputSetup),
    /// A network camera.
    Camera(CameraSetup),
}

/// A simulated input.
#[derive(Clone, Debug)]
pub struct InputSetup {
    /// As in the settings: `sim:sim0`.
    pub source: String,
    /// Of the main stream.
    pub bit_rate_bps: u32,
}

/// A network camera.
#[derive(Clone, Debug)]
pub struct CameraSetup {
    /// Its address.
    pub url: String,
    /// `tcp` or `udp`.
    pub transport: &'static str,
}

/// The width of simulated main streams.
pub(crate) const WIDTH: u16 = 640;
/// Their height.
pub(crate) const HEIGHT: u16 = 360;
/// Their frames a second.
pub(crate) const FRAME_RATE: u32 = 15;

impl Setup {
    /// These channels on a volume of 1 GiB.
    #[must_use]
    pub fn new(channels: Vec<ChannelSetup>) -> Self {
        Self { channels, max_bytes: 1 << 30, segment_bytes: 4 << 20, encrypt: None, more_folders: Vec::new() }
    }

    /// `count` simulated inputs.
    #[must_use]
    pub fn inputs(count: u16) -> Self {
        Self::new((0..count).map(|number| ChannelSetup::input(&format!("sim:sim{number}"))).collect())
    }

    /// And a network camera more.
    #[must_use]
    pub fn and_camera(mut self, url: &str, transport: &'static str) -> Self {
        self.channels.push(ChannelSetup::Camera(CameraSetup { url: url.to_owned(), transport }));
        self
    }

    /// The settings file's text.
    pub(crate) fn text(&self, [web, rtsp, rtsps]: [u16; 3]) -> String {
        let mut text = format!(
            "version = 1\nname = \"Test\"\n\n[web]\naddress = \"127.0.0.1:{web}\"\n\n[rtsp]\nenabled = true\n\
             address = \"127.0.0.1:{rtsp}\"\ntls_address = \"127.0.0.1:{rtsps}\"\n\n[storage]\nmax_bytes = {}\n\
             segment_bytes = {}\n",
            self.max_bytes, self.segment_bytes
        );
        if let Some(encrypt) = self.encrypt {
            let _ = writeln!(text, "encrypt = {encrypt}");
        }
        if !self.more_folders.is_empty() {
            let _ = writeln!(text, "more_folders = {:?}", self.more_folders);
        }
        for (number, channel) in (1..).zip(&self.channels) {
            let _ = write!(text, "\n[[channel]]\nnumber = {number}\ntitle = \"Channel {number}\"\n");
            let _ = match channel {
                ChannelSetup::Input(input) => write!(
                    text,
                    "[channel.input]\nsource = \"{}\"\n\
                     main = {{ codec = \"h264\", width = {WIDTH}, height = {HEIGHT}, frame_rate = {FRAME_RATE}, \
                     bit_rate_bps = {}, gop_frames = {FRAME_RATE} }}\n\
                     sub = {{ codec = \"h264\", width = 320, height = 180, frame_rate = {FRAME_RATE}, \
                     bit_rate_bps = 250000, gop_frames = {FRAME_RATE} }}\n",
                    input.source, input.bit_rate_bps
                ),
                ChannelSetup::Camera(camera) => write!(
                    text,
                    "[channel.camera]\nurl = \"{}\"\ntransport = \"{}\"\n",
                    camera.url, camera.transport
                ),
            };
        }
        text
    }
}

impl ChannelSetup {
    /// A simulated input of 1 Mbit/s.
    #[must_use]
    pub fn input(source: &str) -> Self {
        Self::Input(InputSetup { source: source.to_owned(), bit_rate_bps: 1_000_000 })
    }
}
