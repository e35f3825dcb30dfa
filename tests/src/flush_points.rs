//! The flushes of a recording, at each of which a disk may be left.
//!
//! Does not belong here: making the disk of a moment and judging it (`flush_sweep.rs`).

use std::collections::BTreeSet;
use std::fmt;

use crate::emulator_log::Random;
use crate::write_log::WriteLog;

/// What the file system writes at once.
const BLOCK: usize = 4096;
/// The store's magics (docs/storage.md): a segment's first block, and 64 bytes before its end.
const SEGMENT_HEADER: &[u8] = b"CSEG";
const SEGMENT_TRAILER: &[u8] = b"CSEL";
const TRAILER_BYTES: usize = 64;
/// SQLite's, in the first block of a database and of its log. The former is written when the log is folded into it, the
/// latter when the log begins anew.
const DATABASE: &[u8] = b"SQLite format 3\0";
const DATABASE_LOG: &[u8] = &[0x37, 0x7f, 0x06, 0x82];

/// What a write does that others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The first commit of a segment, in a new file or in that of the oldest one.
    SegmentBegun,
    /// A segment's footer.
    SegmentSealed,
    /// The index's log is folded in, or begins anew.
    IndexFolded,
}

impl Mark {
    /// Of what was written at once.
    #[must_use]
    pub fn of(data: &[u8]) -> Option<Self> {
        data.chunks(BLOCK).find_map(|block| {
            if block.starts_with(SEGMENT_HEADER) {
                Some(Self::SegmentBegun)
            } else if block.get(BLOCK - TRAILER_BYTES..).is_some_and(|end| end.starts_with(SEGMENT_TRAILER)) {
                Some(Self::SegmentSealed)
            } else if block.starts_with(DATABASE) || block.starts_with(DATABASE_LOG) {
                Some(Self::IndexFolded)
            } else {
                None
            }
        })
    }
}

/// A cut between two flushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushPoint {
    /// The flush: all entries of the log before this one are on the disk.
    pub flush: usize,
    /// The next one, or the end of the log: what is between may be on the disk.
    pub next: usize,
    /// What is between does.
    pub marks: Vec<Mark>,
    /// What is between is a recorder's first commit: how much is in it says how long the start took, not how long footage
    /// waits.
    pub starts: bool,
}

impl fmt::Display for FlushPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flush {}", self.flush)?;
        self.marks.iter().try_for_each(|mark| write!(f, ", before {mark:?}"))?;
        f.write_str(if self.starts { " of a recorder that started" } else { "" })
    }
}

/// Every flush that something was written before. `restarts` are the lengths that the log had when the recorder was told to
/// end and start again.
#[must_use]
pub fn flush_points(log: &WriteLog, restarts: &[usize]) -> Vec<FlushPoint> {
    let (mut points, mut written): (Vec<FlushPoint>, bool) = (Vec::new(), false);
    for (index, entry) in log.entries.iter().enumerate() {
        if entry.is_disk() {
            written = true;
            if let Some(point) = points.last_mut() {
                point.marks.extend(Mark::of(&log.data(entry)));
            }
        }
        if entry.is_flush() && written {
            written = false;
            if let Some(point) = points.last_mut() {
                point.next = index;
            }
            points.push(FlushPoint {
                flush: index,
                next: log.entries.len(),
                marks: Vec::new(),
                starts: false,
            });
        }
    }
    mark_starts(&mut points, restarts);
    points
}

/// A recorder that ends seals its segment and folds the index' log in; the next one begins with a segment.
fn mark_starts(points: &mut [FlushPoint], restarts: &[usize]) {
    let after = |from: usize, mark| (from..points.len()).find(|index| points[*index].marks.contains(&mark));
    let of_restart = |length: &usize| {
        let ended = after(points.partition_point(|point| point.next < *length), Mark::IndexFolded)?;
        after(ended, Mark::SegmentBegun)
    };
    let first = after(0, Mark::SegmentBegun);
    let starts: Vec<usize> = first.into_iter().chain(restarts.iter().filter_map(of_restart)).collect();
    starts.into_iter().for_each(|index| points[index].starts = true);
}

