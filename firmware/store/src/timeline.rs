//! From presentation times to the media time of a movie.
//!
//! Does not belong here: samples and tracks (`track`), files (`movie`).
//!
//! Invariants
//! - Media time is wall time less the movie's start, to within [`MAX_STRAY_TICKS`]; within a piece it follows the
//!   presentation times exactly.
//! - It never goes back, whatever the wall clock did.

use hal::{Pts90k, WallTime};

use crate::lane::Selected;
use crate::runs::RUN_GAP_MICROS;

/// How far media time may stray from wall time before a new piece begins: the picture and the clock beside it must
/// agree, and a camera's clock drifts by this in an hour.
const MAX_STRAY_TICKS: i64 = Pts90k::PER_SECOND / 4;

/// Footage without a gap within a movie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The wall time of its first presentation.
    pub start: WallTime,
    /// The wall time of its end.
    pub end: WallTime,
    /// Where `start` is in the movie, microseconds.
    pub media_start_micros: i64,
}

/// One piece, as far as it is in the file, and how its presentation times become media time.
struct Mapping {
    start: WallTime,
    end: WallTime,
    media_start: i64,
    /// Added to a presentation time.
    shift: i64,
    /// What `shift` would be by wall time alone: less, after the clock was set back.
    wanted: i64,
}

impl Mapping {
    /// What of it is shown between `from` and `to`.
    fn piece(&self, from: WallTime, to: WallTime) -> Option<Piece> {
        let (start, end) = (self.start.max(from), self.end.min(to));
        let hidden = start.micros_since(self.start);
        let media_start_micros = Pts90k(self.media_start).as_micros() + hidden;
        (start < end).then_some(Piece { start, end, media_start_micros })
    }

    fn has(&self, wall: WallTime) -> bool {
        wall.micros_since(self.start) >= -RUN_GAP_MICROS && wall.micros_since(self.end) <= RUN_GAP_MICROS
    }
}

/// The media time of one channel: its leading track makes the pieces, the other one follows them.
pub(crate) struct Timeline {
    start: WallTime,
    pieces: Vec<Mapping>,
    /// Where the other track is.
    at: usize,
}

impl Timeline {
    /// Media time 0 is `start`.
    pub(crate) fn new(start: WallTime) -> Self {
        Self { start, pieces: Vec::new(), at: 0 }
    }

    /// The end of the last piece.
    pub(crate) fn end(&self) -> Option<WallTime> {
        self.pieces.last().map(|piece| piece.end)
    }

    /// What is shown between `from` and `to`.
    pub(crate) fn pieces(&self, from: WallTime, to: WallTime) -> Vec<Piece> {
        self.pieces.iter().filter_map(|piece| piece.piece(from, to)).collect()
    }

    /// Where a chunk belongs by wall time alone.
    fn wall_shift(&self, chunk: &Selected) -> i64 {
        ticks(chunk.entry.wall.micros_since(self.start)) - chunk.entry.pts.0
    }

    /// The shift for the next chunk of the leading track; begins a new piece where one is needed.
    pub(crate) fn place(&mut self, chunk: &Selected) -> i64 {
        let entry = &chunk.entry;
        let wanted = self.wall_shift(chunk);
        if let Some(piece) = self.pieces.last_mut() {
            let goes_on = chunk.follows
                && entry.start().micros_since(piece.end).abs() <= RUN_GAP_MICROS
                && (wanted - piece.wanted).abs() <= MAX_STRAY_TICKS;
            if goes_on {
                piece.end = piece.end.max(entry.end());
                return piece.shift;
            }
        }
        // Never back in media time.
        let earliest = self
            .pieces
            .last()
            .map_or(i64::MIN, |piece| piece.media_start + ticks(piece.end.micros_since(piece.start)));
        let begins = chunk.frames().iter().map(|frame| frame.pts_offset).min().unwrap_or(0);
        let begins_pts = entry.pts.0 + i64::from(begins);
        let shift = wanted.max(earliest.saturating_sub(begins_pts));
        self.pieces.push(Mapping {
            start: chunk.header.wall_of(begins),
            end: entry.end(),
            media_start: begins_pts + shift,
            shift,
            wanted,
        });
        shift
    }

    /// The shift for the next chunk of the other track: that of the piece it is in, if they share a timeline; else as much
    /// later than by wall time as that piece is.
    pub(crate) fn shift_of(&mut self, chunk: &Selected) -> i64 {
        let wanted = self.wall_shift(chunk);
        let ahead = || (self.at..).zip(self.pieces.get(self.at..).unwrap_or_default());
        let has = |piece: &Mapping| piece.has(chunk.entry.wall);
        let shared = |piece: &Mapping| (wanted - piece.wanted).abs() <= MAX_STRAY_TICKS;
        if let Some((at, piece)) = ahead().find(|(_, piece)| has(piece) && shared(piece)) {
            self.at = at;
            return piece.shift;
        }
        let near = ahead().find(|(_, piece)| has(piece)).map(|(at, _)| at);
        self.at = near.unwrap_or(self.at);
        self.pieces.get(self.at).map_or(wanted, |piece| wanted + piece.shift - piece.wanted)
    }
}

/// A stretch of time in ticks of media time.
pub(crate) fn ticks(micros: i64) -> i64 {
    Pts90k::from_micros(micros).0
}
