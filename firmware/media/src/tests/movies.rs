//! Progressive files: bit-exact samples at exact times.

use std::io::{Seek, SeekFrom, Write};

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hal::{AudioCodec, FrameRate, Pts90k, VideoCodec};
use tempfile::TempDir;

use super::ffmpeg::{
    Unit, annexb_units, assert_same_packets, audio_units, decoded, footage, generated, packets, stored,
    stream_field, video_packets, write,
};
use crate::{ChunkRef, Sample, SampleEntry, Track, movie_header};

/// A track with chunks of `per_chunk` units, and its part of the mdat payload, which begins at `offset`.
fn track(entry: SampleEntry, units: &[Unit], per_chunk: usize, offset: u64) -> (Track, Bytes) {
    let mut payload = Vec::new();
    let mut chunks = Vec::new();
    let mut samples = Vec::new();
    for chunk in units.chunks(per_chunk) {
        chunks.push(ChunkRef {
            first_sample: samples.len() as u32,
            samples: chunk.len() as u32,
            offset: offset + payload.len() as u64,
        });
        for unit in chunk {
            let size = unit.data.len() as u32;
            samples.push(Sample { pts: unit.pts, size, keyframe: unit.keyframe, entry: 0 });
            payload.extend_from_slice(&unit.data);
        }
    }
    let (name, start) = (String::new(), Pts90k(0));
    let track = Track { name, entries: vec![entry], samples, chunks, start, shown_from: start, end: None };
    (track, payload.into())
}

fn file(dir: &TempDir, tracks: &[Track], payload: &[Bytes]) -> PathBuf {
    let bytes = payload.iter().map(|part| part.len() as u64).sum();
    let header = movie_header(tracks, bytes).unwrap();
    write(dir, "ours.mp4", &[&[header], payload].concat())
}

fn assert_same_video(ours: &Path, clip: &Path, codec: VideoCodec, dir: &TempDir) {
    assert_same_packets(&video_packets(ours, codec, dir), &video_packets(clip, codec, dir));
}

#[test]
fn footage_with_aac_comes_out_bit_exact() {
    let dir = TempDir::new().unwrap();
    let clip = footage("car-detection.mp4", &dir);
    let (entry, units) = stored(&annexb_units(&clip, VideoCodec::H264, &dir), VideoCodec::H264);
    let (video, video_bytes) = track(entry, &units, 13, 0);
    let (format, units) = audio_units(&clip, AudioCodec::Aac, &dir);
    let (audio, audio_bytes) = track(SampleEntry::Audio(format), &units, 47, video_bytes.len() as u64);
    let ours = file(&dir, &[video, audio], &[video_bytes, audio_bytes]);
    assert_same_video(&ours, &clip, VideoCodec::H264, &dir);
    assert_same_packets(&packets(&ours, "a:0"), &packets(&clip, "a:0"));
    assert_eq!(decoded(&ours, "v:0").len(), decoded(&clip, "v:0").len());
    for field in ["profile", "level", "width", "height", "codec_name"] {
        assert_eq!(stream_field(&ours, "v:0", field), stream_field(&clip, "v:0", field), "{field}");
    }
    assert_eq!(stream_field(&ours, "a:0", "profile"), "LC");
}

#[test]
fn footage_with_b_frames_comes_out_bit_exact() {
    let dir = TempDir::new().unwrap();
    let clip = footage("one-by-one-person-detection.mp4", &dir);
    let (entry, units) = stored(&annexb_units(&clip, VideoCodec::H264, &dir), VideoCodec::H264);
    assert!(!units.is_sorted_by_key(|unit| unit.pts), "the clip has B-frames");
    let (video, bytes) = track(entry, &units, 7, 0);
    let ours = file(&dir, &[video], &[bytes]);
    assert_same_video(&ours, &clip, VideoCodec::H264, &dir);
    let (ours, theirs) = (decoded(&ours, "v:0"), decoded(&clip, "v:0"));
    assert_eq!(ours, theirs);
}

