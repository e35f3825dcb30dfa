//! Footage that the recorder did not get, stretch by stretch.
//!
//! Does not belong here: noticing it (`follow`), writing it down (crate `candor`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hal::{StreamId, WallTime};

/// Stretches that nobody took yet; later ones are added to the last of their stream then.
const MAX_WAITING: usize = 1024;

/// Why footage was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// Commits failed, and the ring overwrote what could not be written.
    DiskFailed,
    /// The disk, or this thread, did not keep up with the ring.
    Overrun,
    /// The store cannot take such a unit.
    Refused,
}

/// A stretch of one stream that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Which stream.
    pub stream: StreamId,
    /// The last unit before it.
    pub start: WallTime,
    /// The first unit behind it.
    pub end: WallTime,
    /// How many are missing.
    pub units: u64,
    /// Why.
    pub cause: LossCause,
}

/// Stretches that wait to be taken, oldest first; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Losses(Arc<Mutex<Vec<Loss>>>);

impl Losses {
    /// All that are over since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Loss> {
        std::mem::take(&mut *self.lock())
    }

    pub(crate) fn add(&self, loss: Loss) {
        let mut waiting = self.lock();
        let full = waiting.len() >= MAX_WAITING;
        match waiting.iter_mut().rfind(|last| full && last.stream == loss.stream) {
            Some(last) => {
                last.end = loss.end;
                last.units += loss.units;
            }
            // As many streams as this there are not.
            None => waiting.push(loss),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Loss>> {
        // A list is never half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is missing of one stream, until its next unit comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Missing {
    /// The last unit that came.
    last: Option<WallTime>,
    open: Option<(u64, LossCause)>,
}

impl Missing {
    pub(crate) fn after(last: Option<WallTime>) -> Self {
        Self { last, open: None }
    }

    /// Units are gone. The first cause counts.
    pub(crate) fn add(&mut self, units: u64, cause: LossCause) {
        let open = self.open.get_or_insert((0, cause));
        open.0 += units;
    }

    /// A unit came; what was missing before it.
    pub(crate) fn end(&mut self, stream: StreamId, at: WallTime) -> Option<Loss> {
        let start = self.last.replace(at).unwrap_or(at);
        let (units, cause) = self.open.take()?;
        Some(Loss { stream, start, end: at, units, cause })
    }
}

#[cfg(test)]
mod tests {
    use hal::{ChannelId, StreamKind};

    use super::*;

    fn at(seconds: i64) -> WallTime {
        WallTime::from_unix_micros(seconds * 1_000_000)
    }

    fn stream(channel: u16) -> StreamId {
        StreamId::new(ChannelId::new(channel).unwrap(), StreamKind::Main)
    }

    #[test]
    fn a_stretch_is_from_the_last_unit_to_the_next_and_has_its_first_cause() {
        let mut missing = Missing::after(Some(at(5)));
        missing.add(3, LossCause::DiskFailed);
        missing.add(4, LossCause::Overrun);
        let loss = missing.end(stream(1), at(9)).unwrap();
        let wanted =
            Loss { stream: stream(1), start: at(5), end: at(9), units: 7, cause: LossCause::DiskFailed };
        assert_eq!(loss, wanted);
        assert_eq!(missing.end(stream(1), at(10)), None);
        missing.add(1, LossCause::Refused);
        assert_eq!(missing.end(stream(1), at(12)).map(|loss| (loss.start, loss.units)), Some((at(10), 1)));
        // Nothing came before.
        let mut missing = Missing::default();
        missing.add(2, LossCause::Overrun);
        assert_eq!(missing.end(stream(1), at(3)).map(|loss| (loss.start, loss.end)), Some((at(3), at(3))));
    }

    #[test]
    fn nothing_is_forgotten_and_no_more_is_kept_than_there_is_room_for() {
        let losses = Losses::default();
        for second in 0..5000 {
            let (start, end) = (at(second), at(second + 1));
            let of = stream(1 + (second % 2) as u16);
            losses.add(Loss { stream: of, start, end, units: 1, cause: LossCause::Overrun });
        }
        let taken = losses.take();
        assert_eq!(taken.len(), MAX_WAITING);
        assert_eq!(taken.iter().map(|loss| loss.units).sum::<u64>(), 5000);
        assert_eq!(taken.iter().map(|loss| loss.end).max(), Some(at(5000)));
        assert_eq!(losses.take(), []);
    }
}
