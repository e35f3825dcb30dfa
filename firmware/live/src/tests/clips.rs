//! Clips as cameras deliver them, rings to publish them to, FFmpeg as the judge.
//!
//! These tests need `ffmpeg` and `ffprobe`, which the project's install step brings; they fail without.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bus::{Feeds, Publisher, RingSpec};
use bytes::Bytes;
use hal::{
    AccessUnit, AudioCodec, AudioFormat, ChannelId, Pts90k, StreamFormat, StreamId, StreamKind, VideoCodec,
    WallTime,
};
use tempfile::TempDir;

use crate::{Live, LiveReader, Message};

/// Longer than anything takes on a machine that is busy with other tests.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const CHANNEL: ChannelId = ChannelId::new(1).unwrap();

/// One access unit of a clip.
#[derive(Clone)]
pub(super) struct ClipUnit {
    pub(super) pts: Pts90k,
    pub(super) keyframe: bool,
    pub(super) data: Vec<u8>,
}

/// Runs a program and returns what it prints; fails with what it complains about.
pub(super) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("`{program}` is needed by this test and cannot be run: {error}"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.trim().is_empty(), "{program} {args:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

fn ffmpeg(args: &[&str]) -> String {
    run("ffmpeg", &[&["-nostdin", "-v", "error", "-y"], args].concat())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// Real footage; where it is missing, a generated clip with B-frames and AAC.
pub(super) fn footage(name: &str, dir: &TempDir) -> PathBuf {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage").join(name);
    if real.exists() {
        real
    } else {
        generated(dir, name, &["-c:v", "libx264", "-bf", "2", "-g", "20", "-c:a", "aac", "-ar", "48000"])
    }
}

/// Eight seconds of test picture and a tone, coded as `codecs` say.
pub(super) fn generated(dir: &TempDir, name: &str, codecs: &[&str]) -> PathBuf {
    let path = dir.path().join(name);
    let mut args = vec!["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=8"];
    args.extend(["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=8", "-pix_fmt", "yuv420p"]);
    args.extend(codecs);
    args.push(text(&path));
    ffmpeg(&args);
    path
}

/// A row that ffprobe prints of a packet: presentation and decoding time in seconds, and whether it is a keyframe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) pts_sec: f64,
    pub(super) dts_sec: f64,
    pub(super) keyframe: bool,
}

/// The packets of a stream (`v:0`, `a:0`) of a file.
pub(super) fn rows(path: &Path, stream: &str) -> Vec<Row> {
    let entries = "packet=pts_time,dts_time,flags";
    let args = [
        "-v",
        "error",
        "-select_streams",
        stream,
        "-show_entries",
        entries,
        "-of",
        "compact=p=0",
        text(path),
    ];
    let printed = run("ffprobe", &args);
    let rows = printed.lines().filter(|line| line.contains("pts_time")).map(|line| {
        let field = |name: &str| {
            line.split('|').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).unwrap_or("?")
        };
        Row {
            pts_sec: field("pts_time").parse().unwrap(),
            dts_sec: field("dts_time").parse().unwrap_or(f64::NAN),
            keyframe: field("flags").contains('K'),
        }
    });
    rows.collect()
}

