//! Viewers who come late, are slow, wait, or leave; streams that change or end.

use std::time::Duration;

use hal::{AudioCodec, AudioFormat, Pts90k, StreamFormat, StreamKind, VideoCodec};

use super::clips::{
    Bus, CHANNEL, ClipUnit, PATIENCE, aac_format, binary, generated, next, next_but_waiting, rows, save,
    video_units, words,
};
use crate::Message;

const H264: StreamFormat = StreamFormat::Video(VideoCodec::H264);

/// 200 units with a keyframe every 20.
fn units(bus: &Bus) -> Vec<ClipUnit> {
    let clip = generated(
        &bus.dir,
        "clip.mp4",
        &["-c:v", "libx264", "-bf", "0", "-g", "20", "-sc_threshold", "0", "-an"],
    );
    let units = video_units(&clip, VideoCodec::H264, &bus.dir);
    assert!(units.iter().enumerate().all(|(at, unit)| unit.keyframe == (at % 20 == 0)));
    units
}

#[tokio::test]
async fn a_late_viewer_begins_at_the_last_keyframe_with_the_same_bytes() {
    let bus = Bus::new();
    let units = units(&bus);
    let mut ring = bus.publisher(StreamKind::Main, &H264);
    for unit in &units[..50] {
        ring.publish(unit);
    }
    let mut first = bus.live.open(CHANNEL, StreamKind::Main, false);
    words(&mut first).await;
    let init = binary(&mut first).await;
    let mut of_first = Vec::new();
    for _ in 40..49 {
        of_first.push(binary(&mut first).await);
    }
    let mut second = bus.live.open(CHANNEL, StreamKind::Main, false);
    assert_eq!(bus.live.running(), 1);
    words(&mut second).await;
    assert_eq!(binary(&mut second).await.as_ptr(), init.as_ptr());
    for fragment in &of_first {
        assert_eq!(binary(&mut second).await.as_ptr(), fragment.as_ptr(), "shared, not built again");
    }
    let file = save(&bus.dir, "ours.mp4", &[vec![init], of_first].concat());
    let rows = rows(&file, "v:0");
    assert!(rows[0].keyframe && rows.len() == 9);
    let expected = units[48].pts - units[40].pts;
    assert!((rows[8].pts_sec - rows[0].pts_sec - expected as f64 / 90_000.0).abs() < 1e-4);
}

