//! An update with every write kept, and the board as each moment leaves it.
//!
//! Does not belong here: which moments (`board_cuts.rs`), and how many of them are tried (`tests/power_cut.rs`,
//! `cargo xtask torture`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::board::{BOOT_PATIENCE, Board};
use crate::board_bundle::{bundle, image_version};
use crate::board_cuts::{Point, chosen_points, every_point, kind};
use crate::board_image::{BoardImage, Layout};
use crate::board_state::{BoardSetup, set_up};
use crate::board_update::{
    SETTLE_PATIENCE, records_again, rename, send_bundle, settle, try_rename, try_send_bundle,
};
use crate::emulator_log::{Replay, Torn};
use crate::emulator_storage::{DiskState, Storage};
use crate::write_log::{Entry, WriteLog};

/// The recorder's name before the change, and after it.
const NAMES: [&str; 2] = ["Before the change", "After the change"];
/// The update's version.
pub const NEXT_VERSION: &str = "0.1.1";
/// The channel that must be recorded again.
const CHANNEL: u16 = 1;

/// Boards at the same time: a boot keeps hardly more than one core busy.
const PARALLEL: usize = 2;

/// A run whose every write is known.
pub struct Sweep {
    layout: Layout,
    base: Storage,
    log: WriteLog,
    facts: Facts,
    points: Vec<Point>,
}

/// What is known of the run beside its writes. Counts are of the log's entries.
struct Facts {
    fingerprint: String,
    old_version: String,
    /// Before the change was asked for, and when it was acknowledged.
    setting: [usize; 2],
}

/// What became of a board after a cut.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The version that runs.
    pub version: String,
    /// How often the board booted until nothing was left to do.
    pub boots: usize,
    /// How long that took.
    pub took: Duration,
}

impl Sweep {
    /// Makes the run in a folder, or reads the one that is there.
    ///
    /// # Panics
    /// When the board does not do what it should, without any cut.
    #[must_use]
    pub fn record(layout: Layout, dir: &Path) -> Self {
        fs::create_dir_all(dir).expect("a folder");
        if !dir.join("facts.json").exists() {
            run(layout, dir);
        }
        Self::read(layout, dir)
    }

    fn read(layout: Layout, dir: &Path) -> Self {
        let text = fs::read_to_string(dir.join("facts.json")).expect("the run's facts");
        let facts: Value = serde_json::from_str(&text).expect("the run's facts");
        let word = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
        let count =
            |index: usize| usize::try_from(facts["setting"][index].as_u64().unwrap_or(0)).unwrap_or(0);
        let facts = Facts {
            fingerprint: word("fingerprint"),
            old_version: word("old_version"),
            setting: [count(0), count(1)],
        };
        let log = WriteLog::read(&dir.join("writes.log"));
        let mut points = every_point(layout, &log);
        // What is before the change are the writes of a boot.
        points.retain(|point| point.done >= facts.setting[0]);
        Self { layout, base: Storage::at(&dir.join("base.img")), log, facts, points }
    }

    /// All moments.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Some that stand for all.
    #[must_use]
    pub fn chosen(&self, count: usize) -> Vec<Point> {
        chosen_points(&self.points, count)
    }

    /// Begins to make storage again from the start.
    #[must_use]
    pub fn replay(&self, path: &Path) -> Replay {
        Replay::begin(&self.base, path)
    }

