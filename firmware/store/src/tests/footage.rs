//! Real cameras' clips through the store and out as MP4, judged by FFmpeg.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use hal::{
    AccessUnit, AudioCodec, AudioFormat, ByteCount, Pts90k, StreamFormat, StreamKind, VideoCodec, WallTime,
};
use media::annexb::nal_units;

use super::support::{START_MICROS, assert_clean, clock, keys, scratch, stream};
use crate::{Movie, Reader, Store, StoreOptions};

/// A packet as FFmpeg tells of it, with its bytes.
#[derive(Clone, Debug, PartialEq)]
struct Packet {
    pts_micros: i64,
    keyframe: bool,
    discard: bool,
    data: Bytes,
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{program} {arguments:?}");
    output.stdout
}

fn packets(file: &Path, track: &str) -> Vec<Packet> {
    let bytes = Bytes::from(std::fs::read(file).unwrap());
    let path = file.to_str().unwrap();
    let entries = "packet=pts_time,pos,size,flags";
    let list = run(
        "ffprobe",
        &["-v", "error", "-select_streams", track, "-show_entries", entries, "-of", "csv=p=0", path],
    );
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [pts, size, pos, flags] = fields[..4] else { panic!("{line}") };
        let (pos, size): (usize, usize) = (pos.parse().unwrap(), size.parse().unwrap());
        Packet {
            pts_micros: (pts.parse::<f64>().unwrap() * 1e6).round() as i64,
            keyframe: flags.contains('K'),
            discard: flags.contains('D'),
            data: bytes.slice(pos..pos + size),
        }
    };
    String::from_utf8(list).unwrap().lines().filter(|line| !line.is_empty()).map(line).collect()
}

/// A length-prefixed unit as a byte stream, without parameter sets and delimiters: what bit-exact means. The clips'
/// last units have an end of sequence behind a start code of its own within the unit before it, which comes out the
/// same here.
fn coded(unit: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for nal in media::annexb::length_prefixed_units(unit).map(Result::unwrap) {
        if !matches!(nal[0] & 0x1f, 7..=9) {
            media::annexb::push_annexb(nal, &mut stream);
        }
    }
    stream
}

struct Clip {
    path: PathBuf,
    video: Vec<Packet>,
    /// Annex B, as a camera sends it.
    annexb: Vec<Vec<u8>>,
    audio: Vec<Packet>,
    audio_format: Option<StreamFormat>,
}

/// The clip, or one made by FFmpeg where the footage is not at hand.
fn clip(name: &str, b_frames: bool) -> (Clip, tempfile::TempDir) {
    let dir = scratch();
    let mut path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage").join(name);
    if !path.exists() {
        path = dir.path().join(name);
        let mut arguments =
            vec!["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=30"];
        if !b_frames {
            arguments.extend(["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=30", "-c:a", "aac"]);
        }
        let bf = if b_frames { "2" } else { "0" };
        arguments.extend(["-c:v", "libx264", "-bf", bf, "-g", "25", "-pix_fmt", "yuv420p"]);
        arguments.push(path.to_str().unwrap());
        run("ffmpeg", &arguments);
    }
    let file = path.to_str().unwrap();
    let head = run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            file,
            "-map",
            "0:v",
            "-c",
            "copy",
            "-bsf:v",
            "h264_mp4toannexb",
            "-frames:v",
            "1",
            "-f",
            "h264",
            "-",
        ],
    );
    let sets: Vec<&[u8]> = nal_units(&head).filter(|nal| matches!(nal[0] & 0x1f, 7 | 8)).collect();
    assert!(sets.len() >= 2);
    let video = packets(&path, "v:0");
    let annexb = video
        .iter()
        .map(|packet| {
            let mut unit = Vec::new();
            for nal in sets.iter().filter(|_| packet.keyframe) {
                media::annexb::push_annexb(nal, &mut unit);
            }
            unit.extend_from_slice(&coded(&packet.data));
            unit
        })
        .collect();
    let audio = packets(&path, "a:0");
    let audio_format = (!audio.is_empty()).then(|| {
        let adts = run(
            "ffmpeg",
            &["-v", "error", "-i", file, "-map", "0:a", "-c", "copy", "-frames:a", "1", "-f", "adts", "-"],
        );
        // ISO 14496-3 table 1.A.5 (ADTS) to 1.6.2.1 (AudioSpecificConfig).
        let (object_type, rate) = ((adts[2] >> 6) + 1, (adts[2] >> 2) & 0xf);
        let channels = ((adts[2] & 1) << 2) | (adts[3] >> 6);
        let config = vec![(object_type << 3) | (rate >> 1), ((rate & 1) << 7) | (channels << 3)];
        assert_eq!(rate, 3, "48 kHz");
        StreamFormat::Audio(AudioFormat { codec: AudioCodec::Aac, sample_rate: 48_000, channels, config })
    });
    (Clip { path, video, annexb, audio, audio_format }, dir)
}

