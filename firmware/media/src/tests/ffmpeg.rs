//! FFmpeg as the second opinion: clips to read, and what ffprobe makes of ours.
//!
//! These tests need `ffmpeg` and `ffprobe`, which the project's install step brings; they fail without.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use hal::{AudioCodec, AudioFormat, Pts90k, VideoCodec};
use tempfile::TempDir;

use crate::{NalKind, ParameterSets, SampleEntry, VideoParams, annexb};

/// Runs a program and returns what it prints; fails with what it complains about.
pub(crate) fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("`{program}` is needed by this test and cannot be run: {error}"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {complaints}");
    assert!(complaints.trim().is_empty(), "{program} {args:?} complains: {complaints}");
    output.stdout
}

pub(crate) fn ffmpeg(args: &[&str]) -> Vec<u8> {
    run("ffmpeg", &[&["-nostdin", "-v", "error", "-y"], args].concat())
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A clip of real footage; where it is missing, a generated one with B-frames and AAC.
pub(crate) fn footage(name: &str, dir: &TempDir) -> PathBuf {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage").join(name);
    if real.exists() { real } else { generated(dir, name, &["-c:v", "libx264", "-bf", "2", "-c:a", "aac"]) }
}

/// Four seconds of test picture and a tone, coded as `codecs` say; ".mp4" and ".mov" by `name`.
pub(crate) fn generated(dir: &TempDir, name: &str, codecs: &[&str]) -> PathBuf {
    let path = dir.path().join(name);
    let mut args = vec!["-f", "lavfi", "-i", "testsrc2=size=322x182:rate=30000/1001:duration=4"];
    args.extend(["-f", "lavfi", "-i", "sine=sample_rate=44100:duration=4", "-pix_fmt", "yuv420p"]);
    args.extend(codecs);
    args.push(text(&path));
    ffmpeg(&args);
    path
}

/// One packet as ffprobe sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) pts_sec: f64,
    pub(crate) dts_sec: f64,
    pub(crate) keyframe: bool,
    pub(crate) discarded: bool,
    pub(crate) hash: String,
}

/// The packets of a stream (`v:0`, `a:0`) of a file.
pub(crate) fn packets(path: &Path, stream: &str) -> Vec<Packet> {
    let printed = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_packets",
            "-show_data_hash",
            "SHA256",
            "-of",
            "compact=p=0",
            text(path),
        ],
    );
    let printed = String::from_utf8(printed).unwrap();
    // Side data breaks the line.
    let packets = printed.split("codec_type=").skip(1).map(|packet| {
        let field = |name: &str| {
            packet
                .split(['|', '\n'])
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                .unwrap_or("?")
        };
        Packet {
            pts_sec: field("pts_time").parse().unwrap(),
            dts_sec: field("dts_time").parse().unwrap_or(f64::NAN),
            keyframe: field("flags").contains('K'),
            discarded: field("flags").contains('D'),
            hash: field("data_hash").to_owned(),
        }
    });
    packets.collect()
}

/// The packets of a clip's video, told apart by their NAL units without parameter sets and delimiters.
///
/// Not by their bytes: a clip may hide a start code inside of a length-prefixed NAL unit (the footage ends so),
/// or keep SEI in its sample entry (x265 through FFmpeg does).
pub(crate) fn video_packets(path: &Path, codec: VideoCodec, dir: &TempDir) -> Vec<Packet> {
    let units = annexb_units(path, codec, dir);
    let packets = packets(path, "v:0").into_iter().zip(units).map(|(packet, unit)| {
        let nals = annexb::nal_units(&unit.data);
        let stays = |nal: &&[u8]| {
            let kind = NalKind::of(codec, nal);
            !kind.is_parameter_set() && kind != NalKind::Aud
        };
        let pictures: Vec<&[u8]> = nals.filter(stays).collect();
        Packet { hash: format!("{pictures:02x?}"), ..packet }
    });
    packets.collect()
}

/// A value that ffprobe shows of a stream.
pub(crate) fn stream_field(path: &Path, stream: &str, field: &str) -> String {
    let entries = format!("stream={field}");
    let printed = run(
        "ffprobe",
        &["-v", "error", "-select_streams", stream, "-show_entries", &entries, "-of", "csv=p=0", text(path)],
    );
    String::from_utf8(printed).unwrap().trim().trim_end_matches(',').to_owned()
}

/// Hashes and times (in seconds) of the decoded pictures or sound of a stream.
pub(crate) fn decoded(path: &Path, stream: &str) -> Vec<(f64, String)> {
    let printed = ffmpeg(&[
        "-i",
        text(path),
        "-map",
        &format!("0:{stream}"),
        "-fps_mode",
        "passthrough",
        "-f",
        "framehash",
        "-",
    ]);
    let printed = String::from_utf8(printed).unwrap();
    let base = printed.lines().find_map(|line| line.strip_prefix("#tb 0: ")).expect("a time base");
    let (num, den) = base.trim().split_once('/').expect("a fraction");
    let base = num.parse::<f64>().unwrap() / den.parse::<f64>().unwrap();
    let rows = printed.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        (fields[2].parse::<f64>().unwrap() * base, fields[5].to_owned())
    });
    rows.collect()
}

