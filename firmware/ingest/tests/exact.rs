//! What a camera sends is what stands on the bus: to the bit and millisecond.

mod common;

use common::{Bench, Packet, Unit, WITH_B_FRAMES, WITH_SOUND, clip, clip_options, config, sha256, start};
use hal::{AudioCodec, Resolution, StreamFormat, StreamId, StreamKind, VideoCodec};
use ingest::{CameraState, Transport};

/// Pictures arrive in decoding order, each the file's, each at the file's time from the first one.
fn assert_pictures(units: &[Unit], truth: &[Packet]) {
    assert!(units[0].meta.discontinuity);
    for (number, (unit, packet)) in units.iter().zip(truth).enumerate() {
        assert_eq!(unit.picture_sha256(), packet.sha256, "picture {number} of {}", units.len());
        assert_eq!(unit.meta.keyframe, packet.keyframe, "picture {number}");
        let (seen, expected) = (millis(unit, &units[0]), (packet.pts_sec - truth[0].pts_sec) * 1000.0);
        assert!((seen - expected).abs() <= 1.0, "picture {number}: {seen} ms instead of {expected} ms");
        if unit.meta.keyframe {
            // SPS 7 and PPS 8 first (ISO 14496-10 table 7-1).
            let types: Vec<_> =
                media::annexb::nal_units(&unit.data).map(|nal| nal[0] & 0x1f).take(2).collect();
            assert_eq!(types, [7, 8], "picture {number}");
        }
        let wall = unit.meta.wall.micros_since(units[0].meta.wall) as f64 / 1000.0;
        assert!(unit.meta.discontinuity || (wall - seen).abs() < 0.1, "wall time parts from pts at {number}");
    }
    assert!(units.windows(2).all(|pair| pair[1].meta.sequence == pair[0].meta.sequence + 1));
}

fn millis(unit: &Unit, first: &Unit) -> f64 {
    (unit.meta.pts - first.meta.pts) as f64 / 90.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_clip_with_sound_and_the_beginning_of_its_next_round() {
    let clip = clip(WITH_SOUND);
    let (video, audio) = (common::pictures(&clip), common::sound(&clip));
    let camera = start(&clip_options(&clip, 0, None));
    let bench = Bench::new(config(2, &camera.url(), Transport::Tcp));
    let status = bench.until_streaming().await;
    let CameraState::Streaming { video: codec, resolution, audio: sound } = status.state else {
        unreachable!()
    };
    assert_eq!((codec, sound), (VideoCodec::H264, Some(AudioCodec::Aac)));
    assert!(resolution.is_some_and(|Resolution { width, height }| width >= 320 && height >= 180));

    let (pictures, sounds) = (video.len() + 20, audio.len() + 20);
    let (pictures, sounds) = tokio::join!(
        bench.collect(StreamKind::Main, move |units| units.len() >= pictures),
        bench.collect(StreamKind::Audio, move |units| units.len() >= sounds),
    );
    assert_pictures(&pictures[..video.len()], &video);
    for (unit, packet) in pictures[video.len()..].iter().zip(&video) {
        assert_eq!(unit.picture_sha256(), packet.sha256, "the next round is the same");
    }
    assert!(
        pictures.windows(2).all(|pair| pair[1].meta.pts > pair[0].meta.pts),
        "pts runs on across the rounds"
    );

    // Sound from before the first picture is left out; from then on it is complete.
    let skipped =
        audio.iter().position(|packet| packet.sha256 == sha256(&sounds[0].data)).expect("the clip's sound");
    assert!(skipped < 10, "the first {skipped} units are missing");
    // What sounds on after the last picture may be cut off by the clip's edit list.
    let end = audio.iter().rposition(|packet| packet.pts_sec < video[video.len() - 1].pts_sec).unwrap();
    assert!(end > audio.len() - 10);
    for (number, (unit, packet)) in sounds.iter().zip(&audio[skipped..end]).enumerate() {
        assert_eq!(sha256(&unit.data), packet.sha256, "sound {number}");
        assert!(unit.meta.keyframe);
        let apart = millis(unit, &pictures[0]) - (packet.pts_sec - video[0].pts_sec) * 1000.0;
        assert!(apart.abs() <= 1.0, "sound {number} is {apart} ms from its place beside the pictures");
    }
    let stream = StreamId::new(bench.channel, StreamKind::Audio);
    let ring = bus::Subscriber::open(bench.dir.path(), stream, bus::Start::Oldest).unwrap();
    let StreamFormat::Audio(format) = ring.format() else { panic!("{:?}", ring.format()) };
    assert_eq!((format.sample_rate, format.config.len()), (48_000, format.config.len().max(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn b_frames_over_tcp() {
    b_frames(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b_frames_over_udp() {
    b_frames(Transport::Udp).await;
}

async fn b_frames(transport: Transport) {
    let clip = clip(WITH_B_FRAMES);
    let truth = common::pictures(&clip);
    let camera = start(&clip_options(&clip, 0, None));
    let bench = Bench::new(config(1, &camera.url(), transport));
    bench.until_streaming().await;
    let units = bench.collect(StreamKind::Main, |units| units.len() >= 150).await;
    assert!(units.windows(2).any(|pair| pair[1].meta.pts < pair[0].meta.pts), "there are B-frames");
    assert_pictures(&units, &truth);
}
