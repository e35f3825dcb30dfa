//! Which slot to start: opens the flash and lets crate `update` find out.
//!
//! Does not belong here: the rules (`update`), mounting and starting (`pid1.rs`).

use std::fs;
use std::time::Duration;

use board::PartitionRole;
use hal::{Clock, SystemClock};
use hal_linux::Mtd;
use update::{
    Failure, Machine, Outcome, Progress, Reason, SignedBy, Slot, Start, Started, StateLog, Step, Trust,
    VerifiedEnvelope,
};

use crate::boot_facts::{BootFacts, PreviousAttempt, ROOT_KEYS_PATH};
use crate::cmdline::CommandLine;
use crate::console;
use crate::disk_shelf::DiskShelf;
use crate::error::{ErrorKind, LoaderError};
use crate::note::{self, Note, RootPlace, Start as StartNote};
use crate::place::Place;
use crate::reason::{ReasonCode, RecoveryReason};

/// The state log's key by which the running system asks for recovery at the next start; it counts once.
const RECOVERY_KEY: &str = "recovery";

/// Finds out what to start.
pub(crate) fn decide(line: &CommandLine, place: &Place) -> Result<Note, LoaderError> {
    let mut log = open_log(place)?;
    if let Some(reason) = requested(line, &mut log)? {
        return Ok(Note::Recover(reason));
    }
    let trust = load_trust(&log)?;
    let mut slot_a = place.open(PartitionRole::Main)?;
    let mut slot_b =
        place.partition(PartitionRole::MainB).map(|_| place.open(PartitionRole::MainB)).transpose()?;
    let numbers = (slot_a.partition().number, slot_b.as_ref().map(|mtd| mtd.partition().number));
    let clock = SystemClock::new();
    let mut step = None;
    let mut progress = |progress: Progress| {
        // The pipe's other end is process 1: without it there is nobody to work for.
        let _ = note::hand_over(&Note::Alive);
        let before = step.replace(progress.step);
        match progress.step {
            Step::Saving if before != step => console::say("  Keeping the installed version on the disk."),
            Step::Writing if before != step => console::say("  Writing the slot. Do not switch off."),
            _ => {}
        }
    };
    let machine = Machine {
        slot_a: &mut slot_a,
        slot_b: slot_b.as_mut().map(|mtd| -> &mut dyn hal::NorFlash { mtd }),
        log: &mut log,
        shelf: &mut DiskShelf::new(&clock),
        trust: &trust,
        board: place.board_name(),
        // Nobody has vouched for the clock so early; what is installed may be started at any time.
        now: None,
        progress: &mut progress,
    };
    let before = clock.mono();
    let started = machine.start().map_err(|error| LoaderError::new(ErrorKind::Flash, error.to_string()))?;
    let took = clock.mono().since(before);
    for warning in &started.warnings {
        console::say(format_args!("  {warning}"));
    }
    Ok(match &started.outcome {
        Start::Boot { slot, envelope } => {
            console::say(line_of(&started, *slot, envelope, took));
            let mtd = match (slot, numbers) {
                (Slot::B, (_, Some(b))) => b,
                (_, (a, _)) => a,
            };
            Note::Boot(Box::new(StartNote {
                root: RootPlace::Mtd(mtd),
                facts: facts(place, &started, *slot, envelope),
            }))
        }
        Start::Recovery(reason) => Note::Recover(recovery_reason(*reason, &started)),
    })
}

/// The state log, in the state partition.
pub(crate) fn open_log(place: &Place) -> Result<StateLog<Mtd>, LoaderError> {
    let state = place.open(PartitionRole::State)?;
    let length = state.partition().size;
    let (log, report) = StateLog::open(state, 0, length)
        .map_err(|error| LoaderError::new(ErrorKind::Flash, format!("the state log: {error}")))?;
    if let Some(at) = report.torn_at {
        console::say(format_args!("  State: a write at {at:#x} was cut off; the state before it counts."));
    }
    Ok(log)
}

