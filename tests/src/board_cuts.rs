//! The moments of an update at which power is cut.
//!
//! Does not belong here: making the log (`board_sweep.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use board::PartitionRole;

use crate::board_image::Layout;
use crate::emulator_log::{Random, Torn};
use crate::write_log::{Entry, WriteLog};

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

/// A few that stand for all, those that differ most first: of each unbroken run of one kind of operation a middle one,
/// then the first and the last, most of them interrupted. Runs of the state log, each of which is another step of the
/// update, come before the many of a root, of which one is like the other.
#[must_use]
pub fn chosen_points(points: &[Point], count: usize) -> Vec<Point> {
    let operations: Vec<Point> =
        points.iter().copied().filter(|point| point.kind != Kind::Disk && point.torn.is_none()).collect();
    let mut random = Random(0x5eed);
    let mut ranked: Vec<(usize, Point)> = Vec::new();
    let mut runs_seen: BTreeMap<Kind, usize> = BTreeMap::new();
    for run in operations.chunk_by(|a, b| a.kind == b.kind) {
        let seen = runs_seen.entry(run[0].kind).or_default();
        let like_others = matches!(run[0].kind, Kind::RootErase | Kind::RootProgram);
        let places = BTreeSet::from([(0, run.len() / 2), (2, 0), (3, run.len() - 1)]);
        for (later, index) in places {
            let torn = match random.below(4) {
                0 => None,
                way => Some(Torn::ALL[usize::try_from(way - 1).unwrap_or(0)]),
            };
            ranked.push((later + *seen * if like_others { 4 } else { 1 }, Point { torn, ..run[index] }));
        }
        *seen += 1;
    }
    ranked.sort_by_key(|(rank, point)| (*rank, point.done));
    let mut chosen: Vec<Point> = Vec::new();
    for (_, point) in ranked {
        if chosen.len() < count && !chosen.iter().any(|other| other.done == point.done) {
            chosen.push(point);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_comes_first_and_each_step_of_the_state_before_more_of_the_root() {
        let kinds = [
            (Kind::StateProgram, 2),
            (Kind::RootErase, 1),
            (Kind::RootProgram, 50),
            (Kind::RootErase, 1),
            (Kind::RootProgram, 50),
            (Kind::HeaderProgram, 1),
            (Kind::StateProgram, 1),
        ];
        let kinds = kinds.iter().flat_map(|(kind, count)| vec![*kind; *count]);
        let points: Vec<Point> =
            kinds.enumerate().map(|(done, kind)| Point { done, torn: None, kind }).collect();
        let chosen: Vec<(usize, Kind)> =
            chosen_points(&points, 5).iter().map(|point| (point.done, point.kind)).collect();
        let wanted = [
            (1, Kind::StateProgram),
            (2, Kind::RootErase),
            (28, Kind::RootProgram),
            (104, Kind::HeaderProgram),
            (105, Kind::StateProgram),
        ];
        assert_eq!(chosen, wanted);
        let all = chosen_points(&points, usize::MAX);
        let places: BTreeSet<usize> = all.iter().map(|point| point.done).collect();
        assert_eq!(places.len(), all.len(), "a moment is there twice");
    }
}
