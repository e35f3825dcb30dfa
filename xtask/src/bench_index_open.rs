//! Opening a full volume after a power cut, for `cargo xtask bench index`.
//!
//! Two classes of retention each have a segment that nobody sealed: just begun, in front of what an older segment left in
//! the file, or full to the last second that fits. The first is looked through block by block, the second chunk by
//! chunk. Caches are warm or dropped; what recovery scans it takes past them anyway (`store`'s recovery forgets them).
//!
//! Does not belong here: how the volume is made (`store::simulate`), its timeline and the goals (`bench_index.rs`).
//!
//! Invariant: opening changes nothing that the next opening would have found, so that it can be repeated.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hal::{
    AccessUnit, AudioCodec, AudioFormat, ChannelId, Clock, MonoTime, Pts90k, StreamFormat, StreamId,
    StreamKind, SystemClock, VideoCodec, WallTime,
};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde::Serialize;
use store::simulate::Simulation;
use store::{Class, Keys, Reader, Store, StoreOptions};

use crate::bench_store_case::{FRAMES_PER_SEC, gop};
use crate::workspace::Failure;

const OPENINGS: usize = 3;
const CLASSES: u8 = 2;
/// A second of G.711 is 8000 bytes, in so many units.
const SOUNDS_PER_SEC: u32 = 25;
const SOUND_BYTES: usize = 8000 / SOUNDS_PER_SEC as usize;
/// What the footer keeps of a chunk of a second, with some to spare (docs/storage.md, "Footer").
const FOOTER_BYTES_PER_CHUNK: u64 = 800;
/// What an older life of the file left.
static REMAINS: [u8; 1 << 20] = [0xa5; 1 << 20];
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// What a power cut left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    /// One commit in each segment.
    Begun,
    /// As many commits as fit.
    Full,
}

/// What the kernel still has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Caches {
    Warm,
    /// All of the kernel's.
    Dropped,
    /// The volume's files only, because the kernel's may not be dropped: names and places of files stay in memory.
    Forgotten,
}

/// The slowest of some.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Opening {
    pub(crate) left: Left,
    pub(crate) caches: Caches,
    /// Segments that recovery scanned, and the footage in them.
    pub(crate) scanned: u64,
    pub(crate) scanned_bytes: u64,
    pub(crate) writing_ms: f64,
    pub(crate) reading_ms: f64,
}

/// Leaves open segments in the volume of `simulation` in `dir`, and opens it: with warm caches, and with `cold` ones besides.
pub(crate) fn measure(dir: &Path, simulation: &Simulation, cold: bool) -> Result<Vec<Opening>, Failure> {
    let mut recording = Recording::new(dir, simulation)?;
    recording.leave_remains()?;
    let mut openings = Vec::new();
    for left in [Left::Begun, Left::Full] {
        recording.go_on(left)?;
        for cold in [false, true].into_iter().filter(|wanted| cold || !wanted) {
            let opening = recording.open(left, cold)?;
            println!(
                "{} unsealed segments, {}, {:.1} MB in them, caches {}: opened for writing in {:.1} ms, for reading in {:.1} ms",
                opening.scanned,
                if left == Left::Begun { "just begun" } else { "full" },
                opening.scanned_bytes as f64 / 1e6,
                match opening.caches {
                    Caches::Warm => "warm",
                    Caches::Dropped => "dropped",
                    Caches::Forgotten => "of its files dropped",
                },
                opening.writing_ms,
                opening.reading_ms
            );
            openings.push(opening);
        }
    }
    Ok(openings)
}

/// How the volume is recorded on.
struct Recording<'a> {
    dir: &'a Path,
    simulation: &'a Simulation,
    options: StoreOptions,
    clock: Arc<SystemClock>,
    gop: Vec<(Vec<u8>, bool)>,
    /// Of footage, since the simulation's end.
    seconds: u32,
    /// Committed to all open segments.
    bytes: u64,
}

impl<'a> Recording<'a> {
    fn new(dir: &'a Path, simulation: &'a Simulation) -> Result<Self, Failure> {
        let options = StoreOptions {
            segment_bytes: simulation.segment_bytes,
            ..StoreOptions::with_max_bytes(simulation.max_bytes())
        };
        let clock = Arc::new(SystemClock::new());
        Ok(Self { dir, simulation, options, clock, gop: gop()?, seconds: 0, bytes: 0 })
    }

    /// Fills the files that are used again first, as footage has filled them in a real volume: of a sparse file nothing would
    /// have to be read.
    fn leave_remains(&self) -> Result<(), Failure> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.dir.join("segments"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for path in files.iter().take(usize::from(CLASSES)) {
            let file = File::options().write(true).open(path)?;
            for at in (0..self.simulation.segment_bytes.0).step_by(REMAINS.len()) {
                file.write_all_at(&REMAINS, at)?;
            }
            file.sync_all()?;
        }
        Ok(())
    }

