//! The board's clock: from its battery at the start, from time servers later.
//!
//! Nothing is asked while the owner names no server. A step of the clock is told in the log, because everything
//! that is recorded carries its time. Does not belong here: the protocol (`system::ask_time`).

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hal::{MonoTime, WallTime};
use system::{ask_time, set_clock};

use super::desk::Desk;

/// How often the settings are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A clock that was set right is asked about again after this: cheap crystals drift some 4 s a day.
const ASK_EVERY: Duration = Duration::from_secs(1024);
/// After no server answered: the first tries come before the network is there.
const RETRY_AFTER: Duration = Duration::from_secs(8);
/// A smaller difference is the network's as likely as the clock's.
const LEAST_STEP_MICROS: i64 = 50_000;
/// What the kernel's first real-time clock shows, in seconds since 1970.
const RTC: &str = "/sys/class/rtc/rtc0/since_epoch";
/// No recorder ran this before: a clock that shows less was not set.
const NOT_BEFORE: WallTime = WallTime::from_unix_micros(1_735_689_600_000_000);

/// Starts the thread; it lives as long as the program.
pub(super) fn start(desk: &Arc<Desk>) -> std::io::Result<()> {
    let desk = Arc::clone(desk);
    thread::Builder::new().name("time".to_owned()).spawn(move || {
        let mut settings = desk.watch_settings();
        let mut servers = settings.borrow_and_update().time.ntp_servers.clone();
        let mut ask_at = desk.clock.mono();
        loop {
            if settings.has_changed().unwrap_or(false) {
                let wanted = settings.borrow_and_update().time.ntp_servers.clone();
                if wanted != servers {
                    servers = wanted;
                    ask_at = desk.clock.mono();
                }
            }
            if !servers.is_empty() && desk.clock.mono() >= ask_at {
                ask_at = ask(&desk, &servers);
            }
            thread::sleep(LOOK_EVERY);
        }
    })?;
    Ok(())
}

/// Asks until one answers; when to ask again.
fn ask(desk: &Desk, servers: &[String]) -> MonoTime {
    for server in servers {
        match ask_time(server, &*desk.clock) {
            Ok(offset_micros) => {
                step(desk, offset_micros, server);
                return desk.clock.mono() + ASK_EVERY;
            }
            Err(error) => tracing::debug!(%error, "no time"),
        }
    }
    tracing::warn!(?servers, "no time server answers");
    desk.clock.mono() + RETRY_AFTER
}

fn step(desk: &Desk, offset_micros: i64, source: &str) {
    if offset_micros.abs() < LEAST_STEP_MICROS {
        tracing::debug!(offset_micros, source, "the clock is right");
        return;
    }
    let from = desk.clock.wall();
    let to = from.offset_micros(offset_micros);
    match set_clock(to) {
        Ok(()) => {
            let (from, to) = (from.as_unix_micros(), to.as_unix_micros());
            tracing::warn!(
                offset_micros,
                source,
                from_unix_micros = from,
                to_unix_micros = to,
                "the clock was set"
            );
            if let Err(error) = hal_linux::set_rtc(to.div_euclid(1_000_000)) {
                tracing::debug!(%error, "the battery-backed clock was not set");
            }
        }
        Err(error) => tracing::error!(%error, "the clock is wrong and stays so"),
    }
}

/// At the start: a kernel that did not read the battery-backed clock itself begins in 1970.
pub(super) fn from_rtc(now: WallTime) {
    if now >= NOT_BEFORE {
        return;
    }
    let seconds = fs::read_to_string(RTC).ok().and_then(|text| text.trim().parse::<i64>().ok());
    let kept = seconds.map(|seconds| WallTime::from_unix_micros(seconds.saturating_mul(1_000_000)));
    match kept.filter(|kept| *kept >= NOT_BEFORE).map(set_clock) {
        Some(Ok(())) => tracing::info!("the clock is the battery-backed clock's"),
        Some(Err(error)) => tracing::error!(%error, "the clock cannot be set"),
        None => tracing::warn!("the clock is not set: footage is dated from 1970 until somebody sets it"),
    }
}
