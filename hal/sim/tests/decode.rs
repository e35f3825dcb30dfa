//! Pictures through FFmpeg's decoder: every sample as meant, every mark readable.

use std::io::Write;
use std::process::{Command, Stdio};

use hal::{BitsPerSecond, ChannelId, FrameRate, Resolution, StreamConfig, StreamKind, VideoCodec, WallTime};
use hal_sim::mark::{self, Mark};
use hal_sim::{Overlay, Paint, Source, SourceConfig};

const START_MS: u64 = 1_795_168_799_500;

fn config(width: u16, height: u16, bit_rate: u32) -> SourceConfig {
    SourceConfig {
        seed: 7,
        channel: ChannelId::new(3).unwrap(),
        title: "Yard (north) ÄB".to_owned(),
        clock: true,
        stream: StreamConfig {
            kind: StreamKind::Main,
            codec: VideoCodec::H264,
            resolution: Resolution { width, height },
            frame_rate: FrameRate { numerator: 25, denominator: 1 },
            bit_rate: BitsPerSecond(bit_rate),
            gop_frames: 20,
        },
        start: WallTime::from_unix_micros(START_MS as i64 * 1000),
    }
}

/// Runs FFmpeg over `input`; gives its output, and insists that it complained of nothing.
fn ffmpeg(verbosity: &str, format: &str, input: &[u8], output: &[&str]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args([
            "-v",
            verbosity,
            "-err_detect",
            "explode",
            "-f",
            format,
            "-i",
            "-",
            "-fps_mode",
            "passthrough",
        ])
        .args(output)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let done = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    assert!(done.status.success());
    feeder.join().unwrap().unwrap();
    done.stdout
}

fn decode_and_compare(width: u16, height: u16, bit_rate: u32) {
    let mut source = Source::new(config(width, height, bit_rate)).unwrap();
    let (mut stream, mut meant) = (Vec::new(), Vec::new());
    for number in 0..45 {
        if number == 33 {
            source.request_keyframe();
        }
        stream.extend_from_slice(source.next_unit().data);
        meant.push(source.render_i420());
    }
    let raw = ffmpeg("warning", "h264", &stream, &["-f", "rawvideo", "-pix_fmt", "yuv420p"]);
    let (width, height) = (usize::from(width), usize::from(height));
    let pictures: Vec<&[u8]> = raw.chunks(width * height * 3 / 2).collect();
    assert_eq!(pictures.len(), meant.len());
    for (number, picture) in pictures.iter().enumerate() {
        let wall_ms = START_MS + 40 * number as u64;
        let expected = Mark { channel: 3, counter: number as u32, wall_ms };
        assert_eq!(mark::decode(picture, width, height, width), Some(expected));
        assert!(*picture == meant[number], "picture {number} differs from the one meant");
    }
}

#[test]
fn pictures_of_640x360_are_exact() {
    decode_and_compare(640, 360, 4_000_000);
}

#[test]
fn pictures_of_1280x720_are_exact() {
    decode_and_compare(1280, 720, 8_000_000);
}

#[test]
fn pictures_of_320x180_are_exact() {
    decode_and_compare(320, 180, 512_000);
}

#[test]
fn pictures_whose_size_is_no_multiple_of_16_are_exact() {
    decode_and_compare(714, 406, 3_000_000);
    decode_and_compare(288, 160, 256_000);
}

#[test]
fn overlays_are_exact_and_hide_what_is_below() {
    let mut source = Source::new(config(640, 360, 4_000_000)).unwrap();
    let text = (0..100 * 30).map(|n| (n % 3 > 0).then_some([180, 90, 200])).collect();
    let overlays = [
        Overlay { x: 270, y: 50, width: 100, height: 30, paint: Paint::Samples(text) },
        Overlay { x: 34, y: 150, width: 410, height: 140, paint: Paint::Flat([16, 128, 128]) },
    ];
    let (mut stream, mut meant) = (Vec::new(), Vec::new());
    for number in 0..45 {
        match number {
            5 => source.set_overlays(&overlays),
            30 => source.set_overlays(&overlays[1..]),
            _ => {}
        }
        stream.extend_from_slice(source.next_unit().data);
        meant.push(source.render_i420());
    }
    let raw = ffmpeg("warning", "h264", &stream, &["-f", "rawvideo", "-pix_fmt", "yuv420p"]);
    let pictures: Vec<&[u8]> = raw.chunks(640 * 360 * 3 / 2).collect();
    assert_eq!(pictures.len(), meant.len());
    for (number, picture) in pictures.iter().enumerate() {
        assert!(*picture == meant[number], "picture {number} differs from the one meant");
        let covered = (150..290).all(|y| picture[y * 640 + 34..][..410].iter().all(|&luma| luma == 16));
        assert_eq!(covered, number >= 5, "picture {number}");
        assert_eq!(picture[60 * 640 + 271] == 180, (5..30).contains(&number), "picture {number}");
    }
}

#[test]
fn marks_survive_scaling_and_a_coarse_codec() {
    let mut source = Source::new(config(640, 360, 2_000_000)).unwrap();
    let stream: Vec<u8> = (0..5).flat_map(|_| source.next_unit().data.to_vec()).collect();
    for (width, height) in [(320, 180), (1280, 720), (416, 234)] {
        let scale = format!("scale={width}:{height}");
        // JPEG at the coarsest quality, then raw again.
        let coarse = ["-vf", &scale, "-q:v", "31", "-pix_fmt", "yuvj420p", "-f", "mjpeg"];
        let jpegs = ffmpeg("error", "h264", &stream, &coarse);
        let raw = ffmpeg("error", "mjpeg", &jpegs, &["-f", "rawvideo", "-pix_fmt", "gray"]);
        let pictures: Vec<&[u8]> = raw.chunks(width * height).collect();
        assert_eq!(pictures.len(), 5);
        for (number, picture) in pictures.iter().enumerate() {
            let cell = 16.0 * width as f32 / 640.0;
            let mark = mark::decode_scaled(picture, width, height, width, cell);
            assert_eq!(mark.map(|m| m.counter), Some(number as u32), "{width}x{height}");
        }
    }
}