    /// Records, and ends as a process that is killed does: nothing is sealed.
    fn go_on(&mut self, left: Left) -> Result<(), Failure> {
        let (mut store, _) =
            Store::open(self.dir, self.options, &Keys::default(), Arc::clone(&self.clock) as Arc<dyn Clock>)?;
        for stream in &self.simulation.streams {
            let class = Class::new((stream.channel.get() % u16::from(CLASSES)) as u8).ok_or("a class")?;
            store.set_class(*stream, class);
        }
        // Each class has half of it all.
        let room = u64::from(CLASSES) * self.simulation.segment_bytes.0;
        loop {
            self.append_second(&mut store)?;
            let report = store.commit()?;
            self.bytes += report.written.0;
            if report.sealed > 0 {
                return Err("a segment was sealed that was to be left open".into());
            }
            let footers =
                u64::from(self.seconds + 2) * self.simulation.streams.len() as u64 * FOOTER_BYTES_PER_CHUNK;
            if left == Left::Begun || self.bytes + report.written.0 + footers > room {
                return Ok(());
            }
        }
    }

    fn append_second(&mut self, store: &mut Store) -> Result<(), Failure> {
        let sound = StreamFormat::Audio(AudioFormat {
            codec: AudioCodec::G711U,
            sample_rate: 8000,
            channels: 1,
            config: Vec::new(),
        });
        let video = StreamFormat::Video(VideoCodec::H264);
        for frame in self.seconds * FRAMES_PER_SEC..(self.seconds + 1) * FRAMES_PER_SEC {
            let (picture, keyframe) = &self.gop[frame as usize % self.gop.len()];
            let pts = Pts90k(i64::from(frame) * Pts90k::PER_SECOND / i64::from(FRAMES_PER_SEC));
            let wall = self.simulation.end().offset_micros(pts.as_micros());
            for stream in self.simulation.streams.iter().copied() {
                let is_sound = stream.kind == StreamKind::Audio;
                let (format, data): (_, &[u8]) =
                    if is_sound { (&sound, &[0xff; SOUND_BYTES]) } else { (&video, picture) };
                let keyframe = is_sound || *keyframe;
                store.append(
                    format,
                    &AccessUnit { stream, pts, wall, keyframe, discontinuity: false, data },
                )?;
            }
        }
        self.seconds += 1;
        Ok(())
    }

    fn open(&self, left: Left, cold: bool) -> Result<Opening, Failure> {
        let mut caches = Caches::Warm;
        let (mut writing, mut reading, mut scanned) = (0_f64, 0_f64, 0);
        for _ in 0..OPENINGS {
            if cold {
                caches = drop_caches(self.dir)?;
            }
            let begun = self.clock.mono();
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            let (store, report) = Store::open(self.dir, self.options, &Keys::default(), clock)?;
            writing = writing.max(self.millis(begun));
            drop(store);
            scanned = report.scanned;
            if scanned != u64::from(CLASSES) || !report.damages.is_empty() {
                return Err(format!("{scanned} segments were scanned; {:?}", report.damages).into());
            }
            if cold {
                drop_caches(self.dir)?;
            }
            let begun = self.clock.mono();
            let reader = Reader::open(self.dir, &Keys::default())?;
            reading = reading.max(self.millis(begun));
            drop(reader);
        }
        let scanned_bytes = self.bytes;
        Ok(Opening { left, caches, scanned, scanned_bytes, writing_ms: writing, reading_ms: reading })
    }

    fn millis(&self, since: MonoTime) -> f64 {
        self.clock.mono().since(since).as_secs_f64() * 1e3
    }
}

/// Makes the kernel forget what it has of files: all, or where that is not allowed, those below `dir`.
fn drop_caches(dir: &Path) -> io::Result<Caches> {
    nix::unistd::sync();
    match fs::write(DROP_CACHES, "3") {
        Ok(()) => return Ok(Caches::Dropped),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) => {}
        Err(error) => return Err(error),
    }
    for folder in [dir.to_owned(), dir.join("segments")] {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                posix_fadvise(&File::open(entry.path())?, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
            }
        }
    }
    Ok(Caches::Forgotten)
}

/// The streams of a simulation: main stream and sound of so many channels.
pub(crate) fn streams(channels: u16) -> Vec<StreamId> {
    let of =
        |kind| (1..=channels).filter_map(ChannelId::new).map(move |channel| StreamId::new(channel, kind));
    of(StreamKind::Main).chain(of(StreamKind::Audio)).collect()
}

/// 2025-11-20T10:00:00Z.
pub(crate) const START: WallTime = WallTime::from_unix_micros(1_763_632_800_000_000);

#[cfg(test)]
mod tests {
    use hal::ByteCount;
    use store::simulate::Pattern;

    use super::*;

    #[test]
    fn two_segments_are_left_open_and_scanned_by_every_opening() {
        let dir = tempfile::tempdir().unwrap();
        let simulation = Simulation {
            segments: 20,
            segment_bytes: ByteCount(16 << 20),
            segment_micros: 60_000_000,
            streams: streams(4),
            start: START,
            pattern: Pattern::Continuous { gaps_a_day: 4 },
        };
        simulation.make(dir.path()).unwrap();
        let openings = measure(dir.path(), &simulation, false).unwrap();
        let [begun, full] = openings.as_slice() else { panic!("{openings:?}") };
        assert_eq!((begun.left, full.left), (Left::Begun, Left::Full));
        let room = 2 * simulation.segment_bytes.0;
        assert!(begun.scanned_bytes < room / 4, "{begun:?}");
        assert!(full.scanned_bytes > room * 3 / 4 && full.scanned_bytes < room, "{full:?}");
    }
}
