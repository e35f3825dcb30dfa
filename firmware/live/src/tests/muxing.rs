//! The state machine alone: sound that stops, times that jump, nonsense.

use bus::{Unit, UnitMeta};
use bytes::Bytes;
use hal::{Pts90k, StreamFormat, StreamId, StreamKind, VideoCodec, WallTime};
use mp4_atom::{Decode, Moof};
use proptest::prelude::*;

use super::clips::{CHANNEL, aac_format};
use crate::Message;
use crate::mux::{Fragment, Muxer};

/// 640x360 High profile by x264, with B-frames, and a picture that nobody decodes here.
const KEYFRAME: &[u8] =
    b"\0\0\0\x01\x67\x64\0\x28\xac\xd9\x40\x78\x02\x27\xe5\x84\0\0\x03\0\x04\0\0\x03\0\xc8\x3c\x60\xc6\x58\
    \0\0\0\x01\x68\xeb\xe3\xcb\x22\xc0\0\0\0\x01\x65\x88\x84";
const PICTURE: &[u8] = b"\0\0\0\x01\x41\x9a\x21";

fn unit(kind: StreamKind, pts: i64, keyframe: bool, data: &'static [u8]) -> Unit {
    let meta = UnitMeta {
        sequence: 0,
        pts: Pts90k(pts),
        wall: WallTime::default(),
        keyframe,
        discontinuity: false,
        len: data.len() as u32,
    };
    Unit { stream: StreamId::new(CHANNEL, kind), meta, data: Bytes::from_static(data) }
}

fn keyframe(pts: i64) -> Unit {
    unit(StreamKind::Main, pts, true, KEYFRAME)
}

fn picture(pts: i64) -> Unit {
    unit(StreamKind::Main, pts, false, PICTURE)
}

fn sound(pts: i64) -> Unit {
    unit(StreamKind::Audio, pts, true, b"sound")
}

fn muxer() -> Muxer {
    let mut muxer = Muxer::new();
    muxer.set_video_format(Some(&StreamFormat::Video(VideoCodec::H264)));
    muxer.set_audio_format(Some(&aac_format(1)));
    muxer
}

fn has_sound(fragment: &Fragment) -> bool {
    let Message::Text(note) = &fragment.init.note else { panic!("a note is text") };
    note.contains("mp4a")
}

#[test]
fn sound_that_stops_is_left_out_from_the_next_gop_on_until_it_comes_back() {
    let mut muxer = muxer();
    let mut with_sound = Vec::new();
    muxer.audio(&sound(0)).unwrap();
    for second in 0..10_i64 {
        let at = second * 90_000;
        muxer.video(&keyframe(at)).unwrap();
        muxer.video(&picture(at + 45_000)).unwrap();
        // Silent from 3 s to 7 s.
        if !(3..7).contains(&second) {
            muxer.audio(&sound(at + 1920)).unwrap();
        }
        with_sound.extend(muxer.take().iter().filter(|fragment| fragment.keyframe).map(has_sound));
    }
    assert_eq!(with_sound, [true, true, true, true, true, false, false, false, true, true]);
}

/// Decoding time, duration and composition offset of a fragment's sample.
fn times(fragment: &Fragment) -> (u64, u32, i64) {
    let moof = Moof::decode(&mut &fragment.bytes[..]).unwrap();
    let sample = moof.traf[0].trun[0].samples.get(0).unwrap();
    let start = moof.traf[0].tfdt.as_ref().unwrap().base_media_decode_time;
    (start, sample.duration.unwrap(), sample.cts.unwrap())
}

#[test]
fn every_fragment_lasts_until_the_next_whatever_the_source_does() {
    // Browsers drop everything up to the next keyframe after a step in decoding times that is more than twice as
    // long as the last frame (Media Source Extensions, coded frame processing). So: dropped frames, a repeated
    // time, and more B-frames out of order than the stream announced.
    let steps =
        [0, 3600, 7200, 32_400, 36_000, 36_000, 39_600, 64_800, 54_000, 43_200, 46_800, 61_200, 90_000];
    let mut muxer = muxer();
    muxer.video(&keyframe(steps[0])).unwrap();
    for pts in &steps[1..] {
        muxer.video(&picture(*pts)).unwrap();
    }
    let fragments = muxer.take();
    assert_eq!(fragments.len(), steps.len() - 1);
    let times: Vec<_> = fragments.iter().map(times).collect();
    for pair in times.windows(2) {
        assert_eq!(pair[0].0 + u64::from(pair[0].1), pair[1].0, "{times:?}");
    }
    let lead = times[0].0 as i64 + times[0].2;
    for ((start, _, offset), pts) in times.iter().zip(steps) {
        assert_eq!(*start as i64 + offset - lead, pts);
    }
}

#[test]
fn parameter_sets_may_come_in_a_unit_of_their_own() {
    let (sets, slice) = KEYFRAME.split_at(KEYFRAME.len() - 7);
    let mut muxer = muxer();
    muxer.video(&unit(StreamKind::Main, 0, false, sets)).unwrap();
    muxer.video(&unit(StreamKind::Main, 0, true, slice)).unwrap();
    muxer.video(&picture(3600)).unwrap();
    assert_eq!(muxer.take().len(), 1);
}

#[test]
fn a_timeline_that_jumps_back_unannounced_begins_anew() {
    let mut muxer = muxer();
    muxer.video(&keyframe(900_000)).unwrap();
    muxer.video(&picture(903_600)).unwrap();
    muxer.video(&keyframe(0)).unwrap();
    muxer.video(&picture(3600)).unwrap();
    let fragments = muxer.take();
    assert_eq!(fragments.len(), 3);
    assert!(!std::sync::Arc::ptr_eq(&fragments[1].init, &fragments[2].init));
    assert!(fragments[2].keyframe);
}

#[test]
fn nothing_is_shown_before_a_keyframe_that_can_be_read() {
    let mut muxer = muxer();
    muxer.video(&picture(0)).unwrap();
    assert!(muxer.video(&unit(StreamKind::Main, 3600, true, b"\0\0\0\x01\x65\x88")).is_err());
    muxer.video(&picture(7200)).unwrap();
    muxer.audio(&sound(7200)).unwrap();
    assert!(muxer.take().is_empty());
    muxer.video(&keyframe(10_800)).unwrap();
    muxer.video(&picture(14_400)).unwrap();
    assert_eq!(muxer.take().len(), 1);
    // After a loss again.
    muxer.lost();
    assert_eq!(muxer.take().len(), 1, "what was held is whole");
    muxer.video(&picture(18_000)).unwrap();
    muxer.video(&picture(21_600)).unwrap();
    assert!(muxer.take().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nonsense_never_panics(
        steps in proptest::collection::vec(
            (
                0..6_u8,
                prop_oneof![6 => 0..900_000_i64, 1 => any::<i64>(), 1 => Just(-(1_i64 << 52))],
                any::<(bool, bool)>(),
            ),
            0..60,
        ),
    ) {
        let mut muxer = muxer();
        for (what, pts, (key, discontinuity)) in steps {
            let mut unit = match what {
                0 => keyframe(pts),
                1 | 2 => picture(pts),
                3 => sound(pts),
                4 => unit(StreamKind::Main, pts, key, b"\0\0\x01\x67\x64\0\0\x01"),
                _ => {
                    muxer.lost();
                    continue;
                }
            };
            unit.meta.discontinuity = discontinuity;
            let _ = if what == 3 { muxer.audio(&unit) } else { muxer.video(&unit) };
        }
        muxer.take();
    }
}
