//! Following one ring: from where the store ends to where the publisher is.
//!
//! Does not belong here: when to drain, when to commit (`recorder`).
//!
//! Invariants
//! - A unit that the store has is not given to it again.
//! - What the ring lost is counted, never passed over, also while nobody followed it.
//! - Where a stream goes on in another class, a keyframe is asked for: one class may go before the other.

use std::path::Path;

use bus::{BusError, Next, Start, Subscriber, UnitMeta};
use hal::{AccessUnit, MonoTime, StreamId};
use store::{Class, LastUnit, Store};

use crate::loss::{LossCause, Losses, Missing};
use crate::reached::Reached;
use crate::status::StatusHandle;

/// Units taken from one ring before the next one's turn.
const UNITS_A_TURN: usize = 256;

/// The store tells wall times to within 0.1 s (docs/storage.md), and a ring's next life may repeat a pts, but not
/// within this time.
const SAME_UNIT_MICROS: i64 = 200_000;

pub(crate) struct Follower {
    stream: StreamId,
    /// `None` once the ring is retired.
    ring: Option<Subscriber>,
    data: Vec<u8>,
    /// Units up to this sequence are in the store.
    stored: Option<u64>,
    reached: Reached,
    /// The first that nobody took before; `None` from the first unit on, and where all are new.
    due: Option<u64>,
    /// The sequence of the last that was taken.
    taken: Option<u64>,
    missing: Missing,
    /// A commit failed since the ring was last empty.
    held_up: bool,
    /// Of what was appended last.
    class: Option<Class>,
}

impl Follower {
    /// Opens the ring where the store ends; `None` while there is no ring.
    pub(crate) fn open(
        dir: &Path,
        stream: StreamId,
        last: Option<LastUnit>,
        reached: &Reached,
    ) -> Result<Option<Self>, BusError> {
        let stored = match last {
            Some(last) => find(dir, stream, |meta| is_same(meta, last))?.map(|meta| meta.sequence),
            None => None,
        };
        let ring = match Subscriber::open(dir, stream, Start::Oldest) {
            Err(error) if error.kind() == bus::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let place = reached.place(stream);
        let missing = Missing::after(place.map(|place| place.wall).or(last.map(|last| last.wall)));
        Ok(Some(Self {
            stream,
            ring: Some(ring),
            data: Vec::new(),
            stored,
            reached: reached.clone(),
            due: place.map(|place| place.next),
            taken: None,
            missing,
            held_up: false,
            class: None,
        }))
    }

    /// What was missing at the end of a former ring of the stream, and did not end yet, goes on here. It was followed until now.
    pub(crate) fn take_over(&mut self, former: &Self) {
        self.missing = former.missing;
        self.class = former.class;
        self.due = None;
        self.taken = former.taken;
    }

    /// A commit failed: what the ring loses now, the disk is to blame for.
    pub(crate) fn hold_up(&mut self) {
        self.held_up = true;
    }

    /// Its ring is not read any more.
    pub(crate) fn let_go(&mut self) {
        self.ring = None;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.ring.is_some()
    }

    /// Takes up to [`UNITS_A_TURN`] units; whether there may be more.
    pub(crate) fn drain(
        &mut self,
        now: MonoTime,
        store: &mut Store,
        status: &StatusHandle,
        losses: &Losses,
    ) -> bool {
        let Some(ring) = &mut self.ring else {
            self.missing.nothing_came(now);
            return false;
        };
        let class = store.class(self.stream);
        if self.class.replace(class).is_some_and(|before| before != class) {
            ring.request_keyframe();
        }
        for _ in 0..UNITS_A_TURN {
            if !store.has_room() {
                return true;
            }
            let next = match ring.next(&mut self.data) {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(stream = %self.stream, %error, "the ring is opened again");
                    status.lock().streams.entry(self.stream).or_default().last_error =
                        Some(error.to_string());
                    self.ring = None;
                    return false;
                }
            };
            match next {
                Next::Unit(meta) => {
                    if self.stored.is_some_and(|stored| meta.sequence <= stored) {
                        continue;
                    }
                    let unit = AccessUnit {
                        stream: self.stream,
                        pts: meta.pts,
                        wall: meta.wall,
                        keyframe: meta.keyframe,
                        discontinuity: meta.discontinuity,
                        data: &self.data,
                    };
                    let taken = store.append(&ring.format(), &unit);
                    let mut status = status.lock();
                    let figures = status.streams.entry(self.stream).or_default();
                    if let Some(due) = self.due.take() {
                        let units = meta.sequence.saturating_sub(due);
                        if units > 0 {
                            tracing::warn!(stream = %self.stream, units, "nobody read the ring before it was overwritten");
                            figures.lost_units += units;
                            self.missing.add(units, LossCause::DiskFailed);
                        }
                    }
                    match taken {
                        Ok(()) => {
                            let before = self.taken.replace(meta.sequence);
                            let elsewhere = self.reached.took(self.stream, meta, before);
                            if let Some(loss) = self.missing.end(self.stream, meta.wall, elsewhere) {
                                losses.add(loss);
                            }
                            figures.units += 1;
                            figures.bytes.0 += self.data.len() as u64;
                            figures.last_unit = Some(meta.wall);
                            figures.last_error = None;
                        }
                        Err(error) => {
                            let full = error.kind() == store::ErrorKind::DiskFull;
                            let cause = if full { LossCause::DiskFailed } else { LossCause::Refused };
                            self.missing.add(1, cause);
                            figures.refused_units += 1;
                            figures.last_error = Some(error.to_string());
                        }
                    }
                }
                Next::Lost { units, gops } => {
                    tracing::warn!(stream = %self.stream, units, gops, "the ring was overwritten before it was read");
                    let mut status = status.lock();
                    let figures = status.streams.entry(self.stream).or_default();
                    figures.lost_units += units;
                    figures.lost_gops += gops;
                    let cause = if self.held_up { LossCause::DiskFailed } else { LossCause::Overrun };
                    self.missing.add(units, cause);
                }
                Next::Empty => {
                    self.held_up = false;
                    self.missing.nothing_came(now);
                    return false;
                }
                Next::Retired => {
                    self.ring = None;
                    status.lock().streams.entry(self.stream).or_default().present = false;
                    return false;
                }
            }
        }
        true
    }
}

/// The first unit in the ring that is `wanted`; `None` when there is none.
///
/// The ring is looked through without taking anything, so that nothing is passed over while it is searched.
pub(crate) fn find(
    dir: &Path,
    stream: StreamId,
    wanted: impl Fn(&UnitMeta) -> bool,
) -> Result<Option<UnitMeta>, BusError> {
    let mut ring = match Subscriber::open(dir, stream, Start::Oldest) {
        Err(error) if error.kind() == bus::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut data = Vec::new();
    loop {
        match ring.next(&mut data)? {
            Next::Unit(meta) if wanted(&meta) => return Ok(Some(meta)),
            Next::Unit(_) | Next::Lost { .. } => {}
            Next::Empty | Next::Retired => return Ok(None),
        }
    }
}

pub(crate) fn is_same(meta: &UnitMeta, last: LastUnit) -> bool {
    meta.pts == last.pts && meta.wall.micros_since(last.wall).abs() <= SAME_UNIT_MICROS
}
