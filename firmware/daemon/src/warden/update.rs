//! The recorder's own software: what runs, what is on its way.
//!
//! One update at a time: whoever begins one has the [`Turn`], and gives it back by dropping it. The picture that
//! people see is put together here, and told whenever it changes.
//!
//! Does not belong here: bytes (`update_intake.rs`), flash (`update_install.rs`), who else takes part
//! (`update_start.rs`).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hal::{MonoTime, WallTime};
use serde::{Deserialize, Serialize};
use system::PowerAct;
use update::{ErrorKind, Layout, Outcome, PublicKey, Slot, UpdateError, remove_owner_key, set_owner_key};
use web::UtcTime;
use web::update_views::{
    Image, LastUpdate, OtherSlot, OtherSlotState, SignedBy, SlotName, UpdateKey, UpdateOutcome, UpdateStage,
    UpdateStageCode, UpdateView, UsbBundle,
};

use super::desk::Desk;
use super::presence::{Presence, Shown};
use super::update_slots::Slots;
use crate::messages::{Order, Refusal, RefusalCode};
use crate::version;

/// Kept under this name in the state log: how the last update went.
const LAST_UPDATE: &str = "last-update";
/// Progress is told at most this often: what a bar on a page can show.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Between the word that the recorder restarts and the restart: pages hear of it.
const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// Shared by all that has to do with updates.
pub(super) struct Updater {
    pub(super) desk: Arc<Desk>,
    pub(super) slots: Slots,
    now: Mutex<Now>,
    presence: Mutex<Presence>,
    console: fn(&str),
}

struct Now {
    stage: UpdateStage,
    turn: Option<Arc<Cancel>>,
    /// Nothing is taken any more: the recorder restarts.
    restarting: bool,
    told: Option<MonoTime>,
    other: Option<OtherSlot>,
    sticks: Vec<UsbBundle>,
}

/// How an update is cancelled.
#[derive(Default)]
pub(super) struct Cancel {
    asked: AtomicBool,
    too_late: AtomicBool,
    /// Ends what it waits for.
    wake: Mutex<Option<Box<dyn Fn() + Send>>>,
}

/// How the last update went, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: String,
    outcome: UpdateOutcome,
    message: String,
    at: UtcTime,
}

impl Updater {
    /// Follows orders from now on.
    pub(super) fn take_orders(self: &Arc<Self>) {
        let following = Arc::clone(self);
        self.desk.set_orders(Box::new(move |order| following.follow(order)));
    }

    pub(super) fn new(desk: &Arc<Desk>, slots: Slots, console: fn(&str)) -> Arc<Self> {
        let now =
            Now { stage: idle(), turn: None, restarting: false, told: None, other: None, sticks: Vec::new() };
        let (now, presence) = (Mutex::new(now), Mutex::default());
        Arc::new(Self { desk: Arc::clone(desk), slots, now, presence, console })
    }

    fn follow(self: &Arc<Self>, order: Order) -> Result<(), Refusal> {
        match order {
            Order::CancelUpdate => self.cancel(),
            Order::ShowPresenceCode => self.show_presence_code(),
            Order::SetOwnerKey(input) => {
                let not_a_key = |_| {
                    let words =
                        "This is not an Ed25519 public key. Give its 32 bytes as 64 hexadecimal digits.";
                    Refusal::new(RefusalCode::NotAKey, words)
                };
                let key = PublicKey::from_hex(&input.public_key).map_err(not_a_key)?;
                self.check_presence(&input.code)?;
                let in_use = self.owner_key_in_use();
                set_owner_key(&mut *self.slots.log(), &key, in_use).map_err(|error| refusal(&error))?;
                tracing::warn!(key = %key.id(), "the owner's key is enrolled");
                self.tell();
                Ok(())
            }
            Order::RemoveOwnerKey(input) => {
                if self.slots.log().get(update::OWNER_KEY).is_none() {
                    let words = "No key of yours is enrolled.";
                    return Err(Refusal::new(RefusalCode::NoOwnerKey, words));
                }
                self.check_presence(&input.code)?;
                let in_use = self.owner_key_in_use();
                remove_owner_key(&mut *self.slots.log(), in_use).map_err(|error| refusal(&error))?;
                tracing::warn!("the owner's key is removed");
                self.tell();
                Ok(())
            }
            Order::Restart => self.restart_on_order(),
        }
    }

