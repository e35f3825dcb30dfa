//! Installing: the steps of an update and the order in which they are kept.
//!
//! Two slots: [`install_slot`] writes the slot that is not running, then puts it on trial. One slot: the running system
//! calls [`stage`] and restarts; the loader then calls what is here through `start.rs`. Whatever is cut off, the next start
//! goes on or back: each step is kept in the boot state after what it stands for was done. A new version is on trial
//! until the running system calls [`confirm`] or [`reject`].
//!
//! Does not belong here: what to do next (`decide.rs`), where the bundle came from.

use std::io::{self, Read};

use hal::NorFlash;
use semver::Version;

use crate::boot_state::{BootState, Failure, Install, Outcome, Slot};
use crate::bundle::head;
use crate::config::{load_boot_state, raise_floor, save_boot_state};
use crate::decide::BundleFile;
use crate::error::UpdateError;
use crate::incoming::{VerifiedBundle, verify_bundle};
use crate::progress::{Progress, Report, Step};
use crate::shelf::Shelf;
use crate::slot::{SlotWriter, read_root, verify_slot};
use crate::state_log::StateLog;
use crate::target::Target;
use crate::trust::{Trust, VerifiedEnvelope};

/// Writes a verified bundle to `slot`, whose partition `flash` is, and puts it on trial. For the slot that is not
/// running; and for any slot from the recovery page. `image` is the bundle's file from
/// [`VerifiedBundle::image_offset`] on.
///
/// # Errors
/// As [`SlotWriter`]'s; the boot state is then as it was.
pub fn install_slot<F: NorFlash>(
    log: &mut StateLog<F>,
    slot: Slot,
    flash: &mut dyn NorFlash,
    bundle: &VerifiedBundle,
    image: impl Read,
    progress: Report<'_>,
) -> Result<(), UpdateError> {
    SlotWriter::new(flash, bundle.envelope())?.write_root(image, progress)?.finish()?;
    let state = load_boot_state(log).after_install(slot, bundle.manifest().version.clone());
    save_boot_state(log, &state)
}

/// Leaves the staged bundle to the loader, on a device with one slot. The bundle lies on the disk and was verified.
///
/// # Errors
/// `Busy` while another version is on trial or being installed; `Device` when the log fails.
pub fn stage<F: NorFlash>(log: &mut StateLog<F>, allow_downgrade: bool) -> Result<(), UpdateError> {
    let state = load_boot_state(log);
    check_idle(&state)?;
    save_boot_state(
        log,
        &BootState { install: Some(Install::Staged { allow_downgrade }), failed: None, ..state },
    )
}

/// Whether an update may begin.
///
/// # Errors
/// `Busy` while another version is on trial or being installed.
pub fn check_idle(state: &BootState) -> Result<(), UpdateError> {
    if state.trying.is_none() && state.install.is_none() {
        return Ok(());
    }
    Err(UpdateError::Busy(
        "The last update is not finished. Nothing was changed. Wait until it is confirmed.".to_owned(),
    ))
}

/// The running version is healthy: it becomes the active one, the floor rises to its minimum version, and the root
/// documents that it brought count from now on. To be called at each healthy start: a second time costs nothing, and
/// completes what a power cut left.
///
/// # Errors
/// `Device` when the log fails.
pub fn confirm<F: NorFlash>(
    log: &mut StateLog<F>,
    trust: &mut Trust,
    running: Slot,
    envelope: &VerifiedEnvelope,
) -> Result<(), UpdateError> {
    let state = load_boot_state(log);
    if state.install.is_none() {
        // First, so that the floor never rises above the only version that may be started.
        save_boot_state(log, &BootState { active: running, trying: None, ..state })?;
        raise_floor(log, &envelope.manifest().minimum_version)?;
        trust.adopt(envelope, log)?;
    }
    Ok(())
}

/// The running version is not healthy: the next start goes back. Nothing happens when it is not on trial.
///
/// # Errors
/// `Device` when the log fails.
pub fn reject<F: NorFlash>(log: &mut StateLog<F>, why: &str) -> Result<(), UpdateError> {
    let mut state = load_boot_state(log);
    if let Some(trial) = &mut state.trying {
        trial.tries_left = 0;
        trial.rejected = Some(why.to_owned());
        save_boot_state(log, &state)?;
    }
    Ok(())
}

/// The only slot of a device, and what it takes to write it from a bundle of the shelf.
pub(crate) struct OnlySlot<'a> {
    pub(crate) flash: &'a mut dyn NorFlash,
    pub(crate) shelf: &'a mut dyn Shelf,
    pub(crate) trust: &'a Trust,
    /// Its `installed` and `allow_downgrade` are found out here.
    pub(crate) target: Target,
    pub(crate) progress: Report<'a>,
}

