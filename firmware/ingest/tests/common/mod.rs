//! What the tests of a running camera share: clips, truth, units from the bus.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bus::{Next, Start, Subscriber, UnitMeta};
use hal::{ChannelId, Clock, StreamId, StreamKind, SystemClock};
use ingest::{
    Camera, CameraConfig, CameraHandle, CameraSettings, CameraState, CameraStatus, Secret, Transport,
};
use tempfile::TempDir;
use test_camera::{CameraOptions, Login, Source, TestCamera};

/// Long enough for a loaded machine; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A clip under shared/footage, or one like it, made on the spot.
pub struct Clip {
    pub path: PathBuf,
    _made_in: Option<TempDir>,
}

/// The two clips, and what stands in for them where they are missing.
pub const WITH_SOUND: (&str, &[&str]) = (
    "car-detection.mp4",
    &[
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
        "-c:a",
        "aac",
        "-c:v",
        "libx264",
        "-bf",
        "0",
    ],
);
pub const WITH_B_FRAMES: (&str, &[&str]) =
    ("one-by-one-person-detection.mp4", &["-c:v", "libx264", "-bf", "3", "-g", "10"]);

pub fn clip((name, stand_in): (&str, &[&str])) -> Clip {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage").join(name);
    if path.exists() {
        return Clip { path, _made_in: None };
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10"])
        .args(stand_in)
        .args(["-pix_fmt", "yuv420p", "-t", "30"])
        .arg(&path)
        .status()
        .expect("ffmpeg runs");
    assert!(made.success());
    Clip { path, _made_in: Some(dir) }
}

/// A coded unit of the file, as FFmpeg reads it.
#[derive(Debug, Clone)]
pub struct Packet {
    pub pts_sec: f64,
    pub keyframe: bool,
    /// Of a picture: of its NAL units without parameter sets. Of sound: of the packet.
    pub sha256: String,
}

/// The clip's sound.
pub fn sound(clip: &Clip) -> Vec<Packet> {
    ffprobe(clip, "a:0")
}

/// The clip's pictures in decoding order.
pub fn pictures(clip: &Clip) -> Vec<Packet> {
    let mut packets = ffprobe(clip, "v:0");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&clip.path)
        .args(["-map", "0:v:0", "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "h264", "-"])
        .output()
        .expect("ffmpeg runs");
    let units = access_units(&output.stdout);
    assert_eq!(units.len(), packets.len());
    for (packet, unit) in packets.iter_mut().zip(units) {
        packet.sha256 = nal_sha256(unit.into_iter());
    }
    packets
}

/// Splits a byte stream where a new primary coded picture begins (ISO 14496-10 section 7.4.1.2.3).
fn access_units(annexb: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut units: Vec<Vec<&[u8]>> = Vec::new();
    let mut picture_seen = true;
    for nal in media::annexb::nal_units(annexb) {
        let vcl = (1..=5).contains(&(nal[0] & 0x1f));
        // A slice whose first_mb_in_slice is 0 begins with the one bit of ue(v) 0.
        let begins = matches!(nal[0] & 0x1f, 6..=9) || vcl && nal[1] & 0x80 != 0;
        if begins && picture_seen {
            units.push(Vec::new());
            picture_seen = false;
        }
        picture_seen |= vcl;
        units.last_mut().unwrap().push(nal);
    }
    units
}

/// The hash of a unit's NAL units, each with its length, without SPS, PPS and delimiters.
fn nal_sha256<'a>(nals: impl Iterator<Item = &'a [u8]>) -> String {
    let mut bytes = Vec::new();
    for nal in nals.filter(|nal| !matches!(nal[0] & 0x1f, 7..=9)) {
        bytes.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        bytes.extend_from_slice(nal);
    }
    sha256(&bytes)
}

fn ffprobe(clip: &Clip, track: &str) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", track, "-show_data_hash", "sha256", "-of", "json"])
        .args(["-show_entries", "packet=pts_time,flags,data_hash"])
        .arg(&clip.path)
        .output()
        .expect("ffprobe runs");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packets: Vec<_> = answer["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|packet| {
            let text = |name: &str| packet[name].as_str().unwrap();
            Packet {
                pts_sec: text("pts_time").parse().unwrap(),
                keyframe: text("flags").starts_with('K'),
                sha256: text("data_hash").strip_prefix("SHA256:").unwrap().to_lowercase(),
            }
        })
        .collect();
    assert!(packets.len() > 100);
    packets
}

pub fn sha256(data: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A unit from the bus.
#[derive(Clone)]
pub struct Unit {
    pub meta: UnitMeta,
    pub data: Vec<u8>,
}

impl Unit {
    /// The hash of a picture, to compare with [`Packet::sha256`].
    pub fn picture_sha256(&self) -> String {
        nal_sha256(media::annexb::nal_units(&self.data))
    }
}

/// Everything that belongs to one camera under test.
pub struct Bench {
    pub dir: TempDir,
    pub handle: CameraHandle,
    pub channel: ChannelId,
}

pub fn start(options: &CameraOptions) -> TestCamera {
    TestCamera::start(options).unwrap()
}

pub fn clip_options(clip: &Clip, port: u16, login: Option<Login>) -> CameraOptions {
    CameraOptions { port, source: Source::Clip(clip.path.clone()), login }
}

pub fn config(channel: u16, url: &str, transport: Transport) -> CameraConfig {
    CameraConfig::new(CameraSettings {
        channel: ChannelId::new(channel).unwrap(),
        url: Secret::new(url),
        user: None,
        password: None,
        transport,
    })
    .unwrap()
}

impl Bench {
    pub fn new(config: CameraConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let channel = config.channel();
        let handle = Camera::spawn(config, dir.path().to_owned(), Arc::new(SystemClock::new()));
        Self { dir, handle, channel }
    }

    /// Waits for a state.
    pub async fn until(&self, wanted: impl Fn(&CameraState) -> bool) -> CameraStatus {
        let mut status = self.handle.status();
        match tokio::time::timeout(PATIENCE, status.wait_for(|status| wanted(&status.state))).await {
            Ok(status) => status.unwrap().clone(),
            Err(_) => panic!("the state stayed {:?}", self.handle.status().borrow()),
        }
    }

    pub async fn until_streaming(&self) -> CameraStatus {
        self.until(|state| matches!(state, CameraState::Streaming { .. })).await
    }

    /// Units from the oldest one on, until there are enough.
    pub async fn collect(
        &self,
        kind: StreamKind,
        enough: impl Fn(&[Unit]) -> bool + Send + 'static,
    ) -> Vec<Unit> {
        let mut subscriber =
            Subscriber::open(self.dir.path(), StreamId::new(self.channel, kind), Start::Oldest).unwrap();
        tokio::task::spawn_blocking(move || {
            let clock = SystemClock::new();
            let begin = clock.mono();
            let (mut units, mut data) = (Vec::new(), Vec::new());
            while !enough(&units) {
                match subscriber.next(&mut data).unwrap() {
                    Next::Unit(meta) => units.push(Unit { meta, data: std::mem::take(&mut data) }),
                    Next::Empty => {
                        subscriber.wait(Duration::from_secs(1));
                    }
                    other => panic!("{other:?} after {} units", units.len()),
                }
                assert!(clock.mono().since(begin) < PATIENCE, "only {} units of {kind}", units.len());
            }
            units
        })
        .await
        .unwrap()
    }
}
