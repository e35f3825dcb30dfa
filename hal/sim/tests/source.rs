//! The source: equal bytes each time, the bit rate, keyframes when wanted.

use hal::{
    BitsPerSecond, ChannelId, ErrorKind, FrameRate, Resolution, StreamConfig, StreamKind, VideoCodec,
    WallTime,
};
use hal_sim::{Source, SourceConfig};

fn config(width: u16, height: u16, bit_rate: u32, frame_rate: (u32, u32)) -> SourceConfig {
    SourceConfig {
        seed: 1,
        channel: ChannelId::new(1).unwrap(),
        title: "Front door".to_owned(),
        clock: true,
        stream: StreamConfig {
            kind: StreamKind::Main,
            codec: VideoCodec::H264,
            resolution: Resolution { width, height },
            frame_rate: FrameRate { numerator: frame_rate.0, denominator: frame_rate.1 },
            bit_rate: BitsPerSecond(bit_rate),
            gop_frames: 50,
        },
        start: WallTime::from_unix_micros(1_795_168_800_000_000),
    }
}

fn units(source: &mut Source, count: usize) -> Vec<(bool, Vec<u8>)> {
    (0..count)
        .map(|_| {
            let unit = source.next_unit();
            (unit.keyframe, unit.data.to_vec())
        })
        .collect()
}

#[test]
fn two_runs_give_the_same_bytes_and_another_seed_others() {
    let config = config(640, 360, 1_000_000, (25, 1));
    let run = |config: &SourceConfig| units(&mut Source::new(config.clone()).unwrap(), 120);
    assert_eq!(run(&config), run(&config));
    assert_ne!(run(&config), run(&SourceConfig { seed: 2, ..config.clone() }));
}

#[test]
fn bit_rates_are_kept_within_a_tenth() {
    for (width, height, bit_rate, frame_rate) in [
        (640, 360, 500_000, (25, 1)),
        (640, 360, 4_000_000, (25, 1)),
        (640, 360, 8_000_000, (15, 1)),
        (1280, 720, 2_000_000, (30_000, 1001)),
        (1920, 1080, 16_000_000, (25, 1)),
        (320, 180, 192_000, (25, 1)),
        (320, 180, 512_000, (12, 1)),
    ] {
        let mut source = Source::new(config(width, height, bit_rate, frame_rate)).unwrap();
        let frames = 10 * frame_rate.0 as usize / frame_rate.1 as usize;
        let bytes: usize = units(&mut source, frames).iter().map(|u| u.1.len()).sum();
        let measured = bytes as f64 * 8.0 * f64::from(frame_rate.0) / f64::from(frame_rate.1) / frames as f64;
        let ratio = measured / f64::from(bit_rate);
        assert!((0.9..=1.1).contains(&ratio), "{width}x{height} at {bit_rate}: {measured}");
    }
}

#[test]
fn the_bit_rate_changes_while_running() {
    let mut source = Source::new(config(640, 360, 4_000_000, (25, 1))).unwrap();
    units(&mut source, 50);
    source.set_bit_rate(BitsPerSecond(1_000_000)).unwrap();
    let bytes: usize = units(&mut source, 250).iter().map(|u| u.1.len()).sum();
    let ratio = bytes as f64 * 8.0 / 10.0 / 1_000_000.0;
    assert!((0.9..=1.1).contains(&ratio), "{ratio}");
    let refused = source.set_bit_rate(BitsPerSecond(900_000_000)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[test]
fn keyframes_come_each_gop_and_on_request() {
    let mut source = Source::new(config(320, 180, 256_000, (25, 1))).unwrap();
    let keyframes = |units: &[(bool, Vec<u8>)]| -> Vec<usize> {
        units.iter().enumerate().filter(|(_, u)| u.0).map(|(n, _)| n).collect()
    };
    let first = units(&mut source, 110);
    assert_eq!(keyframes(&first), [0, 50, 100]);
    // 4-byte start codes; SPS, PPS and IDR slice in keyframes, one P slice in others.
    assert_eq!(first[0].1[..5], [0, 0, 0, 1, 0x67]);
    assert_eq!(first[1].1[..5], [0, 0, 0, 1, 0x41]);
    source.request_keyframe();
    let second = units(&mut source, 60);
    assert_eq!(keyframes(&second), [0, 50], "a request starts a new GOP");
}

#[test]
fn what_cannot_be_made_is_refused_with_what_can() {
    let good = config(640, 360, 1_000_000, (25, 1));
    let refused = |change: &dyn Fn(&mut StreamConfig)| {
        let mut config = good.clone();
        change(&mut config.stream);
        let error = Source::new(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        error.to_string()
    };
    assert!(refused(&|s| s.codec = VideoCodec::H265).contains("choose H.264"));
    assert!(refused(&|s| s.resolution.width = 641).contains("choose even numbers from 288x160"));
    assert!(refused(&|s| s.resolution.height = 100).contains("640x100"));
    assert!(refused(&|s| s.frame_rate.denominator = 0).contains("25/0"));
    assert!(refused(&|s| s.frame_rate.numerator = 121).contains("up to 120"));
    assert!(refused(&|s| s.gop_frames = 0).contains("1 to 600"));
    assert!(refused(&|s| s.bit_rate = BitsPerSecond(10)).contains("choose 32000 to"));
}

#[test]
fn another_frame_rate_begins_with_a_keyframe_and_another_size_needs_another_source() {
    let config = config(640, 360, 1_000_000, (25, 1));
    let mut source = Source::new(config.clone()).unwrap();
    let before = units(&mut source, 3);
    let slower = StreamConfig {
        frame_rate: FrameRate { numerator: 10, denominator: 1 },
        gop_frames: 4,
        bit_rate: BitsPerSecond(400_000),
        ..config.stream
    };
    source.set_stream(slower).unwrap();
    let after = units(&mut source, 9);
    let keyframes: Vec<usize> = (0..9).filter(|&n| after[n].0).collect();
    assert_eq!(keyframes, [0, 4, 8]);
    assert_ne!(before[0].1[..40], after[0].1[..40], "the parameter sets say the rate");
    let smaller = StreamConfig { resolution: Resolution { width: 320, height: 180 }, ..slower };
    assert_eq!(source.set_stream(smaller).unwrap_err().kind(), ErrorKind::Unsupported);
}
