//! Whether the hash chain of every stream is whole, where its segments are.
//!
//! Does not belong here: single chunks (`scan`), what a verifier without the volume needs (crate `evidence`).
//!
//! Invariants
//! - Chunks may come in any order; what follows one another is compared as soon as both are known.
//! - A hole is excused only when segments of a class are gone that can have had it: their commits are missing.

use std::collections::BTreeMap;

use evidence::layout::Hash;
use hal::StreamId;

use crate::retention::Class;
use crate::segment::{Entry, SegmentHeader};

/// What is wrong with a chain, and with which chunk.
pub(crate) struct Broken {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) what: String,
}

/// Chunks that follow one another.
struct Piece {
    first: Link,
    /// What the first chunk says of the one before it.
    previous: Option<Hash>,
    last: Link,
}

#[derive(Clone, Copy)]
struct Link {
    sequence: u64,
    hash: Hash,
    class: Class,
    segment: u64,
    offset: u64,
}

/// The commits of a class, as far as its segments were looked at.
struct Log {
    last_segment: u64,
    next_commit: u64,
    /// Between these two segments others are gone.
    gone: Vec<(u64, u64)>,
}

#[derive(Default)]
pub(crate) struct Chains {
    streams: BTreeMap<StreamId, Vec<Piece>>,
    classes: BTreeMap<Class, Log>,
}

impl Chains {
    /// Segments come in order.
    pub(crate) fn segment(&mut self, header: &SegmentHeader, entries: &[Entry]) {
        let next_commit = entries.last().map_or(header.first_commit, |entry| entry.commit + 1);
        let log = self.classes.entry(header.class).or_insert(Log {
            last_segment: 0,
            next_commit: 1,
            gone: Vec::new(),
        });
        if header.first_commit > log.next_commit {
            log.gone.push((log.last_segment, header.segment));
        }
        log.last_segment = header.segment;
        log.next_commit = log.next_commit.max(next_commit);
    }

    /// `previous` is what the chunk's header says of the one before it, if that could be read.
    pub(crate) fn chunk(
        &mut self,
        header: &SegmentHeader,
        entry: &Entry,
        previous: Option<Hash>,
    ) -> Vec<Broken> {
        let link = Link {
            sequence: entry.sequence,
            hash: entry.hash,
            class: header.class,
            segment: header.segment,
            offset: entry.offset,
        };
        let pieces = self.streams.entry(entry.stream).or_default();
        // Where a piece begins with this number or a later one.
        let at = pieces.partition_point(|piece| piece.first.sequence < link.sequence);
        let mut broken = Vec::new();
        let mut compare = |after: &Link, previous: Option<Hash>, before: &Link| {
            if previous != Some(before.hash) {
                let what =
                    format!("{}: chunk {} does not continue the hash chain", entry.stream, after.sequence);
                broken.push(Broken { segment: after.segment, offset: after.offset, what });
            }
        };
        let twice = pieces.get(at).is_some_and(|next| next.first.sequence == link.sequence)
            || at.checked_sub(1).is_some_and(|before| pieces[before].last.sequence >= link.sequence);
        if twice {
            let what = format!("{}: chunk {} is there twice", entry.stream, link.sequence);
            return vec![Broken { segment: link.segment, offset: link.offset, what }];
        }
        let mut piece = Piece { first: link, previous, last: link };
        let mut begin = at;
        if let Some(before) = at.checked_sub(1).map(|before| &pieces[before])
            && before.last.sequence + 1 == link.sequence
        {
            compare(&link, previous, &before.last);
            piece = Piece { first: before.first, previous: before.previous, last: link };
            begin = at - 1;
        }
        let mut end = at;
        if let Some(next) = pieces.get(at).filter(|next| next.first.sequence == link.sequence + 1) {
            compare(&next.first, next.previous, &link);
            piece.last = next.last;
            end = at + 1;
        }
        pieces.splice(begin..end, [piece]);
        broken
    }

    /// The holes that nothing excuses; and how many chunks are gone in the others.
    pub(crate) fn finish(self) -> (Vec<Broken>, u64) {
        let mut broken = Vec::new();
        let mut removed = 0;
        for (stream, pieces) in &self.streams {
            for (before, after) in pieces.iter().zip(pieces.iter().skip(1)) {
                let (before, after) = (&before.last, &after.first);
                if self.is_excused(before, after) {
                    removed += after.sequence - before.sequence - 1;
                    continue;
                }
                let what = format!(
                    "{stream}: chunk {} follows chunk {}: footage between them is lost",
                    after.sequence, before.sequence
                );
                broken.push(Broken { segment: after.segment, offset: after.offset, what });
            }
        }
        (broken, removed)
    }

    /// The missing segment came later than one of the two in its class, and earlier than the other in its. Where a stream left a
    /// class for good, it may have been the last of all.
    fn is_excused(&self, before: &Link, after: &Link) -> bool {
        self.classes.iter().any(|(class, log)| {
            let (left, joined) = (*class == before.class, *class == after.class);
            let between = |gone: &(u64, u64)| {
                (!left || gone.0 >= before.segment) && (!joined || gone.1 <= after.segment)
            };
            log.gone.iter().any(between) || (left && !joined && log.last_segment == before.segment)
        })
    }
}
