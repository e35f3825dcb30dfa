//! A watchdog that bites on the simulated clock.
//!
//! Clones share the device: one goes to the code under test, one stays with the test.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hal::{Clock, HalError, MonoTime, Watchdog};

/// What the simulated hardware can do: whole seconds up to this, as 16-bit counters of real ones.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(65_535);

/// A simulated hardware watchdog. It can be stopped.
#[derive(Clone)]
pub struct SimWatchdog {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    bitten: bool,
}

struct Running {
    timeout: Duration,
    fed: MonoTime,
}

impl SimWatchdog {
    /// A watchdog at rest.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Whether it was not fed in time, now or ever before: the board would have been reset.
    #[must_use]
    pub fn has_bitten(&self) -> bool {
        self.with(|state, _| state.bitten)
    }

    /// Every access first sees whether the time ran out before it.
    fn with<T>(&self, access: impl FnOnce(&mut State, MonoTime) -> T) -> T {
        let now = self.clock.mono();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.running.as_ref().is_some_and(|r| now.since(r.fed) >= r.timeout) {
            state.bitten = true;
        }
        access(&mut state, now)
    }
}

impl Watchdog for SimWatchdog {
    fn start(&mut self, timeout: Duration) -> Result<Duration, HalError> {
        let seconds = timeout.as_secs().saturating_add(u64::from(timeout.subsec_nanos() > 0));
        let timeout = Duration::from_secs(seconds.max(1)).min(LONGEST_TIMEOUT);
        self.with(|state, now| state.running = Some(Running { timeout, fed: now }));
        Ok(timeout)
    }

    fn feed(&mut self) -> Result<(), HalError> {
        self.with(|state, now| {
            if let Some(running) = &mut state.running {
                running.fed = now;
            }
        });
        Ok(())
    }

    fn stop(&mut self) -> Result<(), HalError> {
        self.with(|state, _| state.running = None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hal::WallTime;

    use super::*;
    use crate::clock::SimClock;

    #[test]
    fn it_bites_only_when_not_fed_in_time() {
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let mut watchdog = SimWatchdog::new(Arc::<SimClock>::clone(&clock));
        let observer = watchdog.clone();
        clock.advance(Duration::from_secs(100));
        assert_eq!(watchdog.start(Duration::from_millis(2_500)).unwrap(), Duration::from_secs(3));
        for _ in 0..5 {
            clock.advance(Duration::from_millis(2_999));
            watchdog.feed().unwrap();
        }
        assert!(!observer.has_bitten());
        clock.advance(Duration::from_secs(3));
        watchdog.feed().unwrap();
        assert!(observer.has_bitten(), "a late feeding does not undo the bite");
    }

    #[test]
    fn a_stopped_one_never_bites() {
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let mut watchdog = SimWatchdog::new(Arc::<SimClock>::clone(&clock));
        assert_eq!(watchdog.start(Duration::MAX).unwrap(), LONGEST_TIMEOUT);
        watchdog.stop().unwrap();
        clock.advance(Duration::from_secs(1_000_000));
        assert!(!watchdog.has_bitten());
    }
}
