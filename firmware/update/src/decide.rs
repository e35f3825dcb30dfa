//! What to start: a pure function of the boot state and of known facts.
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
                Decision::Boot(Slot::A, BootState { install: None, trying: None, ..state })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot_state::{TRIES, Trial};

    fn version(major: u64) -> Version {
        Version::new(major, 0, 0)
    }

    fn on_trial(slot: Slot, tries_left: u8) -> BootState {
        let trial = Trial { slot, version: version(2), tries_left, rejected: None };
        BootState { trying: Some(trial), ..BootState::default() }
    }

    fn facts(layout: Layout, a: SlotFact, b: SlotFact) -> Facts {
        Facts { layout, a, b, staged: Some(false), previous: Some(false) }
    }

    fn good(major: u64) -> SlotFact {
        SlotFact::Good(version(major))
    }

    #[test]
    fn only_the_slot_that_matters_is_looked_at() {
        let unknown = Facts::new(Layout::Dual);
        assert_eq!(decide(&BootState::default(), &unknown), Decision::Verify(Slot::A));
        assert_eq!(decide(&on_trial(Slot::B, 1), &unknown), Decision::Verify(Slot::B));
        let active_b = BootState { active: Slot::B, ..BootState::default() };
        assert_eq!(decide(&active_b, &unknown), Decision::Verify(Slot::B));
        // Nor is the disk looked for while the only slot is good.
        let single = Facts { a: good(1), ..Facts::new(Layout::Single) };
        assert_eq!(decide(&BootState::default(), &single), Decision::Boot(Slot::A, BootState::default()));
    }

    #[test]
    fn each_start_takes_a_try_and_after_the_last_the_other_slot_starts() {
        let facts = facts(Layout::Dual, good(1), good(2));
        let mut state = BootState::default().after_install(Slot::B, version(2));
        for left in (0..TRIES).rev() {
            let Decision::Boot(Slot::B, next) = decide(&state, &facts) else { panic!("try {left}") };
            assert_eq!(next, on_trial(Slot::B, left));
            state = next;
        }
        let Decision::Boot(Slot::A, back) = decide(&state, &facts) else { panic!("no way back") };
        assert_eq!((back.active, &back.trying), (Slot::A, &None));
        let failed = back.failed.unwrap();
        assert_eq!((failed.version, failed.outcome), (Some(version(2)), Outcome::RolledBack));
    }

    #[test]
    fn a_rejection_is_told_in_its_own_words() {
        let mut state = on_trial(Slot::B, 0);
        state.trying.as_mut().unwrap().rejected = Some("No picture.".to_owned());
        let Decision::Boot(Slot::A, back) = decide(&state, &facts(Layout::Dual, good(1), good(2))) else {
            panic!("no way back")
        };
        assert_eq!(back.failed.unwrap().message, "No picture.");
    }

    #[test]
    fn a_failed_version_is_better_than_nothing_with_two_slots() {
        let decision = decide(&on_trial(Slot::B, 0), &facts(Layout::Dual, SlotFact::Bad, good(2)));
        assert!(matches!(decision, Decision::Boot(Slot::B, BootState { active: Slot::B, trying: None, .. })));
    }

    #[test]
    fn one_slot_that_failed_without_a_kept_version_stays_in_recovery_until_the_disk_is_back() {
        let mut facts = facts(Layout::Single, good(2), SlotFact::Unknown);
        let Decision::Recovery(Reason::NoFallBack, state) = decide(&on_trial(Slot::A, 0), &facts) else {
            panic!("it must not start")
        };
        assert!(matches!(decide(&state, &facts), Decision::Recovery(Reason::NoFallBack, _)));
        facts.previous = Some(true);
        assert!(matches!(decide(&state, &facts), Decision::Install(BundleFile::Previous, _)));
        // Restored already, but that was not kept before the power went, and now the disk is gone.
        facts = Facts { a: good(1), previous: Some(false), ..facts };
        let Decision::Boot(Slot::A, state) = decide(&state, &facts) else { panic!("it must start") };
        assert_eq!(state.install, None);
    }

    #[test]
    fn a_written_slot_without_its_disk_is_on_trial() {
        let state = BootState { install: Some(Install::Writing), ..BootState::default() };
        let decision = decide(&state, &facts(Layout::Single, good(2), SlotFact::Unknown));
        assert_eq!(decision, Decision::Boot(Slot::A, on_trial(Slot::A, TRIES - 1)));
    }

    #[test]
    fn with_two_slots_there_is_nothing_to_install() {
        let state = BootState { install: Some(Install::Writing), ..BootState::default() };
        let facts = Facts { staged: Some(true), ..facts(Layout::Dual, good(1), SlotFact::Unknown) };
        assert_eq!(decide(&state, &facts), Decision::Boot(Slot::A, BootState::default()));
    }

    /// All states with all facts: it always comes to an end, starts no bad slot, and keeps no try uncounted.
    #[test]
    fn every_state_with_every_fact() {
        let slots = [SlotFact::Unknown, good(1), good(2), SlotFact::Bad];
        let files = [None, Some(true), Some(false)];
        let installs = [
            None,
            Some(Install::Staged { allow_downgrade: false }),
            Some(Install::Writing),
            Some(Install::Restoring),
        ];
        let mut count = 0;
        for layout in [Layout::Single, Layout::Dual] {
            for a in &slots {
                for b in &slots {
                    for (staged, previous) in files.iter().flat_map(|s| files.iter().map(move |p| (*s, *p))) {
                        let facts = Facts { layout, a: a.clone(), b: b.clone(), staged, previous };
                        for install in installs {
                            for tries in [None, Some(0), Some(3)] {
                                for active in [Slot::A, Slot::B] {
                                    let trial =
                                        tries.and_then(|tries| on_trial(active.other(), tries).trying);
                                    let trial = trial.filter(|t| layout == Layout::Dual || t.slot == Slot::A);
                                    let state = BootState { active, trying: trial, install, failed: None };
                                    check(&state, &facts);
                                    count += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(count, 2 * 16 * 9 * 4 * 3 * 2);
    }

    fn check(state: &BootState, facts: &Facts) {
        match decide(state, facts) {
            Decision::Verify(slot) => assert_eq!(*facts.of(slot), SlotFact::Unknown),
            Decision::Find(BundleFile::Staged) => assert_eq!(facts.staged, None),
            Decision::Find(BundleFile::Previous) => assert_eq!(facts.previous, None),
            Decision::Boot(slot, after) => {
                assert!(matches!(facts.of(slot), SlotFact::Good(_)), "{state:?} {facts:?}");
                assert_eq!(after.install, None);
                let tries = |state: &BootState| state.trying.as_ref().map(|trial| trial.tries_left);
                // A slot that was being written begins its trial.
                let written = state.install == Some(Install::Writing) && facts.layout == Layout::Single;
                let before = if written { Some(TRIES) } else { tries(state) };
                assert!(after.trying.is_none() || tries(&after) < before, "{state:?} {facts:?}");
            }
            Decision::Install(file, after) => {
                assert_eq!(facts.layout, Layout::Single);
                let there = if file == BundleFile::Staged { facts.staged } else { facts.previous };
                assert_eq!(there, Some(true));
                assert!(after.install.is_some(), "a cut must find it");
            }
            Decision::Recovery(..) => {
                assert!(!matches!(facts.a, SlotFact::Unknown), "{state:?} {facts:?}");
                assert!(facts.layout == Layout::Single || *facts.of(Slot::B) == SlotFact::Bad);
            }
        }
    }
}
