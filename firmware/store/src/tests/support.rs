//! Made-up cameras and what the tests ask again and again.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hal::{
    AccessUnit, AudioCodec, AudioFormat, ByteCount, ChannelId, Clock, MonoTime, Pts90k, StreamFormat,
    StreamId, StreamKind, VideoCodec, WallTime,
};

pub(crate) use crate::noise::noise;
use crate::{Cipher, DeviceKey, Keys, Reader, Store, StoreOptions, StoredUnit};

/// 2026-11-20T10:00:00Z.
pub(crate) const START_MICROS: i64 = 1_795_168_800_000_000;

pub(crate) const BEGINNING: WallTime = WallTime::from_unix_micros(i64::MIN / 4);
pub(crate) const END: WallTime = WallTime::from_unix_micros(i64::MAX / 4);

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn wall(&self) -> WallTime {
        WallTime::from_unix_micros(START_MICROS)
    }

    fn mono(&self) -> MonoTime {
        MonoTime::from_start(Duration::ZERO)
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(Still)
}

/// A folder in memory where there is one: these tests sync a lot.
pub(crate) fn scratch() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap()
}

/// Segments of 64 KiB, so that a test sees many of them.
pub(crate) fn small(segments: u64) -> StoreOptions {
    StoreOptions {
        segment_bytes: ByteCount(64 << 10),
        ..StoreOptions::with_max_bytes(ByteCount(segments * (64 << 10)))
    }
}

/// As [`small`], encrypted.
pub(crate) fn small_sealed(segments: u64) -> StoreOptions {
    StoreOptions { cipher: Cipher::ChaCha20Poly1305, ..small(segments) }
}

/// What all tests' recorders have.
pub(crate) fn keys() -> Keys {
    Keys::of_device(DeviceKey::from_bytes([0x5a; 32]))
}

pub(crate) fn open(dir: &Path, segments: u64) -> Store {
    Store::open(dir, small(segments), &keys(), clock()).unwrap().0
}

pub(crate) fn stream(channel: u16, kind: StreamKind) -> StreamId {
    StreamId::new(ChannelId::new(channel).unwrap(), kind)
}

/// A unit as it was handed in, and as it must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) stream: StreamId,
    pub(crate) pts: Pts90k,
    pub(crate) wall: WallTime,
    pub(crate) keyframe: bool,
    pub(crate) discontinuity: bool,
    pub(crate) annexb: Vec<u8>,
    pub(crate) stored: Vec<u8>,
}

impl Made {
    pub(crate) fn unit(&self) -> AccessUnit<'_> {
        AccessUnit {
            stream: self.stream,
            pts: self.pts,
            wall: self.wall,
            keyframe: self.keyframe,
            discontinuity: self.discontinuity,
            data: &self.annexb,
        }
    }

    pub(crate) fn is(&self, read: &StoredUnit) -> bool {
        self.stream == read.stream
            && self.pts == read.pts
            && self.wall.micros_since(read.wall).abs() <= 100
            && self.keyframe == read.keyframe
            && self.discontinuity == read.discontinuity
            && self.stored == read.data
    }
}

/// What an encoder of 1280x720 in the High profile says behind the level.
const SPS_BEHIND_LEVEL: [u8; 22] = [
    0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03,
    0xc0, 0xf1, 0x83, 0x19, 0x60,
];

/// A camera of random pictures, the same for the same seed.
pub(crate) struct Source {
    pub(crate) stream: StreamId,
    pub(crate) next: u64,
    /// Units a second.
    pub(crate) rate: u64,
    /// Keyframe to keyframe.
    pub(crate) gop: u64,
    pub(crate) bytes: usize,
    /// Seconds that the wall clock is off.
    pub(crate) wall_shift_micros: i64,
    pub(crate) discontinuity: bool,
    pub(crate) parameter_set: u8,
}

impl Source {
    pub(crate) fn new(stream: StreamId, rate: u64, bytes: usize) -> Self {
        Self {
            stream,
            next: 0,
            rate,
            gop: rate * 2,
            bytes,
            wall_shift_micros: 0,
            discontinuity: false,
            parameter_set: 0x1f,
        }
    }

    pub(crate) fn format(&self) -> StreamFormat {
        if self.stream.kind == StreamKind::Audio {
            StreamFormat::Audio(AudioFormat {
                codec: AudioCodec::G711A,
                sample_rate: 8000,
                channels: 1,
                config: Vec::new(),
            })
        } else {
            StreamFormat::Video(VideoCodec::H264)
        }
    }