/// Hashes of the decoded pictures or sound of a stream, in order of presentation.
pub(super) fn decoded(path: &Path, stream: &str) -> Vec<String> {
    let stream = format!("0:{stream}");
    let printed =
        ffmpeg(&["-i", text(path), "-map", &stream, "-fps_mode", "passthrough", "-f", "framehash", "-"]);
    let lines = printed.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// A clip's video: Annex B, parameter sets before keyframes.
pub(super) fn video_units(path: &Path, codec: VideoCodec, dir: &TempDir) -> Vec<ClipUnit> {
    let (filter, format) = match codec {
        VideoCodec::H264 => ("h264_mp4toannexb", "h264"),
        VideoCodec::H265 => ("hevc_mp4toannexb", "hevc"),
    };
    demux(path, "v:0", &["-bsf:v", filter], format, dir)
}

/// A clip's AAC.
pub(super) fn aac_units(path: &Path, dir: &TempDir) -> Vec<ClipUnit> {
    demux(path, "a:0", &[], "data", dir)
}

fn demux(path: &Path, stream: &str, filter: &[&str], format: &str, dir: &TempDir) -> Vec<ClipUnit> {
    let raw = dir.path().join("demuxed");
    let map = format!("0:{stream}");
    let copy = [&["-i", text(path), "-map", &map, "-c", "copy"][..], filter, &["-f"]].concat();
    ffmpeg(&[&copy[..], &[format, text(&raw)]].concat());
    let table = ffmpeg(&[&copy[..], &["framehash", "-"]].concat());
    let raw = std::fs::read(raw).unwrap();
    let mut rest = &raw[..];
    let sizes = table.lines().filter(|line| !line.starts_with('#'));
    let units = sizes.zip(rows(path, stream)).map(|(line, row)| {
        let size: usize = line.split(',').nth(4).unwrap().trim().parse().unwrap();
        let (data, after) = rest.split_at(size);
        rest = after;
        ClipUnit {
            pts: Pts90k((row.pts_sec * 90_000.0).round() as i64),
            keyframe: row.keyframe,
            data: data.to_vec(),
        }
    });
    units.collect()
}

/// AAC-LC, mono or stereo at 48 kHz.
pub(super) fn aac_format(channels: u8) -> StreamFormat {
    let config = (2_u16 << 11 | 3 << 7 | u16::from(channels) << 3).to_be_bytes().to_vec();
    StreamFormat::Audio(AudioFormat { codec: AudioCodec::Aac, sample_rate: 48_000, channels, config })
}

/// A bus in a folder of its own.
pub(super) struct Bus {
    pub(super) dir: TempDir,
    pub(super) feeds: Arc<Feeds>,
    pub(super) live: Live,
}

impl Bus {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let feeds = Arc::new(Feeds::new(dir.path()));
        Self { dir, live: Live::new(Arc::clone(&feeds)), feeds }
    }

    pub(super) fn publisher(&self, kind: StreamKind, format: &StreamFormat) -> Ring {
        let stream = StreamId::new(CHANNEL, kind);
        let spec = RingSpec::for_stream(kind);
        let publisher = Publisher::create(self.dir.path(), stream, format, spec).unwrap();
        Ring { publisher, stream, next_is_discontinuity: false }
    }
}

/// A ring's writing end.
pub(super) struct Ring {
    pub(super) publisher: Publisher,
    stream: StreamId,
    pub(super) next_is_discontinuity: bool,
}

impl Ring {
    pub(super) fn publish(&mut self, unit: &ClipUnit) {
        let unit = AccessUnit {
            stream: self.stream,
            pts: unit.pts,
            wall: WallTime::default(),
            keyframe: unit.keyframe,
            discontinuity: std::mem::take(&mut self.next_is_discontinuity),
            data: &unit.data,
        };
        self.publisher.publish(&unit).unwrap();
    }
}

/// A viewer's next message; fails rather than hang.
pub(super) async fn next(viewer: &mut LiveReader) -> Message {
    let next = tokio::time::timeout(PATIENCE, viewer.next()).await;
    next.expect("a message within a minute").expect("the view goes on")
}

/// A viewer's next message that is not about waiting.
pub(super) async fn next_but_waiting(viewer: &mut LiveReader) -> Message {
    loop {
        let message = next(viewer).await;
        if message != Message::Text(r#"{"type":"waiting"}"#.into()) {
            return message;
        }
    }
}

/// The next message, which is binary.
pub(super) async fn binary(viewer: &mut LiveReader) -> Bytes {
    match next_but_waiting(viewer).await {
        Message::Binary(bytes) => bytes,
        Message::Text(text) => panic!("a fragment is expected, not {text}"),
    }
}

/// The next message, which is text.
pub(super) async fn words(viewer: &mut LiveReader) -> String {
    match next_but_waiting(viewer).await {
        Message::Text(text) => text,
        Message::Binary(bytes) => panic!("text is expected, not {} bytes", bytes.len()),
    }
}

/// Writes what a viewer got as a file.
pub(super) fn save(dir: &TempDir, name: &str, parts: &[Bytes]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, parts.concat()).unwrap();
    path
}
