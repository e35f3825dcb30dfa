//! Whole clips through a ring to a viewer: the same pictures at the same times.
//!
//! FFmpeg is the judge: it decodes what went in and what came out.

use std::path::Path;

use hal::{StreamFormat, StreamKind, VideoCodec};

use super::clips::{
    Bus, CHANNEL, ClipUnit, Row, aac_format, aac_units, binary, decoded, footage, generated, rows, save,
    video_units, words,
};

/// Fails unless `ours` are all but the last of `theirs`, some constant later, with proper decoding times.
fn assert_same_times(ours: &[Row], theirs: &[Row]) {
    assert_eq!(ours.len(), theirs.len() - 1);
    let lead = ours[0].pts_sec - theirs[0].pts_sec;
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours.pts_sec - lead - theirs.pts_sec).abs() < 1e-4, "{at}: {ours:?} {theirs:?}");
        assert!(ours.dts_sec <= ours.pts_sec && ours.keyframe == theirs.keyframe, "{at}: {ours:?}");
    }
    assert!(ours.is_sorted_by(|a, b| a.dts_sec < b.dts_sec));
}

/// Publishes the units of a clip one by one, each when its predecessor has come out.
async fn play(clip: &Path, codec: VideoCodec, bus: &Bus, limit: usize) -> (usize, std::path::PathBuf) {
    let mut units: Vec<ClipUnit> = video_units(clip, codec, &bus.dir);
    units.truncate(limit);
    let mut ring = bus.publisher(StreamKind::Main, &StreamFormat::Video(codec));
    let mut viewer = bus.live.open(CHANNEL, StreamKind::Main, false);
    let mut parts = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        ring.publish(unit);
        if at == 1 {
            assert!(words(&mut viewer).await.starts_with(r#"{"type":"init","mime":"video/mp4; codecs="#));
            parts.push(binary(&mut viewer).await);
        }
        if at > 0 {
            parts.push(binary(&mut viewer).await);
        }
    }
    (units.len(), save(&bus.dir, "ours.mp4", &parts))
}

#[tokio::test]
async fn footage_with_b_frames_plays_as_it_is() {
    let bus = Bus::new();
    let clip = footage("one-by-one-person-detection.mp4", &bus.dir);
    let (count, ours) = play(&clip, VideoCodec::H264, &bus, 200).await;
    let theirs = rows(&clip, "v:0");
    assert!(!theirs.is_sorted_by(|a, b| a.pts_sec <= b.pts_sec), "the clip has B-frames");
    assert_same_times(&rows(&ours, "v:0"), &theirs[..count]);
    let (ours, theirs) = (decoded(&ours, "v:0"), decoded(&clip, "v:0"));
    // The last picture in decoding order may precede others in presentation.
    assert!(ours.len() == count - 1 && ours[..count - 8] == theirs[..count - 8]);
}

#[tokio::test]
async fn pyramids_of_b_frames_play_as_they_are() {
    for (codec, name, coder) in [
        (VideoCodec::H264, "libx264", ["-x264-params", "bframes=4:b-pyramid=normal:keyint=30"]),
        (VideoCodec::H265, "libx265", ["-x265-params", "bframes=4:keyint=30:log-level=none"]),
    ] {
        let bus = Bus::new();
        let tag = if codec == VideoCodec::H265 { "hvc1" } else { "avc1" };
        let clip = generated(&bus.dir, "clip.mp4", &["-c:v", name, coder[0], coder[1], "-tag:v", tag, "-an"]);
        let (count, ours) = play(&clip, codec, &bus, usize::MAX).await;
        assert_eq!(count, 200);
        assert_same_times(&rows(&ours, "v:0"), &rows(&clip, "v:0"));
        let (ours, theirs) = (decoded(&ours, "v:0"), decoded(&clip, "v:0"));
        assert!(ours.len() == count - 1 && ours[..count - 8] == theirs[..count - 8]);
    }
}

#[tokio::test]
async fn sound_and_picture_share_a_timeline() {
    let bus = Bus::new();
    let clip = footage("car-detection.mp4", &bus.dir);
    let video = video_units(&clip, VideoCodec::H264, &bus.dir);
    let sound = aac_units(&clip, &bus.dir);
    let channels = super::clips::run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            "a:0",
            "-show_entries",
            "stream=channels",
            "-of",
            "csv=p=0",
            clip.to_str().unwrap(),
        ],
    );
    let format = aac_format(channels.trim().parse().unwrap());
    let mut picture_ring = bus.publisher(StreamKind::Main, &StreamFormat::Video(VideoCodec::H264));
    let mut sound_ring = bus.publisher(StreamKind::Audio, &format);
    let mut viewer = bus.live.open(CHANNEL, StreamKind::Main, true);

    // Both begin, then go on as they were recorded. What is heard before the picture is not sent.
    sound_ring.publish(&sound[0]);
    picture_ring.publish(&video[0]);
    picture_ring.publish(&video[1]);
    let init = words(&mut viewer).await;
    assert!(init.contains("mp4a.40.2"), "{init}");
    let mut parts = vec![binary(&mut viewer).await, binary(&mut viewer).await];
    let mut sounds = sound.iter().filter(|unit| unit.pts > video[1].pts).peekable();
    let first_sound = *sounds.peek().unwrap();
    let (mut pictures_out, mut sounds_out, mut sounds_in) = (1, 0, 0);
    for unit in &video[2..100] {
        while let Some(sound) = sounds.next_if(|sound| sound.pts <= unit.pts) {
            sound_ring.publish(sound);
            // The first is held until the second comes.
            if sounds_in > 0 {
                parts.push(binary(&mut viewer).await);
                sounds_out += 1;
            }
            sounds_in += 1;
        }
        picture_ring.publish(unit);
        parts.push(binary(&mut viewer).await);
        pictures_out += 1;
    }
    let ours = save(&bus.dir, "ours.mp4", &parts);
    let (pictures, heard) = (rows(&ours, "v:0"), rows(&ours, "a:0"));
    assert_eq!((pictures.len(), heard.len()), (pictures_out, sounds_out));
    let at = |unit: &ClipUnit| unit.pts.0 as f64 / 90_000.0;
    let lead = pictures[0].pts_sec - at(&video[0]);
    assert!((heard[0].pts_sec - lead - at(first_sound)).abs() < 1e-4);
    let expected = sound.iter().filter(|unit| unit.pts > video[1].pts);
    for (row, unit) in heard.iter().zip(expected) {
        assert!((row.pts_sec - lead - at(unit)).abs() < 1e-4, "{row:?}");
    }
    assert!(decoded(&ours, "a:0").len() + 1 >= sounds_out);
}
