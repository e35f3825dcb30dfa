//! The hardware watchdogs: fed while every role makes progress.
//!
//! They are fed from the warden's own loop, so that a warden that hangs is reset as well. A board may have several, in the SoC and
//! in a panel; each has its own time-out, and all of them stop being fed together. One that cannot be started is tried
//! again: it may be running all the same, armed by the boot loader.

use std::sync::Arc;
use std::time::Duration;

use board::{Board, WatchdogKind};
use hal::{HalError, MonoTime, Watchdog};
use hal_linux::LinuxWatchdog;
use tokio::time::{MissedTickBehavior, interval};

use super::desk::Desk;
use super::devices::Devices;
use super::progress::Progress;
use crate::role::Role;

/// What the hardware waits before it resets the board: several feedings, and a loaded disk's longest pause.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often all of them are looked at: the shortest that any hardware asks for is some seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often one is fed whose board says nothing else.
const FEED_EVERY: Duration = Duration::from_secs(5);
/// Feedings in the time-out that the hardware really has, at least.
const FEEDINGS_IN_TIMEOUT: u32 = 3;

/// Opens a watchdog; it may take several tries.
type Open = Box<dyn Fn() -> Result<Box<dyn Watchdog>, HalError> + Send>;

/// Feeds the board's watchdogs for as long as there is reason to; never returns.
pub(super) async fn feed(desk: Arc<Desk>, board: Board, devices: Arc<Devices>) {
    let mut feeder = Feeder { dogs: dogs(&board, &devices), stuck: None };
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        feeder.turn(&desk.progress, desk.clock.mono());
    }
}

/// All that the board describes; the kernel's count in their order.
fn dogs(board: &Board, devices: &Arc<Devices>) -> Vec<Dog> {
    let mut place = 0;
    let described = board.watchdogs.iter().map(|watchdog| {
        let kind = watchdog.kind;
        let open: Open = match (kind, watchdog.panel.clone()) {
            (WatchdogKind::Panel, panel) => {
                let devices = Arc::clone(devices);
                Box::new(move || Ok(Box::new(devices.panel(&panel.clone().unwrap_or_default())?.watchdog())))
            }
            (WatchdogKind::Sp805 | WatchdogKind::I6300esb, _) => {
                let number = place;
                place += 1;
                Box::new(move || Ok(Box::new(kernels(kind, number)?)))
            }
        };
        let every = watchdog.feed_every_sec.map(|seconds| Duration::from_secs(u64::from(seconds)));
        Dog::new(watchdog.name.clone(), every, open)
    });
    described.collect()
}

fn kernels(kind: WatchdogKind, place: usize) -> Result<LinuxWatchdog, HalError> {
    let dog = LinuxWatchdog::open_kind(kind, place)?;
    if dog.caused_last_reset() == Some(true) {
        tracing::warn!(?kind, "the last restart was the watchdog's");
    }
    Ok(dog)
}

/// One of them.
struct Dog {
    name: String,
    open: Open,
    /// Once it is started.
    running: Option<Box<dyn Watchdog>>,
    /// As the board says.
    prescribed: Option<Duration>,
    every: Duration,
    due: Option<MonoTime>,
    /// What went wrong last, to say it once.
    told: Option<String>,
}

impl Dog {
    fn new(name: String, prescribed: Option<Duration>, open: Open) -> Self {
        let every = prescribed.unwrap_or(FEED_EVERY);
        Self { name, open, running: None, prescribed, every, due: None, told: None }
    }

    /// Starts it, or feeds it when that is due.
    fn turn(&mut self, now: MonoTime) {
        // A look comes a little before or after its second.
        if self.due.is_some_and(|due| now + LOOK_EVERY / 2 < due) {
            return;
        }
        let done = match &mut self.running {
            Some(dog) => dog.feed(),
            None => self.start(),
        };
        match done {
            Ok(()) => {
                self.due = Some(now + self.every);
                if self.told.take().is_some() {
                    tracing::warn!(watchdog = self.name, "the watchdog is fed again");
                }
            }
            // At the next look, not when it would be due: a reset is near.
            Err(error) => {
                let error = error.to_string();
                if self.told.as_ref() != Some(&error) {
                    tracing::error!(watchdog = self.name, error, "the watchdog cannot be fed");
                    self.told = Some(error);
                }
            }
        }
    }

    fn start(&mut self) -> Result<(), HalError> {
        let mut dog = (self.open)()?;
        let timeout = dog.start(TIMEOUT)?;
        self.running = Some(dog);
        let often = (timeout / FEEDINGS_IN_TIMEOUT).min(FEED_EVERY);
        self.every = self.prescribed.unwrap_or(often);
        let (timeout_sec, every_sec) = (timeout.as_secs(), self.every.as_secs());
        tracing::info!(watchdog = self.name, timeout_sec, every_sec, "the watchdog runs");
        Ok(())
    }
}

