//! A stretch of one stream as a movie takes it.
//!
//! Does not belong here: which chunks there are (`select`), media time (`timeline`).

use std::collections::VecDeque;

use hal::{StreamId, WallTime};

use crate::error::{ErrorKind, StoreError};
use crate::lane::Selected;
use crate::reader::{Reader, Unread};
use crate::select::Selection;

/// Which units are in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Those that are needed to show the stretch.
    #[default]
    Units,
    /// All units of every chunk that has one of these, so that the chunks' hashes can be computed from the file, which says that
    /// a proof is at its end ([`crate::Movie::with_proof`]). The edit lists hide what was not asked for. Where the footage goes on on another volume, and its chunks there do not begin
    /// where they ended here, there is a gap of less than a chunk.
    Chunks,
}

/// The chunks of a stretch, and when its first picture appeared.
pub(crate) struct Stretch<'a> {
    stream: StreamId,
    selection: Selection<'a>,
    ready: VecDeque<Selected>,
    cut: Cut,
    /// The next chunk is the first.
    first: bool,
    /// A chunk was left out just before.
    left_out: bool,
    /// The chunk of which all units were given last: its volume, its segment, where it begins.
    whole: Option<(usize, u64, u64)>,
    shown_from: Option<WallTime>,
}

impl<'a> Stretch<'a> {
    /// Looks at as many chunks as tell what is shown at `from`.
    ///
    /// # Errors
    /// `Index`, `Io`, when no volume can tell.
    pub(crate) fn begin(
        reader: &'a Reader,
        stream: StreamId,
        from: WallTime,
        to: WallTime,
        cut: Cut,
    ) -> Result<Self, StoreError> {
        let mut selection = reader.select(stream, from, to)?;
        let mut ready = VecDeque::new();
        while let Some(chunk) = selection.next() {
            let behind = chunk.entry.start() > from;
            ready.push_back(chunk);
            if behind {
                break;
            }
        }
        let shown_from = first_shown(&ready, from);
        Ok(Self { stream, selection, ready, cut, first: true, left_out: false, whole: None, shown_from })
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// When the picture that is shown at the beginning appeared; the first one after it, where footage begins later;
    /// `None` when there is none.
    ///
    /// An edit that begins within a picture's time is shown differently by every player; one that begins with a picture
    /// is not.
    pub(crate) fn shown_from(&self) -> Option<WallTime> {
        self.shown_from
    }

    /// What could not be read so far. What was overwritten meanwhile is not missing: it is gone.
    pub(crate) fn unread(&mut self) -> Vec<Unread> {
        let stream = self.stream;
        let failures = self.selection.failures(WallTime::from_unix_micros(i64::MAX));
        let there = failures.iter().filter(|failure| failure.error.kind() != ErrorKind::Recycled);
        there.map(|failure| Unread::new(stream, failure)).collect()
    }

    /// The first reason why something could not be read.
    pub(crate) fn into_error(mut self) -> Option<StoreError> {
        self.selection.first_failure()
    }
}

impl Iterator for Stretch<'_> {
    type Item = Selected;

    fn next(&mut self) -> Option<Selected> {
        loop {
            let mut chunk = self.ready.pop_front().or_else(|| self.selection.next())?;
            if self.cut == Cut::Chunks {
                let place = (chunk.volume, chunk.segment, chunk.entry.offset);
                if self.whole == Some(place) {
                    // It came in parts, and all of it is in the file.
                    continue;
                }
                if chunk.first > 0 && !self.first {
                    // Some of its units came from another volume.
                    self.left_out = true;
                    continue;
                }
                self.whole = Some(place);
                chunk.begin_at(0);
                chunk.end = chunk.header.frames.len();
            }
            chunk.follows &= !std::mem::take(&mut self.left_out);
            self.first = false;
            return Some(chunk);
        }
    }
}

fn first_shown(chunks: &VecDeque<Selected>, from: WallTime) -> Option<WallTime> {
    fn times(chunk: &Selected) -> impl Iterator<Item = WallTime> {
        chunk.frames().iter().map(|frame| chunk.header.wall_of(frame.pts_offset))
    }
    let before = chunks.iter().take_while(|chunk| chunk.entry.start() <= from);
    let shown = before.flat_map(times).filter(|&wall| wall <= from).max();
    shown.or_else(|| chunks.iter().take(1).flat_map(times).min())
}