/// One access unit of a clip.
pub(crate) struct Unit {
    pub(crate) pts: Pts90k,
    pub(crate) keyframe: bool,
    pub(crate) data: Vec<u8>,
}

/// A clip's video the way a camera delivers it: Annex B, parameter sets before keyframes.
pub(crate) fn annexb_units(path: &Path, codec: VideoCodec, dir: &TempDir) -> Vec<Unit> {
    let (filter, format) = match codec {
        VideoCodec::H264 => ("h264_mp4toannexb", "h264"),
        VideoCodec::H265 => ("hevc_mp4toannexb", "hevc"),
    };
    let raw = dir.path().join("annexb");
    let demux = ["-i", text(path), "-map", "0:v:0", "-c", "copy", "-bsf:v", filter, "-f"];
    ffmpeg(&[&demux[..], &[format, text(&raw)]].concat());
    let sizes = String::from_utf8(ffmpeg(&[&demux[..], &["framehash", "-"]].concat())).unwrap();
    let sizes = sizes.lines().filter(|line| !line.starts_with('#')).map(|line| {
        line.split(',').nth(4).and_then(|size| size.trim().parse::<usize>().ok()).expect("a size")
    });
    units(&std::fs::read(raw).unwrap(), sizes, &packets(path, "v:0"))
}

/// A clip's audio: raw units, and what a decoder must know.
pub(crate) fn audio_units(path: &Path, codec: AudioCodec, dir: &TempDir) -> (AudioFormat, Vec<Unit>) {
    let raw = dir.path().join("audio");
    let demux = ["-i", text(path), "-map", "0:a:0", "-c", "copy", "-f"];
    ffmpeg(&[&demux[..], &["data", text(&raw)]].concat());
    let sizes = String::from_utf8(ffmpeg(&[&demux[..], &["framehash", "-"]].concat())).unwrap();
    let extradata = sizes.lines().any(|line| line.starts_with("#extradata 0"));
    let sizes = sizes.lines().filter(|line| !line.starts_with('#')).map(|line| {
        line.split(',').nth(4).and_then(|size| size.trim().parse::<usize>().ok()).expect("a size")
    });
    let sample_rate: u32 = stream_field(path, "a:0", "sample_rate").parse().unwrap();
    let channels: u8 = stream_field(path, "a:0", "channels").parse().unwrap();
    assert_eq!(extradata, codec == AudioCodec::Aac);
    // AudioSpecificConfig of AAC-LC: 5 bits object type, 4 bits frequency index, 4 bits channels.
    let index = match sample_rate {
        48_000 => 3_u16,
        44_100 => 4,
        _ => 11,
    };
    let config = if codec == AudioCodec::Aac {
        (2 << 11 | index << 7 | u16::from(channels) << 3).to_be_bytes().to_vec()
    } else {
        Vec::new()
    };
    let units = units(&std::fs::read(raw).unwrap(), sizes, &packets(path, "a:0"));
    (AudioFormat { codec, sample_rate, channels, config }, units)
}

fn units(raw: &[u8], sizes: impl Iterator<Item = usize>, packets: &[Packet]) -> Vec<Unit> {
    let mut rest = raw;
    let mut units = Vec::new();
    for (size, packet) in sizes.zip(packets) {
        let (data, after) = rest.split_at(size);
        rest = after;
        units.push(Unit {
            pts: Pts90k((packet.pts_sec * 90_000.0).round() as i64),
            keyframe: packet.keyframe,
            data: data.to_vec(),
        });
    }
    assert!(rest.is_empty() && units.len() == packets.len() && !units.is_empty());
    units
}

/// Splits units as the store does: the parameter sets of the stream, and the units without.
pub(crate) fn stored(units: &[Unit], codec: VideoCodec) -> (SampleEntry, Vec<Unit>) {
    let mut sets = ParameterSets::default();
    let mut stored = Vec::new();
    for unit in units {
        assert_eq!(annexb::is_keyframe(codec, &unit.data), unit.keyframe);
        let (of_unit, data) = annexb::split_parameter_sets(codec, &unit.data).unwrap();
        if sets.is_empty() {
            sets = of_unit;
        }
        stored.push(Unit { data, ..*unit });
    }
    (SampleEntry::Video(VideoParams::new(codec, &sets).unwrap()), stored)
}

/// Writes a file from parts.
pub(crate) fn write(dir: &TempDir, name: &str, parts: &[Bytes]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, parts.concat()).unwrap();
    path
}

/// Fails unless both have the same packets at the same times, to 0.1 ms.
pub(crate) fn assert_same_packets(ours: &[Packet], theirs: &[Packet]) {
    assert_eq!(ours.len(), theirs.len());
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!(ours.hash == theirs.hash, "packet {at} differs: {:.200} and {:.200}", ours.hash, theirs.hash);
        assert_eq!(ours.keyframe, theirs.keyframe, "packet {at}");
        assert!((ours.pts_sec - theirs.pts_sec).abs() < 1e-4, "packet {at}: {ours:?}, {theirs:?}");
        assert!(ours.dts_sec <= ours.pts_sec, "packet {at}: {ours:?}");
    }
    assert!(ours.is_sorted_by(|a, b| a.dts_sec < b.dts_sec));
}
