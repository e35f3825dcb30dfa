//! A power cut while footage is recorded: what the disk may have kept of it.
//!
//! QEMU's log says which writes were followed by a flush. A disk may lose any of the others, and keep any.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::board::{BOOT_PATIENCE, Board};
use crate::board_image::Layout;
use crate::board_state::{BoardSetup, set_up};
use crate::board_update::{records_again, settle};
use crate::emulator_log::{Random, Replay};
use crate::emulator_storage::{DiskState, Storage};
use crate::programs::{program, run};
use crate::wait::now;
use crate::write_log::WriteLog;

/// What `candor store` may take over a disk of the tests' size.
const STORE_LIMIT: Duration = Duration::from_secs(120);

/// What a disk kept of the writes that no flush followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unflushed {
    /// None: the worst that an honest disk does.
    Lost,
    /// All, as if it had no cache.
    Kept,
    /// Some, whichever: disks write in the order that suits them.
    Some(u64),
}

/// A recording that was cut off.
pub struct CutRecording {
    /// When, by the board's own clock.
    pub at: Timestamp,
    base: Storage,
    log: WriteLog,
}

impl CutRecording {
    /// Cuts the power of a board that records, whose writes are kept in `log` since it was `base`.
    ///
    /// # Panics
    /// When the board does not answer before.
    #[must_use]
    pub fn cut(board: &mut Board, base: &Storage, log: &Path) -> Self {
        // The board's clock started at a whole second of ours: how far it is off is asked, not assumed.
        let before = now();
        let answer = board.agent(json!({ "op": "clock" }));
        let after = now();
        let there = answer["unix_ms"].as_i64().expect("the board's clock");
        let off = there - i64::midpoint(before.as_millisecond(), after.as_millisecond());
        board.cut();
        let at = Timestamp::from_millisecond(now().as_millisecond() + off).expect("a time");
        Self { at, base: base.clone(), log: WriteLog::read(log) }
    }

    /// The disk writes that no flush followed.
    #[must_use]
    pub fn unflushed(&self) -> usize {
        let count = self.log.entries.len();
        let kept = self.log.kept(count);
        self.log.entries.iter().zip(kept).filter(|(entry, kept)| entry.is_disk() && !kept).count()
    }

    /// The storage after the cut.
    #[must_use]
    pub fn storage(&self, unflushed: Unflushed, path: &Path) -> Storage {
        let count = self.log.entries.len();
        let kept = self.log.kept(count);
        let mut random = Random(match unflushed {
            Unflushed::Some(seed) => seed | 1,
            _ => 1,
        });
        let lucky: Vec<bool> = (0..count)
            .map(|_| match unflushed {
                Unflushed::Lost => false,
                Unflushed::Kept => true,
                Unflushed::Some(_) => random.below(2) == 0,
            })
            .collect();
        let mut replay = Replay::begin(&self.base, path);
        replay.go_on(&self.log, count, |index, _| kept[index] || lucky[index]);
        replay.storage().clone()
    }
}

/// Cuts of one board's recording, one after the other.
pub struct RecordingCuts {
    board: Board,
    random: Random,
    worst: Duration,
}

/// Channels that record.
const CHANNELS: u16 = 4;

impl RecordingCuts {
    /// A board that has an owner and footage.
    ///
    /// # Panics
    /// When it does not record.
    #[must_use]
    pub fn begin() -> Self {
        let mut board = Board::flashed(Layout::Nor64, DiskState::Formatted);
        set_up(&board, &BoardSetup { channels: CHANNELS, ..BoardSetup::default() });
        board.power_on();
        records_again(&board.claim(), 1, BOOT_PATIENCE).expect("a new board records");
        board.cut();
        Self { board, random: Random(0xcafe), worst: Duration::ZERO }
    }

