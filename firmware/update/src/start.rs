//! The start: decide, keep, act, until there is something to boot.
//!
//! What the loader runs, on real flash or simulated. Each decision's state is kept before the action, so that a cut in
//! the action finds it. Does not belong here: mounting, and the recovery page itself.

use hal::{NorFlash, WallTime};
use semver::Version;

use crate::boot_state::{BootState, Failure, Layout, Slot};
use crate::config::{load_boot_state, load_floor, save_boot_state};
use crate::decide::{BundleFile, Decision, Facts, Reason, SlotFact, decide};
use crate::error::UpdateError;
use crate::install::OnlySlot;
use crate::progress::Report;
use crate::shelf::Shelf;
use crate::slot::{max_root_bytes, verify_slot};
use crate::state_log::StateLog;
use crate::target::Target;
use crate::trust::{Trust, VerifiedEnvelope};

/// What a device starts from.
pub struct Machine<'a, F> {
    /// The partition of slot A.
    pub slot_a: &'a mut dyn NorFlash,
    /// The partition of slot B, where there are two.
    pub slot_b: Option<&'a mut dyn NorFlash>,
    /// The state log.
    pub log: &'a mut StateLog<F>,
    /// The disk's bundles; asked only when a decision depends on them, and only with one slot.
    pub shelf: &'a mut dyn Shelf,
    /// Whom to believe.
    pub trust: &'a Trust,
    /// The board's name, without a variant.
    pub board: &'a str,
    /// Now, when that is known to be true.
    pub now: Option<WallTime>,
    /// Told of verifying and writing.
    pub progress: Report<'a>,
}

/// What came of it.
#[derive(Debug)]
pub struct Started {
    /// What to do.
    pub outcome: Start,
    /// What was kept in the state log.
    pub state: BootState,
    /// What went wrong on the way, for the console.
    pub warnings: Vec<String>,
}

/// What to do.
#[derive(Debug)]
pub enum Start {
    /// Mount this slot and start it.
    Boot {
        /// The slot.
        slot: Slot,
        /// What it holds.
        envelope: Box<VerifiedEnvelope>,
    },
    /// Show the recovery page.
    Recovery(Reason),
}

impl Started {
    /// How often the version may still be started; `None` when it is not on trial.
    #[must_use]
    pub fn tries_left(&self) -> Option<u8> {
        self.state.trying.as_ref().map(|trial| trial.tries_left)
    }

    /// The update before that did not come to stay.
    #[must_use]
    pub fn failed(&self) -> Option<&Failure> {
        self.state.failed.as_ref()
    }
}

impl<F: NorFlash> Machine<'_, F> {
    /// Finds out what to boot, and installs or restores on the way what an update left to do.
    ///
    /// # Errors
    /// `Device` when the state log cannot be written: then it must not boot, or tries would not be counted.
    pub fn start(mut self) -> Result<Started, UpdateError> {
        let layout = if self.slot_b.is_some() { Layout::Dual } else { Layout::Single };
        let mut facts = Facts::new(layout);
        let mut verified = None;
        let mut warnings = Vec::new();
        loop {
            match decide(&load_boot_state(self.log), &facts) {
                Decision::Verify(slot) => {
                    let result = self.verify(slot);
                    let fact = match &result {
                        Ok(envelope) => SlotFact::Good(envelope.manifest().version.clone()),
                        Err(_) => SlotFact::Bad,
                    };
                    match slot {
                        Slot::A => facts.a = fact,
                        Slot::B => facts.b = fact,
                    }
                    match result {
                        Ok(envelope) => verified = Some((slot, envelope)),
                        Err(e) => warnings.push(format!("Slot {slot:?}: {e}")),
                    }
                }
                Decision::Find(file) => {
                    let found = self.find(file).unwrap_or_else(|e| {
                        warnings.push(format!("{file:?} bundle: {e}"));
                        false
                    });
                    *fact_of(&mut facts, file) = Some(found);
                }
                Decision::Install(file, state) => {
                    self.keep(&state)?;
                    if let Err(e) = self.install(file) {
                        warnings.push(format!("{file:?} bundle: {e}"));
                    }
                    // Once a start: whatever came of it, it cannot go round in circles.
                    *fact_of(&mut facts, file) = Some(false);
                    facts.a = SlotFact::Unknown;
                }
                Decision::Boot(slot, state) => {
                    self.keep(&state)?;
                    let envelope = match verified {
                        Some((of, envelope)) if of == slot => envelope,
                        _ => self.verify(slot)?,
                    };
                    let outcome = Start::Boot { slot, envelope: Box::new(envelope) };
                    return Ok(Started { outcome, state, warnings });
                }
                Decision::Recovery(reason, state) => {
                    self.keep(&state)?;
                    return Ok(Started { outcome: Start::Recovery(reason), state, warnings });
                }
            }
        }
    }

    fn verify(&mut self, slot: Slot) -> Result<VerifiedEnvelope, UpdateError> {
        let flash = match (slot, &mut self.slot_b) {
            (Slot::B, Some(flash)) => &mut **flash,
            _ => &mut *self.slot_a,
        };
        let target = target(self.board, self.now, flash, self.log);
        verify_slot(flash, self.trust, &target, self.progress)
    }

    fn find(&mut self, file: BundleFile) -> std::io::Result<bool> {
        Ok(self.shelf.open(file)?.is_some())
    }

    fn install(&mut self, file: BundleFile) -> Result<(), UpdateError> {
        let target = target(self.board, self.now, self.slot_a, self.log);
        let mut only = OnlySlot {
            flash: self.slot_a,
            shelf: self.shelf,
            trust: self.trust,
            target,
            progress: self.progress,
        };
        match file {
            BundleFile::Staged => only.install_staged(self.log),
            BundleFile::Previous => only.restore_previous(self.log),
        }
    }

    fn keep(&mut self, state: &BootState) -> Result<(), UpdateError> {
        if *state == load_boot_state(self.log) { Ok(()) } else { save_boot_state(self.log, state) }
    }
}

fn fact_of(facts: &mut Facts, file: BundleFile) -> &mut Option<bool> {
    match file {
        BundleFile::Staged => &mut facts.staged,
        BundleFile::Previous => &mut facts.previous,
    }
}

/// This device, as far as the loader knows it.
fn target<F: NorFlash>(
    board: &str,
    now: Option<WallTime>,
    flash: &mut dyn NorFlash,
    log: &StateLog<F>,
) -> Target {
    Target {
        board: board.to_owned(),
        installed: Version::new(0, 0, 0),
        floor: load_floor(log),
        now,
        max_root_bytes: max_root_bytes(flash.geometry()),
        allow_downgrade: false,
    }
}
