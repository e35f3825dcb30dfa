//! The volume's calendar: what day it is, as far as footage may be forgotten by it.
//!
//! A clock can jump: to 1970 when a battery is empty, to 2040 when somebody lies about the time. Footage that is deleted
//! because of that does not come back. Does not belong here: what is forgotten (`removal`).
//!
//! Invariants
//! - It never goes back.
//! - It goes at least as fast as the machine runs, and at most [`CATCH_UP`] times as fast.

use hal::{MonoTime, WallTime};

/// How many times as fast as it runs the machine makes up for the time when it was off, if its clock is to be trusted. A
/// weekend takes two hours, a month more than a day; a clock that is 14 years ahead for an hour costs a day.
const CATCH_UP: i64 = 24;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar {
    now: WallTime,
    at: MonoTime,
    trusted: bool,
}

impl Calendar {
    /// Goes on from `latest`, the latest time that is on the volume; a new volume takes the wall clock's word.
    pub(crate) fn new(latest: Option<WallTime>, wall: WallTime, mono: MonoTime) -> Self {
        Self { now: latest.unwrap_or(wall), at: mono, trusted: false }
    }

    /// Whether the wall clock is known to be right.
    pub(crate) fn set_trusted(&mut self, trusted: bool) {
        self.trusted = trusted;
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.trusted
    }

    pub(crate) fn now(&self) -> WallTime {
        self.now
    }

    /// What the clocks say now.
    pub(crate) fn advance(&mut self, wall: WallTime, mono: MonoTime) {
        let ran = i64::try_from(mono.since(self.at).as_micros()).unwrap_or(i64::MAX);
        self.at = mono;
        self.now = self.now.offset_micros(ran);
        if self.trusted && wall > self.now {
            self.now = self.now.offset_micros(ran.saturating_mul(CATCH_UP - 1)).min(wall);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: u64 = 3600;

    fn wall(hours: i64) -> WallTime {
        WallTime::from_unix_micros(hours * 3_600_000_000)
    }

    fn mono(hours: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_secs(hours * HOUR))
    }

    #[test]
    fn it_follows_a_clock_that_jumps_no_faster_than_a_day_an_hour_and_never_back() {
        // 2026, about.
        let begun = 490_000;
        let mut calendar = Calendar::new(None, wall(begun), mono(0));
        calendar.set_trusted(true);
        calendar.advance(wall(begun + 10), mono(10));
        assert_eq!(calendar.now(), wall(begun + 10));
        // 2040 for two hours.
        calendar.advance(wall(620_000), mono(12));
        assert_eq!(calendar.now(), wall(begun + 10 + 48));
        // Back.
        calendar.advance(wall(begun + 13), mono(13));
        assert_eq!(calendar.now(), wall(begun + 10 + 49));
        // 1970.
        calendar.advance(wall(1), mono(14));
        assert_eq!(calendar.now(), wall(begun + 10 + 50));
    }

    #[test]
    fn a_clock_that_nobody_vouches_for_is_not_followed() {
        let mut calendar = Calendar::new(Some(wall(490_000)), wall(620_000), mono(0));
        calendar.advance(wall(620_100), mono(100));
        assert_eq!(calendar.now(), wall(490_100));
        // A weekend without power, and a clock that was set from the network.
        let mut calendar = Calendar::new(Some(wall(490_000)), wall(490_048), mono(0));
        calendar.set_trusted(true);
        calendar.advance(wall(490_049), mono(1));
        assert_eq!(calendar.now(), wall(490_024));
        calendar.advance(wall(490_051), mono(3));
        assert_eq!(calendar.now(), wall(490_051));
    }
}
