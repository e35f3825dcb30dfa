//! The disk of a recording as each flush of it leaves it, judged.
//!
//! Of a moment there are three disks: with what was flushed and nothing else, with some of what was written since,
//! whichever, and with all of it. Does not belong here: the recording (`flush_run.rs`), what must be true of one disk
//! (`flush_footage.rs`).

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::emulator_log::{Random, Replay};
use crate::emulator_storage::NOR_BYTES;
use crate::flush_footage::Footage;
use crate::flush_points::FlushPoint;
use crate::flush_run::{RecordedDisk, SEGMENTS};
use crate::write_log::WriteLog;

/// What a disk writes wholly or not at all.
const SECTOR: usize = 512;
/// Stretches of a recording that are gone through at the same time.
const PARALLEL: usize = 2;

/// What became of the footage.
#[derive(Clone, Debug)]
pub struct FlushVerdict {
    /// Footage of any stream that had been given to the disk and is lost at worst.
    pub lost: Duration,
    /// Chunks that were durable.
    pub chunks: usize,
    /// What of the file system its journal did not put right: nothing, if all is well.
    pub complaints: Vec<String>,
}

/// Looks at points in their order, a stretch of them beside another; `tell` hears of each when it is done.
///
/// # Panics
/// When a disk cannot be made.
pub fn sweep_flushes(
    run: &RecordedDisk,
    points: &[FlushPoint],
    dir: &Path,
    tell: &(dyn Fn(&FlushPoint, Result<FlushVerdict, String>) + Sync),
) {
    thread::scope(|scope| {
        for (number, stretch) in points.chunks(points.len().div_ceil(PARALLEL).max(1)).enumerate() {
            let own = dir.join(format!("stretch-{number}"));
            scope.spawn(move || {
                let mut sweep = FlushSweep::begin(run, &own);
                for point in stretch {
                    tell(point, sweep.try_point(point));
                }
            });
        }
    });
}

/// Walks through a recording, forward only.
struct FlushSweep<'a> {
    run: &'a RecordedDisk,
    dir: PathBuf,
    replay: Replay,
    /// What was on the disk at a flush, known from the point before.
    known: Option<(usize, Footage)>,
}

impl<'a> FlushSweep<'a> {
    fn begin(run: &'a RecordedDisk, dir: &Path) -> Self {
        fs::create_dir_all(dir).expect("the build folder can be written");
        let replay = Replay::begin(&run.base, &dir.join("replay.img"));
        Self { run, dir: dir.to_owned(), replay, known: None }
    }

    /// Looks at the disks of a point that is not earlier than the one before. An error is that something durable is lost
    /// or changed, that something torn is there, or that a disk is not whole after it was put right.
    fn try_point(&mut self, point: &FlushPoint) -> Result<FlushVerdict, String> {
        let log = &self.run.log;
        self.replay.go_on(log, point.flush, |_, _| true);
        let durable = match self.known.take() {
            Some((at, footage)) if at == point.flush => footage,
            _ => self.footage(None).map_err(|error| format!("what was flushed: {error}"))?,
        };
        let between = point.flush..point.next;
        let some = self
            .footage(Some((between, point.flush as u64)))
            .map_err(|error| format!("some of what came after: {error}"))?;
        self.replay.go_on(log, point.next, |_, _| true);
        let all = self.footage(None).map_err(|error| format!("all of what came after: {error}"))?;

        let acknowledged = self.run.acknowledged_by(point.flush);
        let segments = usize::try_from(SEGMENTS).unwrap_or(0);
        for (what, footage) in
            [("what was flushed", &durable), ("some of what came after", &some), ("all of it", &all)]
        {
            let judged = footage.reaches(&acknowledged).and_then(|()| footage.keeps(&durable, segments));
            judged.map_err(|error| format!("{what}: {error}"))?;
        }
        some.is_of(&[&durable, &all]).map_err(|error| format!("some of what came after: {error}"))?;
        let mut complaints: Vec<String> =
            [&durable, &some, &all].iter().flat_map(|footage| footage.complaints.clone()).collect();
        complaints.sort();
        complaints.dedup();
        let verdict = FlushVerdict { lost: durable.lacks_of(&all), chunks: durable.len(), complaints };
        self.known = Some((point.next, all));
        Ok(verdict)
    }

    /// Of the disk as it is, with some more writes by the toss of a coin.
    fn footage(&self, some: Option<(Range<usize>, u64)>) -> Result<Footage, String> {
        let path = self.dir.join("disk.img");
        let image = self.replay.storage().disk(&path);
        if let Some((entries, seed)) = some {
            scatter(&self.run.log, entries, seed, &path);
        }
        Footage::taken_off(&image, &self.dir)
    }
}

/// Of each write all, nothing, or any of its sectors is done.
fn scatter(log: &WriteLog, entries: Range<usize>, seed: u64, disk: &Path) {
    let file = File::options().write(true).open(disk).expect("the disk is there");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for entry in log.entries[entries].iter().filter(|entry| entry.is_disk()) {
        let fate = random.below(3);
        for (data, at) in log.data(entry).chunks(SECTOR).zip((entry.offset - NOR_BYTES..).step_by(SECTOR)) {
            let done = match fate {
                _ if entry.is_fua() => true,
                0 => false,
                1 => true,
                _ => random.below(2) == 0,
            };
            if done {
                file.write_all_at(data, at).expect("the disk can be written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_log::tests::log;

    #[test]
    fn writes_are_scattered_by_whole_sectors_and_alike_each_time() {
        let (new, entries) = (vec![7; 8 * SECTOR], 40);
        let written: Vec<(u64, &[u8], u64)> =
            (0..entries).map(|index| (NOR_BYTES + index * 8 * SECTOR as u64, &new[..], 0)).collect();
        let (dir, log) = log(&written);
        let scattered = |seed| {
            let disk = dir.path().join("disk");
            fs::write(&disk, vec![0; new.len() * written.len()]).unwrap();
            scatter(&log, 0..written.len(), seed, &disk);
            fs::read(&disk).unwrap()
        };
        let disk = scattered(1);
        assert!(disk.chunks(SECTOR).all(|sector| sector == [0; SECTOR] || sector == [7; SECTOR]));
        let done = |write: &[u8]| write.chunks(SECTOR).filter(|sector| sector[0] == 7).count();
        let fates: Vec<usize> = disk.chunks(new.len()).map(done).collect();
        for (what, there) in [
            ("lost", fates.contains(&0)),
            ("whole", fates.contains(&8)),
            ("torn", fates.iter().any(|done| (1..8).contains(done))),
        ] {
            assert!(there, "no write is {what}: {fates:?}");
        }
        assert_eq!(disk, scattered(1));
        assert_ne!(disk, scattered(2));
    }
}
