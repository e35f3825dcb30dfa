//! How fast each class fills its room, and for how long footage stays.
//!
//! Does not belong here: rules (`retention`), what is written (`writer`).
//!
//! Invariant: the wall clock is not looked at, so that setting it changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hal::{MonoTime, WallTime};

use crate::pool::NEVER;
use crate::retention::{Class, Rules};

/// Day and night differ, so a whole day is looked back at.
const WINDOW_HOURS: usize = 24;

const HOUR: Duration = Duration::from_secs(3600);

/// Less than this says too little.
const LEAST: Duration = HOUR;

const DAY_SECS: u128 = 86_400;

/// What was written in about an hour.
struct Hour {
    begun: MonoTime,
    bytes: BTreeMap<Class, u64>,
}

/// Bytes a day of every class.
pub(crate) struct Rates {
    hours: VecDeque<Hour>,
    /// What the segments of before told, until enough was measured.
    before: BTreeMap<Class, u64>,
}

impl Rates {
    /// `closed` are the times at which segments were closed, by the volume's calendar, in order.
    pub(crate) fn new(
        now: MonoTime,
        segment_bytes: u64,
        closed: impl Iterator<Item = (Class, WallTime)>,
    ) -> Self {
        let mut times: BTreeMap<Class, VecDeque<WallTime>> = BTreeMap::new();
        let window = i64::try_from(HOUR.as_micros()).unwrap_or(i64::MAX) * WINDOW_HOURS as i64;
        // When what cannot be read was closed, nobody knows.
        for (class, time) in closed.filter(|(_, time)| *time != NEVER) {
            let times = times.entry(class).or_default();
            while times.front().is_some_and(|first| time.micros_since(*first) > window) {
                times.pop_front();
            }
            times.push_back(time);
        }
        let rate = |times: &VecDeque<WallTime>| {
            let span = times.back()?.micros_since(*times.front()?);
            let span = Duration::from_micros(u64::try_from(span).ok()?);
            a_day((times.len() as u64 - 1).saturating_mul(segment_bytes), span)
        };
        let before = times.iter().filter_map(|(class, times)| Some((*class, rate(times)?))).collect();
        let hours = [Hour { begun: now, bytes: BTreeMap::new() }].into();
        Self { hours, before }
    }

    /// Bytes were written.
    pub(crate) fn add(&mut self, now: MonoTime, class: Class, bytes: u64) {
        if self.hours.back().is_none_or(|hour| now.since(hour.begun) >= HOUR) {
            self.hours.push_back(Hour { begun: now, bytes: BTreeMap::new() });
            if self.hours.len() > WINDOW_HOURS + 1 {
                self.hours.pop_front();
            }
        }
        if let Some(hour) = self.hours.back_mut() {
            *hour.bytes.entry(class).or_default() += bytes;
        }
    }

    /// Bytes a day, if enough is known.
    pub(crate) fn of(&self, now: MonoTime, class: Class) -> Option<u64> {
        let span = now.since(self.hours.front()?.begun);
        let bytes = self.hours.iter().filter_map(|hour| hour.bytes.get(&class)).sum();
        a_day(bytes, span).or_else(|| self.before.get(&class).copied())
    }
}

fn a_day(bytes: u64, span: Duration) -> Option<u64> {
    (span >= LEAST).then(|| {
        let bytes = u128::from(bytes) * DAY_SECS * 1000 / span.as_millis().max(1);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    })
}

/// For how long footage of each class stays when `room` bytes are filled at these bytes a day: a class that does not need
/// its share because of its days leaves the rest to the others, by their shares.
pub(crate) fn expected(rates: &[(Class, u64)], rules: &Rules, mut room: u64) -> BTreeMap<Class, Duration> {
    let mut left: Vec<(Class, u64)> = rates.iter().copied().filter(|(_, rate)| *rate > 0).collect();
    let mut expected = BTreeMap::new();
    loop {
        let shares: u128 = left.iter().map(|(class, _)| u128::from(rules.of(*class).share)).sum();
        let part = |class: Class| match shares {
            0 => u128::from(room) / left.len().max(1) as u128,
            _ => u128::from(room) * u128::from(rules.of(class).share) / shares,
        };
        let enough = left.iter().position(|&(class, rate)| {
            let days = rules.of(class).max_days.map(u128::from);
            days.is_some_and(|days| u128::from(rate) * days <= part(class))
        });
        let Some(at) = enough else {
            for &(class, rate) in &left {
                let seconds = part(class) * DAY_SECS / u128::from(rate);
                expected.insert(class, Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)));
            }
            return expected;
        };
        let (class, rate) = left.remove(at);
        let days = u64::from(rules.of(class).max_days.unwrap_or_default());
        expected.insert(class, Duration::from_secs(days * DAY_SECS as u64));
        room = room.saturating_sub(rate.saturating_mul(days));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::Retention;

    const GB: u64 = 1_000_000_000;

    fn mono(hours: u64) -> MonoTime {
        MonoTime::from_start(HOUR * hours as u32)
    }

    fn class(number: u8) -> Class {
        Class::new(number).unwrap()
    }

    fn days(number: u64) -> Duration {
        Duration::from_secs(number * DAY_SECS as u64)
    }

    #[test]
    fn a_day_is_looked_back_at_and_less_than_an_hour_says_nothing() {
        let mut rates = Rates::new(mono(0), GB, std::iter::empty());
        rates.add(mono(0), class(0), GB);
        assert_eq!(rates.of(mono(0), class(0)), None);
        for hour in 0..48 {
            // Twice as much on the second day.
            rates.add(mono(hour), class(0), if hour < 24 { GB } else { 2 * GB });
        }
        let rate = rates.of(mono(48), class(0)).unwrap();
        assert!((46 * GB..=48 * GB).contains(&rate), "{rate}");
        assert_eq!(rates.of(mono(48), class(1)), Some(0));

        // Before an hour is over the segments of before tell.
        let at = |hour: i64| WallTime::from_unix_micros(hour * 3_600_000_000);
        let closed = (0..100).map(|hour| (class(0), at(hour)));
        let rates = Rates::new(mono(0), GB, closed);
        assert_eq!(rates.of(mono(0), class(0)), Some(24 * GB));
    }

    #[test]
    fn a_class_that_needs_less_than_its_share_leaves_the_rest() {
        let mut rules = Rules::default();
        let rates = [(class(0), 10 * GB), (class(1), 10 * GB)];
        let both = expected(&rates, &rules, 1000 * GB);
        assert_eq!(both, [(class(0), days(50)), (class(1), days(50))].into());
        rules.set(class(1), Retention { max_days: Some(10), share: 1 });
        let expected_days = expected(&rates, &rules, 1000 * GB);
        assert_eq!(expected_days, [(class(0), days(90)), (class(1), days(10))].into());
        // A share that is too small for the days.
        rules.set(class(1), Retention { max_days: Some(60), share: 1 });
        rules.set(class(0), Retention { max_days: None, share: 3 });
        let expected_days = expected(&rates, &rules, 1000 * GB);
        assert_eq!(expected_days, [(class(0), days(75)), (class(1), days(25))].into());
    }
}