#[test]
fn h265_with_g711_comes_out_bit_exact() {
    // The second with all that may stand before the frame rate in the SPS.
    let plain = "log-level=none:keyint=30:bframes=3";
    let full = "log-level=none:keyint=30:bframes=3:scaling-list=default:sar=5:overscan=show:colorprim=bt709:\
                chromaloc=1:display-window=0,0,2,2:aud=1";
    for (name, codec, params) in
        [("pcm_alaw", AudioCodec::G711A, plain), ("pcm_mulaw", AudioCodec::G711U, full)]
    {
        let dir = TempDir::new().unwrap();
        let video = ["-c:v", "libx265", "-x265-params", params, "-tag:v", "hvc1"];
        let clip = generated(&dir, "clip.mov", &[&video[..], &["-c:a", name, "-ar", "8000"]].concat());
        let (entry, units) = stored(&annexb_units(&clip, VideoCodec::H265, &dir), VideoCodec::H265);
        let SampleEntry::Video(params) = &entry else { unreachable!() };
        assert_eq!((params.resolution.width, params.resolution.height), (322, 182));
        assert_eq!(params.frame_rate, Some(FrameRate { numerator: 30_000, denominator: 1001 }));
        assert!(params.reorder_frames.unwrap() > 0);
        assert!(params.rfc6381.starts_with("hvc1.1.6.L"), "{}", params.rfc6381);
        let (video, video_bytes) = track(entry, &units, 10, 0);
        let (format, units) = audio_units(&clip, codec, &dir);
        let (audio, audio_bytes) = track(SampleEntry::Audio(format), &units, 5, video_bytes.len() as u64);
        let ours = file(&dir, &[video, audio], &[video_bytes, audio_bytes]);
        assert_same_video(&ours, &clip, VideoCodec::H265, &dir);
        let (of_ours, of_clip) = (packets(&ours, "a:0"), packets(&clip, "a:0"));
        assert_eq!(stream_field(&ours, "a:0", "codec_name"), name);
        assert_same_packets(&of_ours, &of_clip);
        assert_eq!(decoded(&ours, "v:0"), decoded(&clip, "v:0"));
        for field in ["profile", "level", "width", "height", "pix_fmt"] {
            assert_eq!(stream_field(&ours, "v:0", field), stream_field(&clip, "v:0", field), "{field}");
        }
    }
}

#[test]
fn the_edit_list_starts_inside_a_gop_exactly() {
    let dir = TempDir::new().unwrap();
    let clip = generated(&dir, "clip.mp4", &["-c:v", "libx264", "-bf", "2", "-g", "50", "-c:a", "aac"]);
    let (entry, units) = stored(&annexb_units(&clip, VideoCodec::H264, &dir), VideoCodec::H264);
    let mut in_order: Vec<Pts90k> = units.iter().map(|unit| unit.pts).collect();
    in_order.sort_unstable();
    let (mut video, bytes) = track(entry, &units, 10, 0);
    video.start = in_order[20];
    let (format, units) = audio_units(&clip, AudioCodec::Aac, &dir);
    // The sound begins half a second into the movie.
    let late = video.start.0 + 45_000;
    let units: Vec<Unit> = units.into_iter().filter(|unit| unit.pts.0 >= late).collect();
    let first_sound = units[0].pts;
    let (mut audio, audio_bytes) = track(SampleEntry::Audio(format), &units, 47, bytes.len() as u64);
    audio.start = video.start;
    let start = video.start;
    let ours = file(&dir, &[video, audio], &[bytes, audio_bytes]);

    let (of_ours, of_clip) = (decoded(&ours, "v:0"), decoded(&clip, "v:0"));
    assert_eq!(of_ours.len(), of_clip.len() - 20);
    for ((our_time, our_hash), (time, hash)) in of_ours.iter().zip(&of_clip[20..]) {
        assert_eq!(our_hash, hash);
        assert!((our_time - (time - start.0 as f64 / 90_000.0)).abs() < 1e-4, "{our_time} {time}");
    }
    assert!(of_ours[0].0.abs() < 1e-9);
    let sound = packets(&ours, "a:0");
    assert!((sound[0].pts_sec - (first_sound - start) as f64 / 90_000.0).abs() < 1e-4);
    assert!(packets(&ours, "v:0").iter().any(|packet| packet.discarded));
}

#[test]
fn a_gap_lasts_as_long_as_it_lasted() {
    let dir = TempDir::new().unwrap();
    let clip = generated(&dir, "clip.mp4", &["-c:v", "libx264", "-bf", "0", "-g", "30", "-c:a", "aac"]);
    let (entry, mut units) = stored(&annexb_units(&clip, VideoCodec::H264, &dir), VideoCodec::H264);
    let hour = 3600 * 90_000;
    for unit in &mut units[60..] {
        unit.pts.0 += hour;
    }
    let expected: Vec<f64> = units.iter().map(|unit| unit.pts.0 as f64 / 90_000.0).collect();
    let end = Pts90k(units.last().unwrap().pts.0 + 3 * hour);
    let (mut video, bytes) = track(entry, &units, 30, 0);
    video.end = Some(end);
    let ours = file(&dir, &[video], &[bytes]);
    for (packet, expected) in packets(&ours, "v:0").iter().zip(expected) {
        assert!((packet.pts_sec - expected).abs() < 1e-4);
    }
    let duration: f64 = stream_field(&ours, "v:0", "duration").parse().unwrap();
    assert!((duration - end.0 as f64 / 90_000.0).abs() < 1e-3, "{duration}");
}

