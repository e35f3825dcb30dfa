//! The moments of an update at which power is cut: every operation on the chip, before, in and after it.
//!
//! Does not belong here: making the log (`board_sweep.rs`).

use std::fmt;

use board::PartitionRole;

use crate::board_image::Layout;
use crate::emulator_log::{Entry, Random, Torn, WriteLog};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of the state log.
    StateErase,
    /// Of the state log.
    StateProgram,
    /// Of a slot's root.
    RootErase,
    /// Of a slot's root.
    RootProgram,
    /// Of a slot's header, in its last block.
    HeaderErase,
    /// Of a slot's header.
    HeaderProgram,
    /// Of what nobody may write: the boot loader's environment, the stage.
    Protected,
    /// A write to the disk.
    Disk,
}

/// Where power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// So many entries of the log are done.
    pub done: usize,
    /// How the next one was interrupted; `None`: it was not begun.
    pub torn: Option<Torn>,
    /// What the next one does.
    pub kind: Kind,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.torn {
            None => write!(f, "{} before {:?}", self.done, self.kind),
            Some(torn) => write!(f, "{} in {:?}, {torn:?}", self.done, self.kind),
        }
    }
}

/// What an entry of the log does; `None` for a flush.
#[must_use]
pub(crate) fn kind(layout: Layout, log: &WriteLog, entry: &Entry) -> Option<Kind> {
    if entry.is_disk() {
        return Some(Kind::Disk);
    }
    if !entry.is_nor() {
        return None;
    }
    let within = |role| layout.partition(role).filter(|part| part.contains(&entry.offset));
    let erases = entry.bytes >= Layout::ERASE_BLOCK && log.data(entry).iter().all(|byte| *byte == 0xff);
    if within(PartitionRole::State).is_some() {
        return Some(if erases { Kind::StateErase } else { Kind::StateProgram });
    }
    let Some(slot) = within(PartitionRole::Main).or_else(|| within(PartitionRole::MainB)) else {
        return Some(Kind::Protected);
    };
    let is_header = entry.offset >= slot.end - Layout::ERASE_BLOCK;
    Some(match (is_header, erases) {
        (false, true) => Kind::RootErase,
        (false, false) => Kind::RootProgram,
        (true, true) => Kind::HeaderErase,
        (true, false) => Kind::HeaderProgram,
    })
}

/// Every moment: before each operation of the chip, in each in every way of interrupting it, and after the last.
/// Disk writes are moments of their own only before they are begun; what of them is lost is another question.
#[must_use]
pub fn every_point(layout: Layout, log: &WriteLog) -> Vec<Point> {
    let mut points = Vec::new();
    for (done, entry) in log.entries.iter().enumerate() {
        let Some(kind) = kind(layout, log, entry) else { continue };
        points.push(Point { done, torn: None, kind });
        if kind != Kind::Disk {
            points.extend(Torn::ALL.map(|torn| Point { done, torn: Some(torn), kind }));
        }
    }
    points
}

/// A few that stand for all: of each unbroken run of one kind of operation the first, one in the middle and the last,
/// most of them interrupted; then as many as are asked for, spread over the kinds.
#[must_use]
pub fn chosen_points(points: &[Point], count: usize) -> Vec<Point> {
    let operations: Vec<Point> =
        points.iter().copied().filter(|point| point.kind != Kind::Disk && point.torn.is_none()).collect();
    let runs: Vec<&[Point]> = operations.chunk_by(|a, b| a.kind == b.kind).collect();
    let mut random = Random(0x5eed);
    let mut ranked: Vec<(usize, Point)> = Vec::new();
    let mut seen: Vec<(Kind, usize)> = Vec::new();
    for run in &runs {
        for (place, index) in [run.len() / 2, 0, run.len() - 1].into_iter().enumerate() {
            let kind = run[index].kind;
            // The first run of a kind counts before the second, its middle before its ends.
            let before = seen.iter().filter(|(other, _)| *other == kind).count();
            seen.push((kind, place));
            let torn = match random.below(4) {
                0 => None,
                way => Some(Torn::ALL[usize::try_from(way - 1).unwrap_or(0)]),
            };
            ranked.push((before, Point { torn, ..run[index] }));
        }
    }
    ranked.sort_by_key(|(rank, point)| (*rank, point.done));
    ranked.dedup_by_key(|(_, point)| (point.done, point.torn.map(|torn| torn as u8)));
    let mut chosen: Vec<Point> = ranked.into_iter().map(|(_, point)| point).take(count).collect();
    chosen.sort_by_key(|point| point.done);
    chosen
}