impl OnlySlot<'_> {
    /// Writes the staged bundle, the old version kept first, and puts it on trial. A bundle that is refused before the
    /// first erase leaves everything as it was; one that fails later leaves the old version to be restored.
    pub(crate) fn install_staged<F: NorFlash>(&mut self, log: &mut StateLog<F>) -> Result<(), UpdateError> {
        let state = load_boot_state(log);
        let written = match state.install {
            Some(Install::Staged { allow_downgrade }) => {
                self.prepare(log, allow_downgrade).and_then(|bundle| self.write(BundleFile::Staged, &bundle))
            }
            _ => {
                self.admit_again();
                self.verify(BundleFile::Staged).and_then(|bundle| self.write(BundleFile::Staged, &bundle))
            }
        };
        match written {
            Ok(version) => save_boot_state(log, &state.after_install(Slot::A, version)),
            Err(e) => {
                // As it is by now: whether anything may have been erased.
                let state = load_boot_state(log);
                let erased = state.install == Some(Install::Writing);
                let failed = Failure { version: None, outcome: Outcome::Refused, message: e.to_string() };
                let install = erased.then_some(Install::Restoring);
                save_boot_state(log, &BootState { install, failed: Some(failed), ..state })?;
                Err(e)
            }
        }
    }

    /// Writes the kept version.
    pub(crate) fn restore_previous<F: NorFlash>(&mut self, log: &mut StateLog<F>) -> Result<(), UpdateError> {
        self.admit_again();
        let bundle = self.verify(BundleFile::Previous)?;
        self.write(BundleFile::Previous, &bundle)?;
        let state = load_boot_state(log);
        save_boot_state(log, &BootState { active: Slot::A, trying: None, install: None, ..state })
    }

    /// All that comes before the first erase.
    fn prepare<F: NorFlash>(
        &mut self,
        log: &mut StateLog<F>,
        allow_downgrade: bool,
    ) -> Result<VerifiedBundle, UpdateError> {
        let installed = verify_slot(self.flash, self.trust, &self.target, self.progress).ok();
        if let Some(installed) = &installed {
            self.target.installed = installed.manifest().version.clone();
        }
        self.target.allow_downgrade = allow_downgrade;
        let bundle = self.verify(BundleFile::Staged)?;
        SlotWriter::new(self.flash, bundle.envelope())?;
        if let Some(installed) = installed {
            self.save_previous(&installed)?;
        }
        let state = load_boot_state(log);
        save_boot_state(log, &BootState { install: Some(Install::Writing), ..state })?;
        Ok(bundle)
    }

    /// What was admitted once, before the first erase, stays so: time and the version that is gone do not count.
    fn admit_again(&mut self) {
        self.target.now = None;
        self.target.allow_downgrade = true;
    }

    /// Keeps the slot as the bundle that it came from.
    fn save_previous(&mut self, installed: &VerifiedEnvelope) -> Result<(), UpdateError> {
        let Self { flash, shelf, progress, .. } = self;
        let total_bytes = installed.manifest().root().bytes;
        shelf.save(BundleFile::Previous, &mut |to| {
            let saving = UpdateError::file("saving the installed version");
            to.write_all(&head(installed.bytes().len())).map_err(&saving)?;
            to.write_all(installed.bytes()).map_err(&saving)?;
            let mut done_bytes = 0;
            read_root(*flash, total_bytes, &mut |block| {
                to.write_all(block).map_err(&saving)?;
                done_bytes += block.len() as u64;
                progress(Progress { step: Step::Saving, done_bytes, total_bytes });
                Ok(())
            })
        })
    }

    fn verify(&mut self, file: BundleFile) -> Result<VerifiedBundle, UpdateError> {
        verify_bundle(open(self.shelf, file)?, self.trust, &self.target, self.progress)
    }

    fn write(&mut self, file: BundleFile, bundle: &VerifiedBundle) -> Result<Version, UpdateError> {
        let mut from = open(self.shelf, file)?;
        let mut head = from.by_ref().take(bundle.image_offset());
        io::copy(&mut head, &mut io::sink()).map_err(UpdateError::file("reading the bundle"))?;
        SlotWriter::new(self.flash, bundle.envelope())?.write_root(from, self.progress)?.finish()?;
        Ok(bundle.manifest().version.clone())
    }
}

fn open(shelf: &mut dyn Shelf, file: BundleFile) -> Result<Box<dyn Read + '_>, UpdateError> {
    let found = shelf.open(file).map_err(UpdateError::file("opening the bundle"))?;
    found.ok_or_else(|| UpdateError::Damaged("it is not on the disk any more".to_owned()))
}
