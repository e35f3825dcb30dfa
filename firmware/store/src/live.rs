//! What the writer knows of open segments, for the readers of its own process.
//!
//! Without it each of them reads back what was committed a moment ago: a seek for every chunk of every second. Does not
//! belong here: what is durable (the index tells), readers in other processes (`catalog` scans for them).
//!
//! Invariant: chunks are added when they are durable, a whole commit at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::runs::{Bounds, spanning};
use crate::segment::Contents;

/// The segments being written, by their numbers.
#[derive(Default)]
pub(crate) struct Live(Mutex<BTreeMap<u64, Known>>);

#[derive(Default)]
struct Known {
    contents: Arc<Contents>,
    /// Behind the last commit.
    end: u64,
}

impl Live {
    fn segments(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        // Nothing is done in between that could be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit that ends at `end` became durable.
    pub(crate) fn append(&self, segment: u64, chunks: Contents, end: u64) {
        let mut segments = self.segments();
        let known = segments.entry(segment).or_default();
        Arc::make_mut(&mut known.contents).append(chunks);
        known.end = end;
    }

    /// All chunks of a segment; none when it is not known.
    pub(crate) fn of(&self, segment: u64) -> Arc<Contents> {
        self.segments().get(&segment).map(|known| Arc::clone(&known.contents)).unwrap_or_default()
    }

    /// The chunks of a segment that lie before `end`, which is the end of a commit; `None` when not all of them are known, as
    /// of a writer that is no more.
    pub(crate) fn before(&self, segment: u64, end: u64) -> Option<Arc<Contents>> {
        let all = self.segments().get(&segment).filter(|known| known.end >= end)?.contents.clone();
        let count = all.entries.partition_point(|entry| entry.offset < end);
        if count == all.entries.len() {
            return Some(all);
        }
        let mut known = Contents::clone(&all);
        known.truncate(count);
        Some(Arc::new(known))
    }

    /// From when to when any of them has footage.
    pub(crate) fn bounds(&self) -> Option<Bounds> {
        let segments = self.segments();
        let entries = segments.values().flat_map(|known| &known.contents.entries);
        entries.map(|entry| (entry.start(), entry.end().max(entry.start()))).reduce(spanning)
    }

    /// Forgets the segments that are not `wanted` any more.
    pub(crate) fn retain(&self, wanted: impl Fn(u64) -> bool) {
        self.segments().retain(|segment, _| wanted(*segment));
    }
}
