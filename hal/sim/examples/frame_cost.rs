//! What a simulated frame costs: nanoseconds of one core.
//!
//! `cargo run --release -p hal-sim --example frame_cost`

use hal::{
    BitsPerSecond, ChannelId, Clock, FrameRate, Resolution, StreamConfig, StreamKind, SystemClock,
    VideoCodec, WallTime,
};
use hal_sim::{Source, SourceConfig};

/// 40 s of pictures: long enough to drown the clock's own cost.
const FRAMES: u32 = 1000;

fn main() -> Result<(), hal::HalError> {
    let clock = SystemClock::new();
    println!("{:>10} {:>14} {:>14} {:>10}", "size", "asked bit/s", "made bit/s", "ns/frame");
    for (width, height, bit_rate) in
        [(320, 180, 256_000), (640, 360, 4_000_000), (1280, 720, 4_000_000), (1920, 1080, 8_000_000)]
    {
        let mut source = Source::new(SourceConfig {
            seed: 1,
            channel: ChannelId::new(1).expect("1 is a channel"),
            title: "Front door".to_owned(),
            clock: true,
            stream: StreamConfig {
                kind: StreamKind::Main,
                codec: VideoCodec::H264,
                resolution: Resolution { width, height },
                frame_rate: FrameRate { numerator: 25, denominator: 1 },
                bit_rate: BitsPerSecond(bit_rate),
                gop_frames: 50,
            },
            start: WallTime::from_unix_micros(1_795_168_800_000_000),
        })?;
        let start = clock.mono();
        let bytes: usize = (0..FRAMES).map(|_| source.next_unit().data.len()).sum();
        let nanos = clock.mono().since(start).as_nanos() / u128::from(FRAMES);
        let made = bytes as u64 * 8 * 25 / u64::from(FRAMES);
        println!("{:>10} {bit_rate:>14} {made:>14} {nanos:>10}", format!("{width}x{height}"));
    }
    Ok(())
}
