//! The desk: what recovery knows and does, whoever asks.
//!
//! One bundle at a time: received whole into memory while it is verified, then written in a thread of its own, so that a
//! connection that is cut takes no half-written slot with it.
//!
//! Does not belong here: HTTP (`api.rs`), the network (`network.rs`).

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hal::{Clock, NorFlash};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use update::{
    ErrorKind, Incoming, Progress, Slot, StateLog, Step, Target, Trust, UpdateError, VerifiedBundle,
    install_slot, load_boot_state, max_root_bytes,
};

use super::media::{MediaSource, Medium};
use super::presence::{Answer, Presence};
use super::stage::{Stage, StageCode};
use crate::error::LoaderError;
use crate::reason::RecoveryReason;

/// How much of a file is read at once.
const READ_BYTES: usize = 64 << 10;

/// The flash that recovery may write.
pub(super) struct Flashes<F> {
    pub(super) log: StateLog<F>,
    pub(super) a: F,
    pub(super) b: Option<F>,
}

/// What does not change while recovery runs.
pub(super) struct Setting {
    /// The loader's version and commit.
    pub(super) loader: String,
    /// The board's title.
    pub(super) board: String,
    pub(super) reason: RecoveryReason,
    /// Of the certificate, as browsers show it.
    pub(super) fingerprint: String,
    pub(super) trust: Trust,
    pub(super) target: Target,
}

/// What the page shows.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StateView {
    pub(super) loader: String,
    pub(super) board: String,
    pub(super) reason: RecoveryReason,
    pub(super) fingerprint: String,
    pub(super) unlocked: bool,
    pub(super) code_good: bool,
    pub(super) stage: Stage,
    /// Empty for whoever has not shown to be there.
    pub(super) media: Vec<Medium>,
}

pub(super) struct Desk<F> {
    setting: Setting,
    clock: Arc<dyn Clock>,
    presence: Mutex<Presence>,
    media: Box<dyn MediaSource>,
    found: Mutex<Vec<Medium>>,
    flashes: Mutex<Flashes<F>>,
    stage: watch::Sender<Stage>,
}

/// A bundle that comes in. Dropped before its end, the attempt has failed.
pub(super) struct Receiving<F: NorFlash + 'static> {
    desk: Arc<Desk<F>>,
    /// `None` once it was handed on.
    incoming: Option<Incoming>,
    root: Vec<u8>,
}

