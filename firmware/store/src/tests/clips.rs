//! Clips of real cameras and made ones, recorded and exported, judged by FFmpeg.
//!
//! These tests need `ffmpeg` and `ffprobe`, which the project's install step brings; they fail without.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use hal::{
    AccessUnit, AudioCodec, AudioFormat, ByteCount, Pts90k, StreamFormat, StreamKind, VideoCodec, WallTime,
};
use media::NalKind;
use media::annexb::{length_prefixed_units, nal_units, push_annexb};

use super::support::{START_MICROS, clock, keys, scratch, stream};
use crate::{Movie, Store, StoreOptions};

/// A packet as FFmpeg tells of it, with its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) pts_micros: i64,
    pub(crate) keyframe: bool,
    pub(crate) data: Bytes,
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{program} {arguments:?}");
    output.stdout
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn packets(file: &Path, track: &str) -> Vec<Packet> {
    let bytes = Bytes::from(std::fs::read(file).unwrap());
    let entries = "packet=pts_time,pos,size,flags";
    let list = run(
        "ffprobe",
        &["-v", "error", "-select_streams", track, "-show_entries", entries, "-of", "csv=p=0", text(file)],
    );
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [pts, size, pos, flags] = fields[..4] else { panic!("{line}") };
        let (pos, size): (usize, usize) = (pos.parse().unwrap(), size.parse().unwrap());
        Packet {
            pts_micros: (pts.parse::<f64>().unwrap() * 1e6).round() as i64,
            keyframe: flags.contains('K'),
            data: bytes.slice(pos..pos + size),
        }
    };
    String::from_utf8(list).unwrap().lines().filter(|line| !line.is_empty()).map(line).collect()
}

