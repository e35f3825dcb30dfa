//! The board's clock: from its battery at the start, from time servers later.
//!
//! Of several battery-backed clocks the first in the board's description that shows a time counts; all are set. What a time
//! server says goes before all of them.
//!
//! Nothing is asked while the owner names no server. A step of the clock is told in the log, because everything
//! that is recorded carries its time. Does not belong here: the protocol (`system::ask_time`).

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use board::Board;
use hal::{MonoTime, WallTime};
use hal_linux::{BoardRtc, open_rtcs};
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
/// A clock that is read in whole seconds is at most this far from one that was set by it.
const NEAR_MICROS: i64 = 2_000_000;
/// No recorder ran this before: a clock that shows less was not set.
const NOT_BEFORE: WallTime = WallTime::from_unix_micros(1_735_689_600_000_000);

/// Starts the thread; it lives as long as the program.
pub(super) fn start(desk: &Arc<Desk>, board: &Board) -> std::io::Result<()> {
    let (desk, described) = (Arc::clone(desk), board.rtcs.clone());
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
                ask_at = ask(&desk, &servers, &described);
            }
            thread::sleep(LOOK_EVERY);
        }
    })?;
    Ok(())
}

/// Asks until one answers; when to ask again.
fn ask(desk: &Desk, servers: &[String], rtcs: &[board::Rtc]) -> MonoTime {
    for server in servers {
        match ask_time(server, &*desk.clock) {
            Ok(offset_micros) => {
                step(desk, offset_micros, server, rtcs);
                return desk.clock.mono() + ASK_EVERY;
            }
            Err(error) => tracing::debug!(%error, "no time"),
        }
    }
    tracing::warn!(?servers, "no time server answers");
    desk.clock.mono() + RETRY_AFTER
}

fn step(desk: &Desk, offset_micros: i64, source: &str, rtcs: &[board::Rtc]) {
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
            // Looked for each time: a driver may have come up late.
            for mut rtc in open_rtcs(rtcs).0 {
                if let Err(error) = rtc.clock.set(desk.clock.wall()) {
                    tracing::debug!(%error, rtc = rtc.title, "the battery-backed clock was not set");
                }
            }
        }
        Err(error) => tracing::error!(%error, "the clock is wrong and stays so"),
    }
}

/// At the start: a kernel that did not read a battery-backed clock itself begins in 1970, and one that read the wrong one may
/// begin anywhere.
pub(super) fn from_rtc(now: WallTime, board: &Board) {
    let (mut rtcs, errors) = open_rtcs(&board.rtcs);
    for error in errors {
        tracing::info!(%error, "a battery-backed clock cannot be reached");
    }
    let kept = first_shown(&mut rtcs);
    // The kernel reads its own at its start: what it is a moment later is no other time.
    let is_it = |kept: WallTime| (now.micros_since(kept)).abs() < NEAR_MICROS;
    match kept {
        Some((_, kept)) if is_it(kept) => {}
        Some((title, kept)) => match set_clock(kept) {
            Ok(()) => tracing::info!(rtc = title, "the clock is the battery-backed clock's"),
            Err(error) => tracing::error!(%error, "the clock cannot be set"),
        },
        None if now >= NOT_BEFORE => {}
        None => tracing::warn!("the clock is not set: footage is dated from 1970 until somebody sets it"),
    }
}

/// The first that shows a time that may be right, and which.
fn first_shown(rtcs: &mut [BoardRtc]) -> Option<(&str, WallTime)> {
    rtcs.iter_mut().find_map(|rtc| {
        let shown = rtc.clock.read().unwrap_or_else(|error| {
            tracing::warn!(%error, rtc = rtc.title, "the battery-backed clock cannot be read");
            None
        });
        Some((rtc.title.as_str(), shown.filter(|shown| *shown >= NOT_BEFORE)?))
    })
}

#[cfg(test)]
mod tests {
    use hal::{ErrorKind, HalError, Rtc};

    use super::*;

    struct Shows(Result<Option<i64>, ()>);

    impl Rtc for Shows {
        fn read(&mut self) -> Result<Option<WallTime>, HalError> {
            let seconds = self.0.map_err(|()| HalError::new(ErrorKind::Device, "broken"))?;
            Ok(seconds.map(|seconds| WallTime::from_unix_micros(seconds * 1_000_000)))
        }

        fn set(&mut self, _: WallTime) -> Result<(), HalError> {
            Ok(())
        }
    }

    #[test]
    fn the_first_clock_that_shows_a_time_counts() {
        let board = |shown: &[Result<Option<i64>, ()>]| -> Option<(String, i64)> {
            let mut rtcs: Vec<BoardRtc> = shown
                .iter()
                .zip(["first", "second", "third"])
                .map(|(shown, title)| BoardRtc { title: title.to_owned(), clock: Box::new(Shows(*shown)) })
                .collect();
            let (title, time) = first_shown(&mut rtcs)?;
            Some((title.to_owned(), time.as_unix_micros() / 1_000_000))
        };
        let (good, other) = (1_795_183_805, 1_795_190_000);
        assert_eq!(board(&[Ok(Some(good)), Ok(Some(other))]), Some(("first".to_owned(), good)));
        // Broken, stopped, or never set.
        assert_eq!(board(&[Err(()), Ok(Some(other))]), Some(("second".to_owned(), other)));
        assert_eq!(board(&[Ok(None), Ok(Some(5)), Ok(Some(good))]), Some(("third".to_owned(), good)));
        assert_eq!(board(&[Ok(None), Err(())]), None);
        assert_eq!(board(&[]), None);
    }
}