impl<F: NorFlash + 'static> Desk<F> {
    pub(super) fn new(
        setting: Setting,
        flashes: Flashes<F>,
        media: Box<dyn MediaSource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LoaderError> {
        let presence = Presence::new(&*clock).map_err(|error| LoaderError::system("making a code", error))?;
        let idle = Stage::new(StageCode::Idle, "Waiting for a system to install.");
        Ok(Self {
            setting,
            clock,
            presence: Mutex::new(presence),
            media,
            found: Mutex::default(),
            flashes: Mutex::new(flashes),
            stage: watch::Sender::new(idle),
        })
    }

    /// The code, for the console.
    pub(super) fn code(&self) -> String {
        lock(&self.presence).shown()
    }

    /// Whether the code can still be used.
    pub(super) fn code_is_good(&self) -> bool {
        lock(&self.presence).is_good(&*self.clock)
    }

    pub(super) fn try_code(&self, typed: &str) -> Result<Answer, LoaderError> {
        lock(&self.presence).try_code(&*self.clock, typed)
    }

    pub(super) fn admits(&self, cookies: Option<&str>) -> bool {
        lock(&self.presence).admits(cookies)
    }

    pub(super) fn state(&self, unlocked: bool) -> StateView {
        let setting = &self.setting;
        StateView {
            loader: setting.loader.clone(),
            board: setting.board.clone(),
            reason: setting.reason.clone(),
            fingerprint: setting.fingerprint.clone(),
            unlocked,
            code_good: self.code_is_good(),
            stage: self.stage.borrow().clone(),
            media: if unlocked { lock(&self.found).clone() } else { Vec::new() },
        }
    }

    /// Follows what is done.
    pub(super) fn stages(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Looks again what disks and sticks have.
    pub(super) fn look_for_media(&self) {
        // Not while one of them is read: looking mounts them too.
        if self.stage.borrow().is_free() {
            let found = self.media.list();
            *lock(&self.found) = found;
        }
    }

    /// The bytes that the longest bundle has.
    pub(super) fn max_bundle_bytes(&self) -> u64 {
        self.setting.target.max_root_bytes + update::MAX_ENVELOPE_BYTES as u64 + update::HEAD_BYTES as u64
    }

    /// Begins to receive.
    ///
    /// # Errors
    /// `Busy` while another bundle is received or installed.
    pub(super) fn receive(self: &Arc<Self>, allow_downgrade: bool) -> Result<Receiving<F>, UpdateError> {
        let taken = self.stage.send_if_modified(|stage| {
            let free = stage.is_free();
            if free {
                *stage = Stage::new(StageCode::Receiving, "Receiving and checking the bundle.");
            }
            free
        });
        if !taken {
            return Err(UpdateError::Busy("Another bundle is being installed.".to_owned()));
        }
        let target = Target { allow_downgrade, ..self.setting.target.clone() };
        let incoming = Incoming::new(self.setting.trust.clone(), target);
        Ok(Receiving { desk: Arc::clone(self), incoming: Some(incoming), root: Vec::new() })
    }

    /// Reads and checks a bundle from a disk or stick, which takes as long as it takes. What is given back installs it.
    ///
    /// # Errors
    /// `Busy`, `Invalid` when it is not there, or what is wrong with it.
    pub(super) fn receive_from_media(
        self: &Arc<Self>,
        device: &str,
        file: &str,
        allow_downgrade: bool,
    ) -> Result<impl FnOnce() + Send + use<F>, UpdateError> {
        let known = lock(&self.found).iter().any(|medium| medium.device == device && medium.file == file);
        if !known {
            return Err(UpdateError::Invalid(format!("There is no {file} on {device} any more.")));
        }
        let mut receiving = self.receive(allow_downgrade)?;
        let received = self.read_media(device, file, &mut receiving);
        received.inspect_err(|error| receiving.fail(error))?;
        receiving.finish()
    }

    fn read_media(&self, device: &str, file: &str, to: &mut Receiving<F>) -> Result<(), UpdateError> {
        let unreadable = |error| UpdateError::Invalid(format!("{file} on {device} cannot be read: {error}"));
        let mut from = self.media.open(device, file).map_err(unreadable)?;
        let mut piece = vec![0; READ_BYTES];
        loop {
            match from.read(&mut piece).map_err(unreadable)? {
                0 => return Ok(()),
                read => to.push(&piece[..read])?,
            }
        }
    }

    fn install(&self, bundle: &VerifiedBundle, root: &[u8]) {
        let mut flashes = lock(&self.flashes);
        let Flashes { log, a, b } = &mut *flashes;
        // With two slots, the one that is not started first: if it verifies after all, it is the way back.
        let slot = if b.is_some() { load_boot_state(log).active.other() } else { Slot::A };
        let flash: &mut dyn NorFlash = match (slot, b) {
            (Slot::B, Some(b)) => b,
            _ => a,
        };
        let version = bundle.manifest().version.clone();
        let mut report = |progress: Progress| {
            let message = match progress.step {
                Step::Checking => format!("Reading back version {version}."),
                _ => format!("Writing version {version}. Do not switch off."),
            };
            let stage = Stage::new(StageCode::Installing, message);
            self.stage.send_replace(stage.with(progress.done_bytes, progress.total_bytes));
        };
        let installed = install_slot(log, slot, flash, bundle, root, &mut report);
        self.stage.send_replace(match installed {
            Ok(()) => Stage::new(
                StageCode::Restarting,
                format!("Version {version} is installed. The recorder restarts."),
            ),
            Err(error) => Stage::new(StageCode::Failed, error.to_string()),
        });
    }
}

impl<F: NorFlash + 'static> Receiving<F> {
    /// Takes the next bytes, and keeps those of the root.
    ///
    /// # Errors
    /// What is wrong with the bundle.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        let Some(incoming) = &mut self.incoming else {
            return Err(UpdateError::Invalid("it was received already".to_owned()));
        };
        let before = incoming.received();
        incoming.push(bytes)?;
        if let (Some(total), Some(manifest)) = (incoming.total(), incoming.manifest()) {
            let root_bytes = manifest.root().bytes;
            let root_from = total - root_bytes;
            if self.root.capacity() == 0 {
                // All of it at once: growing would need it twice for a moment.
                let wanted = usize::try_from(root_bytes).unwrap_or(usize::MAX);
                self.root
                    .try_reserve_exact(wanted)
                    .map_err(|error| UpdateError::NoSpace(error.to_string()))?;
            }
            let skip = usize::try_from(root_from.saturating_sub(before)).unwrap_or(usize::MAX);
            self.root.extend_from_slice(bytes.get(skip..).unwrap_or_default());
            let stage = Stage::new(StageCode::Receiving, "Receiving and checking the bundle.");
            self.desk.stage.send_replace(stage.with(incoming.received(), total));
        }
        Ok(())
    }

    /// The end: from here on it will be installed, whatever becomes of who brought it. What is given back does that, and takes
    /// as long.
    ///
    /// # Errors
    /// What is wrong with the bundle.
    pub(super) fn finish(&mut self) -> Result<impl FnOnce() + Send + use<F>, UpdateError> {
        let Some(incoming) = self.incoming.take() else {
            return Err(UpdateError::Invalid("it was received already".to_owned()));
        };
        let bundle = incoming.finish().inspect_err(|error| self.failed(error.to_string()))?;
        let message = format!("Version {} is genuine. Writing it.", bundle.manifest().version);
        self.desk.stage.send_replace(Stage::new(StageCode::Installing, message));
        let (desk, root) = (Arc::clone(&self.desk), std::mem::take(&mut self.root));
        Ok(move || desk.install(&bundle, &root))
    }

    /// Ends the attempt, and says why.
    pub(super) fn fail(&mut self, error: &UpdateError) {
        self.incoming = None;
        // An older version is a question, which whoever asked answers.
        if error.kind() == ErrorKind::Downgrade {
            self.desk.stage.send_replace(Stage::new(StageCode::Idle, "Waiting for a system to install."));
        } else {
            self.failed(error.to_string());
        }
    }

    fn failed(&self, message: String) {
        self.desk.stage.send_replace(Stage::new(StageCode::Failed, message));
    }
}

impl<F: NorFlash + 'static> Drop for Receiving<F> {
    fn drop(&mut self) {
        if self.incoming.is_some() {
            self.failed(
                "The connection was cut before the whole bundle was here. Nothing was changed.".to_owned(),
            );
        }
    }
}

/// What is left of the flash's geometry after a slot's header.
pub(super) fn largest_root(flash: &impl NorFlash) -> u64 {
    max_root_bytes(flash.geometry())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