/// A few that stand for all, in their order: the first and the last, those around each kind of mark, then any.
#[must_use]
pub fn chosen_flushes(points: &[FlushPoint], count: usize) -> Vec<FlushPoint> {
    let mut ranked: Vec<(usize, usize)> = Vec::new();
    let ends = [0, 1, points.len().saturating_sub(2), points.len().saturating_sub(1)];
    ranked.extend(ends.iter().map(|index| (0, *index)));
    for mark in [Mark::SegmentBegun, Mark::SegmentSealed, Mark::IndexFolded] {
        let found = (0..points.len()).filter(|index| points[*index].marks.contains(&mark));
        // The newest first: they are those of a volume that goes round. With the one that made the mark last.
        for (round, index) in found.rev().enumerate() {
            ranked.extend([(1 + round, index), (1 + round, index + 1)]);
        }
    }
    let mut random = Random(0xf1_05);
    let any = (0..points.len()).map(|_| usize::try_from(random.below(points.len() as u64)).unwrap_or(0));
    let mut chosen = BTreeSet::new();
    ranked.sort_by_key(|(rank, _)| *rank);
    for index in ranked.into_iter().map(|(_, index)| index).chain(any).chain(0..points.len()) {
        if chosen.len() < count && index < points.len() {
            chosen.insert(index);
        }
    }
    chosen.into_iter().map(|index| points[index].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator_storage::NOR_BYTES as DISK;
    use crate::write_log::tests::log;

    const FLUSH: u64 = 1;

    fn block(start: &[u8], at: usize) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[at..at + start.len()].copy_from_slice(start);
        block
    }

    #[test]
    fn marks_are_found_at_their_places_only() {
        let two = |block: Vec<u8>| [vec![1; BLOCK], block].concat();
        assert_eq!(Mark::of(&two(block(b"CSEG", 0))), Some(Mark::SegmentBegun));
        assert_eq!(Mark::of(&two(block(b"CSEL", BLOCK - 64))), Some(Mark::SegmentSealed));
        assert_eq!(Mark::of(&block(b"SQLite format 3\0", 0)), Some(Mark::IndexFolded));
        assert_eq!(Mark::of(&two(block(b"CSEG", 8))), None);
        assert_eq!(Mark::of(&block(b"CSEL", 0)), None);
        assert_eq!(Mark::of(&[0; 512]), None);
    }

    #[test]
    fn a_point_reaches_to_the_next_flush_that_has_something_to_do() {
        let (plain, begun) = (block(b"x", 0), block(b"CSEG", 0));
        let (_dir, log) = log(&[
            (0, &[], FLUSH),
            (DISK, &plain, 0),
            (0, &plain, 0),
            (0, &[], FLUSH),
            (0, &plain, 0),
            (0, &[], FLUSH),
            (DISK, &begun, 0),
            (0, &[], FLUSH),
            (DISK, &plain, 0),
        ]);
        let points = flush_points(&log, &[]);
        let ranges: Vec<(usize, usize)> = points.iter().map(|point| (point.flush, point.next)).collect();
        assert_eq!(ranges, [(3, 7), (7, 9)]);
        assert_eq!((&points[0].marks[..], &points[1].marks[..]), (&[Mark::SegmentBegun][..], &[][..]));
    }

    #[test]
    fn a_start_is_the_first_segment_after_the_index_was_closed() {
        let with = |marks: &[Mark], flush| FlushPoint {
            flush,
            next: flush + 1,
            marks: marks.to_vec(),
            starts: false,
        };
        let marks: [&[Mark]; 7] = [
            &[],
            &[Mark::SegmentBegun],
            &[Mark::SegmentBegun],
            &[Mark::SegmentSealed],
            &[Mark::IndexFolded],
            &[Mark::SegmentBegun],
            &[Mark::SegmentBegun],
        ];
        let mut points: Vec<FlushPoint> =
            marks.iter().enumerate().map(|(flush, marks)| with(marks, flush)).collect();
        mark_starts(&mut points, &[2]);
        let starts: Vec<usize> =
            points.iter().filter(|point| point.starts).map(|point| point.flush).collect();
        assert_eq!(starts, [1, 5]);
    }

    #[test]
    fn ends_and_marks_come_first() {
        let mut points: Vec<FlushPoint> = (0..100)
            .map(|flush| FlushPoint { flush, next: flush + 1, marks: Vec::new(), starts: false })
            .collect();
        for (index, mark) in [(20, Mark::SegmentBegun), (60, Mark::SegmentSealed), (70, Mark::SegmentBegun)] {
            points[index].marks.push(mark);
        }
        let chosen = |count| -> Vec<usize> {
            chosen_flushes(&points, count).iter().map(|point| point.flush).collect()
        };
        assert_eq!(chosen(8), [0, 1, 60, 61, 70, 71, 98, 99]);
        let more = chosen(20);
        assert!(more.len() == 20 && more.is_sorted() && more.contains(&20) && more.contains(&21), "{more:?}");
        assert_eq!(more, chosen(20), "another run would choose others");
        assert_eq!(chosen(1000).len(), points.len());
        assert_eq!(chosen_flushes(&[], 5), []);
    }
}
