//! Who writes down what becomes of segments, outside the volume.
//!
//! The store tells of a segment when it is sealed, and before its footage goes. Does not belong here: how that is written
//! down so that nobody can change it (crate `ledger`).
//!
//! Invariants
//! - Footage is not touched before its removal is written down, unless the witness fails for so long that recording
//!   would suffer.
//! - Seals are told in the order of their segments within a class, so that one number says which are known.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;

use evidence::VolumeId;
use hal::{StreamId, WallTime};

use crate::retention::Class;
use crate::segment::Entry;

/// A stream that has more stretches in a segment than this is told of as one: a summary is to fit into a line.
const MAX_RANGES: usize = 192;

/// Chunks of one stream with consecutive numbers, in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRange {
    /// The stream.
    pub stream: StreamId,
    /// Number of the first chunk.
    pub first_sequence: u64,
    /// Number of the last chunk.
    pub last_sequence: u64,
    /// The earliest presentation.
    pub start: WallTime,
    /// The end of the latest presentation.
    pub end: WallTime,
    /// SHA-256 of the last chunk's header: through the hash chain it vouches for all before it. `None` where the segment has
    /// no footer to tell it.
    pub head: Option<[u8; 32]>,
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The volume's identity.
    pub volume: VolumeId,
    /// The segment's number.
    pub segment: u64,
    /// Its class of retention.
    pub class: Class,
    /// Its footage, in order of stream and recording. Empty where the segment cannot be read.
    pub streams: Vec<StreamRange>,
}

/// Why footage goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Its room is needed for new footage.
    Overwritten,
    /// It is older than its class allows.
    Expired,
    /// The volume was given less room.
    Shrunk,
}

/// Footage of one stream that somebody has deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedSpan {
    /// The stream.
    pub stream: StreamId,
    /// The first moment that is deleted and has footage.
    pub start: WallTime,
    /// The last one.
    pub end: WallTime,
}

/// What somebody has deleted on a volume.
#[derive(Clone, Copy, Debug)]
pub struct FootageDeletion<'a> {
    /// The volume's identity.
    pub volume: VolumeId,
    /// Who.
    pub by: &'a str,
    /// What, at most one span of each stream.
    pub spans: &'a [DeletedSpan],
}

/// What a witness says when it cannot write.
pub type WitnessError = Box<dyn Error + Send + Sync>;

/// Writes down what becomes of segments. Everything may be told more than once, after a crash or an error.
///
/// It is called from within [`crate::Store::commit`]: while it waits, nothing is recorded.
pub trait Witness: Send {
    /// The footage is about to go. On success it goes, unless the power fails first.
    ///
    /// # Errors
    /// The footage stays for now. Where its room is needed it goes all the same when this fails again and again, and
    /// [`crate::CommitReport::unwitnessed`] says so.
    fn removing(&mut self, segment: &SegmentSummary, why: Removal) -> Result<(), WitnessError>;

    /// Somebody has footage deleted; it goes on success.
    ///
    /// # Errors
    /// The footage stays, and whoever wants it deleted hears why.
    fn deleting(&mut self, footage: &FootageDeletion<'_>) -> Result<(), WitnessError>;

    /// The segment is sealed: its footage will never change, unless somebody has it deleted.
    ///
    /// # Errors
    /// It is told again at the next commit.
    fn sealed(&mut self, segment: &SegmentSummary) -> Result<(), WitnessError>;

    /// The highest number of a sealed segment of that class that was written down.
    ///
    /// # Errors
    /// It is asked again at the next commit.
    fn last_sealed(&mut self, volume: VolumeId, class: Class) -> Result<Option<u64>, WitnessError>;
}

/// The witness, if there is one, and what it does not know yet.
#[derive(Default)]
pub(crate) struct Witnesses {
    witness: Option<Box<dyn Witness>>,
    /// Sealed before there was a witness, in order: it may know of them.
    unasked: Vec<(u64, Class)>,
    /// Sealed segments that it does not know of, in order within a class.
    waiting: VecDeque<u64>,
    /// How often a removal was refused, one after the other.
    refusals: u32,
    /// The removal that was told of last: what goes wrong afterwards is no reason to tell of it again.
    told: Option<u64>,
    /// Segments that went although nobody could write it down.
    pub(crate) unwitnessed: u64,
}

impl Witnesses {
    /// From now on; `sealed` are all segments that are sealed, in order, with their classes.
    pub(crate) fn set(&mut self, witness: Box<dyn Witness>, sealed: impl Iterator<Item = (u64, Class)>) {
        self.unasked = sealed.collect();
        self.waiting.clear();
        self.witness = Some(witness);
    }