    pub(crate) fn make(&mut self) -> Made {
        let number = self.next;
        self.next += 1;
        let ticks = (number * 90_000 / self.rate) as i64;
        let pts = Pts90k(1_000 + ticks);
        let wall = WallTime::from_unix_micros(START_MICROS)
            .offset_micros(Pts90k(ticks).as_micros() + self.wall_shift_micros);
        let seed =
            number * 64 + u64::from(self.stream.channel.get()) * 4 + u64::from(self.stream.kind.code());
        let size = 1 + self.bytes / 2 + noise(seed) as usize % self.bytes;
        let body: Vec<u8> = (0..size).map(|at| 1 + (noise(seed ^ ((at as u64) << 20)) % 255) as u8).collect();
        let keyframe = self.stream.kind == StreamKind::Audio || number.is_multiple_of(self.gop);
        let (annexb, stored) = if self.stream.kind == StreamKind::Audio {
            (body.clone(), body)
        } else {
            let mut annexb = Vec::new();
            if keyframe {
                annexb.extend_from_slice(&[0, 0, 0, 1, 0x67, 0x64, 0x00, self.parameter_set]);
                annexb.extend_from_slice(&SPS_BEHIND_LEVEL);
                annexb.extend_from_slice(&[0, 0, 0, 1, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0]);
            }
            let header = if keyframe { 0x65 } else { 0x41 };
            annexb.extend_from_slice(&[0, 0, 0, 1, header]);
            annexb.extend_from_slice(&body);
            let mut stored = (body.len() as u32 + 1).to_be_bytes().to_vec();
            stored.push(header);
            stored.extend_from_slice(&body);
            (annexb, stored)
        };
        let discontinuity = std::mem::take(&mut self.discontinuity);
        Made { stream: self.stream, pts, wall, keyframe, discontinuity, annexb, stored }
    }

    /// Hands the next `count` units to the store.
    pub(crate) fn feed(&mut self, store: &mut Store, count: u64) -> Vec<Made> {
        (0..count)
            .map(|_| {
                let made = self.make();
                store.append(&self.format(), &made.unit()).unwrap();
                made
            })
            .collect()
    }
}

/// Everything that a reader tells of a stream.
pub(crate) fn read_all(reader: &Reader, stream: StreamId) -> Vec<StoredUnit> {
    reader.units(stream, BEGINNING, END).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Asserts that `read` is a stretch of `made` without a hole; returns where it begins and ends.
#[track_caller]
pub(crate) fn assert_stretch(made: &[Made], read: &[StoredUnit]) -> (usize, usize) {
    let Some(first) = read.first() else { return (made.len(), made.len()) };
    let begin = made.iter().position(|made| made.is(first)).expect("what is read was made");
    let end = begin + read.len();
    assert!(end <= made.len(), "{} units read from {begin} on, {} made", read.len(), made.len());
    for (at, (made, read)) in made[begin..end].iter().zip(read).enumerate() {
        assert!(made.is(read), "unit {at} is not as it was made");
    }
    (begin, end)
}

/// Asserts that everything in the volume is as it was written, and that nothing waits for repair.
#[track_caller]
pub(crate) fn assert_clean(dir: &Path) {
    let report = crate::check(dir, &keys()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.damages);
    assert!(report.notes.is_empty(), "{:#?}", report.notes);
}

/// A clock that a test turns.
pub(crate) struct Turned(Mutex<(WallTime, Duration)>);

impl Turned {
    /// Shows the time at which footage begins.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((WallTime::from_unix_micros(START_MICROS), Duration::ZERO))))
    }

    /// Time passes.
    pub(crate) fn pass(&self, seconds: u64) {
        let mut times = self.0.lock().unwrap();
        times.0 = times.0.offset_micros(seconds as i64 * 1_000_000);
        times.1 += Duration::from_secs(seconds);
    }

    /// Somebody sets it.
    pub(crate) fn set(&self, wall: WallTime) {
        self.0.lock().unwrap().0 = wall;
    }
}

impl Clock for Turned {
    fn wall(&self) -> WallTime {
        self.0.lock().unwrap().0
    }

    fn mono(&self) -> MonoTime {
        MonoTime::from_start(self.0.lock().unwrap().1)
    }
}

impl Source {
    /// The next units are of what the clock shows now, and begin anew.
    pub(crate) fn go_to(&mut self, wall: WallTime) {
        self.next = self.next.next_multiple_of(self.gop);
        let ticks = Pts90k((self.next * 90_000 / self.rate) as i64);
        self.wall_shift_micros =
            wall.micros_since(WallTime::from_unix_micros(START_MICROS)) - ticks.as_micros();
        self.discontinuity = true;
    }
}