    /// The storage at a point, made from a replay that is not later: of the disk what was flushed, and nothing else.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn storage_at(&self, point: &Point, path: &Path) -> Storage {
        let kept = self.log.kept(point.done);
        let mut replay = self.replay(path);
        replay.go_on(&self.log, point.done, |index, _| kept[index]);
        let storage = replay.storage().clone();
        if let Some(torn) = point.torn {
            let entry = self.log.entries[point.done];
            let new = self.log.data(&entry);
            let old = storage.nor(entry.offset, new.len());
            storage.put_nor(entry.offset, &torn.mix(&old, &new, point.done as u64));
        }
        storage
    }

    /// Tries points, some at the same time; `tell` hears of each when it is done.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn try_points(
        &self,
        points: &[Point],
        dir: &Path,
        tell: &(dyn Fn(&Point, Result<Verdict, String>) + Sync),
    ) {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for worker in 0..PARALLEL {
                let own = dir.join(format!("worker-{worker}"));
                fs::create_dir_all(&own).expect("the build folder can be written");
                let next = &next;
                scope.spawn(move || {
                    while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                        tell(point, self.try_point(point, &own));
                    }
                });
            }
        });
    }

    /// Powers a board on that was cut at this point, and leaves it alone until nothing is left to do.
    ///
    /// # Errors
    /// When it does not come back by itself, has lost a setting or its identity, runs neither version, or records not.
    fn try_point(&self, point: &Point, dir: &Path) -> Result<Verdict, String> {
        let path = dir.join(format!("cut-{}.img", point.done));
        let storage = self.storage_at(point, &path);
        let mut board = Board::of(self.layout, &storage);
        let _ = fs::remove_file(&path);
        let names = match point.done {
            done if done <= self.facts.setting[0] => &NAMES[..1],
            done if done < self.facts.setting[1] => &NAMES[..],
            _ => &NAMES[1..],
        };
        let verdict = self.judge(&mut board, names);
        if verdict.is_err() {
            let console = dir.join(format!("failed-{}.txt", point.to_string().replace([' ', ','], "-")));
            let _ = fs::write(&console, board.console().text());
        }
        verdict
    }

    /// Kills the emulator for real: when it tells of the operation number `count` of a kind during the change and the
    /// update. The last operation that it still did is then torn. Returns what that was.
    ///
    /// # Errors
    /// When the board does not come back by itself, has lost a setting or its identity, runs neither version, records not, or
    /// does not get so far.
    pub fn kill(&self, event: &'static str, count: usize, dir: &Path) -> Result<(String, Verdict), String> {
        let mut board = Board::of(self.layout, &self.base);
        board.machine().traced.push(event);
        let log = board.keep_log();
        board.power_on();
        let owner = settle(&board, SETTLE_PATIENCE)?.owner;
        let position = board.emulator().messages().position();
        let next = bundle(NEXT_VERSION, &BoardImage::find().file("root.squashfs"));
        // Its answers are lost with the board.
        let change = thread::spawn(move || {
            try_rename(&owner, NAMES[1])?;
            try_send_bundle(&owner, &next).map(|answer| answer.status)
        });
        let reached = board.emulator().messages().try_wait_nth(position, event, count, SETTLE_PATIENCE);
        board.cut();
        let answered = change.join().map_err(|_| "the change panicked".to_owned())?;
        reached.map_err(|error| format!("{error}; the update: {answered:?}"))?;

        let log = WriteLog::read(&log);
        let last = log.entries.iter().rposition(Entry::is_nor).ok_or("nothing was written")?;
        let entry = log.entries[last];
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let path = dir.join("before-last.img");
        let mut replay = Replay::begin(&self.base, &path);
        replay.go_on(&log, last, |_, _| false);
        let new = log.data(&entry);
        let old = replay.storage().nor(entry.offset, new.len());
        let _ = fs::remove_file(&path);
        board.storage().put_nor(entry.offset, &Torn::FirstHalf.mix(&old, &new, 0));
        let what = format!("{event} {count}: {:?}", kind(self.layout, &log, &entry));
        Ok((what, self.judge(&mut board, &NAMES)?))
    }

    /// Powers a board on and says what it has become.
    ///
    /// # Errors
    /// As [`Sweep::try_point`].
    fn judge(&self, board: &mut Board, names: &[&str]) -> Result<Verdict, String> {
        board.power_on();
        let settled = settle(board, SETTLE_PATIENCE)?;
        let fingerprint = board.fingerprint().unwrap_or_default();
        if fingerprint != self.facts.fingerprint {
            return Err(format!("another identity: {fingerprint}"));
        }
        let version = settled.version().to_owned();
        if version != self.facts.old_version && version != NEXT_VERSION {
            return Err(format!("version {version}: {}", settled.update));
        }
        let settings = settled.owner.try_get("/settings").ok_or("no answer to GET /settings")?;
        if !names.iter().any(|name| settings["name"] == *name) {
            return Err(format!("settings: {settings}"));
        }
        records_again(&settled.owner, CHANNEL, BOOT_PATIENCE)?;
        let boots = board.console().text().matches("Booting Linux").count();
        Ok(Verdict { version, boots, took: settled.after })
    }
}

/// The run itself: a claimed board that records, a change, an update, until the new version is found good.
fn run(layout: Layout, dir: &Path) {
    let mut board = prepared(layout);
    let base = board.storage().copied_to(&dir.join("base.img"));
    drop(board);
    board = Board::of(layout, &base);
    let log = board.keep_log();
    let so_far = || WriteLog::read(&log).entries.len();
    board.power_on();
    let owner = settle(&board, SETTLE_PATIENCE).expect("a board that runs").owner;
    let before = so_far();
    rename(&owner, NAMES[1]);
    let after = so_far();
    update(&board, &owner);
    let fingerprint = board.fingerprint().expect("a fingerprint");
    board.cut();
    move_file(&log, &dir.join("writes.log"));
    let facts = json!({
        "fingerprint": fingerprint,
        "old_version": image_version(),
        "setting": [before, after],
    });
    fs::write(dir.join("facts.json"), facts.to_string()).expect("the facts can be written");
}

/// A board that has an owner, the first name, footage, and no power.
#[must_use]
pub fn prepared(layout: Layout) -> Board {
    let mut board = Board::flashed(layout, DiskState::Formatted);
    set_up(&board, &BoardSetup::default());
    board.power_on();
    let owner = board.claim();
    rename(&owner, NAMES[0]);
    records_again(&owner, CHANNEL, BOOT_PATIENCE).expect("a new board records");
    board.cut();
    board
}

/// The update to [`NEXT_VERSION`], to its end.
fn update(board: &Board, owner: &crate::owner::Owner) {
    let next = bundle(NEXT_VERSION, &BoardImage::find().file("root.squashfs"));
    let answer = send_bundle(owner, &next);
    assert_eq!(answer.status, 202, "{answer:?}");
    let settled = settle(board, SETTLE_PATIENCE).expect("a board that runs");
    assert_eq!(settled.version(), NEXT_VERSION, "{}", settled.update);
    assert_eq!(settled.outcome(), "good", "{}", settled.update);
}

fn move_file(from: &PathBuf, to: &Path) {
    fs::rename(from, to).expect("a file can be moved within the build folder");
}
