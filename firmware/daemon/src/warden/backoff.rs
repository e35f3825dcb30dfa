//! How long to wait before a role is started again.

use std::time::Duration;

use hal::MonoTime;

/// After the first failure: short, because footage is missing meanwhile.
const FIRST: Duration = Duration::from_millis(100);
/// At most, for a role that fails at once each time: it must not take the processor from the others.
const LONGEST: Duration = Duration::from_secs(10);
/// A role that ran this long was well: the next failure counts as the first.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// The pauses of one role.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after a life from `started` to `ended`.
    pub(super) fn pause(&mut self, started: MonoTime, ended: MonoTime) -> Duration {
        if ended.since(started) >= WELL_AFTER {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn doubles_up_to_a_limit_and_forgets_after_a_good_while() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..9).map(|_| backoff.pause(at(0), at(5)).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff.pause(at(0), at(30_000)).as_millis(), 100);
        for _ in 0..100 {
            assert!(backoff.pause(at(0), at(1)) <= LONGEST);
        }
    }
}
