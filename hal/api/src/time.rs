//! Time: presentation time, wall time, monotonic time, and the one clock.
//!
//! Three different things that must not be mixed, so three types. Only a [`Clock`] makes a [`WallTime`] or a
//! [`MonoTime`] of now; clippy forbids the standard library's `now()` elsewhere.
//!
//! Does not belong here: calendars, time zones and text (crate `jiff`, at the edges).

use std::ops::{Add, Sub};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Presentation time in ticks of 1/90 000 s (RFC 6184 section 8.2.1), from an origin that all streams of one
/// channel share. It only moves forward within a publisher's life; a new life may jump either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pts90k(pub i64);

impl Pts90k {
    /// Ticks in one second.
    pub const PER_SECOND: i64 = 90_000;

    /// Rounds to the nearest tick.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(((i128::from(micros) * 9 + 50).div_euclid(100)) as i64)
    }

    /// Rounds to the nearest microsecond.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        ((i128::from(self.0) * 100 + 4).div_euclid(9)) as i64
    }
}

impl Sub for Pts90k {
    type Output = i64;

    /// The distance in ticks of 1/90 000 s.
    fn sub(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// Wall time: microseconds of UTC since 1970-01-01, leap seconds not counted (POSIX). May step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallTime {
    micros: i64,
}

impl WallTime {
    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_micros(self) -> i64 {
        self.micros
    }

    /// Microseconds from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.micros.saturating_sub(earlier.micros)
    }

    /// This time moved by `micros`, saturating.
    #[must_use]
    pub const fn offset_micros(self, micros: i64) -> Self {
        Self { micros: self.micros.saturating_add(micros) }
    }
}

/// Monotonic time: never steps, and means nothing outside this boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime {
    since_start: Duration,
}

impl MonoTime {
    /// From the time since the clock's start.
    #[must_use]
    pub const fn from_start(since_start: Duration) -> Self {
        Self { since_start }
    }

    /// The time from `earlier` to here, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.since_start.saturating_sub(earlier.since_start)
    }
}

impl Add<Duration> for MonoTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self { since_start: self.since_start.saturating_add(span) }
    }
}

/// The one source of time. Tests turn a simulated one (`hal_sim::SimClock`).
pub trait Clock: Send + Sync {
    /// UTC now, as far as this machine knows it.
    fn wall(&self) -> WallTime;
    /// Monotonic time now.
    fn mono(&self) -> MonoTime;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
impl SystemClock {
    /// Its monotonic time starts at zero here.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
impl Clock for SystemClock {
    fn wall(&self) -> WallTime {
        // A clock before 1970 reads as 1970: there is nothing better to say.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime::from_unix_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> MonoTime {
        MonoTime::from_start(self.start.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_microseconds_round_to_nearest_both_ways() {
        assert_eq!(Pts90k::from_micros(1_000_000), Pts90k(90_000));
        assert_eq!(Pts90k::from_micros(-1_000_000), Pts90k(-90_000));
        for ticks in [-90_001, -1, 0, 1, 7, 3_003, 90_000, i64::from(u32::MAX)] {
            assert_eq!(Pts90k::from_micros(Pts90k(ticks).as_micros()), Pts90k(ticks));
        }
    }
}
