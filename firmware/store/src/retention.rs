//! Classes of retention: footage that is kept by the same rule lies together.
//!
//! Does not belong here: files (`pool`), which channel is kept how long (settings, crate `candor`).
//!
//! Invariant: a segment holds footage of one class, so that forgetting one class never costs another.

use std::fmt;

use hal::WallTime;

/// A day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// Footage that claims to be farther in the future than this was recorded while the clock was wrong.
const MAX_AHEAD_MICROS: i64 = DAY_MICROS;

/// A class of retention, 0 to [`Class::COUNT`] - 1. Streams are in class 0 unless told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(u8);

impl Class {
    /// How many there are: each in use has a segment of its own open and costs a write and a sync a commit.
    pub const COUNT: u8 = 8;

    /// Where streams are unless told otherwise.
    pub const DEFAULT: Self = Self(0);

    /// `None` from [`Class::COUNT`] on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Every class.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class {}", self.0)
    }
}

/// How long the footage of a class is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Footage that is older is forgotten, at most a day late; `None`: it stays until its room is needed.
    pub max_days: Option<u32>,
    /// When room is needed, the class that takes most of it for each of its shares gives up its oldest segment. A class
    /// with 0 gives first.
    pub share: u32,
}

impl Default for Retention {
    /// For as long as there is room.
    fn default() -> Self {
        Self { max_days: None, share: 1 }
    }
}

/// The rule of every class.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules([Retention; Class::COUNT as usize]);

impl Rules {
    pub(crate) fn of(&self, class: Class) -> Retention {
        self.0.get(usize::from(class.get())).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, class: Class, rule: Retention) {
        if let Some(place) = self.0.get_mut(usize::from(class.get())) {
            *place = rule;
        }
    }
}

/// What day it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Today {
    /// By the volume's calendar.
    pub(crate) calendar: WallTime,
    /// By the wall clock, where it is known to be right.
    pub(crate) wall: Option<WallTime>,
}

impl Today {
    /// Whether footage that was written until `closed` (calendar) and says that it ends at `newest` (wall clock then) is
    /// more than `days` old.
    ///
    /// The calendar must say so, and the footage must not contradict: while the calendar makes up for a time without power,
    /// what is recorded looks older by it than it is. Where nobody knows what day it is, footage that says to be younger
    /// than the calendar stays.
    pub(crate) fn is_over(&self, days: u32, closed: WallTime, newest: WallTime) -> bool {
        let micros = i64::from(days).saturating_mul(DAY_MICROS);
        let agrees = match self.wall {
            Some(wall) => wall.micros_since(newest) > micros || newest.micros_since(wall) > MAX_AHEAD_MICROS,
            None => self.calendar.micros_since(newest) > micros,
        };
        agrees && self.calendar.micros_since(closed) > micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> WallTime {
        WallTime::from_unix_micros(number * DAY_MICROS)
    }

    #[test]
    fn footage_is_old_when_calendar_and_clock_agree_or_its_own_time_is_impossible() {
        let is_over = |calendar, wall, closed, newest| {
            Today { calendar: day(calendar), wall: Some(day(wall)) }.is_over(7, day(closed), day(newest))
        };
        assert!(is_over(20_000, 20_000, 19_990, 19_990));
        assert!(!is_over(20_000, 20_000, 19_995, 19_995));
        // A clock in 2040, and one in 1970: the calendar knows better.
        assert!(!is_over(20_000, 25_600, 19_995, 19_995));
        assert!(!is_over(20_000, 0, 19_995, 19_995));
        assert!(is_over(20_000, 0, 19_990, 19_990));
        // Recorded while the clock said 2040, and while it said 1970.
        assert!(is_over(20_000, 20_000, 19_990, 25_600));
        assert!(!is_over(20_000, 20_000, 19_995, 25_600));
        assert!(!is_over(20_000, 20_000, 19_995, 0));
        // The calendar was behind when this was recorded, five days ago.
        assert!(!is_over(20_000, 20_000, 19_970, 19_995));
    }

    #[test]
    fn without_a_clock_that_is_known_to_be_right_footage_goes_by_the_calendar_alone() {
        let is_over = |calendar, closed, newest| {
            Today { calendar: day(calendar), wall: None }.is_over(7, day(closed), day(newest))
        };
        assert!(is_over(20_000, 19_990, 19_990));
        assert!(!is_over(20_000, 19_995, 19_995));
        // Begun in 1970, and each start begins there again.
        assert!(is_over(10, 2, 1));
        assert!(!is_over(10, 5, 1));
        // Begun in 1970, set from the network, and back in 1970 before the calendar was in step.
        assert!(!is_over(2_000, 1_900, 20_000));
    }
}