struct Feeder {
    dogs: Vec<Dog>,
    stuck: Option<Role>,
}

impl Feeder {
    fn turn(&mut self, progress: &Progress, now: MonoTime) {
        let stuck = progress.stuck(now);
        if stuck != self.stuck {
            self.stuck = stuck;
            match stuck {
                Some(role) => tracing::error!(%role, "makes no progress: no watchdog is fed any more"),
                None => tracing::warn!("every role makes progress again: the watchdogs are fed"),
            }
        }
        if stuck.is_none() {
            for dog in &mut self.dogs {
                dog.turn(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use hal::{Clock, ErrorKind, WallTime};
    use hal_sim::{SimClock, SimWatchdog};

    use super::*;

    fn clock() -> Arc<SimClock> {
        Arc::new(SimClock::new(WallTime::default()))
    }

    fn sim(clock: &Arc<SimClock>) -> SimWatchdog {
        SimWatchdog::new(Arc::<SimClock>::clone(clock))
    }

    fn dog(name: &str, prescribed: Option<Duration>, sim: &SimWatchdog) -> Dog {
        let sim = sim.clone();
        Dog::new(name.to_owned(), prescribed, Box::new(move || Ok(Box::new(sim.clone()))))
    }

    /// One look; every role but the silent one has said something before it.
    fn look(feeder: &mut Feeder, progress: &Progress, clock: &SimClock, silent: Option<Role>) {
        for role in Role::ALL.into_iter().filter(|role| Some(*role) != silent) {
            progress.made(role, clock.mono());
        }
        clock.advance(LOOK_EVERY);
        feeder.turn(progress, clock.mono());
    }

    #[test]
    fn all_are_fed_until_a_role_is_silent() {
        let clock = clock();
        let (soc, mut panel) = (sim(&clock), sim(&clock));
        // Armed already, with its last feeding well behind it; it is fed as seldom as it wants.
        panel.start(Duration::from_secs(60)).unwrap();
        clock.advance(Duration::from_secs(50));
        let dogs = vec![dog("soc", None, &soc), dog("mcu", Some(Duration::from_secs(25)), &panel)];
        let mut feeder = Feeder { dogs, stuck: None };
        let progress = Progress::new(clock.mono());
        for _ in 0..120 {
            look(&mut feeder, &progress, &clock, None);
        }
        assert!(!soc.has_bitten() && !panel.has_bitten());
        for turn in 0.. {
            assert!(turn < 100, "100 s without progress, and one is still fed");
            look(&mut feeder, &progress, &clock, Some(Role::Serve));
            if soc.has_bitten() && panel.has_bitten() {
                break;
            }
        }
    }

    /// Counts its feedings.
    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicU32>);

    impl Watchdog for Counted {
        fn start(&mut self, _: Duration) -> Result<Duration, HalError> {
            Ok(Duration::from_secs(60))
        }

        fn feed(&mut self) -> Result<(), HalError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn stop(&mut self) -> Result<(), HalError> {
            Ok(())
        }
    }

    #[test]
    fn each_has_its_own_schedule() {
        let clock = clock();
        let counts = [Counted::default(), Counted::default()];
        let dogs = counts.iter().zip([None, Some(30)]).map(|(counted, every)| {
            let counted = counted.clone();
            let open: Open = Box::new(move || Ok(Box::new(counted.clone())));
            Dog::new(String::new(), every.map(Duration::from_secs), open)
        });
        let mut feeder = Feeder { dogs: dogs.collect(), stuck: None };
        let progress = Progress::new(clock.mono());
        // Started at the first look; then 5 minutes.
        for _ in 0..301 {
            look(&mut feeder, &progress, &clock, None);
        }
        assert_eq!(counts.map(|counted| counted.0.load(Ordering::Relaxed)), [60, 10]);
    }

    #[test]
    fn one_that_cannot_be_opened_is_tried_again_and_keeps_no_other_hungry() {
        let clock = clock();
        let (good, late) = (sim(&clock), sim(&clock));
        let tries = Arc::new(AtomicU32::new(0));
        let (opened, counted) = (late.clone(), Arc::clone(&tries));
        let open: Open = Box::new(move || match counted.fetch_add(1, Ordering::Relaxed) {
            0..3 => Err(HalError::new(ErrorKind::NotFound, "no such device")),
            _ => Ok(Box::new(opened.clone())),
        });
        let dogs = vec![Dog::new("late".to_owned(), None, open), dog("good", None, &good)];
        let mut feeder = Feeder { dogs, stuck: None };
        let progress = Progress::new(clock.mono());
        for _ in 0..120 {
            look(&mut feeder, &progress, &clock, None);
        }
        assert_eq!(tries.load(Ordering::Relaxed), 4);
        assert!(!good.has_bitten() && !late.has_bitten());
        clock.advance(Duration::from_secs(31));
        assert!(good.has_bitten() && late.has_bitten(), "both run");
    }
}
