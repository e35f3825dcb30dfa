//! Fragmented files: one access unit a fragment, two tracks, B-frames.

use bytes::Bytes;
use hal::{AudioCodec, VideoCodec};
use tempfile::TempDir;

use super::ffmpeg::{
    annexb_units, assert_same_packets, audio_units, decoded, generated, packets, stored, video_packets, write,
};
use crate::timeline::decode_times;
use crate::{FragmentSample, FragmentTrack, SampleEntry, TrackInit, fragment, init_segment, media_time};

fn roundtrip(codec: VideoCodec, codecs: &[&str]) {
    let dir = TempDir::new().unwrap();
    let clip = generated(&dir, "clip.mp4", codecs);
    let (video, video_units) = stored(&annexb_units(&clip, codec, &dir), codec);
    let (format, audio_units) = audio_units(&clip, AudioCodec::Aac, &dir);
    let audio = SampleEntry::Audio(format);
    let tracks = [(1, video, video_units), (2, audio, audio_units)];
    let inits: Vec<TrackInit> =
        tracks.iter().map(|(id, entry, _)| TrackInit { id: *id, entry: entry.clone() }).collect();
    let mut parts = vec![init_segment(&inits).unwrap()];
    // A minute in: decoding times must not begin at 0, and those of AAC priming (negative) must be positive.
    let origin = hal::Pts90k(-60 * 90_000);
    let mut fragments: Vec<(i64, Bytes)> = Vec::new();
    for (id, entry, units) in &tracks {
        let pts: Vec<i64> =
            units.iter().map(|unit| media_time(unit.pts, origin, entry.timescale())).collect();
        let mut dts = decode_times(&pts);
        // FFmpeg moves presentation times where offsets are negative and no edit list says otherwise, so
        // decode early enough that none is.
        let early = dts.iter().zip(&pts).map(|(dts, pts)| dts - pts).max().unwrap();
        dts.iter_mut().for_each(|dts| *dts -= early);
        for (at, unit) in units.iter().enumerate() {
            let sample = FragmentSample {
                duration: u32::try_from(dts.get(at + 1).map_or(1, |next| next - dts[at])).unwrap(),
                composition_offset: i32::try_from(pts[at] - dts[at]).unwrap(),
                keyframe: unit.keyframe,
                data: &unit.data,
            };
            let track = FragmentTrack { id: *id, decode_time: dts[at].unsigned_abs(), samples: &[sample] };
            let bytes = fragment(fragments.len() as u32 + 1, &[track]).unwrap();
            fragments.push((dts[at] / i64::from(entry.timescale()), bytes));
        }
    }
    // Video and sound in turns, a second each.
    fragments.sort_by_key(|(second, _)| *second);
    parts.extend(fragments.into_iter().map(|(_, bytes)| bytes));
    let ours = write(&dir, "ours.mp4", &parts);
    let video = [&ours, &clip].map(|path| video_packets(path, codec, &dir));
    let audio = [&ours, &clip].map(|path| packets(path, "a:0"));
    for [mut of_ours, of_clip] in [video, audio] {
        for packet in &mut of_ours {
            packet.pts_sec -= 60.0;
            packet.dts_sec -= 60.0;
        }
        assert_same_packets(&of_ours, &of_clip);
    }
    let hashes = |path| decoded(path, "v:0").into_iter().map(|(_, hash)| hash).collect::<Vec<_>>();
    assert_eq!(hashes(&ours), hashes(&clip));
}

#[test]
fn h264_fragments_with_sound_and_b_frames() {
    roundtrip(VideoCodec::H264, &["-c:v", "libx264", "-bf", "3", "-g", "30", "-c:a", "aac"]);
}

#[test]
fn h265_fragments_with_sound_and_b_frames() {
    let x265 = "log-level=none:keyint=30:bframes=3";
    roundtrip(VideoCodec::H265, &["-c:v", "libx265", "-x265-params", x265, "-tag:v", "hvc1", "-c:a", "aac"]);
}

#[test]
fn several_samples_and_tracks_share_a_fragment() {
    let sample = |data| FragmentSample { duration: 3000, composition_offset: -3000, keyframe: true, data };
    let video = [sample(b"\0\0\0\x01\x65"), sample(b"\0\0\0\x02\x65\x88")];
    let audio = [sample(b"sound")];
    let bytes = fragment(
        9,
        &[
            FragmentTrack { id: 1, decode_time: 90_000, samples: &video },
            FragmentTrack { id: 2, decode_time: 48_000, samples: &audio },
        ],
    )
    .unwrap();
    use mp4_atom::{Decode, Mdat, Moof};
    let mut rest = &bytes[..];
    let moof = Moof::decode(&mut rest).unwrap();
    let mdat = Mdat::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!(moof.mfhd.sequence_number, 9);
    assert_eq!(mdat.data, b"\0\0\0\x01\x65\0\0\0\x02\x65\x88sound");
    let at = |track: usize| moof.traf[track].trun[0].data_offset.unwrap() as usize;
    assert!(bytes[at(0)..].starts_with(b"\0\0\0\x01\x65\0\0\0\x02"));
    assert!(bytes[at(1)..].starts_with(b"sound"));
    assert_eq!(moof.traf[0].trun[0].samples.get(1).unwrap().cts, Some(-3000));
    assert!(fragment(1, &[]).is_err());
    assert!(fragment(1, &[FragmentTrack { id: 1, decode_time: 0, samples: &[] }]).is_err());
}
