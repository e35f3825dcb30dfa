//! A clock that tests turn.
//!
//! Stands still unless turned. Wall time can step without monotonic time noticing, as an operator, NTP or a flat
//! battery make it step.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hal::{Clock, MonoTime, WallTime};

/// A clock that only moves when told to.
#[derive(Debug)]
pub struct SimClock {
    now: Mutex<(WallTime, Duration)>,
}

impl SimClock {
    /// A clock that shows `wall`; its monotonic time is zero.
    #[must_use]
    pub fn new(wall: WallTime) -> Self {
        Self { now: Mutex::new((wall, Duration::ZERO)) }
    }

    /// Lets `span` pass.
    pub fn advance(&self, span: Duration) {
        self.change(|(wall, mono)| {
            *wall = wall.offset_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
            *mono = mono.saturating_add(span);
        });
    }

    /// Sets the wall clock; no time passes.
    pub fn set_wall(&self, wall: WallTime) {
        self.change(|now| now.0 = wall);
    }

    /// Steps the wall clock by `micros`, forward or back; no time passes.
    pub fn step_wall(&self, micros: i64) {
        self.change(|now| now.0 = now.0.offset_micros(micros));
    }

    fn change(&self, change: impl FnOnce(&mut (WallTime, Duration))) {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> (WallTime, Duration) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimClock {
    fn wall(&self) -> WallTime {
        self.read().0
    }

    fn mono(&self) -> MonoTime {
        MonoTime::from_start(self.read().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_for_both_and_steps_for_the_wall_alone() {
        let clock = SimClock::new(WallTime::from_unix_micros(1_000));
        let start = clock.mono();
        clock.advance(Duration::from_micros(500));
        assert_eq!(clock.wall().as_unix_micros(), 1_500);
        clock.step_wall(-700);
        assert_eq!(clock.wall().as_unix_micros(), 800);
        clock.set_wall(WallTime::from_unix_micros(5));
        assert_eq!(clock.wall().as_unix_micros(), 5);
        assert_eq!(clock.mono().since(start), Duration::from_micros(500));
    }
}