pub(crate) fn probe(file: &Path, entries: &str) -> String {
    let out = run("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "csv=p=0", text(file)]);
    String::from_utf8(out).unwrap().trim().to_owned()
}

/// A length-prefixed unit as a byte stream, without parameter sets and delimiters: what bit-exact means. The clips'
/// last units have an end of sequence behind a start code of its own within the unit before it, which comes out the
/// same here.
pub(crate) fn coded(codec: VideoCodec, unit: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for nal in length_prefixed_units(unit).map(Result::unwrap) {
        let kind = NalKind::of(codec, nal);
        if !kind.is_parameter_set() && kind != NalKind::Aud {
            push_annexb(nal, &mut stream);
        }
    }
    stream
}

/// A clip, taken apart.
pub(crate) struct Clip {
    pub(crate) path: PathBuf,
    pub(crate) codec: VideoCodec,
    pub(crate) video: Vec<Packet>,
    /// Annex B, as a camera sends it.
    annexb: Vec<Vec<u8>>,
    pub(crate) audio: Vec<Packet>,
    audio_format: Option<StreamFormat>,
}

/// The clip of real footage, or one made by FFmpeg where it is not at hand.
pub(crate) fn clip(name: &str, b_frames: bool) -> (Clip, tempfile::TempDir) {
    let dir = scratch();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage").join(name);
    if path.exists() {
        return (Clip::read(path), dir);
    }
    let bf = if b_frames { "2" } else { "0" };
    let sound: &[&str] = if b_frames { &[] } else { &["-c:a", "aac"] };
    let clip = made(&dir, name, 30, &[&["-c:v", "libx264", "-bf", bf, "-g", "25"], sound].concat());
    (clip, dir)
}

/// Some seconds of test picture at 10 frames a second, and of a tone where `codecs` name an audio codec.
pub(crate) fn made(dir: &tempfile::TempDir, name: &str, seconds: u32, codecs: &[&str]) -> Clip {
    let path = dir.path().join(name);
    let picture = format!("testsrc2=size=320x240:rate=10:duration={seconds}");
    let tone = format!("sine=sample_rate=48000:duration={seconds}");
    let mut arguments = vec!["-v", "error", "-f", "lavfi", "-i", &picture];
    if codecs.contains(&"-c:a") {
        arguments.extend(["-f", "lavfi", "-i", &tone]);
    }
    arguments.extend(codecs);
    arguments.extend(["-pix_fmt", "yuv420p", text(&path)]);
    run("ffmpeg", &arguments);
    Clip::read(path)
}

impl Clip {
    fn read(path: PathBuf) -> Self {
        let file = text(&path);
        let codecs = probe(&path, "stream=codec_name");
        let (codec, filter, format) = if codecs.contains("hevc") {
            (VideoCodec::H265, "hevc_mp4toannexb", "hevc")
        } else {
            (VideoCodec::H264, "h264_mp4toannexb", "h264")
        };
        let mut arguments = vec!["-v", "error", "-i", file, "-map", "0:v", "-c", "copy", "-bsf:v", filter];
        arguments.extend(["-frames:v", "1", "-f", format, "-"]);
        let head = run("ffmpeg", &arguments);
        let is_set = |nal: &&[u8]| NalKind::of(codec, nal).is_parameter_set();
        let sets: Vec<&[u8]> = nal_units(&head).filter(is_set).collect();
        assert!(sets.len() >= 2);
        let video = packets(&path, "v:0");
        let annexb = video
            .iter()
            .map(|packet| {
                let mut unit = Vec::new();
                for nal in sets.iter().filter(|_| packet.keyframe) {
                    push_annexb(nal, &mut unit);
                }
                unit.extend_from_slice(&coded(codec, &packet.data));
                unit
            })
            .collect();
        let audio = packets(&path, "a:0");
        let audio_format = (!audio.is_empty()).then(|| audio_format(&path, &codecs));
        Self { path, codec, video, annexb, audio, audio_format }
    }

    /// When its first picture is shown.
    pub(crate) fn first_micros(&self) -> i64 {
        self.video.iter().map(|packet| packet.pts_micros).min().unwrap()
    }

    /// Its sound as far as it can be heard after `from`.
    pub(crate) fn sound_after(&self, from: i64) -> Vec<Packet> {
        // An encoder's first frame may end where the picture begins.
        let ends = self.audio.iter().skip(1).map(|next| next.pts_micros).chain([i64::MAX]);
        self.audio.iter().zip(ends).filter(|(_, end)| *end > from).map(|(packet, _)| packet.clone()).collect()
    }
}

fn audio_format(path: &Path, codecs: &str) -> StreamFormat {
    let g711 = |codec| {
        StreamFormat::Audio(AudioFormat { codec, sample_rate: 8000, channels: 1, config: Vec::new() })
    };
    if codecs.contains("pcm_alaw") {
        return g711(AudioCodec::G711A);
    }
    if codecs.contains("pcm_mulaw") {
        return g711(AudioCodec::G711U);
    }
    let mut arguments = vec!["-v", "error", "-i", text(path), "-map", "0:a", "-c", "copy"];
    arguments.extend(["-frames:a", "1", "-f", "adts", "-"]);
    let adts = run("ffmpeg", &arguments);
    // ISO 14496-3 table 1.A.5 (ADTS) to 1.6.2.1 (AudioSpecificConfig).
    let (object_type, rate) = ((adts[2] >> 6) + 1, (adts[2] >> 2) & 0xf);
    let channels = ((adts[2] & 1) << 2) | (adts[3] >> 6);
    let config = vec![(object_type << 3) | (rate >> 1), ((rate & 1) << 7) | (channels << 3)];
    assert_eq!(rate, 3, "48 kHz");
    StreamFormat::Audio(AudioFormat { codec: AudioCodec::Aac, sample_rate: 48_000, channels, config })
}

pub(crate) fn wall(micros: i64) -> WallTime {
    WallTime::from_unix_micros(START_MICROS + micros)
}

/// Records the clip as channel 1, as a recorder would: interleaved, with a commit each second.
pub(crate) fn record(clip: &Clip, dir: &Path) {
    record_as(clip, dir, 1, 0);
}

/// Records the clip as a channel, so many microseconds later.
pub(crate) fn record_as(clip: &Clip, dir: &Path, channel: u16, later_micros: i64) {
    let options = StoreOptions {
        segment_bytes: ByteCount(1 << 20),
        ..StoreOptions::with_max_bytes(ByteCount(64 << 20))
    };
    let (mut store, _) = Store::open(dir, options, &keys(), clock()).unwrap();
    let mut audio = clip.audio.iter().peekable();
    let mut committed = 0;
    let unit = |kind, packet: &Packet, data| AccessUnit {
        stream: stream(channel, kind),
        // An origin of its own, as cameras have.
        pts: Pts90k(Pts90k::from_micros(packet.pts_micros).0 + 123_456_789),
        wall: wall(packet.pts_micros + later_micros),
        keyframe: packet.keyframe,
        discontinuity: false,
        data,
    };
    for (packet, annexb) in clip.video.iter().zip(&clip.annexb) {
        while let Some(sound) = audio.next_if(|sound| sound.pts_micros <= packet.pts_micros) {
            let format = clip.audio_format.as_ref().unwrap();
            store.append(format, &unit(StreamKind::Audio, sound, &sound.data)).unwrap();
        }
        store.append(&StreamFormat::Video(clip.codec), &unit(StreamKind::Main, packet, annexb)).unwrap();
        if packet.pts_micros - committed > 1_000_000 {
            committed = packet.pts_micros;
            store.commit().unwrap();
        }
    }
    for sound in audio {
        let format = clip.audio_format.as_ref().unwrap();
        store.append(format, &unit(StreamKind::Audio, sound, &sound.data)).unwrap();
    }
    store.commit().unwrap();
}

/// Reads the movie in pieces of odd sizes, from back to front, into a file.
pub(crate) fn export(movie: &Movie, file: &Path) {
    let len = movie.len() as usize;
    let mut bytes = vec![0; len];
    let mut end = len;
    let mut size = 1;
    while end > 0 {
        let begin = end.saturating_sub(size);
        assert_eq!(movie.read_at(begin as u64, &mut bytes[begin..end]).unwrap(), end - begin);
        end = begin;
        size = size * 3 % 99_991;
    }
    assert_eq!(movie.read_at(len as u64, &mut [0; 10]).unwrap(), 0);
    assert_eq!(movie.read_at(len as u64 - 3, &mut [0; 10]).unwrap(), 3);
    std::fs::write(file, bytes).unwrap();
}

/// Each exported unit is bit-exact, parameter sets apart, and is shown when it was to within 1 ms.
#[track_caller]
pub(crate) fn assert_same_pictures(
    codec: VideoCodec,
    exported: &[Packet],
    source: &[Packet],
    start_micros: i64,
) {
    assert_same(exported, source, start_micros, |unit| coded(codec, unit));
}

/// As [`assert_same_pictures`], for sound.
#[track_caller]
pub(crate) fn assert_same_sound(exported: &[Packet], source: &[Packet], start_micros: i64) {
    assert_same(exported, source, start_micros, <[u8]>::to_vec);
}

#[track_caller]
fn assert_same(exported: &[Packet], source: &[Packet], start_micros: i64, coded: impl Fn(&[u8]) -> Vec<u8>) {
    assert_eq!(exported.len(), source.len());
    for (number, (exported, source)) in exported.iter().zip(source).enumerate() {
        assert!(coded(&exported.data) == coded(&source.data), "unit {number} is not bit-exact");
        assert_eq!(exported.keyframe, source.keyframe, "unit {number}");
        let error = exported.pts_micros - (source.pts_micros - start_micros);
        assert!(error.abs() <= 1_000, "unit {number} is shown {error} us off");
    }
}