    /// The turn to update, if it is nobody else's.
    pub(super) fn begin(self: &Arc<Self>, stage: UpdateStageCode) -> Result<Turn, Refusal> {
        if let Some(reason) = self.reason_against() {
            return Err(Refusal::new(RefusalCode::NotSupported, reason));
        }
        let state = self.slots.boot_state();
        update::check_idle(&state).map_err(|error| refusal(&error))?;
        let cancel = Arc::new(Cancel::default());
        {
            let mut now = lock(&self.now);
            if now.turn.is_some() || now.restarting {
                let words = "Another update is under way. Nothing was changed. Wait until it ended.";
                return Err(Refusal::new(RefusalCode::Busy, words));
            }
            now.turn = Some(Arc::clone(&cancel));
        }
        let turn = Turn { updater: Arc::clone(self), cancel };
        turn.stage(stage, "The update arrives.", 0, 0, None);
        Ok(turn)
    }

    /// Why no update can be taken at all, if so.
    fn reason_against(&self) -> Option<String> {
        let no_room = self.slots.layout == Layout::Single && self.desk.data_dir().is_none();
        no_room.then(|| {
            "Without a disk there is no room to keep the version that runs. Attach a disk, or update from the \
             recovery page."
                .to_owned()
        })
    }

    fn cancel(&self) -> Result<(), Refusal> {
        let Some(cancel) = lock(&self.now).turn.clone() else {
            let words = "No update is under way.";
            return Err(Refusal::new(RefusalCode::NothingToCancel, words));
        };
        cancel.ask().map_err(|()| {
            let words = "The update is being installed and cannot be cancelled any more. If it does not become \
                         healthy, the version before comes back by itself.";
            Refusal::new(RefusalCode::TooLate, words)
        })
    }

    fn show_presence_code(&self) -> Result<(), Refusal> {
        let shown = lock(&self.presence).show(&*self.desk.clock);
        match shown.map_err(|error| Refusal::new(RefusalCode::Failed, error.to_string()))? {
            Shown::Code(code) => {
                (self.console)(&format!(
                    "Presence code: {code} (good for 10 minutes; somebody signed in asked for it)"
                ));
                Ok(())
            }
            Shown::TooSoon => {
                let words = "The last code is spent. A new one can be shown in a minute.";
                Err(Refusal::new(RefusalCode::TooManyAttempts, words))
            }
        }
    }

    fn check_presence(&self, typed: &str) -> Result<(), Refusal> {
        if lock(&self.presence).proves(&*self.desk.clock, typed) {
            return Ok(());
        }
        tracing::warn!("a wrong presence code");
        let words =
            "This is not the code on the recorder's console, or it is not good any more. Show it again.";
        Err(Refusal::new(RefusalCode::WrongCode, words))
    }

    /// Whether a version that may be started is signed with the owner's key: without it, it would not start.
    fn owner_key_in_use(&self) -> bool {
        let slots: &[Slot] = match self.slots.layout {
            Layout::Single => &[Slot::A],
            Layout::Dual => &[Slot::A, Slot::B],
        };
        slots.iter().any(|slot| {
            let envelope = self.slots.envelope(*slot);
            matches!(envelope, Ok(Some(envelope)) if envelope.signed_by() == update::SignedBy::Owner)
        })
    }

    fn restart_on_order(self: &Arc<Self>) -> Result<(), Refusal> {
        {
            let mut now = lock(&self.now);
            if now.turn.is_some() {
                let words = "An update is under way; the recorder restarts by itself when it is installed.";
                return Err(Refusal::new(RefusalCode::Busy, words));
            }
            now.restarting = true;
        }
        self.restart();
        Ok(())
    }

    /// Restarts in a moment, from a thread of its own: who ordered it hears the answer first.
    pub(super) fn restart(self: &Arc<Self>) {
        self.set_stage(stage(UpdateStageCode::Restarting, "The recorder restarts.", 0, 0, None));
        let restarting = Arc::clone(self);
        let thread = thread::Builder::new().name("restart".to_owned()).spawn(move || {
            thread::sleep(RESTART_PAUSE);
            restarting.desk.end(PowerAct::Restart);
        });
        if thread.is_err() {
            self.desk.end(PowerAct::Restart);
        }
    }

    /// What is happening now.
    pub(super) fn set_stage(&self, stage: UpdateStage) {
        {
            let mut now = lock(&self.now);
            let time = self.desk.clock.mono();
            let begins = now.stage.code != stage.code || now.stage.message != stage.message;
            let due = now.told.is_none_or(|told| time.since(told) >= TELL_EVERY);
            now.stage = stage;
            if !begins && !due {
                return;
            }
            now.told = Some(time);
        }
        self.tell();
    }

    /// The stage of now, for whoever follows it.
    pub(super) fn stage(&self) -> UpdateStage {
        lock(&self.now).stage.clone()
    }

