//! The backend as capture uses it: real pipelines, test inputs, collected units.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Sink, Unit, config, ffprobe, h264_types, nal_units, stream};
use hal::{
    Backend, BitsPerSecond, Channel, ChannelConfig, Clock, ErrorKind, FrameRate, Signal, StreamConfig,
    StreamFormat, StreamKind, SystemClock, UnitSink, VideoCodec,
};
use hal_gst::{Encoders, GstBackend, snapshot};

fn backend() -> GstBackend {
    // What a machine has in hardware is not what these tests are about.
    GstBackend::new(Arc::new(SystemClock::new()), 4).unwrap().with_encoders(Encoders::Software)
}

fn open(config: &ChannelConfig) -> (Box<dyn Channel>, Sink) {
    let sink = Sink::default();
    (backend().open(config, Arc::new(sink.clone())).unwrap(), sink)
}

#[test]
fn main_and_sub_come_from_one_scene_on_one_timeline() {
    let streams = vec![stream(StreamKind::Main, 640, 360), stream(StreamKind::Sub, 160, 90)];
    let (channel, sink) = open(&config("test0", streams));
    sink.wait_for(StreamKind::Sub, 32);
    let main = sink.wait_for(StreamKind::Main, 32);
    drop(channel);
    let sub = sink.wait_for(StreamKind::Sub, 32);

    for units in [&main, &sub] {
        assert!(units[0].discontinuity && units[0].keyframe);
        assert!(units[1..].iter().all(|unit| !unit.discontinuity));
        for pair in units.windows(2) {
            let step = pair[1].pts - pair[0].pts;
            assert!(step > 0 && step % 6000 <= 1 || step % 6000 >= 5999, "a step of {step}");
            // Wall time and pts advance together, to the rounding of either.
            let wall_step = pair[1].wall - pair[0].wall;
            assert!((wall_step - step * 100 / 9).abs() <= 12, "{wall_step} µs beside {step} ticks");
        }
    }
    // The same picture has the same stamp in both streams.
    let common =
        main.iter().filter(|unit| sub.iter().any(|other| other.pts == unit.pts && other.wall == unit.wall));
    assert!(common.count() >= 25);

    let keyframes: Vec<_> =
        main.iter().enumerate().filter(|(_, unit)| unit.keyframe).map(|(at, _)| at).collect();
    assert_eq!(keyframes, (0..main.len()).step_by(10).collect::<Vec<_>>(), "a GOP is 10 frames");
    for unit in main.iter().chain(&sub) {
        let types = h264_types(&unit.data);
        if unit.keyframe {
            assert_eq!(
                types.iter().filter(|kind| [5, 7, 8].contains(kind)).collect::<Vec<_>>(),
                [&7, &8, &5]
            );
        } else {
            assert!(types.contains(&1) && !types.contains(&5), "{types:?}");
        }
    }
    assert_eq!(ffprobe(&main, ".h264"), format!("h264,640,360,0,{}", main.len()));
    assert_eq!(ffprobe(&sub, ".h264"), format!("h264,160,90,0,{}", sub.len()));
    let seen = sink.0.0.lock().unwrap();
    assert!(seen.signals.contains(&Signal::Present), "{:?}", seen.signals);
    assert_eq!(seen.formats.len(), 2);
}

#[test]
fn the_stamp_is_the_moment_of_capture() {
    let (_channel, sink) = open(&config("test1", vec![stream(StreamKind::Main, 320, 180)]));
    let units = sink.wait_for(StreamKind::Main, 20);
    let delays: Vec<i64> = units.iter().map(|unit| unit.arrived - unit.wall).collect();
    // Never ahead of its time (2 ms for rounding between two clocks); the fastest one within two frames of it.
    assert!(delays.iter().all(|&delay| delay > -2_000), "{delays:?}");
    assert!(delays.iter().min().unwrap() < &134_000, "{delays:?}");
}

