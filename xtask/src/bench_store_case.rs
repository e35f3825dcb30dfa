//! One case of `cargo xtask bench store`, in a process of its own.
//!
//! Footage is one simulated GOP that every stream repeats, so that making it costs nothing. As fast as it goes, the clock is
//! the footage's: a commit a second of it. Does not belong here: which cases there are (`bench_store`).

use std::fs::{self, File};
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hal::{
    AccessUnit, BitsPerSecond, ByteCount, ChannelId, Clock, FrameRate, Pts90k, Resolution, StreamConfig,
    StreamFormat, StreamId, StreamKind, SystemClock, VideoCodec, WallTime,
};
use hal_sim::{Source, SourceConfig};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::pwritev;
use serde::{Deserialize, Serialize};
use store::{Cipher, Keys, Movie, Reader, Store, StoreOptions};

use crate::bench_store_disk::{Calls, CountingDisk};
use crate::processes::{cpu_time, resident_bytes, written_bytes};
use crate::workspace::Failure;

pub(crate) const FRAMES_PER_SEC: u32 = 25;
pub(crate) const BIT_RATE_BPS: u32 = 4_000_000;
/// What a disk of 1 TB and more has.
const SEGMENT_BYTES: u64 = 256 << 20;
/// Frames from keyframe to keyframe.
const GOP: u32 = 50;
/// 2026-11-20T10:00:00Z.
pub(crate) const START: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);
/// A volume of this size begins to recycle in the middle of a case.
const VOLUME_PART: u64 = 2;
/// Playbacks whose first byte is waited for.
const PLAYBACKS: usize = 101;

/// What writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// The same bytes, written and synced, nothing else.
    Floor,
    /// The store without hashes and cipher.
    Bare,
    /// With SHA-256: what a plain volume has.
    Hashed,
    /// Hashed and encrypted: what a volume has unless its owner says otherwise.
    Sealed,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] = [Self::Floor, Self::Bare, Self::Hashed, Self::Sealed];
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) mode: Mode,
    pub(crate) streams: u16,
    /// Of footage.
    pub(crate) seconds: u32,
    /// In real time.
    pub(crate) paced: bool,
    #[serde(default)]
    pub(crate) dir: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) payload_bytes: u64,
    pub(crate) cpu_sec_per_gb: f64,
    pub(crate) megabytes_per_sec: f64,
    /// Bytes sent to the medium for each coded byte, the index included; a file system in memory does not count them.
    pub(crate) write_amplification: Option<f64>,
    /// Of the segments, while it records. Not counted: SQLite, which syncs when it folds its log in (docs/storage.md, "Index"),
    /// and the ledger, which no bare store has; `bench record` counts what they ask for, too.
    pub(crate) syncs_per_footage_sec: f64,
    /// Of their folder, whose names change with each segment.
    pub(crate) folder_syncs_per_footage_sec: f64,
    /// Of segments' files that are made, until the volume is full, and of small files that are replaced.
    pub(crate) other_syncs_per_footage_sec: f64,
    pub(crate) writes_per_footage_sec: f64,
    pub(crate) resident_bytes: u64,
    /// From asking for a range to the first 64 KiB of its MP4, warm, the middle of many.
    pub(crate) first_byte_micros: Option<u64>,
}

impl Case {
    pub(crate) fn new(mode: Mode, streams: u16, seconds: u32, paced: bool) -> Self {
        Self { mode, streams, seconds, paced, dir: PathBuf::new() }
    }

