//! Waiting for what must come, with a limit.

use std::thread;
use std::time::Duration;

use hal::{Clock, MonoTime, SystemClock, WallTime};
use jiff::Timestamp;

/// Far more than anything takes, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until there is something to see.
///
/// # Panics
/// When there is nothing within [`PATIENCE`].
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// As [`until`], with a limit of its own.
///
/// # Panics
/// When there is nothing within `limit`.
pub fn until_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let watch = Stopwatch::start();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(watch.elapsed() < limit, "waited {} s in vain: {what}", limit.as_secs());
        thread::sleep(LOOK_EVERY);
    }
}

/// The wall time, as the recorder on the same machine has it.
#[must_use]
pub fn now() -> Timestamp {
    timestamp(SystemClock::new().wall())
}

fn timestamp(time: WallTime) -> Timestamp {
    Timestamp::from_microsecond(time.as_unix_micros()).unwrap_or_default()
}

/// Measures how long something takes.
pub struct Stopwatch(SystemClock, MonoTime);

impl Stopwatch {
    /// Runs from now on.
    #[must_use]
    pub fn start() -> Self {
        let clock = SystemClock::new();
        let start = clock.mono();
        Self(clock, start)
    }

    /// Since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.mono().since(self.1)
    }
}
