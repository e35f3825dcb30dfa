//! A stretch of a channel as a player takes it: either way, with gaps told.
//!
//! Pictures and sound come in turns. What cannot be read on any volume is a gap, as if it had not been recorded. Does not
//! belong here: protocols (crate `rtsp`), how fast it is played.
//!
//! Invariants
//! - A picture that cannot be decoded for want of an earlier one is left out.
//! - What is held is a chunk a track, or one picture group backwards.

use std::collections::VecDeque;

use hal::{StreamId, StreamKind, WallTime};

use crate::error::StoreError;
use crate::reader::{Reader, Told, Units};
use crate::reverse::Groups;
use crate::unit::StoredUnit;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As it was recorded.
    Forward,
    /// The last picture group first, each in decoding order; without sound.
    Reverse,
}

/// What a player asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayRequest {
    /// A video stream.
    pub stream: StreamId,
    /// The channel's sound, too; forwards, with all pictures.
    pub sound: bool,
    /// The first moment; decoding begins with the keyframe before.
    pub start: WallTime,
    /// The end.
    pub end: WallTime,
    /// Which way.
    pub order: Order,
    /// Every picture group's first picture alone.
    pub keyframes_only: bool,
}

/// A unit, and what a player must be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayUnit {
    /// The unit.
    pub unit: StoredUnit,
    /// That nothing is recorded between it and what was given before, for so long, microseconds. Backwards it is told of a
    /// group's first unit, and is the time behind the group's end; of the first group, when the stretch ends in a gap.
    pub missing_micros: Option<i64>,
    /// The last of its track before a gap.
    pub ends_section: bool,
    /// The last of its track.
    pub is_last: bool,
}

/// Iterates over a stretch; made by [`Reader::replay`].
pub struct Replay<'a>(Way<'a>);

enum Way<'a> {
    Forward { pictures: Box<Track<'a>>, sound: Option<Box<Track<'a>>> },
    Reverse { groups: Groups<'a>, ready: VecDeque<ReplayUnit> },
}

/// One track forwards, a unit ahead.
struct Track<'a> {
    units: Units<'a>,
    next: Option<Told>,
    /// Pictures before the next keyframe cannot be decoded.
    waits: bool,
    missing_micros: Option<i64>,
    failure: Option<StoreError>,
}

impl Reader {
    /// A stretch for a player.
    ///
    /// # Errors
    /// `NoFootage` when there is none; `Index`, `Io`, `Damaged`, `NoKey`, when nothing at all can be read.
    pub fn replay(&self, request: &ReplayRequest) -> Result<Replay<'_>, StoreError> {
        let ReplayRequest { stream, sound, start, end, order, keyframes_only } = *request;
        if order == Order::Reverse {
            let newest = self.bounds(stream)?.map_or(end, |(_, newest)| newest);
            let mut groups = Groups::new(self, stream, start, end.min(newest), keyframes_only);
            let mut ready = VecDeque::new();
            if !load(&mut groups, &mut ready)? {
                return Err(self.no_footage());
            }
            return Ok(Replay(Way::Reverse { groups, ready }));
        }
        let units = if keyframes_only {
            self.keyframes(stream, start, end)?
        } else {
            self.units(stream, start, end)?
        };
        let mut pictures = Box::new(Track::new(units));
        let Some(first) = pictures.peek() else {
            return Err(pictures.failure.take().unwrap_or_else(|| self.no_footage()));
        };
        // From the picture on that is shown first, which may be before `start`.
        let begin = first.unit.wall;
        let sound = if sound && !keyframes_only {
            let id = StreamId::new(stream.channel, StreamKind::Audio);
            Some(Box::new(Track::new(self.units(id, begin, end)?)))
        } else {
            None
        };
        Ok(Replay(Way::Forward { pictures, sound }))
    }
}

impl Replay<'_> {
    /// The first unit of the pictures; `None` at the end.
    pub fn first_picture(&mut self) -> Option<&StoredUnit> {
        match &mut self.0 {
            Way::Forward { pictures, .. } => pictures.peek().map(|told| &told.unit),
            Way::Reverse { ready, .. } => ready.front().map(|next| &next.unit),
        }
    }

    /// The first unit of the sound; `None` where there is none.
    pub fn first_sound(&mut self) -> Option<&StoredUnit> {
        match &mut self.0 {
            Way::Forward { sound: Some(sound), .. } => sound.peek().map(|told| &told.unit),
            _ => None,
        }
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<ReplayUnit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Way::Forward { pictures, sound } => {
                let of_pictures = pictures.peek().map(|told| told.unit.wall);
                let of_sound = sound.as_mut().and_then(|sound| sound.peek()).map(|told| told.unit.wall);
                let track = match (of_pictures, of_sound, sound) {
                    (Some(pictures), Some(heard), Some(sound)) if heard < pictures => sound,
                    (None, Some(_), Some(sound)) => sound,
                    _ => pictures,
                };
                track.take().map(Ok)
            }
            Way::Reverse { groups, ready } => {
                let mut next = ready.pop_front()?;
                if ready.is_empty() {
                    match load(groups, ready) {
                        Ok(_) => {
                            next.is_last = ready.is_empty();
                            next.ends_section =
                                ready.front().is_none_or(|next| next.missing_micros.is_some());
                        }
                        Err(error) => return Some(Err(error)),
                    }
                }
                Some(Ok(next))
            }
        }
    }
}

/// The next group; whether there is one.
fn load(groups: &mut Groups<'_>, ready: &mut VecDeque<ReplayUnit>) -> Result<bool, StoreError> {
    let Some(group) = groups.next()? else { return Ok(false) };
    let mut missing_micros = group.missing_micros;
    ready.extend(group.units.into_iter().map(|unit| ReplayUnit {
        unit,
        missing_micros: missing_micros.take(),
        ends_section: false,
        is_last: false,
    }));
    Ok(true)
}

impl<'a> Track<'a> {
    fn new(units: Units<'a>) -> Self {
        Self { units, next: None, waits: true, missing_micros: None, failure: None }
    }

    fn peek(&mut self) -> Option<&Told> {
        while self.next.is_none() {
            match self.units.next_told()? {
                Ok(told) => {
                    self.waits = (self.waits || !told.follows) && !told.unit.keyframe;
                    if let Some(missing) = told.missing_micros {
                        self.missing_micros = Some(self.missing_micros.unwrap_or(0) + missing);
                    }
                    if !self.waits {
                        let missing_micros = self.missing_micros.take();
                        self.next = Some(Told { missing_micros, ..told });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "footage is left out");
                    self.failure.get_or_insert(error);
                }
            }
        }
        self.next.as_ref()
    }

    fn take(&mut self) -> Option<ReplayUnit> {
        self.peek()?;
        let told = self.next.take()?;
        let next = self.peek();
        Some(ReplayUnit {
            unit: told.unit,
            missing_micros: told.missing_micros,
            ends_section: next.is_none_or(|next| next.missing_micros.is_some()),
            is_last: next.is_none(),
        })
    }
}