#[test]
fn a_keyframe_comes_within_a_few_frames_of_its_request() {
    let config =
        config("test2", vec![StreamConfig { gop_frames: 600, ..stream(StreamKind::Main, 320, 180) }]);
    let (mut channel, sink) = open(&config);
    let before = sink.wait_for(StreamKind::Main, 10).len();
    channel.request_keyframe(StreamKind::Main).unwrap();
    let units = sink.wait_for(StreamKind::Main, before + 8);
    let keyframes: Vec<_> =
        units.iter().enumerate().filter(|(_, unit)| unit.keyframe).map(|(at, _)| at).collect();
    assert_eq!(keyframes.len(), 2, "{keyframes:?}");
    assert!(keyframes[1] >= before && keyframes[1] < before + 5, "{keyframes:?}, asked after {before}");
    assert!(h264_types(&units[keyframes[1]].data).starts_with(&[7, 8]));
    assert_eq!(channel.request_keyframe(StreamKind::Sub).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_bit_rate_changes_while_running() {
    let mut stream = stream(StreamKind::Main, 640, 360);
    stream.bit_rate = BitsPerSecond(3_000_000);
    stream.frame_rate = FrameRate { numerator: 30, denominator: 1 };
    let (mut channel, sink) = open(&config("test1", vec![stream]));
    let bytes = |units: &[Unit]| units.iter().map(|unit| unit.data.len()).sum::<usize>();
    let before = sink.wait_for(StreamKind::Main, 60);
    channel.set_bit_rate(StreamKind::Main, BitsPerSecond(150_000)).unwrap();
    let settled = sink.wait_for(StreamKind::Main, before.len() + 30).len();
    let after = sink.wait_for(StreamKind::Main, settled + 60);
    let (high, low) = (bytes(&before[before.len() - 40..]), bytes(&after[settled..settled + 40]));
    assert!(low * 3 < high, "{high} bytes in 40 frames before, {low} after");
    assert!(after.iter().all(|unit| !unit.discontinuity || unit.pts == after[0].pts), "the stream went on");
    let error = channel.set_bit_rate(StreamKind::Main, BitsPerSecond(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn sound_is_aac_with_its_config_on_the_timeline_of_the_pictures() {
    let mut config = config("test0", vec![stream(StreamKind::Main, 320, 180)]);
    config.audio = true;
    let (_channel, sink) = open(&config);
    let audio = sink.wait_for(StreamKind::Audio, 60);
    let video = sink.wait_for(StreamKind::Main, 15);
    let seen = sink.0.0.lock().unwrap();
    let Some((_, StreamFormat::Audio(format))) =
        seen.formats.iter().find(|(id, _)| id.kind == StreamKind::Audio)
    else {
        panic!("no audio format: {:?}", seen.formats)
    };
    assert_eq!((format.sample_rate, format.channels), (48_000, 1));
    // AAC-LC (2), 48 kHz (3), mono (1): ISO 14496-3 table 1.15.
    assert_eq!(format.config[..2], [2 << 3 | 3 >> 1, (3 & 1) << 7 | 1 << 3]);
    assert!(audio.iter().all(|unit| unit.keyframe && !unit.data.is_empty()));
    for pair in audio.windows(2) {
        assert!((pair[1].pts - pair[0].pts - 1920).abs() <= 2, "1024 samples at 48 kHz are 1920 ticks");
    }
    let apart = (audio[0].pts - video[0].pts).abs();
    assert!(apart < 90_000, "sound and picture begin {apart} ticks apart");
}

#[test]
fn h265_is_encoded_or_its_package_named() {
    let stream = StreamConfig { codec: VideoCodec::H265, ..stream(StreamKind::Main, 320, 180) };
    let sink = Sink::default();
    let mut channel = match backend().open(&config("test1", vec![stream]), Arc::new(sink.clone())) {
        Ok(channel) => channel,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("gstreamer1.0-plugins-bad"), "{error}");
            return;
        }
    };
    let units = sink.wait_for(StreamKind::Main, 22);
    for (at, unit) in units.iter().enumerate() {
        let types: Vec<u8> = nal_units(&unit.data).iter().map(|nal| nal[0] >> 1 & 0x3f).collect();
        assert_eq!(unit.keyframe, at % 10 == 0, "{at}: {types:?}");
        // VPS 32, SPS 33, PPS 34 before an IRAP picture (ISO 23008-2 table 7-1).
        assert_eq!([32, 33, 34].iter().all(|kind| types.contains(kind)), unit.keyframe, "{at}: {types:?}");
    }
    assert_eq!(ffprobe(&units, ".h265"), format!("hevc,320,180,0,{}", units.len()));
    let jpeg = snapshot(VideoCodec::H265, &units[0].data).unwrap();
    assert!(jpeg.len() > 1000);
    channel.set_bit_rate(StreamKind::Main, BitsPerSecond(100_000)).unwrap();
}

#[test]
fn a_keyframe_becomes_a_picture_and_the_inputs_look_different() {
    let picture = |input: &str, number: usize| {
        let mut stream = stream(StreamKind::Main, 320, 180);
        stream.gop_frames = 5;
        let (_channel, sink) =
            open(&ChannelConfig { clock: false, title: String::new(), ..config(input, vec![stream]) });
        let units = sink.wait_for(StreamKind::Main, number * 5 + 1);
        let jpeg = snapshot(VideoCodec::H264, &units[number * 5].data).unwrap();
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        jpeg
    };
    let (first, later, other) = (picture("test0", 0), picture("test0", 2), picture("test3", 0));
    assert_ne!(first, later, "the scene moves");
    assert_ne!(first, other, "inputs differ");
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let mut backend = backend();
    let sink: Arc<dyn UnitSink> = Arc::new(Sink::default());
    let mut refused =
        |config: &ChannelConfig| backend.open(config, Arc::clone(&sink)).err().expect("refused");
    let main = stream(StreamKind::Main, 320, 180);
    let error = refused(&config("test9", vec![main]));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("\"test9\""), "{error}");
    for streams in [vec![], vec![main, main], vec![StreamConfig { kind: StreamKind::Audio, ..main }]] {
        assert_eq!(refused(&config("test0", streams)).kind(), ErrorKind::Unsupported);
    }
    // A refusal does not keep the input.
    let channel = backend.open(&config("test0", vec![main]), Arc::clone(&sink)).unwrap();
    let error = backend.open(&config("test0", vec![main]), Arc::clone(&sink)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy);
    drop(channel);
    drop(backend.open(&config("test0", vec![main]), Arc::clone(&sink)).unwrap());
}

#[test]
fn a_dropped_channel_is_silent_within_a_second() {
    let (channel, sink) = open(&config("test0", vec![stream(StreamKind::Main, 640, 360)]));
    sink.wait_for(StreamKind::Main, 5);
    let clock = SystemClock::new();
    let before = clock.mono();
    drop(channel);
    assert!(clock.mono().since(before) < Duration::from_secs(1));
    // Nobody else holds the sink: every thread that could call it has ended.
    assert_eq!(Arc::strong_count(&sink.0), 1);
}