fn wall(micros: i64) -> WallTime {
    WallTime::from_unix_micros(START_MICROS + micros)
}

/// Records the clip as a recorder would: interleaved, with a commit each second.
fn record(clip: &Clip, dir: &Path) {
    let options = StoreOptions {
        segment_bytes: ByteCount(1 << 20),
        ..StoreOptions::with_max_bytes(ByteCount(64 << 20))
    };
    let (mut store, _) = Store::open(dir, options, &keys(), clock()).unwrap();
    let mut audio = clip.audio.iter().peekable();
    let mut committed = 0;
    let unit = |kind, packet: &Packet, data| AccessUnit {
        stream: stream(1, kind),
        // An origin of its own, as cameras have.
        pts: Pts90k(Pts90k::from_micros(packet.pts_micros).0 + 123_456_789),
        wall: wall(packet.pts_micros),
        keyframe: packet.keyframe,
        discontinuity: false,
        data,
    };
    for (packet, annexb) in clip.video.iter().zip(&clip.annexb) {
        while let Some(sound) = audio.next_if(|sound| sound.pts_micros <= packet.pts_micros) {
            let format = clip.audio_format.as_ref().unwrap();
            store.append(format, &unit(StreamKind::Audio, sound, &sound.data)).unwrap();
        }
        store
            .append(&StreamFormat::Video(VideoCodec::H264), &unit(StreamKind::Main, packet, annexb))
            .unwrap();
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
fn export(movie: &Movie, file: &Path) {
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

fn probe(file: &Path, entries: &str) -> String {
    let path = file.to_str().unwrap();
    let out = run("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "csv=p=0", path]);
    String::from_utf8(out).unwrap().trim().to_owned()
}

/// Each exported unit is bit-exact, parameter sets apart, and is shown when it was to within 1 ms.
#[track_caller]
fn assert_same(exported: &[Packet], source: &[Packet], start_micros: i64, video: bool) {
    assert_eq!(exported.len(), source.len());
    for (number, (exported, source)) in exported.iter().zip(source).enumerate() {
        let same =
            if video { coded(&exported.data) == coded(&source.data) } else { exported.data == source.data };
        assert!(same, "unit {number} is not bit-exact");
        assert_eq!(exported.keyframe, source.keyframe, "unit {number}");
        let error = exported.pts_micros - (source.pts_micros - start_micros);
        assert!(error.abs() <= 1_000, "unit {number} is shown {error} us off");
    }
}

fn whole_clip(name: &str, b_frames: bool) {
    let (clip, made) = clip(name, b_frames);
    let volume = scratch();
    record(&clip, volume.path());
    assert_clean(volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let first = clip.video.iter().map(|packet| packet.pts_micros).min().unwrap();
    let channel = stream(1, StreamKind::Main).channel;
    let movie = Movie::plan(&reader, channel, wall(first), wall(200_000_000)).unwrap();
    let file = made.path().join("whole.mp4");
    export(&movie, &file);
    assert_same(&packets(&file, "v:0"), &clip.video, first, true);
    let sound: Vec<Packet> =
        clip.audio.iter().filter(|packet| packet.pts_micros + 21_333 > first).cloned().collect();
    assert_same(&packets(&file, "a:0"), &sound, first, false);
    assert_eq!(movie.pieces().len(), 1);
    assert_eq!(movie.pieces()[0].media_start_micros, 0);
    assert_eq!(movie.mime().contains("mp4a.40.2"), !clip.audio.is_empty(), "{}", movie.mime());
    // It decodes without a word, to as many pictures as the source.
    run("ffmpeg", &["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"]);
    let pictures = |file: &Path| {
        let path = file.to_str().unwrap();
        let out = run(
            "ffmpeg",
            &["-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
        );
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pictures(&file), pictures(&clip.path));
    assert_eq!(
        probe(&file, "stream=codec_type"),
        if clip.audio.is_empty() { "video" } else { "video\naudio" }
    );
    let planned_again = Movie::plan(&reader, channel, wall(first), wall(200_000_000)).unwrap();
    assert_eq!(planned_again.etag(), movie.etag());
}

fn part_of_clip(name: &str, b_frames: bool) {
    let (clip, made) = clip(name, b_frames);
    let volume = scratch();
    record(&clip, volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let channel = stream(1, StreamKind::Main).channel;
    for (from, to) in [(7_345_678, 18_901_234), (12_000_000, 12_400_000), (3_000, 29_000_000)] {
        let movie = Movie::plan(&reader, channel, wall(from), wall(to)).unwrap();
        // The picture that is shown at `from`, to the microsecond of the store's ticks.
        let shown_first =
            clip.video.iter().map(|packet| packet.pts_micros).filter(|&pts| pts <= from).max().unwrap();
        assert!(movie.start().micros_since(wall(shown_first)).abs() <= 12);
        assert_eq!(movie.end(), wall(to));
        let (asked, from) = (from, shown_first);
        let file = made.path().join(format!("{asked}.mp4"));
        export(&movie, &file);
        run("ffmpeg", &["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"]);
        let exported = packets(&file, "v:0");
        // What is there to decode from is before 0, and not shown.
        let begin =
            clip.video.iter().position(|packet| coded(&packet.data) == coded(&exported[0].data)).unwrap();
        assert!(clip.video[begin].keyframe && clip.video[begin].pts_micros <= from);
        let source = &clip.video[begin..begin + exported.len()];
        assert_same(&exported, source, from, true);
        let shown = |packet: &&Packet| packet.pts_micros > from && packet.pts_micros < to;
        let pts = |packets: &[Packet], shift: i64| {
            let mut pts: Vec<i64> =
                packets.iter().filter(shown).map(|packet| (packet.pts_micros + shift) / 1000).collect();
            pts.sort_unstable();
            pts
        };
        assert_eq!(pts(source, 0), pts(&clip.video, 0), "every picture of the stretch is there");
        let duration: f64 = probe(&file, "format=duration").parse().unwrap();
        assert!((duration - (to - from) as f64 / 1e6).abs() < 0.022, "{duration} s for {from}..{to}");
        let sound: Vec<Packet> = clip
            .audio
            .iter()
            .filter(|packet| packet.pts_micros + 21_333 > from && packet.pts_micros < to)
            .cloned()
            .collect();
        let exported = packets(&file, "a:0");
        assert!(exported.len().abs_diff(sound.len()) <= 1, "{} sounds of {}", exported.len(), sound.len());
        if let Some(first) = exported.first() {
            let begin = clip
                .audio
                .iter()
                .position(|packet| {
                    packet.data == first.data && (packet.pts_micros - from - first.pts_micros).abs() < 10_000
                })
                .unwrap();
            assert_same(&exported, &clip.audio[begin..begin + exported.len()], from, false);
        }
    }
}

#[test]
fn a_clip_with_sound_comes_out_as_it_went_in() {
    whole_clip("car-detection.mp4", false);
}

#[test]
fn a_clip_with_b_frames_comes_out_as_it_went_in() {
    whole_clip("one-by-one-person-detection.mp4", true);
}

#[test]
fn parts_of_a_clip_with_sound_begin_and_end_exactly() {
    part_of_clip("car-detection.mp4", false);
}

#[test]
fn parts_of_a_clip_with_b_frames_begin_and_end_exactly() {
    part_of_clip("one-by-one-person-detection.mp4", true);
}

#[test]
fn across_a_gap_media_time_stays_wall_time() {
    let (mut clip, made) = clip("car-detection.mp4", false);
    // From the first keyframe after 10 s on, everything is 20 s later: the source was away.
    let away = clip
        .video
        .iter()
        .find(|packet| packet.keyframe && packet.pts_micros > 10_000_000)
        .unwrap()
        .pts_micros;
    for packet in clip.video.iter_mut().chain(&mut clip.audio) {
        if packet.pts_micros >= away {
            packet.pts_micros += 20_000_000;
        }
    }
    let volume = scratch();
    record(&clip, volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let channel = stream(1, StreamKind::Main).channel;
    let movie = Movie::plan(&reader, channel, wall(0), wall(100_000_000)).unwrap();
    let pieces = movie.pieces();
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert_eq!(pieces[1].media_start_micros, away + 20_000_000);
    assert_eq!(pieces[1].start, wall(away + 20_000_000));
    let file = made.path().join("gap.mp4");
    export(&movie, &file);
    assert_same(&packets(&file, "v:0"), &clip.video, 0, true);
    assert_same(&packets(&file, "a:0"), &clip.audio, 0, false);
    run("ffmpeg", &["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"]);
}
