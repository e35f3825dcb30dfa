//! Up to where each stream was taken from its rings, by whichever recorder.
//!
//! Does not belong here: telling of what nobody took (`follow`, `recorder`).
//!
//! Invariant: it outlives volumes, so that whoever takes a stream next knows what went meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::UnitMeta;
use hal::{StreamId, WallTime};

/// What all recorders know of each other; cheap to clone. It has an entry a stream.
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<Mutex<BTreeMap<StreamId, Entry>>>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where the recorder that came last began.
    first: UnitMeta,
    place: Place,
}

/// A place in a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The sequence of the first unit that nobody has, nor told of as lost.
    pub(crate) next: u64,
    /// When the stream had got there.
    pub(crate) wall: WallTime,
}

impl Reached {
    /// A recorder took `unit`, and the one of sequence `before` last; `None` when it came anew. Whether what is missing between
    /// the two is nothing to tell of: another recorder is ahead, and has it or told of it.
    pub(crate) fn took(&self, stream: StreamId, unit: UnitMeta, before: Option<u64>) -> bool {
        let place = Place { next: unit.sequence + 1, wall: unit.wall };
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&stream) else {
            entries.insert(stream, Entry { first: unit, place });
            return false;
        };
        let other = entry.place;
        let is_ahead = other.next > before.map_or(0, |before| before + 1);
        // A ring's next life counts from 0.
        if !is_ahead || place.next > other.next || place.wall > other.wall {
            entry.place = place;
        }
        if before.is_none() {
            entry.first = unit;
        }
        is_ahead && other.next >= unit.sequence
    }

    /// A recorder ends without having this one and those behind it, which are still in the ring.
    pub(crate) fn left(&self, stream: StreamId, unit: UnitMeta) {
        if let Some(entry) = self.lock().get_mut(&stream) {
            entry.place = Place { next: unit.sequence, wall: unit.wall };
        }
    }

    /// Where the recorder that came last began.
    pub(crate) fn first(&self, stream: StreamId) -> Option<UnitMeta> {
        self.lock().get(&stream).map(|entry| entry.first)
    }

    /// Where whoever takes the stream next should begin; `None` where nobody took it.
    pub(crate) fn place(&self, stream: StreamId) -> Option<Place> {
        self.lock().get(&stream).map(|entry| entry.place)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, Entry>> {
        // An entry is never half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use hal::{ChannelId, Pts90k, StreamKind};

    use super::*;

    fn stream() -> StreamId {
        StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Main)
    }

    fn unit(sequence: u64, second: i64) -> UnitMeta {
        UnitMeta {
            sequence,
            pts: Pts90k(second * 90_000),
            wall: WallTime::from_unix_micros(second * 1_000_000),
            keyframe: true,
            discontinuity: false,
            len: 1,
        }
    }

    #[test]
    fn alone_nothing_is_elsewhere_whatever_rings_and_clocks_do() {
        let reached = Reached::default();
        let mut before = None;
        // As it comes, after a silence, after a loss, from the ring's next life, and from one after the clock was set back.
        for (sequence, second) in
            [(40, 100), (41, 200), (90, 210), (0, 220), (1, 221), (0, 50), (1, 51), (30, 60)]
        {
            assert!(!reached.took(stream(), unit(sequence, second), before), "{sequence} at {second}");
            assert_eq!(reached.place(stream()).map(|place| place.next), Some(sequence + 1));
            before = Some(sequence);
        }
    }

    #[test]
    fn what_another_one_ahead_has_or_told_of_is_elsewhere() {
        let reached = Reached::default();
        let took = |sequence, before| reached.took(stream(), unit(sequence, sequence as i64), before);
        assert!(!took(5, None));
        for sequence in 6..20 {
            assert!(!took(sequence, Some(sequence - 1)));
        }
        assert!(took(15, Some(5)), "the other is at 19");
        assert_eq!(reached.place(stream()).unwrap().next, 20);
        // Both lose 20 to 29: the first who comes by tells of it.
        assert!(!took(30, Some(19)));
        assert!(took(30, Some(15)));
        // It has less than what is missing here.
        assert!(!took(50, Some(15)));
    }
}