/// The keys that count: the stage's, what was adopted since, the owner's.
pub(crate) fn load_trust(log: &StateLog<Mtd>) -> Result<Trust, LoaderError> {
    let initial = fs::read(ROOT_KEYS_PATH)
        .map_err(|error| LoaderError::system(format_args!("reading {ROOT_KEYS_PATH}"), error))?;
    let (trust, warning) = Trust::load(&initial, log)
        .map_err(|error| LoaderError::new(ErrorKind::Flash, format!("the trusted keys: {error}")))?;
    if let Some(warning) = warning {
        console::say(format_args!("  {warning}"));
    }
    Ok(trust)
}

fn requested(line: &CommandLine, log: &mut StateLog<Mtd>) -> Result<Option<RecoveryReason>, LoaderError> {
    let message = if log.get(RECOVERY_KEY).is_some() {
        log.remove(RECOVERY_KEY).map_err(|error| LoaderError::new(ErrorKind::Flash, error.to_string()))?;
        "Recovery was asked for. Switch the recorder off and on to start it as usual."
    } else if line.recovery {
        "Recovery was asked for at the boot loader."
    } else {
        return Ok(None);
    };
    Ok(Some(RecoveryReason::new(ReasonCode::Requested, message)))
}

fn line_of(started: &Started, slot: Slot, envelope: &VerifiedEnvelope, took: Duration) -> String {
    let manifest = envelope.manifest();
    let by = match envelope.signed_by() {
        SignedBy::Release => "the release key",
        SignedBy::Owner => "the owner's key",
    };
    let trial = match started.tries_left() {
        None => String::new(),
        Some(left) => format!(", on trial ({left} more tries)"),
    };
    format!(
        "Slot {}: version {} ({}), ready in {:.1} s, signed by {by}{trial}",
        name(slot),
        manifest.version,
        manifest.commit,
        took.as_secs_f32()
    )
}

fn facts(place: &Place, started: &Started, slot: Slot, envelope: &VerifiedEnvelope) -> BootFacts {
    let manifest = envelope.manifest();
    BootFacts {
        board: place.name.clone(),
        slot: name(slot).to_owned(),
        version: manifest.version.to_string(),
        commit: manifest.commit.clone(),
        root_sha256: manifest.root().sha256_text(),
        created: manifest.created.to_string(),
        signed_by: match envelope.signed_by() {
            SignedBy::Release => "release",
            SignedBy::Owner => "owner",
        }
        .to_owned(),
        trying: started.tries_left().is_some(),
        tries_left: started.tries_left(),
        previous: started.failed().map(previous),
    }
}

fn previous(failure: &Failure) -> PreviousAttempt {
    PreviousAttempt {
        version: failure.version.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string),
        outcome: match failure.outcome {
            Outcome::RolledBack => "rolled_back",
            Outcome::Refused => "refused",
        }
        .to_owned(),
        message: failure.message.clone(),
    }
}

fn recovery_reason(reason: Reason, started: &Started) -> RecoveryReason {
    let (code, message) = match reason {
        Reason::NothingToStart => {
            (ReasonCode::NoSystem, "No installed system passes its check, so none was started.")
        }
        Reason::NoFallBack => (
            ReasonCode::NotReady,
            "The new version did not become ready, and there is no older one to go back to.",
        ),
        Reason::Interrupted => (
            ReasonCode::InstallFailed,
            "An update was cut off, and the disk that holds it is not there. With the disk plugged in, the recorder goes on by itself.",
        ),
    };
    let details = started.warnings.join(" ");
    let message = if details.is_empty() { message.to_owned() } else { format!("{message} ({details})") };
    let version = started.failed().and_then(|failure| failure.version.as_ref()).map(ToString::to_string);
    RecoveryReason { code, message, version }
}

fn name(slot: Slot) -> &'static str {
    match slot {
        Slot::A => "a",
        Slot::B => "b",
    }
}
