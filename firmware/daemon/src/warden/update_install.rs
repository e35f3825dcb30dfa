//! Writing a verified bundle where the next start finds it.
//!
//! With two slots the other one is written here, with everything read back, while the recorder records on; the boot
//! state is turned last. With one slot the loader writes it at the next start, from the bundle on the disk.
//!
//! Does not belong here: how blocks are written (`update::SlotWriter`).

use update::{Layout, SlotWriter, Step, UpdateError, check_idle, load_boot_state, save_boot_state, stage};
use web::update_views::{UpdateOutcome, UpdateStageCode};

use super::update::{Turn, refusal};
use super::update_intake::Staged;
use crate::messages::Refusal;

/// Installs `staged` and restarts; on failure the version that runs goes on.
pub(super) fn install(turn: Turn, staged: Staged) {
    let version = staged.bundle.manifest().version.to_string();
    tracing::info!(version, "an update is being installed");
    match write(&turn, &staged) {
        Ok(()) => {
            tracing::info!(version, "an update is installed");
            if turn.updater.slots.layout == Layout::Dual {
                staged.discard();
            }
            turn.restart();
        }
        Err(error) => {
            tracing::error!(version, %error, "an update could not be installed");
            let words = format!("{version} could not be installed: {error} The version that runs was kept.");
            turn.updater.keep_last(&version, UpdateOutcome::Refused, words.clone());
            turn.updater.look_at_other_slot();
            staged.discard();
            turn.failed(&Refusal { message: words, ..refusal(&error) });
        }
    }
}

fn write(turn: &Turn, staged: &Staged) -> Result<(), UpdateError> {
    let (updater, slots) = (&turn.updater, &turn.updater.slots);
    let manifest = staged.bundle.manifest();
    let version = manifest.version.to_string();
    let total = manifest.root().bytes;
    let words = "The update is being installed. Do not switch the recorder off.";
    turn.stage(UpdateStageCode::Installing, words, 0, total, Some(version.clone()));
    match slots.layout {
        Layout::Dual => {
            let slot = slots.to_write();
            let mut flash = slots.flash(slot)?;
            let image =
                staged.image().map_err(|source| UpdateError::File { doing: "reading the bundle", source })?;
            SlotWriter::new(&mut *flash, staged.bundle.envelope())?
                .write_root(image, &mut |progress| {
                    let words = if progress.step == Step::Checking {
                        "What was written is read back."
                    } else {
                        words
                    };
                    let (done, total) = (progress.done_bytes, progress.total_bytes);
                    turn.stage(UpdateStageCode::Installing, words, done, total, Some(version.clone()));
                })?
                .finish()?;
            updater.forget_last();
            // The log is locked only now: settings are kept in it, too, while a slot is being written.
            let mut log = slots.log();
            let state = load_boot_state(&*log);
            check_idle(&state)?;
            save_boot_state(&mut *log, &state.after_install(slot, manifest.version.clone()))
        }
        Layout::Single => {
            updater.forget_last();
            stage(&mut *slots.log(), staged.allow_downgrade)
        }
    }
}