    /// Finds out what the witness knows of what was sealed before it came.
    pub(crate) fn ask(&mut self, volume: VolumeId) -> Result<(), WitnessError> {
        let Some(witness) = &mut self.witness else { return Ok(()) };
        let classes: BTreeSet<Class> = self.unasked.iter().map(|(_, class)| *class).collect();
        let mut known: BTreeMap<Class, Option<u64>> = BTreeMap::new();
        for class in classes {
            known.insert(class, witness.last_sealed(volume, class)?);
        }
        let unknown = |(segment, class): &(u64, Class)| known.get(class).copied().flatten() < Some(*segment);
        let unknown = self.unasked.drain(..).filter(unknown).map(|(segment, _)| segment);
        self.waiting = unknown.chain(std::mem::take(&mut self.waiting)).collect();
        Ok(())
    }

    pub(crate) fn is_set(&self) -> bool {
        self.witness.is_some()
    }

    pub(crate) fn sealed(&mut self, segment: u64) {
        if self.witness.is_some() {
            self.waiting.push_back(segment);
        }
    }

    /// The next sealed segment that is to be told of.
    pub(crate) fn next(&self) -> Option<u64> {
        self.waiting.front().copied()
    }

    /// Tells of that one.
    pub(crate) fn tell(&mut self, summary: &SegmentSummary) -> Result<(), WitnessError> {
        if let Some(witness) = &mut self.witness {
            witness.sealed(summary)?;
        }
        self.waiting.pop_front();
        Ok(())
    }

    /// That one cannot be told of.
    pub(crate) fn pass_over(&mut self) {
        self.waiting.pop_front();
    }

    /// Asks the witness to write down what somebody has deleted.
    pub(crate) fn deleting(&mut self, footage: &FootageDeletion<'_>) -> Result<(), WitnessError> {
        self.witness.as_mut().map_or(Ok(()), |witness| witness.deleting(footage))
    }

    /// Asks the witness to write down a removal; after `patience` refusals, of whatever segments, footage goes without until
    /// the witness is well again.
    pub(crate) fn removing(
        &mut self,
        summary: &SegmentSummary,
        why: Removal,
        patience: u32,
    ) -> Result<(), WitnessError> {
        let Some(witness) = &mut self.witness else { return Ok(()) };
        if self.told == Some(summary.segment) {
            return Ok(());
        }
        if let Err(error) = witness.removing(summary, why) {
            self.refusals = self.refusals.saturating_add(1);
            if self.refusals < patience {
                return Err(error);
            }
            tracing::error!(%error, segment = summary.segment, "footage goes, and it cannot be written down");
            self.unwitnessed += 1;
        } else {
            self.refusals = 0;
        }
        self.told = Some(summary.segment);
        self.waiting.retain(|&waiting| waiting != summary.segment);
        self.unasked.retain(|&(unasked, _)| unasked != summary.segment);
        Ok(())
    }
}

/// What `entries` are, stream by stream.
pub(crate) fn ranges(entries: &[Entry]) -> Vec<StreamRange> {
    joined(
        entries
            .iter()
            .map(|entry| StreamRange {
                stream: entry.stream,
                first_sequence: entry.sequence,
                last_sequence: entry.sequence,
                start: entry.start(),
                end: entry.end().max(entry.start()),
                head: Some(entry.hash),
            })
            .collect(),
    )
}

/// Joins what follows one another; where that leaves too many, all of a stream.
pub(crate) fn joined(mut ranges: Vec<StreamRange>) -> Vec<StreamRange> {
    ranges.sort_by_key(|range| (range.stream, range.first_sequence));
    let exact = join(&ranges, |last, next| next == last.wrapping_add(1));
    if exact.len() <= MAX_RANGES { exact } else { join(&ranges, |_, _| true) }
}

fn join(ranges: &[StreamRange], goes_on: impl Fn(u64, u64) -> bool) -> Vec<StreamRange> {
    let mut joined: Vec<StreamRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last)
                if last.stream == range.stream && goes_on(last.last_sequence, range.first_sequence) =>
            {
                last.last_sequence = range.last_sequence;
                last.start = last.start.min(range.start);
                last.end = last.end.max(range.end);
                last.head = range.head;
            }
            _ => joined.push(*range),
        }
    }
    joined
}