    /// What sticks have.
    pub(super) fn set_sticks(&self, sticks: Vec<UsbBundle>) {
        let changed = {
            let mut now = lock(&self.now);
            let changed = now.sticks != sticks;
            now.sticks = sticks;
            changed
        };
        if changed {
            self.tell();
        }
    }

    /// Looks what the other slot holds. It reads a header and checks a signature.
    pub(super) fn look_at_other_slot(&self) {
        if self.slots.layout == Layout::Single {
            return;
        }
        let slot = self.slots.running.other();
        let failed = self.slots.boot_state().failed;
        let (version, state) = match self.slots.envelope(slot) {
            Ok(Some(envelope)) => {
                let version = envelope.manifest().version.clone();
                let bad = failed.is_some_and(|failed| {
                    failed.outcome == Outcome::RolledBack && failed.version.as_ref() == Some(&version)
                });
                let state = if bad { OtherSlotState::Failed } else { OtherSlotState::Good };
                (Some(version.to_string()), state)
            }
            Ok(None) => (None, OtherSlotState::Empty),
            Err(error) => {
                tracing::info!(%error, "the other slot holds nothing that could be started");
                (None, OtherSlotState::Empty)
            }
        };
        lock(&self.now).other = Some(OtherSlot { slot: slot_name(slot), version, state });
    }

    /// Keeps how an update went; the picture has it from here.
    pub(super) fn keep_last(&self, version: &str, outcome: UpdateOutcome, message: String) {
        let at = UtcTime::from_unix_micros(self.desk.clock.wall().as_unix_micros());
        let kept = Kept { version: version.to_owned(), outcome, message, at };
        let kept = serde_json::to_vec(&kept).map_err(io::Error::other);
        let outcome = kept.and_then(|json| self.desk.keeper.set(LAST_UPDATE, &json));
        if let Err(error) = outcome {
            tracing::error!(%error, "how the update went could not be kept");
        }
    }

    /// The loader said what became of an update that did not stay; it is kept with the time of now.
    pub(super) fn take_note_of_failure(&self) {
        let Some(failure) = self.slots.boot_state().failed else { return };
        let version = failure.version.as_ref().map_or_else(|| "the update".to_owned(), ToString::to_string);
        let outcome = match failure.outcome {
            Outcome::RolledBack => UpdateOutcome::RolledBack,
            Outcome::Refused => UpdateOutcome::Refused,
        };
        let known = self.last().is_some_and(|last| last.version == version && last.outcome == outcome);
        if !known {
            let message =
                failure_words(&version, &failure.message, outcome, &self.slots.installed.to_string());
            tracing::warn!(version, message, "an update did not stay");
            self.keep_last(&version, outcome, message);
        }
    }

    fn last(&self) -> Option<LastUpdate> {
        let kept = self.desk.keeper.get(LAST_UPDATE).ok()??;
        let Kept { version, outcome, message, at } = serde_json::from_slice(&kept).ok()?;
        Some(LastUpdate { version, outcome, message, at })
    }

    /// A new update begins: what is said of the one before is about something else now.
    pub(super) fn forget_last(&self) {
        if let Err(error) = self.desk.keeper.remove(LAST_UPDATE) {
            tracing::warn!(%error, "how the update before went is still kept");
        }
    }

    /// The time, where it is believed: a clock that was never set shows a time before the image was made. One
    /// that runs ahead refuses bundles as expired, which is said, and harms nothing.
    pub(super) fn known_time(&self) -> Option<WallTime> {
        let now = self.desk.clock.wall();
        self.slots.built.filter(|built| now >= *built).map(|_| now)
    }

    /// Tells everyone how it is now.
    pub(super) fn tell(&self) {
        let view = self.view();
        self.desk.tell_software(view);
    }

    fn view(&self) -> UpdateView {
        let reason = self.reason_against();
        let signers = self.slots.trust().map(|trust| trust.signers());
        let signers =
            signers.inspect_err(|error| tracing::error!(%error, "no key is trusted")).unwrap_or_default();
        let trying = self.slots.boot_state().trying.is_some_and(|trial| trial.slot == self.slots.running);
        let (last, floor) = (self.last(), self.slots.floor().to_string());
        let now = lock(&self.now);
        UpdateView {
            supported: reason.is_none(),
            reason,
            stage: now.stage.clone(),
            installed: Image { trying, ..version::image() },
            other: now.other.clone(),
            last,
            floor,
            keys: signers
                .into_iter()
                .map(|(id, kind)| UpdateKey {
                    id: id.to_string(),
                    kind: match kind {
                        update::SignedBy::Release => SignedBy::Release,
                        update::SignedBy::Owner => SignedBy::Owner,
                    },
                })
                .collect(),
            usb: now.sticks.clone(),
        }
    }
}

