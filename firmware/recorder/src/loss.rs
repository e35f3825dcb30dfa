//! Footage that the recorder did not get, stretch by stretch.
//!
//! Does not belong here: noticing it (`follow`), writing it down (crate `candor`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::{MonoTime, StreamId, WallTime};

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
    /// Nothing came.
    Silence,
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
    /// How many are missing; none where nothing came.
    pub units: u64,
    /// Why.
    pub cause: LossCause,
    /// Another recorder has it, as a mirror does, or told of it.
    pub elsewhere: bool,
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
                last.elsewhere &= loss.elsewhere;
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

/// Nothing comes for this long: it is missing. Cameras send a picture in four seconds at least.
const SILENCE: Duration = Duration::from_secs(5);

/// What is missing of one stream, until its next unit comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Missing {
    /// The last unit that came.
    last: Option<WallTime>,
    open: Option<(u64, LossCause)>,
    /// One came since the recorder began. What was before that is told by its start.
    heard: bool,
    /// When nothing was found there for the first and the last time since. Only a time in which somebody looked is silent.
    quiet: Option<(MonoTime, MonoTime)>,
}

impl Missing {
    pub(crate) fn after(last: Option<WallTime>) -> Self {
        Self { last, ..Self::default() }
    }

    /// Units are gone. The first cause counts.
    pub(crate) fn add(&mut self, units: u64, cause: LossCause) {
        let open = self.open.get_or_insert((0, cause));
        open.0 += units;
    }

    /// There was nothing to take.
    pub(crate) fn nothing_came(&mut self, now: MonoTime) {
        let (first, _) = self.quiet.unwrap_or((now, now));
        self.quiet = Some((first, now));
    }

    /// A unit came; what was missing before it, which another recorder has if `elsewhere`.
    pub(crate) fn end(&mut self, stream: StreamId, at: WallTime, elsewhere: bool) -> Option<Loss> {
        let start = self.last.replace(at).unwrap_or(at);
        let was_quiet = self.quiet.take().is_some_and(|(first, last)| last.since(first) > SILENCE);
        let had_heard = std::mem::replace(&mut self.heard, true);
        if was_quiet && had_heard {
            self.add(0, LossCause::Silence);
        }
        let (units, cause) = self.open.take()?;
        Some(Loss { stream, start, end: at, units, cause, elsewhere })
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
        let loss = missing.end(stream(1), at(9), false).unwrap();
        let wanted = Loss {
            stream: stream(1),
            start: at(5),
            end: at(9),
            units: 7,
            cause: LossCause::DiskFailed,
            elsewhere: false,
        };
        assert_eq!(loss, wanted);
        assert_eq!(missing.end(stream(1), at(10), false), None);
        missing.add(1, LossCause::Refused);
        assert_eq!(
            missing.end(stream(1), at(12), false).map(|loss| (loss.start, loss.units)),
            Some((at(10), 1))
        );
        // Nothing came before.
        let mut missing = Missing::default();
        missing.add(2, LossCause::Overrun);
        assert_eq!(
            missing.end(stream(1), at(3), false).map(|loss| (loss.start, loss.end)),
            Some((at(3), at(3)))
        );
    }

    #[test]
    fn silence_is_a_loss_when_somebody_listened() {
        let mono = |seconds| MonoTime::default() + Duration::from_secs(seconds);
        let mut missing = Missing::after(Some(at(100)));
        for second in 0..60 {
            missing.nothing_came(mono(second));
        }
        assert_eq!(missing.end(stream(1), at(129), false), None, "the recorder was off before");
        // Looked at twice, with a disk that kept this thread for long before the unit that waited was taken.
        for second in [60, 64] {
            missing.nothing_came(mono(second));
        }
        assert_eq!(missing.end(stream(1), at(130), false), None);
        for second in 90..96 {
            missing.nothing_came(mono(second));
        }
        assert_eq!(missing.end(stream(1), at(136), false), None, "five seconds are none");
        for second in 96..103 {
            missing.nothing_came(mono(second));
        }
        let loss = missing.end(stream(1), at(143), false).unwrap();
        assert_eq!((loss.start, loss.end, loss.units, loss.cause), (at(136), at(143), 0, LossCause::Silence));
        assert_eq!(missing.end(stream(1), at(144), false), None);
        // What the ring lost first is the cause.
        missing.add(3, LossCause::Overrun);
        for second in 110..120 {
            missing.nothing_came(mono(second));
        }
        assert_eq!(missing.end(stream(1), at(160), false).map(|loss| loss.cause), Some(LossCause::Overrun));
    }

    #[test]
    fn nothing_is_forgotten_and_no_more_is_kept_than_there_is_room_for() {
        let losses = Losses::default();
        for second in 0..5000 {
            let (start, end) = (at(second), at(second + 1));
            let of = stream(1 + (second % 2) as u16);
            let elsewhere = second % 3 == 0;
            losses.add(Loss { stream: of, start, end, units: 1, cause: LossCause::Overrun, elsewhere });
        }
        let taken = losses.take();
        assert_eq!(taken.len(), MAX_WAITING);
        assert_eq!(taken.iter().map(|loss| loss.units).sum::<u64>(), 5000);
        assert_eq!(taken.iter().map(|loss| loss.end).max(), Some(at(5000)));
        assert!(taken.last().is_some_and(|last| last.units > 3 && !last.elsewhere), "some of it is nowhere");
        assert_eq!(losses.take(), []);
    }
}