#[test]
fn a_change_of_size_is_a_second_sample_entry() {
    let dir = TempDir::new().unwrap();
    let x264 = ["-c:v", "libx264", "-bf", "2", "-g", "30"];
    let first = generated(&dir, "first.mp4", &[&x264[..], &["-an"]].concat());
    let second =
        generated(&dir, "second.mp4", &[&x264[..], &["-s", "640x360", "-profile:v", "main", "-an"]].concat());
    let (first_entry, mut units) = stored(&annexb_units(&first, VideoCodec::H264, &dir), VideoCodec::H264);
    let (second_entry, more) = stored(&annexb_units(&second, VideoCodec::H264, &dir), VideoCodec::H264);
    let change = units.len();
    let shift = units.iter().map(|unit| unit.pts.0).max().unwrap() + 3003;
    units.extend(more.into_iter().map(|unit| Unit { pts: Pts90k(unit.pts.0 + shift), ..unit }));
    // Chunks of 25 units do not end where the size changes.
    let (mut video, bytes) = track(first_entry, &units, 25, 0);
    assert_ne!(change % 25, 0);
    video.entries.push(second_entry);
    for sample in &mut video.samples[change..] {
        sample.entry = 1;
    }
    let ours = file(&dir, &[video], &[bytes]);
    let hashes = |packets: Vec<super::ffmpeg::Packet>| packets.into_iter().map(|packet| packet.hash);
    let expected: Vec<String> =
        hashes(packets(&first, "v:0")).chain(hashes(packets(&second, "v:0"))).collect();
    assert_eq!(hashes(packets(&ours, "v:0")).collect::<Vec<_>>(), expected);
    let sizes = super::ffmpeg::run(
        "ffprobe",
        &["-v", "error", "-show_entries", "frame=width", "-of", "csv=p=0", ours.to_str().unwrap()],
    );
    let sizes = String::from_utf8(sizes).unwrap();
    let widths: Vec<&str> = sizes.split_whitespace().map(|width| width.trim_end_matches(',')).collect();
    assert_eq!(widths.iter().filter(|&&width| width == "322").count(), change);
    assert_eq!(widths.iter().filter(|&&width| width == "640").count(), units.len() - change);
}

#[test]
fn offsets_beyond_four_gigabytes_are_reached() {
    let dir = TempDir::new().unwrap();
    let clip = generated(&dir, "clip.mp4", &["-c:v", "libx264", "-bf", "2", "-an"]);
    let (entry, units) = stored(&annexb_units(&clip, VideoCodec::H264, &dir), VideoCodec::H264);
    let hole = 5_u64 << 30;
    let (video, bytes) = track(entry, &units, 10, hole);
    let header = movie_header(&[video], hole + bytes.len() as u64).unwrap();
    let path = dir.path().join("large.mp4");
    // The hole takes no room on disk.
    let mut large = std::fs::File::create(&path).unwrap();
    large.write_all(&header).unwrap();
    large.seek(SeekFrom::Current(hole as i64)).unwrap();
    large.write_all(&bytes).unwrap();
    drop(large);
    assert_same_video(&path, &clip, VideoCodec::H264, &dir);
}

#[test]
fn contradictions_are_refused() {
    let dir = TempDir::new().unwrap();
    let clip = generated(&dir, "clip.mp4", &["-c:v", "libx264", "-an"]);
    let (entry, units) = stored(&annexb_units(&clip, VideoCodec::H264, &dir), VideoCodec::H264);
    let (good, bytes) = track(entry, &units, 10, 0);
    let len = bytes.len() as u64;
    movie_header(std::slice::from_ref(&good), len).unwrap();
    let refused = |change: &dyn Fn(&mut Track)| {
        let mut track = good.clone();
        change(&mut track);
        movie_header(&[track], len).unwrap_err().kind()
    };
    use crate::ErrorKind::{Inconsistent, Unsupported};
    assert_eq!(refused(&|track| track.entries.clear()), Inconsistent);
    assert_eq!(refused(&|track| track.samples[3].entry = 1), Inconsistent);
    assert_eq!(refused(&|track| track.chunks[1].first_sample += 1), Inconsistent);
    assert_eq!(refused(&|track| track.chunks.truncate(2)), Inconsistent);
    assert_eq!(refused(&|track| track.chunks[0].offset = len), Inconsistent);
    assert_eq!(refused(&|track| track.samples.clear()), Inconsistent);
    assert_eq!(refused(&|track| track.end = Some(Pts90k(-1))), Inconsistent);
    assert_eq!(refused(&|track| track.samples[5].pts = Pts90k(i64::MAX)), Unsupported);
    assert_eq!(refused(&|track| track.samples[119].pts = Pts90k(20 * 3600 * 90_000)), Unsupported);
}