#[tokio::test]
async fn a_slow_viewer_loses_whole_gops_and_is_told() {
    let bus = Bus::new();
    let units = units(&bus);
    let mut ring = bus.publisher(StreamKind::Main, &H264);
    ring.publish(&units[0]);
    let mut slow = bus.live.open(CHANNEL, StreamKind::Main, false);
    let mut fast = bus.live.open(CHANNEL, StreamKind::Main, false);
    // Ten times the clip, in step with the fast viewer: more than the backlog holds.
    for round in 0..10 {
        for (at, unit) in units.iter().enumerate().skip(usize::from(round == 0)) {
            let pts = Pts90k(unit.pts.0 + round * 8 * 90_000);
            ring.publish(&ClipUnit { pts, ..unit.clone() });
            if round == 0 && at == 1 {
                words(&mut fast).await;
                binary(&mut fast).await;
            }
            binary(&mut fast).await;
        }
    }
    let lost = words(&mut slow).await;
    // It never had anything, so either the loss or the beginning comes first.
    let init = if lost.contains("lost") { words(&mut slow).await } else { lost };
    assert!(init.contains("init"), "{init}");
    let parts = [binary(&mut slow).await, binary(&mut slow).await];
    assert!(rows(&save(&bus.dir, "ours.mp4", &parts), "v:0")[0].keyframe);
    // Now it has begun, and falls behind again.
    for round in 10..16 {
        for unit in &units {
            ring.publish(&ClipUnit { pts: Pts90k(unit.pts.0 + round * 8 * 90_000), ..unit.clone() });
            binary(&mut fast).await;
        }
    }
    let mut messages = 0;
    let lost = loop {
        match next(&mut slow).await {
            Message::Text(text) => break text,
            Message::Binary(_) => messages += 1,
        }
    };
    assert!(messages < 1000, "a bounded backlog");
    let gops: u64 =
        lost.trim_start_matches(r#"{"type":"lost","gops":"#).trim_end_matches('}').parse().unwrap();
    assert!(gops > 10, "{lost}");
    let parts = [parts[0].clone(), binary(&mut slow).await];
    assert!(rows(&save(&bus.dir, "ours.mp4", &parts), "v:0")[0].keyframe);
}

#[tokio::test]
async fn waiting_is_said_once_until_there_is_something() {
    let bus = Bus::new();
    let units = units(&bus);
    let mut viewer = bus.live.open(CHANNEL, StreamKind::Sub, false);
    assert_eq!(next(&mut viewer).await, Message::Text(r#"{"type":"waiting"}"#.into()));
    // Nothing more is said.
    let silence = tokio::time::timeout(Duration::from_secs(1), viewer.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    let mut ring = bus.publisher(StreamKind::Sub, &H264);
    ring.publish(&units[0]);
    ring.publish(&units[1]);
    let Message::Text(init) = next(&mut viewer).await else { panic!("init comes first") };
    assert!(init.contains("init"), "{init}");
    binary(&mut viewer).await;
    let Message::Binary(_) = next(&mut viewer).await else { panic!("the picture follows") };
    // The source stands still.
    assert_eq!(next(&mut viewer).await, Message::Text(r#"{"type":"waiting"}"#.into()));
}

#[tokio::test]
async fn a_change_of_size_and_a_new_beginning_bring_a_new_init() {
    let bus = Bus::new();
    let units = units(&bus);
    let large = generated(&bus.dir, "large.mp4", &["-c:v", "libx264", "-bf", "0", "-s", "640x360", "-an"]);
    let large = video_units(&large, VideoCodec::H264, &bus.dir);
    let mut ring = bus.publisher(StreamKind::Main, &H264);
    let mut viewer = bus.live.open(CHANNEL, StreamKind::Main, false);
    ring.publish(&units[0]);
    ring.publish(&units[1]);
    assert!(words(&mut viewer).await.contains(r#""width":320,"height":180"#));
    binary(&mut viewer).await;
    binary(&mut viewer).await;
    // Another size, later on the same timeline. What was held comes out first.
    let shift = 900_000;
    for unit in &large[..2] {
        ring.publish(&ClipUnit { pts: Pts90k(unit.pts.0 + shift), ..unit.clone() });
    }
    binary(&mut viewer).await;
    assert!(words(&mut viewer).await.contains(r#""width":640,"height":360"#));
    binary(&mut viewer).await;
    binary(&mut viewer).await;
    // The publisher dies and another begins at 0.
    drop(ring);
    let mut ring = bus.publisher(StreamKind::Main, &H264);
    ring.next_is_discontinuity = true;
    ring.publish(&units[0]);
    ring.publish(&units[1]);
    binary(&mut viewer).await;
    assert!(words(&mut viewer).await.contains(r#""width":320,"height":180"#));
    let parts = [binary(&mut viewer).await, binary(&mut viewer).await];
    assert!(rows(&save(&bus.dir, "ours.mp4", &parts), "v:0")[0].keyframe);
}

#[tokio::test]
async fn without_sound_that_browsers_play_there_is_only_the_picture() {
    // No audio ring at all; then G.711.
    let g711 = AudioFormat { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1, config: vec![] };
    for audio in [None, Some(StreamFormat::Audio(g711))] {
        let bus = Bus::new();
        let units = units(&bus);
        let _audio_ring = audio.map(|format| bus.publisher(StreamKind::Audio, &format));
        let mut ring = bus.publisher(StreamKind::Main, &H264);
        let mut viewer = bus.live.open(CHANNEL, StreamKind::Main, true);
        ring.publish(&units[0]);
        ring.publish(&units[1]);
        let init = words(&mut viewer).await;
        assert!(init.contains("avc1.") && !init.contains("mp4a"), "{init}");
        binary(&mut viewer).await;
        binary(&mut viewer).await;
    }
}

#[tokio::test]
async fn a_microphone_that_says_nothing_does_not_hold_the_picture() {
    let bus = Bus::new();
    let units = units(&bus);
    let _silent = bus.publisher(StreamKind::Audio, &aac_format(1));
    let mut ring = bus.publisher(StreamKind::Main, &H264);
    let mut viewer = bus.live.open(CHANNEL, StreamKind::Main, true);
    ring.publish(&units[0]);
    ring.publish(&units[1]);
    assert!(!words(&mut viewer).await.contains("mp4a"));
    binary(&mut viewer).await;
    binary(&mut viewer).await;
}

#[tokio::test]
async fn sound_that_comes_later_joins_at_a_keyframe() {
    let bus = Bus::new();
    let units = units(&bus);
    let mut ring = bus.publisher(StreamKind::Main, &H264);
    let mut viewer = bus.live.open(CHANNEL, StreamKind::Main, true);
    for unit in &units[..10] {
        ring.publish(unit);
    }
    assert!(!words(&mut viewer).await.contains("mp4a"));
    for _ in 0..10 {
        binary(&mut viewer).await;
    }
    let mut probe = bus.feeds.get(hal::StreamId::new(CHANNEL, StreamKind::Audio)).reader();
    let mut sound_ring = bus.publisher(StreamKind::Audio, &aac_format(1));
    sound_ring.publish(&ClipUnit { pts: units[10].pts, keyframe: true, data: vec![0x21, 0x00] });
    assert!(matches!(tokio::time::timeout(PATIENCE, probe.next()).await, Ok(bus::Item::Item(_))));
    // Several GOPs: sound and picture are taken in any order.
    for unit in &units[10..100] {
        ring.publish(unit);
    }
    let init = loop {
        if let Message::Text(text) = next_but_waiting(&mut viewer).await {
            break text;
        }
    };
    assert!(init.contains("mp4a.40.2"), "{init}");
}

#[tokio::test]
async fn nothing_runs_for_nobody() {
    let bus = Bus::new();
    let units = units(&bus);
    let mut ring = bus.publisher(StreamKind::Main, &H264);
    let mut viewer = bus.live.open(CHANNEL, StreamKind::Main, true);
    let other = bus.live.open(CHANNEL, StreamKind::Main, false);
    assert_eq!(bus.live.running(), 2);
    ring.publish(&units[0]);
    ring.publish(&units[1]);
    words(&mut viewer).await;
    drop(other);
    assert_eq!(bus.live.running(), 1);
    drop(viewer);
    assert_eq!(bus.live.running(), 0);
    // The tasks let go of the feeds when they are next scheduled.
    let ended = async {
        while bus.feeds.running() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}
