//! Rates of a stream over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use hal::MonoTime;

/// The rates are of this long a past: several GOPs, so that keyframes don't show as waves.
const WINDOW: Duration = Duration::from_secs(5);
/// Units kept at most: 5 s of 200 units a second, more than any camera or codec sends.
const MAX_UNITS: usize = 1000;

/// Counts units.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    units: VecDeque<(MonoTime, u32)>,
    bytes: u64,
}

impl Meter {
    /// A unit of `bytes` came.
    pub(crate) fn count(&mut self, now: MonoTime, bytes: usize) {
        self.units.push_back((now, bytes as u32));
        self.bytes += bytes as u64;
        self.forget(now);
    }

    /// Units a second and bits a second up to `now`; zero while too little is known.
    pub(crate) fn rates(&mut self, now: MonoTime) -> (f64, u32) {
        self.forget(now);
        let (Some((first, first_bytes)), Some((last, _))) = (self.units.front(), self.units.back()) else {
            return (0.0, 0);
        };
        let span = last.since(*first).as_secs_f64();
        if span < 0.2 {
            return (0.0, 0);
        }
        // n units span n-1 intervals: the first one opens the span and does not count.
        let bits = 8.0 * (self.bytes - u64::from(*first_bytes)) as f64;
        ((self.units.len() - 1) as f64 / span, (bits / span) as u32)
    }

    fn forget(&mut self, now: MonoTime) {
        while let Some((at, bytes)) = self.units.front().copied() {
            if now.since(at) <= WINDOW && self.units.len() <= MAX_UNITS {
                return;
            }
            self.bytes -= u64::from(bytes);
            self.units.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn measures_what_came_and_forgets_what_ended() {
        let mut meter = Meter::default();
        assert_eq!(meter.rates(at(0)), (0.0, 0));
        for n in 0..200 {
            meter.count(at(n * 40), 5000);
        }
        let (rate, bits) = meter.rates(at(200 * 40));
        assert!((rate - 25.0).abs() < 0.01, "{rate}");
        assert_eq!(bits, 1_000_000);
        assert_eq!(meter.rates(at(60_000)), (0.0, 0));
    }

    #[test]
    fn keeps_a_bounded_past() {
        let mut meter = Meter::default();
        for _ in 0..10 * MAX_UNITS {
            meter.count(at(0), 1);
        }
        assert!(meter.units.len() <= MAX_UNITS);
    }
}
