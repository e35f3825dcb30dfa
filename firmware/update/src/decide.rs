//! What to start: a pure function of the boot state and of what was found out so far.
//!
//! It asks for a slot to be verified only when the answer depends on it, because hashing a slot takes a second on a
//! slow board. Whoever calls keeps the state that comes with a decision before acting on it, so that a power cut in the
//! action finds the decision made (`start.rs`).

use semver::Version;

use crate::boot_state::{BootState, Failure, Install, Layout, Outcome, Slot};

/// What is known of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SlotFact {
    /// It was not looked at.
    #[default]
    Unknown,
    /// It verifies, and holds this version.
    Good(Version),
    /// It does not verify.
    Bad,
}

/// What is known of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How many slots.
    pub layout: Layout,
    /// Slot A.
    pub a: SlotFact,
    /// Slot B.
    pub b: SlotFact,
    /// Whether a staged bundle can be read, and did not fail in this start. `None`: nobody looked.
    pub staged: Option<bool>,
    /// Whether the kept old version can be read, and did not fail in this start. `None`: nobody looked.
    pub previous: Option<bool>,
}

/// A bundle on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BundleFile {
    /// What the running system staged.
    Staged,
    /// The version before.
    Previous,
}

/// Why no slot is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No slot verifies, and there is no kept version.
    NothingToStart,
    /// The only version failed its trial, and there is no kept version.
    NoFallBack,
    /// A slot was being written, and the bundle for it is not there any more: the disk is missing.
    Interrupted,
}

/// What to do next. The state is to be kept first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Verify that slot and ask again.
    Verify(Slot),
    /// See whether that bundle is on the disk and ask again.
    Find(BundleFile),
    /// Start that slot.
    Boot(Slot, BootState),
    /// Write the only slot from that bundle and ask again.
    Install(BundleFile, BootState),
    /// Start the recovery page.
    Recovery(Reason, BootState),
}

impl Facts {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout, a: SlotFact::Unknown, b: SlotFact::Unknown, staged: None, previous: None }
    }

    fn of(&self, slot: Slot) -> &SlotFact {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }
}

/// What to do next.
#[must_use]
pub fn decide(state: &BootState, facts: &Facts) -> Decision {
    let state = state.clone();
    match state.install {
        Some(install) if facts.layout == Layout::Single => decide_install(state, install, facts),
        _ => decide_trial(BootState { install: None, ..state }, facts),
    }
}

/// An installation was under way.
fn decide_install(state: BootState, install: Install, facts: &Facts) -> Decision {
    let file = if install == Install::Restoring { BundleFile::Previous } else { BundleFile::Staged };
    let there = if install == Install::Restoring { facts.previous } else { facts.staged };
    match there {
        None => return Decision::Find(file),
        Some(true) => return Decision::Install(file, state),
        Some(false) => {}
    }
    match install {
        Install::Staged { .. } => {
            let message = "The staged bundle could not be read. The installed version was kept.".to_owned();
            let failed =
                state.failed.clone().or(Some(Failure { version: None, outcome: Outcome::Refused, message }));
            decide_trial(BootState { install: None, failed, ..state }, facts)
        }
        // The slot is the old version still, the new one already, or neither.
        Install::Writing => match facts.of(Slot::A) {
            SlotFact::Unknown => Decision::Verify(Slot::A),
            SlotFact::Good(version) => {
                let state = state.after_install(Slot::A, version.clone());
                decide_trial(state, facts)
            }
            SlotFact::Bad => restore(state, facts, Reason::Interrupted),
        },
        // The slot is the failed version still, the old one already, or neither.
        Install::Restoring => match facts.of(Slot::A) {
            SlotFact::Unknown => Decision::Verify(Slot::A),
            SlotFact::Good(version)
                if state.failed.as_ref().and_then(|failed| failed.version.as_ref()) != Some(version) =>
            {
                Decision::Boot(Slot::A, BootState { install: None, ..state })
            }
            SlotFact::Good(_) => Decision::Recovery(Reason::NoFallBack, state),
            SlotFact::Bad => Decision::Recovery(Reason::Interrupted, state),
        },
    }
}

/// No installation is under way; a version may be on trial.
fn decide_trial(mut state: BootState, facts: &Facts) -> Decision {
    let Some(trial) = &mut state.trying else { return decide_active(state, facts) };
    let message = match facts.of(trial.slot) {
        SlotFact::Unknown => return Decision::Verify(trial.slot),
        SlotFact::Good(_) if trial.tries_left > 0 => {
            trial.tries_left -= 1;
            return Decision::Boot(trial.slot, state);
        }
        SlotFact::Good(_) => trial.rejected.take().unwrap_or_else(|| {
            "It was started several times and never became healthy. The version before was started instead."
                .to_owned()
        }),
        SlotFact::Bad => {
            "Its slot does not verify any more. The version before was started instead.".to_owned()
        }
    };
    let (version, slot) = (Some(trial.version.clone()), trial.slot);
    state.failed = Some(Failure { version, outcome: Outcome::RolledBack, message });
    state.trying = None;
    match facts.layout {
        Layout::Single => decide_install(
            BootState { install: Some(Install::Restoring), ..state },
            Install::Restoring,
            facts,
        ),
        Layout::Dual => decide_active(BootState { active: slot.other(), ..state }, facts),
    }
}

/// Nothing is under way: the active slot, else the other one, else the kept version.
fn decide_active(state: BootState, facts: &Facts) -> Decision {
    let slots: &[Slot] = match facts.layout {
        Layout::Single => &[Slot::A],
        Layout::Dual => &[state.active, state.active.other()],
    };
    for &slot in slots {
        match facts.of(slot) {
            SlotFact::Unknown => return Decision::Verify(slot),
            SlotFact::Good(_) => return Decision::Boot(slot, BootState { active: slot, ..state }),
            SlotFact::Bad => {}
        }
    }
    match facts.layout {
        Layout::Single => restore(state, facts, Reason::NothingToStart),
        Layout::Dual => Decision::Recovery(Reason::NothingToStart, state),
    }
}

/// The only slot does not verify: the kept version, if there is one.
fn restore(state: BootState, facts: &Facts, otherwise: Reason) -> Decision {
    match facts.previous {
        None => Decision::Find(BundleFile::Previous),
        Some(true) => {
            Decision::Install(BundleFile::Previous, BootState { install: Some(Install::Restoring), ..state })
        }
        Some(false) => Decision::Recovery(otherwise, state),
    }
}
