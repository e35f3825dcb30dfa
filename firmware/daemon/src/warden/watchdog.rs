//! The hardware watchdog: fed while every role makes progress.
//!
//! It is fed from the warden's own loop, so that a warden that hangs is reset as well.

use std::sync::Arc;
use std::time::Duration;

use hal::{MonoTime, Watchdog};
use tokio::time::{MissedTickBehavior, interval};

use super::desk::Desk;
use super::progress::Progress;
use crate::role::Role;

/// What the hardware waits before it resets the board: several feedings, and a loaded disk's longest pause.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is fed.
const FEED_EVERY: Duration = Duration::from_secs(5);

/// Feeds `dog` for as long as there is reason to; never returns.
pub(super) async fn feed(desk: Arc<Desk>, dog: impl Watchdog) {
    let mut feeder = Feeder { dog, stuck: None };
    let mut every = interval(FEED_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        feeder.turn(&desk.progress, desk.clock.mono());
    }
}

struct Feeder<W> {
    dog: W,
    stuck: Option<Role>,
}

impl<W: Watchdog> Feeder<W> {
    fn turn(&mut self, progress: &Progress, now: MonoTime) {
        let stuck = progress.stuck(now);
        if stuck != self.stuck {
            self.stuck = stuck;
            match stuck {
                Some(role) => tracing::error!(%role, "makes no progress: the watchdog is not fed any more"),
                None => tracing::warn!("every role makes progress again: the watchdog is fed"),
            }
        }
        if stuck.is_none()
            && let Err(error) = self.dog.feed()
        {
            tracing::error!(%error, "the watchdog cannot be fed");
        }
    }
}

#[cfg(test)]
mod tests {
    use hal::{Clock, WallTime};
    use hal_sim::{SimClock, SimWatchdog};

    use super::*;

    #[test]
    fn it_is_fed_until_a_role_is_silent() {
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let mut dog = SimWatchdog::new(Arc::<SimClock>::clone(&clock));
        dog.start(TIMEOUT).unwrap();
        let mut feeder = Feeder { dog: dog.clone(), stuck: None };
        let progress = Progress::new(clock.mono());
        for _ in 0..24 {
            for role in Role::ALL {
                progress.made(role, clock.mono());
            }
            clock.advance(FEED_EVERY);
            feeder.turn(&progress, clock.mono());
        }
        assert!(!dog.has_bitten());
        for turn in 0.. {
            assert!(turn < 14, "70 s without progress, and it is still fed");
            for role in Role::ALL.into_iter().filter(|role| *role != Role::Serve) {
                progress.made(role, clock.mono());
            }
            clock.advance(FEED_EVERY);
            feeder.turn(&progress, clock.mono());
            if dog.has_bitten() {
                break;
            }
        }
    }
}