    pub(crate) fn title(&self) -> String {
        let mode = match self.mode {
            Mode::Floor => "floor",
            Mode::Bare => "store, bare",
            Mode::Hashed => "store, hashed",
            Mode::Sealed => "store, hashed+encrypted",
        };
        let paced = if self.paced { ", paced" } else { "" };
        format!("{mode}, {}{paced}", self.streams)
    }

    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        fs::create_dir_all(&self.dir)?;
        let gop = gop()?;
        let second: u64 = gop.iter().map(|(data, _)| data.len() as u64).sum::<u64>() / 2;
        let payload = second * u64::from(self.streams) * u64::from(self.seconds);
        let max_bytes = (payload / VOLUME_PART).max(4 * SEGMENT_BYTES);
        let (pid, clock) = (std::process::id(), SystemClock::new());
        // Made before: the floor only writes. No two cameras send the same memory, and neither does it.
        let footage = if self.mode == Mode::Floor { self.footage(&gop) } else { Vec::new() };
        let begun = (cpu_time(pid)?, written_bytes(pid)?, clock.mono());
        let (calls, resident) = if self.mode == Mode::Floor {
            self.floor(&footage, max_bytes)?
        } else {
            self.store(&gop, max_bytes)?
        };
        let gigabytes = payload as f64 / 1e9;
        let (cpu, written, took) =
            (cpu_time(pid)? - begun.0, written_bytes(pid)? - begun.1, clock.mono().since(begun.2));
        let seconds = f64::from(self.seconds);
        Ok(Outcome {
            payload_bytes: payload,
            cpu_sec_per_gb: cpu.as_secs_f64() / gigabytes,
            megabytes_per_sec: payload as f64 / 1e6 / took.as_secs_f64(),
            write_amplification: (written > 0).then_some(written as f64 / payload as f64),
            syncs_per_footage_sec: calls.syncs as f64 / seconds,
            folder_syncs_per_footage_sec: calls.folder_syncs as f64 / seconds,
            other_syncs_per_footage_sec: calls.other_syncs as f64 / seconds,
            writes_per_footage_sec: calls.writes as f64 / seconds,
            resident_bytes: resident,
            first_byte_micros: if self.mode == Mode::Floor { None } else { Some(self.first_byte(&clock)?) },
        })
    }

    /// Every second of a GOP, and of it what each stream has.
    fn footage(&self, gop: &[(Vec<u8>, bool)]) -> Vec<Vec<Vec<u8>>> {
        let second =
            |units: &[(Vec<u8>, bool)]| units.iter().flat_map(|(data, _)| data.iter().copied()).collect();
        let of_all = |units| (0..self.streams).map(|_| second(units)).collect();
        gop.chunks(FRAMES_PER_SEC as usize).map(of_all).collect()
    }

    /// Segments as the store has them, written round: a write and a sync a second.
    fn floor(&self, footage: &[Vec<Vec<u8>>], max_bytes: u64) -> Result<(Calls, u64), Failure> {
        let create = |number: usize| {
            let file = File::create(self.dir.join(format!("{number}.floor")))?;
            fallocate(&file, FallocateFlags::empty(), 0, SEGMENT_BYTES as i64)?;
            Ok::<_, Failure>(file)
        };
        let mut files = vec![create(0)?];
        let pace = Pace::new(self.paced);
        let (mut file, mut at, mut writes) = (0, 0, 0);
        for second in 0..self.seconds {
            let streams = &footage[second as usize % footage.len()];
            let slices: Vec<IoSlice<'_>> = streams.iter().map(|bytes| IoSlice::new(bytes)).collect();
            let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
            if at + bytes as u64 > SEGMENT_BYTES {
                (file, at) = ((file + 1) % (max_bytes / SEGMENT_BYTES) as usize, 0);
                if file == files.len() {
                    files.push(create(file)?);
                }
            }
            let done = pwritev(&files[file], &slices, at as i64)?;
            if done != bytes {
                files[file].write_all_at(&vec![0; bytes - done], at + done as u64)?;
            }
            files[file].sync_data()?;
            (at, writes) = (at + bytes as u64, writes + 1);
            pace.wait_for(second + 1);
        }
        let calls = Calls { writes, syncs: u64::from(self.seconds), folder_syncs: 0, other_syncs: 0 };
        Ok((calls, resident_bytes(std::process::id())?))
    }

    fn options(&self, max_bytes: u64) -> StoreOptions {
        StoreOptions {
            max_bytes: ByteCount(max_bytes),
            segment_bytes: ByteCount(SEGMENT_BYTES),
            cipher: if self.mode == Mode::Sealed { Cipher::ChaCha20Poly1305 } else { Cipher::None },
            // As the recorder on a PC has it: a second of 64 streams.
            pending_bytes: ByteCount(64 << 20),
            hash: self.mode != Mode::Bare,
        }
    }

    fn store(&self, gop: &[(Vec<u8>, bool)], max_bytes: u64) -> Result<(Calls, u64), Failure> {
        let disk = CountingDisk::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (mut store, _) =
            Store::open_on(Arc::new(disk.clone()), &self.dir, self.options(max_bytes), &keys(), clock)?;
        let begun = disk.calls();
        let pace = Pace::new(self.paced);
        for second in 0..self.seconds {
            append_second(&mut store, gop, self.streams, second)?;
            store.commit()?;
            pace.wait_for(second + 1);
        }
        let resident = resident_bytes(std::process::id())?;
        let calls = disk.calls().since(begun);
        store.finish()?;
        Ok((calls, resident))
    }

    fn first_byte(&self, clock: &SystemClock) -> Result<u64, Failure> {
        let reader = Arc::new(Reader::open(&self.dir, &keys())?);
        let end = START.offset_micros(i64::from(self.seconds) * 1_000_000);
        let channel = ChannelId::new(1).ok_or("1 is a channel")?;
        let span = i64::from(self.seconds.min(10)) * 1_000_000;
        let mut took = Vec::with_capacity(PLAYBACKS);
        let mut bytes = vec![0; 64 << 10];
        for _ in 0..PLAYBACKS {
            let begun = clock.mono();
            let movie = Movie::plan(&reader, channel, end.offset_micros(-span), end)?;
            movie.read_at(0, &mut bytes)?;
            took.push(clock.mono().since(begun).as_micros() as u64);
        }
        took.sort_unstable();
        Ok(took[PLAYBACKS / 2])
    }
}