impl Cancel {
    /// Asks whoever has the turn to stop; too late once it installs.
    fn ask(&self) -> Result<(), ()> {
        // The lock orders this against `commit`.
        let wake = lock(&self.wake);
        if self.too_late.load(Ordering::SeqCst) {
            return Err(());
        }
        self.asked.store(true, Ordering::SeqCst);
        if let Some(wake) = &*wake {
            wake();
        }
        Ok(())
    }
}

/// The turn to update.
pub(super) struct Turn {
    pub(super) updater: Arc<Updater>,
    cancel: Arc<Cancel>,
}

impl Turn {
    /// What ends the waiting for bytes when somebody cancels.
    pub(super) fn wake_with(&self, wake: impl Fn() + Send + 'static) {
        *lock(&self.cancel.wake) = Some(Box::new(wake));
    }

    /// Whether somebody cancelled.
    pub(super) fn cancelled(&self) -> bool {
        self.cancel.asked.load(Ordering::SeqCst)
    }

    /// From here on nobody can cancel; the refusal when somebody just did.
    pub(super) fn commit(&self) -> Result<(), Refusal> {
        let _ordered = lock(&self.cancel.wake);
        if self.cancelled() {
            return Err(cancelled());
        }
        self.cancel.too_late.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Says how far it is.
    pub(super) fn stage(
        &self,
        code: UpdateStageCode,
        message: &str,
        done_bytes: u64,
        total_bytes: u64,
        version: Option<String>,
    ) {
        self.updater.set_stage(stage(code, message, done_bytes, total_bytes, version));
    }

    /// It ended without an update: why is shown until the next one begins.
    pub(super) fn failed(self, refusal: &Refusal) {
        let updater = Arc::clone(&self.updater);
        // Whoever reads that it failed may begin again at once.
        drop(self);
        let version = updater.stage().version;
        let (code, message) = match refusal.code {
            RefusalCode::Cancelled => {
                (UpdateStageCode::Idle, "The update was cancelled; nothing was changed.")
            }
            _ => (UpdateStageCode::Failed, refusal.message.as_str()),
        };
        updater.set_stage(stage(code, message, 0, 0, version));
    }

    /// It is installed, and the recorder restarts into it.
    pub(super) fn restart(self) {
        lock(&self.updater.now).restarting = true;
        self.updater.restart();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.updater.now).turn = None;
    }
}

pub(super) fn cancelled() -> Refusal {
    Refusal::new(RefusalCode::Cancelled, "The update was cancelled; nothing was changed.")
}

/// An error of the update as a refusal.
pub(super) fn refusal(error: &UpdateError) -> Refusal {
    let code = match error.kind() {
        ErrorKind::NotABundle => RefusalCode::NotABundle,
        ErrorKind::WrongBoard => RefusalCode::WrongBoard,
        ErrorKind::BadSignature => RefusalCode::BadSignature,
        ErrorKind::Damaged => RefusalCode::Damaged,
        ErrorKind::Expired => RefusalCode::Expired,
        ErrorKind::TooOld => RefusalCode::TooOld,
        ErrorKind::Downgrade => RefusalCode::Downgrade,
        ErrorKind::Busy => RefusalCode::Busy,
        ErrorKind::NotSupported => RefusalCode::NotSupported,
        ErrorKind::TooLarge => RefusalCode::TooLarge,
        ErrorKind::NoSpace => RefusalCode::NoSpace,
        ErrorKind::Device | ErrorKind::Invalid => RefusalCode::Failed,
    };
    Refusal::new(code, error.to_string())
}

pub(super) fn stage(
    code: UpdateStageCode,
    message: &str,
    done_bytes: u64,
    total_bytes: u64,
    version: Option<String>,
) -> UpdateStage {
    UpdateStage { code, message: message.to_owned(), done_bytes, total_bytes, version }
}

pub(super) fn idle() -> UpdateStage {
    stage(UpdateStageCode::Idle, "Nothing is being installed.", 0, 0, None)
}

/// What the owner reads after a restart.
fn failure_words(version: &str, why: &str, outcome: UpdateOutcome, installed: &str) -> String {
    // The loader writes sentences, the warden's health check what was missing.
    if outcome == UpdateOutcome::RolledBack && !why.ends_with('.') {
        format!("{version} did not become healthy: {why}. {installed} runs again; nothing was lost.")
    } else {
        format!("{version} did not stay. {why} {installed} runs now; nothing was lost.")
    }
}

fn slot_name(slot: Slot) -> SlotName {
    match slot {
        Slot::A => SlotName::A,
        Slot::B => SlotName::B,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