    /// Lets it record for some seconds, cuts its power, and looks at every disk that could be left.
    /// Returns what was lost at worst.
    ///
    /// # Errors
    /// When footage is damaged, or a channel's is missing.
    ///
    /// # Panics
    /// When the board does not come back and record.
    pub fn next_cut(&mut self) -> Result<Duration, String> {
        let board = &mut self.board;
        let base = board.storage().copied_to(&board.dir().join("base.img"));
        let log = board.keep_log();
        board.power_on();
        let owner = settle(board, BOOT_PATIENCE)?.owner;
        for channel in 1..=CHANNELS {
            records_again(&owner, channel, BOOT_PATIENCE)?;
        }
        // Anywhere between commits, which come every second.
        thread::sleep(Duration::from_millis(self.random.below(2000)));
        let cut = CutRecording::cut(board, &base, &log);
        println!("  cut at {}: {} writes were not flushed", cut.at, cut.unflushed());
        let path = board.dir().join("rebuilt.img");
        let mut worst = Duration::ZERO;
        for unflushed in [Unflushed::Lost, Unflushed::Kept, Unflushed::Some(self.random.next_number())] {
            let storage = cut.storage(unflushed, &path);
            let newest =
                newest_footage(&storage, board.dir()).map_err(|error| format!("{unflushed:?}: {error}"))?;
            for channel in 1..=CHANNELS {
                let end =
                    newest.get(&channel).ok_or(format!("{unflushed:?}: channel {channel} has no footage"))?;
                let lost = Duration::try_from(cut.at.duration_since(*end)).unwrap_or_default();
                println!("  {unflushed:?}: channel {channel}: {} ms lost", lost.as_millis());
                worst = worst.max(lost);
            }
        }
        // The next cut finds what the worst disk kept.
        let kept = cut.storage(Unflushed::Lost, &path);
        fs::rename(kept.path(), board.storage().path()).map_err(|error| error.to_string())?;
        self.worst = self.worst.max(worst);
        Ok(worst)
    }

    /// Of all cuts.
    #[must_use]
    pub fn worst(&self) -> Duration {
        self.worst
    }
}

/// Where the last footage of each channel's main stream ends, on a disk whose file system and footage are whole.
///
/// # Errors
/// When the footage is damaged.
///
/// # Panics
/// When the file system is.
pub fn newest_footage(storage: &Storage, dir: &Path) -> Result<BTreeMap<u16, Timestamp>, String> {
    let image = dir.join("disk.img");
    let disk = storage.disk(&image);
    disk.check_file_system();
    let folder = dir.join("disk");
    let _ = fs::remove_dir_all(&folder);
    disk.take_folder("/volume", &folder);
    fs::remove_file(image).map_err(|error| error.to_string())?;
    // The index is not written through at each commit: the recorder makes it anew from the segments when it starts,
    // and so must whoever looks before.
    let rebuilt = store("rebuild-index", &folder);
    if !rebuilt.status.success() {
        return Err(format!("candor store rebuild-index: {}{}", rebuilt.text(), rebuilt.stderr));
    }
    let check = store("check", &folder);
    if !check.status.success() {
        return Err(format!("candor store check: {}{}", check.text(), check.stderr));
    }
    let list = store("list", &folder);
    if !list.status.success() {
        return Err(format!("candor store list: {}{}", list.text(), list.stderr));
    }
    let mut newest = BTreeMap::new();
    for line in list.text().lines() {
        // ch1/main   2026-11-20T… to 2026-11-20T…  1234 bytes
        let words: Vec<&str> = line.split_whitespace().collect();
        let [stream, _, "to", end, ..] = words.as_slice() else { continue };
        let Some(channel) = stream.strip_prefix("ch").and_then(|rest| rest.strip_suffix("/main")) else {
            continue;
        };
        let (Ok(channel), Ok(end)) = (channel.parse::<u16>(), end.parse::<Timestamp>()) else { continue };
        let last: &mut Timestamp = newest.entry(channel).or_insert(end);
        *last = end.max(*last);
    }
    let _ = fs::remove_dir_all(&folder);
    Ok(newest)
}

fn store(what: &str, folder: &Path) -> crate::programs::Done {
    let dir: PathBuf = folder.to_owned();
    run(STORE_LIMIT, Command::new(program("candor")).args(["store", what]).arg(dir))
}
