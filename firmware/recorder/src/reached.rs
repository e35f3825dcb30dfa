//! Up to where each stream was taken from its rings, by whichever recorder.
//!
//! Does not belong here: telling of what nobody took (`follow`, `recorder`).
//!
//! Invariant: it outlives volumes, so that whoever takes a stream next knows what went meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// The time of the one before it.
    pub(crate) wall: WallTime,
}

impl Reached {
    /// A recorder that came anew took its first unit.
    pub(crate) fn began(&self, stream: StreamId, unit: UnitMeta) {
        self.change(stream, unit, |entry| entry.first = unit);
    }

    /// A recorder has all up to this one. Another one may be ahead of it.
    pub(crate) fn took(&self, stream: StreamId, unit: UnitMeta) {
        self.change(stream, unit, |entry| {
            // A ring's next life counts from 0.
            if unit.wall > entry.place.wall || unit.sequence >= entry.place.next {
                entry.place = Place { next: unit.sequence + 1, wall: unit.wall };
            }
        });
    }

    /// A recorder ends without having this one and those behind it, which are still in the ring.
    pub(crate) fn left(&self, stream: StreamId, unit: UnitMeta) {
        let place = Place { next: unit.sequence, wall: unit.wall };
        self.change(stream, unit, |entry| entry.place = place);
    }

    /// Where the recorder that came last began.
    pub(crate) fn first(&self, stream: StreamId) -> Option<UnitMeta> {
        self.get(stream).map(|entry| entry.first)
    }

    /// Where whoever takes the stream next should begin; `None` where nobody took it.
    pub(crate) fn place(&self, stream: StreamId) -> Option<Place> {
        self.get(stream).map(|entry| entry.place)
    }

    fn get(&self, stream: StreamId) -> Option<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).copied()
    }

    fn change(&self, stream: StreamId, unit: UnitMeta, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place { next: unit.sequence, wall: unit.wall };
        change(entries.entry(stream).or_insert(Entry { first: unit, place }));
    }
}
