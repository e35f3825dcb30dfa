//! A recording of which every write to the disk is kept.
//!
//! Four channels into a volume of a few small segments, so that segments are sealed and recycled within a minute.
//! Does not belong here: which moments of it are looked at (`flush_points.rs`), and what for (`flush_sweep.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::board::{BOOT_PATIENCE, Board};
use crate::board_image::Layout;
use crate::board_state::{BoardSetup, set_up};
use crate::board_update::settle;
use crate::emulator_storage::{DiskState, Storage};
use crate::flush_points::{FlushPoint, Mark, flush_points};
use crate::owner::Owner;
use crate::wait::{Stopwatch, now};
use crate::write_log::WriteLog;

/// Channels that record.
const CHANNELS: u16 = 4;
/// Of each: together they fill a segment in six seconds.
const BIT_RATE_BPS: u32 = 1_400_000;
/// The smallest, and the fewest.
const SEGMENT_BYTES: u32 = 4 << 20;
/// Of the volume.
pub(crate) const SEGMENTS: u64 = 4;
/// Between two questions what is durable.
const ASK_EVERY: Duration = Duration::from_millis(300);
/// What a segment may take to be filled, on a machine that is busy with other things.
const SEGMENT_PATIENCE: Duration = Duration::from_secs(120);

/// The end of each channel's newest footage, as the recorder told it to its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The last flush before the answer came: what it tells of must be on the disk from there on.
    pub flush: usize,
    /// By channel.
    pub newest: BTreeMap<u16, Timestamp>,
}

/// A recording that was cut off.
pub struct RecordedDisk {
    /// Chip and disk before it.
    pub base: Storage,
    /// What was written.
    pub log: WriteLog,
    /// In order.
    pub acknowledged: Vec<Acknowledged>,
    /// Every flush.
    pub points: Vec<FlushPoint>,
}

impl RecordedDisk {
    /// Lets a new board record until so many segments were recycled, or reads the recording that is in `dir`. Half-way
    /// the board is restarted in an orderly way: then the index' log is folded in and the file system unmounted.
    ///
    /// # Panics
    /// When the board does not record.
    #[must_use]
    pub fn record(dir: &Path, recyclings: usize) -> Self {
        fs::create_dir_all(dir).expect("a folder");
        let notes = dir.join("notes.json");
        if !notes.exists() {
            run(dir, recyclings);
        }
        let text = fs::read_to_string(notes).expect("what was acknowledged");
        let notes: Value = serde_json::from_str(&text).expect("what was acknowledged");
        let list = |name| notes[name].as_array().map_or(&[][..], Vec::as_slice).iter();
        let restarts: Vec<usize> = list("restarts").filter_map(Value::as_u64).filter_map(index).collect();
        let log = WriteLog::read(&dir.join("writes.log"));
        let points = flush_points(&log, &restarts);
        let acknowledged = list("acknowledged").filter_map(acknowledged).collect();
        Self { base: Storage::at(&dir.join("base.img")), log, acknowledged, points }
    }

    /// What had been acknowledged by a flush.
    #[must_use]
    pub fn acknowledged_by(&self, flush: usize) -> BTreeMap<u16, Timestamp> {
        let before = self.acknowledged.iter().rev().find(|acknowledged| acknowledged.flush <= flush);
        before.map(|acknowledged| acknowledged.newest.clone()).unwrap_or_default()
    }

    /// How many writes did something special.
    #[must_use]
    pub fn count(&self, mark: Mark) -> usize {
        self.points.iter().flat_map(|point| &point.marks).filter(|other| **other == mark).count()
    }
}

fn index(number: u64) -> Option<usize> {
    usize::try_from(number).ok()
}

fn acknowledged(line: &Value) -> Option<Acknowledged> {
    let newest = line["newest"].as_object()?.iter();
    let newest =
        newest.filter_map(|(channel, end)| Some((channel.parse().ok()?, end.as_str()?.parse().ok()?)));
    Some(Acknowledged { flush: index(line["flush"].as_u64()?)?, newest: newest.collect() })
}

fn run(dir: &Path, recyclings: usize) {
    let mut board = Board::flashed(Layout::Nor64, DiskState::Small);
    let setup = BoardSetup {
        channels: CHANNELS,
        bit_rate_bps: BIT_RATE_BPS,
        segment_bytes: SEGMENT_BYTES,
        max_bytes: SEGMENTS * u64::from(SEGMENT_BYTES),
        ..BoardSetup::default()
    };
    set_up(&board, &setup);
    let _ = board.storage().copied_to(&dir.join("base.img"));
    let path = board.keep_log();
    board.power_on();
    let mut owner = board.claim();
    let mut log = WriteLog::read(&path);
    let (mut seen, mut begun, mut flush, mut lines) = (0, 0, 0, Vec::new());
    let (mut watch, mut wanted) = (Stopwatch::start(), usize::try_from(SEGMENTS).unwrap_or(0) + recyclings);
    let mut restart_at = Some(wanted - recyclings / 2);
    let mut restarts = Vec::new();
    while begun < wanted {
        assert!(watch.elapsed() < SEGMENT_PATIENCE, "{begun} of {wanted} segments, and no more come");
        thread::sleep(ASK_EVERY);
        let newest = newest(&owner);
        log.read_on().expect("the log can be read");
        for (index, entry) in log.entries.iter().enumerate().skip(seen) {
            if entry.is_flush() {
                flush = index;
            } else if entry.is_disk() && Mark::of(&log.data(entry)) == Some(Mark::SegmentBegun) {
                begun += 1;
                watch = Stopwatch::start();
            }
        }
        seen = log.entries.len();
        if let Some(newest) = newest {
            lines.push(json!({ "flush": flush, "newest": newest }));
        }
        if restart_at.is_some_and(|at| begun >= at) {
            restart_at = None;
            restarts.push(seen);
            // The segment being written is sealed, and a new one is begun.
            wanted += 1;
            owner = restarted(&mut board, &owner);
        }
    }
    board.cut();
    fs::rename(&path, dir.join("writes.log")).expect("a file can be moved within the build folder");
    let notes = json!({ "acknowledged": lines, "restarts": restarts });
    fs::write(dir.join("notes.json"), notes.to_string()).expect("a file can be written");
}

fn restarted(board: &mut Board, owner: &Owner) -> Owner {
    board.forget_console();
    let answer = owner.ask(&Method::POST, "/restart", "");
    assert!((200..300).contains(&answer.status), "{answer:?}");
    settle(board, BOOT_PATIENCE).expect("a board that restarts").owner
}

/// Of every channel; `None` when there is no answer.
fn newest(owner: &Owner) -> Option<Value> {
    let (hour, now) = (Duration::from_secs(3600), now());
    let timeline = owner.try_get(&format!("/timeline?start={:.3}&end={:.3}", now - hour, now + hour))?;
    let channels = timeline["channels"].as_array()?.iter();
    let newest = channels.filter_map(|channel| {
        Some((channel["channel"].as_u64()?.to_string(), channel["newest"].as_str()?.into()))
    });
    Some(Value::Object(newest.collect()))
}
