//! Process 1: mounts, lets others work, and starts what they found.
//!
//! It must never end: the kernel would panic. So it decides nothing and reads nothing that came from outside; the work is done in
//! a process of this same program, whose notes it reads. When that fails or panics, recovery runs; when that fails too,
//! the board restarts.
//!
//! It holds the hardware watchdog and feeds it for each note: work that hangs leads to a reset.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use hal::Watchdog;
use hal_linux::LinuxWatchdog;
use nix::sys::reboot::{RebootMode, reboot};

use crate::boot_facts::{BOOT_FACTS_PATH, BootFacts, ROOT_KEYS_HANDED_ON_PATH, ROOT_KEYS_PATH};
use crate::cmdline::CommandLine;
use crate::console;
use crate::error::{ErrorKind, LoaderError};
use crate::mounts;
use crate::note::{self, Note, RootPlace, Start};
use crate::place::Place;
use crate::reason::RecoveryReason;
use crate::switch_root::switch_root;
use crate::version::version;

/// The watchdog's time-out: longer than any step between two notes, and what the new system has until it feeds the watchdog itself.
const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the console shows what failed before the board restarts. Shorter than the watchdog's time-out.
const RESTART_AFTER: Duration = Duration::from_secs(30);

/// A note is a few hundred bytes; one process talks to another of the same program.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// Does not return.
pub(crate) fn run() -> ! {
    let Err(error) = start();
    console::say(format_args!("Candor loader: {error}. Restarting in {} s.", RESTART_AFTER.as_secs()));
    thread::sleep(RESTART_AFTER);
    restart()
}

fn start() -> Result<Infallible, LoaderError> {
    mounts::mount_kernel_file_systems()?;
    console::attach()?;
    console::say(format_args!("Candor loader {}", version()));
    let line = fs::read_to_string("/proc/cmdline")
        .map_err(|error| LoaderError::system("reading the kernel's command line", error))?;
    let place = Place::find(&CommandLine::parse(&line))?;
    let mut watchdog = if place.has_watchdog() { take_watchdog() } else { None };

    if Path::new(mounts::RAM_ROOT).is_dir() {
        console::say(
            "The root is in RAM. Nothing is read from the flash and nothing verified but the stage itself.",
        );
        let start = Start { root: RootPlace::Ram, facts: BootFacts::of_ram(&place.name) };
        return hand_over(&start, watchdog);
    }

    let reason = match work(&["decide"], &mut watchdog) {
        Ok(Note::Boot(start)) => match hand_over(&start, watchdog.take()) {
            Ok(never) => match never {},
            Err(error) => RecoveryReason::of_failure(&error),
        },
        Ok(Note::Restart) => restart(),
        Ok(Note::Recover(reason)) => reason,
        Ok(Note::Alive) => {
            RecoveryReason::of_failure(&LoaderError::new(ErrorKind::System, "nothing was decided"))
        }
        Err(error) => RecoveryReason::of_failure(&error),
    };
    // The new system may have been about to have it.
    let mut watchdog = watchdog.or_else(|| if place.has_watchdog() { take_watchdog() } else { None });
    let reason = serde_json::to_string(&reason).map_err(|error| LoaderError::system("recovery", error))?;
    match work(&["recover", &reason], &mut watchdog)? {
        Note::Restart => restart(),
        _ => Err(LoaderError::new(ErrorKind::System, "recovery ended")),
    }
}

/// Lets a process of this program work, and gives the note that says what came of it.
fn work(task: &[&str], watchdog: &mut Option<LinuxWatchdog>) -> Result<Note, LoaderError> {
    let failed = |error| LoaderError::system(format_args!("the loader's work ({})", task[0]), error);
    let mut child = Command::new("/proc/self/exe")
        .args(task)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut result = None;
    if let Some(out) = child.stdout.take() {
        let mut out = BufReader::new(out);
        let mut text = String::new();
        while out.by_ref().take(MAX_NOTE_BYTES).read_line(&mut text).map_err(failed)? > 0 {
            if let Some(watchdog) = watchdog {
                // Nothing can be done about it but to go on.
                let _ = watchdog.feed();
            }
            result = note::read(&text).filter(|note| *note != Note::Alive).or(result);
            text.clear();
        }
    }
    let status = child.wait().map_err(failed)?;
    result.ok_or_else(|| {
        LoaderError::new(ErrorKind::System, format!("the loader's work ({}) failed: {status}", task[0]))
    })
}

/// Puts the new root together and becomes its init.
fn hand_over(start: &Start, watchdog: Option<LinuxWatchdog>) -> Result<Infallible, LoaderError> {
    let root = mounts::mount_new_root(start.root)?;
    let facts =
        serde_json::to_vec(&start.facts).map_err(|error| LoaderError::system(BOOT_FACTS_PATH, error))?;
    let keys = fs::read(ROOT_KEYS_PATH).map_err(|error| LoaderError::system(ROOT_KEYS_PATH, error))?;
    for (path, bytes) in [(BOOT_FACTS_PATH, facts), (ROOT_KEYS_HANDED_ON_PATH, keys)] {
        tell(&root.join(path.trim_start_matches('/')), &bytes)
            .map_err(|error| LoaderError::system(format_args!("writing {path}"), error))?;
    }
    if let Some(mut watchdog) = watchdog {
        watchdog
            .start(WATCHDOG_TIMEOUT)
            .map_err(|error| LoaderError::system("starting the watchdog", error))?;
        // Dropped here, it goes on: the new system takes it over in time, or the board is reset and the try has been counted.
    }
    mounts::move_kernel_file_systems(&root)?;
    switch_root(&root, start.root)
}

/// For everybody in the new root to read, and for nobody to write.
fn tell(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(0o444))
}

fn take_watchdog() -> Option<LinuxWatchdog> {
    let taken = LinuxWatchdog::open("/dev/watchdog0").and_then(|mut watchdog| {
        watchdog.start(WATCHDOG_TIMEOUT)?;
        Ok(watchdog)
    });
    match taken {
        Ok(watchdog) => {
            if watchdog.caused_last_reset() == Some(true) {
                console::say("The watchdog reset this recorder: it had stopped answering.");
            }
            Some(watchdog)
        }
        Err(error) => {
            console::say(format_args!("No watchdog: {error}"));
            None
        }
    }
}

fn restart() -> ! {
    nix::unistd::sync();
    loop {
        let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
        console::say(format_args!("The board does not restart: {error}. Switch it off and on."));
        // With a watchdog running, it does what the kernel did not.
        thread::sleep(RESTART_AFTER);
    }
}
