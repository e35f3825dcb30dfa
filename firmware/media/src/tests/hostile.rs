//! Hostile bytes and numbers: an error or an answer, no panic, limits that hold.

use bytes::Bytes;
use hal::{AudioCodec, AudioFormat, Pts90k, VideoCodec};
use proptest::prelude::*;

use super::golden::{H264_PPS, H264_SPS, H265_PPS, H265_SPS, H265_VPS, sets};
use crate::{
    ChunkRef, ErrorKind, MAX_PARAMETER_SET_BYTES, MAX_PARAMETER_SETS, NalKind, ParameterSets, Sample,
    SampleEntry, Track, TrackInit, VideoParams, init_segment, movie_header,
};

#[test]
fn parameter_sets_are_bounded() {
    let mut sets = ParameterSets::default();
    for number in 0..MAX_PARAMETER_SETS as u8 {
        sets.push(NalKind::Pps, Bytes::copy_from_slice(&[0x68, number, 0x80])).unwrap();
    }
    // A repetition is no further set.
    sets.push(NalKind::Pps, Bytes::from_static(&[0x68, 0, 0x80])).unwrap();
    let more = sets.push(NalKind::Pps, Bytes::from_static(&[0x68, 0xff, 0x80]));
    assert_eq!(more.unwrap_err().kind(), ErrorKind::Limit);
    let long = sets.push(NalKind::Sps, Bytes::from(vec![0x67; MAX_PARAMETER_SET_BYTES + 1]));
    assert_eq!(long.unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(sets.push(NalKind::Aud, Bytes::new()).unwrap_err().kind(), ErrorKind::Inconsistent);
}

#[test]
fn audio_that_boxes_cannot_say_is_refused() {
    let refused = |sample_rate, config| {
        let format = AudioFormat { codec: AudioCodec::Aac, sample_rate, channels: 1, config };
        init_segment(&[TrackInit { id: 1, entry: SampleEntry::Audio(format) }]).unwrap_err().kind()
    };
    assert_eq!(refused(0, vec![0x11, 0x90]), ErrorKind::Unsupported);
    assert_eq!(refused(48_000, vec![]), ErrorKind::Malformed);
    assert_eq!(refused(48_000, vec![0x11; 65]), ErrorKind::Limit);
}

fn entry() -> SampleEntry {
    SampleEntry::Video(VideoParams::new(VideoCodec::H264, &sets(&[], H264_SPS, H264_PPS)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_parameter_sets_never_panic(sps in proptest::collection::vec(any::<u8>(), 0..120)) {
        for codec in [VideoCodec::H264, VideoCodec::H265] {
            let mut sets = sets(H265_VPS, &[], H264_PPS);
            sets.sps.push(Bytes::from(sps.clone()));
            if let Ok(params) = VideoParams::new(codec, &sets) {
                init_segment(&[TrackInit { id: 1, entry: SampleEntry::Video(params) }]).unwrap();
            }
        }
    }

    #[test]
    fn damaged_parameter_sets_never_panic(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        for (codec, vps, sps, pps) in [
            (VideoCodec::H264, &[][..], H264_SPS, H264_PPS),
            (VideoCodec::H265, H265_VPS, H265_SPS, H265_PPS),
        ] {
            let mut damaged = sps.to_vec();
            for (at, bit) in &flips {
                let at = at.index(damaged.len());
                damaged[at] ^= 1 << bit;
            }
            for len in [damaged.len(), keep.index(damaged.len())] {
                let mut sets = sets(vps, &[], pps);
                sets.sps.push(Bytes::copy_from_slice(&damaged[..len]));
                if let Ok(params) = VideoParams::new(codec, &sets) {
                    init_segment(&[TrackInit { id: 1, entry: SampleEntry::Video(params) }]).unwrap();
                }
            }
        }
    }

    #[test]
    fn arbitrary_tables_never_panic(
        pts in proptest::collection::vec(prop_oneof![8 => 0..1_000_000_i64, 1 => any::<i64>()], 1..20),
        start in prop_oneof![4 => 0..1_000_000_i64, 1 => any::<i64>()],
        shown_from in prop_oneof![4 => 0..1_000_000_i64, 1 => any::<i64>()],
        end in proptest::option::of(prop_oneof![4 => 0..2_000_000_i64, 1 => any::<i64>()]),
        offset in prop_oneof![0..1_000_000_u64, any::<u64>()],
        payload in prop_oneof![0..1_000_000_u64, any::<u64>()],
    ) {
        let samples: Vec<Sample> = pts
            .iter()
            .map(|&pts| Sample { pts: Pts90k(pts), size: 1000, keyframe: pts % 3 == 0, entry: 0 })
            .collect();
        let chunks = vec![ChunkRef { first_sample: 0, samples: samples.len() as u32, offset }];
        let track = Track {
            name: "a name".into(),
            entries: vec![entry()],
            samples,
            chunks,
            start: Pts90k(start),
            shown_from: Pts90k(shown_from),
            end: end.map(Pts90k),
        };
        let _ = movie_header(&[track], payload);
    }
}