/// The key of the volumes that are measured.
pub(crate) fn keys() -> Keys {
    Keys::of_device(store::DeviceKey::from_bytes([7; store::KEY_BYTES]))
}

/// Two seconds of one simulated stream; whether decoding can start at a unit.
pub(crate) fn gop() -> Result<Vec<(Vec<u8>, bool)>, Failure> {
    let mut source = Source::new(SourceConfig {
        seed: 1,
        channel: ChannelId::new(1).ok_or("1 is a channel")?,
        title: "Bench".to_owned(),
        clock: false,
        stream: StreamConfig {
            kind: StreamKind::Main,
            codec: VideoCodec::H264,
            resolution: Resolution { width: 1280, height: 720 },
            frame_rate: FrameRate { numerator: FRAMES_PER_SEC, denominator: 1 },
            bit_rate: BitsPerSecond(BIT_RATE_BPS),
            gop_frames: GOP as u16,
        },
        start: START,
    })?;
    Ok((0..GOP)
        .map(|_| {
            let unit = source.next_unit();
            (unit.data.to_vec(), unit.keyframe)
        })
        .collect())
}

/// Hands second number `second` of every stream to the store.
pub(crate) fn append_second(
    store: &mut Store,
    gop: &[(Vec<u8>, bool)],
    streams: u16,
    second: u32,
) -> Result<(), Failure> {
    let format = StreamFormat::Video(VideoCodec::H264);
    for frame in second * FRAMES_PER_SEC..(second + 1) * FRAMES_PER_SEC {
        let (data, keyframe) = &gop[frame as usize % gop.len()];
        let pts = Pts90k(i64::from(frame) * Pts90k::PER_SECOND / i64::from(FRAMES_PER_SEC));
        for channel in (1..=streams).filter_map(ChannelId::new) {
            store.append(
                &format,
                &AccessUnit {
                    stream: StreamId::new(channel, StreamKind::Main),
                    pts,
                    wall: START.offset_micros(pts.as_micros()),
                    keyframe: *keyframe,
                    discontinuity: false,
                    data,
                },
            )?;
        }
    }
    Ok(())
}

/// Real time, or none.
struct Pace {
    clock: SystemClock,
    begun: Option<hal::MonoTime>,
}

impl Pace {
    fn new(paced: bool) -> Self {
        let clock = SystemClock::new();
        let begun = paced.then(|| clock.mono());
        Self { clock, begun }
    }

    fn wait_for(&self, second: u32) {
        let Some(begun) = self.begun else { return };
        let due = Duration::from_secs(u64::from(second));
        std::thread::sleep(due.saturating_sub(self.clock.mono().since(begun)));
    }
}
