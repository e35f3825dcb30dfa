//! How long it takes from asking for ten minutes to their first bytes.
//!
//! `cargo run --release -p store --example first_byte -- [channels] [kbit/s a channel] [MiB a segment] [folder]`
//! fills a volume with a quarter of an hour of pictures and sound, and plans movies of it while everything is in the page
//! cache. Does not belong here: how fast footage is written (`cargo xtask bench`).

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hal::{
    AccessUnit, AudioCodec, AudioFormat, ByteCount, ChannelId, Clock, Pts90k, StreamFormat, StreamId,
    StreamKind, SystemClock, VideoCodec, WallTime,
};
use store::{Keys, Movie, Reader, Store, StoreOptions};

const START_MICROS: i64 = 1_795_168_800_000_000;
const SECONDS: u64 = 900;
const PICTURES_A_SECOND: u64 = 25;
const SOUNDS_A_SECOND: u64 = 50;
const ROUNDS: usize = 21;

/// Parameter sets of 1280x720.
const SETS: [u8; 40] = [
    0, 0, 0, 1, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03,
    0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60, 0, 0, 0, 1, 0x68, 0xeb, 0xe3, 0xcb,
    0x22, 0xc0,
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: u64| arguments.next().map_or(Ok(or), |text| text.parse());
    let (channels, kbit, segment) = (number(16)?, number(250)?, number(4)?);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(folder)?;
    let bytes = channels * SECONDS * kbit * 125 * 2;
    let options = StoreOptions {
        segment_bytes: ByteCount(segment << 20),
        ..StoreOptions::with_max_bytes(ByteCount(bytes.max(1 << 28)))
    };
    let clock = Arc::new(SystemClock::new());
    let (mut store, _) = Store::open(dir.path(), options, &Keys::NONE, clock.clone())?;
    for second in 0..SECONDS {
        for channel in 1..=channels {
            fill(&mut store, ChannelId::try_from(u16::try_from(channel)?)?, second, kbit)?;
        }
        store.commit()?;
    }
    store.finish()?;

    let reader = Reader::open(dir.path(), &Keys::NONE)?;
    let at = |second: u64| WallTime::from_unix_micros(START_MICROS + second as i64 * 1_000_000);
    let mut times = Vec::new();
    let mut len = 0;
    for round in 0..ROUNDS as u64 {
        // Another channel and another time in each round: nothing of it was asked for before.
        let channel = ChannelId::try_from(u16::try_from(1 + round % channels)?)?;
        let begun = clock.mono();
        let movie = Movie::plan(&reader, channel, at(60 + round), at(660 + round))?;
        let planned = clock.mono().since(begun);
        let mut first = vec![0; 256 << 10];
        let read = movie.read_at(0, &mut first)?;
        assert_eq!(read, first.len().min(movie.len() as usize));
        times.push((clock.mono().since(begun), planned));
        len = movie.len();
    }
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let (all, planned) = times[ROUNDS / 2];
    println!(
        "{channels} channels of {kbit} kbit/s, segments of {segment} MiB: 256 KiB of ten minutes ({len} bytes) after {:.2} \
         ms, of which {:.2} ms for the plan; worst of {ROUNDS} {:.2} ms",
        milliseconds(all),
        milliseconds(planned),
        milliseconds(times[ROUNDS - 1].0),
    );
    Ok(())
}

fn fill(store: &mut Store, channel: ChannelId, second: u64, kbit: u64) -> Result<(), Box<dyn Error>> {
    let size = (kbit * 125 / PICTURES_A_SECOND) as usize;
    let mut data = Vec::with_capacity(size + SETS.len() + 5);
    for picture in 0..PICTURES_A_SECOND {
        let keyframe = picture == 0 && second.is_multiple_of(2);
        data.clear();
        if keyframe {
            data.extend_from_slice(&SETS);
        }
        data.extend_from_slice(&[0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
        data.resize(data.len() + size - (picture as usize * 7) % size.div_ceil(4), 0x55);
        let ticks = (second * PICTURES_A_SECOND + picture) * 90_000 / PICTURES_A_SECOND;
        let unit = unit(StreamId::new(channel, StreamKind::Main), ticks, keyframe, &data);
        store.append(&StreamFormat::Video(VideoCodec::H264), &unit)?;
    }
    let format = StreamFormat::Audio(AudioFormat {
        codec: AudioCodec::G711A,
        sample_rate: 8000,
        channels: 1,
        config: Vec::new(),
    });
    for sound in 0..SOUNDS_A_SECOND {
        let ticks = (second * SOUNDS_A_SECOND + sound) * 90_000 / SOUNDS_A_SECOND;
        store.append(&format, &unit(StreamId::new(channel, StreamKind::Audio), ticks, true, &[0x55; 160]))?;
    }
    Ok(())
}

fn unit(stream: StreamId, ticks: u64, keyframe: bool, data: &[u8]) -> AccessUnit<'_> {
    let pts = Pts90k(ticks as i64);
    let wall = WallTime::from_unix_micros(START_MICROS).offset_micros(pts.as_micros());
    AccessUnit { stream, pts, wall, keyframe, discontinuity: false, data }
}
