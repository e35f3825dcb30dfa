//! One volume of the role `record`: opened, begun again, closed, well or not.
//!
//! Does not belong here: opening, recording and closing (`volume_life`), which channels it takes (`record_volumes`).
//!
//! Invariants
//! - While there is a folder and a disk under it, this goes on trying to record there.
//! - Nothing here waits for the disk, but threads of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hal::{ByteCount, ChannelId, MonoTime, StreamId, StreamKind, WallTime};
use ledger::{Event, Hex, StreamSpan};
use recorder::{Candidate, ChannelChoice, Channels, RecorderStatus, StoreDesk};
use store::{Cipher, ClassStatus, ErrorKind, Reader, RecoveryKey, StoreError, StoreOptions};

use crate::footage_keys::{FootageKeys, SecretText};
use crate::keeping::Keeping;
use crate::messages::{DiskState, Encryption, Expected, Volume as Place, VolumeStatus};
use crate::notary::Books;
use crate::settings::Storage;
use crate::volume_life::{Closing, End, Ground, Life, NO_ANSWER, Opened, Opening};
use crate::volume_order::VolumeRefusal;

/// A disk that could not be opened is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// A channel counts as recorded while its newest unit is not older than this: a frame a second and two drains.
const FRESH: Duration = Duration::from_secs(2);
/// A disk that is divided into at least so many segments loses a small part of what there is when the oldest goes.
const MIN_SEGMENTS_ON_DISK: u64 = 16;
/// Smaller ones do not take a large keyframe (an eighth of a segment is the most for one unit).
const MIN_SEGMENT_BYTES: u64 = 4 << 20;
/// Segments of a small disk are whole MiB.
const ALIGN_BYTES: u64 = 1 << 20;
/// Commits that fail for so long are not a moment's trouble: the channels go to another volume.
const FAILING_FOR: Duration = Duration::from_secs(3);
/// A commit that takes longer than this will not end soon. Rings hold more, so that nothing is lost by waiting so long.
pub(crate) const STALLED_FOR: Duration = Duration::from_secs(6);
/// A disk that takes longer to be opened is unwell until it is; channels are shared out without it. Rings hold more.
const OPENING_FOR: Duration = Duration::from_secs(5);
/// A volume that was given up must be well for so long before channels come back: each move costs a gap in its runs.
const WELL_FOR: Duration = Duration::from_secs(60);

/// A volume and its recorder, whether they are well or not.
pub(crate) struct RecordVolume {
    place: Place,
    storage: Storage,
    keys: FootageKeys,
    ground: Ground,
    choice: ChannelChoice,
    keeping: Keeping,
    life: Option<Life>,
    /// It was begun to open it.
    tried: bool,
    /// What its recorder was last told.
    told: (FootageKeys, Keeping),
    /// Somebody's recovery key is to be tried, or is being tried.
    unlocking: Unlocking,
    disk: DiskState,
    error: String,
    retry_at: MonoTime,
    /// It was given up, and not well since.
    unwell_at: Option<MonoTime>,
    /// Whether the next volume here is encrypted, where an owner said so when they had the one before erased.
    encrypt_next: Option<bool>,
    /// Its footage is being erased; until then nothing is done with it.
    erasing: Option<JoinHandle<()>>,
}

/// Who waits for it.
type Unlocker = SyncSender<Result<(), VolumeRefusal>>;

#[derive(Default)]
struct Unlocking {
    next: Option<(RecoveryKey, Unlocker)>,
    now: Option<Unlocker>,
}

impl RecordVolume {
    pub(crate) fn new(
        place: Place,
        storage: &Storage,
        keys: &FootageKeys,
        ground: Ground,
        keeping: Keeping,
    ) -> Self {
        Self {
            place,
            storage: storage.clone(),
            keys: keys.clone(),
            retry_at: ground.clock.mono(),
            ground,
            choice: ChannelChoice::default(),
            told: (keys.clone(), keeping.clone()),
            keeping,
            life: None,
            tried: false,
            unlocking: Unlocking::default(),
            disk: DiskState::Ok,
            error: String::new(),
            unwell_at: None,
            encrypt_next: None,
            erasing: None,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    fn opened(&self) -> Option<&Opened> {
        self.life.as_ref()?.opened()
    }

    /// What can be read of it now.
    pub(crate) fn reader(&self) -> Option<Arc<Reader>> {
        self.opened().map(|opened| Arc::clone(&opened.reader))
    }

    /// Where its store can be asked for something.
    pub(crate) fn desk(&self) -> Option<StoreDesk> {
        self.opened().map(|opened| opened.desk.clone())
    }

    /// Whether the owner means this one.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        !path.is_empty() && self.path() == path
    }

    /// Whether it is encrypted if it is made now, and for whom it opens from now on.
    pub(crate) fn set_encryption(&mut self, if_new: bool, keys: &FootageKeys) {
        self.storage.encrypt = if_new;
        self.keys = keys.clone();
        self.tell();
    }

    /// How long footage of each channel is kept from now on.
    pub(crate) fn keep(&mut self, keeping: &Keeping) {
        self.keeping = keeping.clone();
        self.tell();
    }

    /// Tells its recorder what it does not know yet. One whose disk hangs, so that too much waits for it, is told at a later look.
    fn tell(&mut self) {
        let opened = self.life.as_ref().and_then(Life::opened);
        let (Some(dir), Some(opened)) = (&self.place.dir, opened) else { return };
        let (keys, keeping) = &mut self.told;
        if *keys != self.keys && opened.renew_keys(dir.clone(), self.keys.keys()) {
            *keys = self.keys.clone();
        }
        let wanted = self.keeping.clone();
        if *keeping != wanted && opened.desk.order(move |store| wanted.apply(store)) {
            *keeping = self.keeping.clone();
        }
    }

    /// It records these channels from now on.
    pub(crate) fn set_channels(&self, channels: Channels) {
        self.choice.set(channels);
    }

    /// It is to be opened, or was only just begun to be: whether it is well is not known yet.
    pub(crate) fn is_fresh(&self) -> bool {
        let now = self.ground.clock.mono();
        let is_next = match &self.life {
            Some(life) => life.opening_for(now).is_some_and(|spent| spent < OPENING_FOR),
            None => self.place.dir.is_some() && !self.tried,
        };
        self.unwell_at.is_none() && is_next
    }

    /// How it stands where channels are shared out.
    pub(crate) fn candidate(&mut self) -> Candidate {
        let now = self.ground.clock.mono();
        let well = self.is_well(now);
        if !well && !self.is_fresh() {
            self.unwell_at = Some(now);
        }
        let usable = well && self.unwell_at.is_none_or(|at| now.since(at) >= WELL_FOR);
        if usable {
            self.unwell_at = None;
        }
        Candidate { usable, capacity: self.options().max_bytes, channels: self.choice.get() }
    }

    fn is_well(&self, now: MonoTime) -> bool {
        let Some(opened) = self.opened() else { return false };
        let status = opened.status.get();
        within(status.failing_since, now, FAILING_FOR) && !is_stalled(&status, now)
    }

    fn options(&self) -> StoreOptions {
        // Without a key that is kept, what is recorded now could not be read after a restart.
        let encrypt = self.encrypt_next.or(self.place.encrypt).unwrap_or(self.storage.encrypt);
        let cipher = match self.keys.device {
            Some(_) if encrypt => Cipher::ChaCha20Poly1305,
            _ => Cipher::None,
        };
        let mut max_bytes = self.storage.max_bytes;
        let mut most = u64::MAX;
        if let Some(capacity) = self.place.capacity_bytes {
            max_bytes = max_bytes.min(capacity);
            most = (capacity / MIN_SEGMENTS_ON_DISK).max(MIN_SEGMENT_BYTES) / ALIGN_BYTES * ALIGN_BYTES;
        }
        StoreOptions {
            segment_bytes: ByteCount(self.storage.segment_bytes_of(max_bytes).min(most)),
            cipher,
            pending_bytes: self.ground.pending_bytes,
            ..StoreOptions::with_max_bytes(ByteCount(max_bytes))
        }
    }

    fn open(&mut self) {
        let Some(dir) = self.place.dir.clone() else {
            self.disk = self.place.state;
            self.error.clone_from(&self.place.message);
            return;
        };
        self.tried = true;
        let mut keys = self.keys.keys();
        if let Some((key, unlocker)) = self.unlocking.next.take() {
            keys = keys.and_recovery_key(&key);
            self.unlocking.now = Some(unlocker);
        }
        self.told = (self.keys.clone(), self.keeping.clone());
        let (keeping, choice) = (self.keeping.clone(), self.choice.clone());
        let opening = Opening { dir, options: self.options(), keys, keeping, choice };
        match Life::begin(&self.ground, opening) {
            Ok(life) => self.life = Some(life),
            Err(error) => {
                tracing::error!(%error, "no thread to record");
                self.retry_at = self.ground.clock.mono() + RETRY_AFTER;
            }
        }
    }

    /// It is open.
    fn welcome(&mut self) {
        self.error.clear();
        if let Some(unlocker) = self.unlocking.now.take() {
            let _ = unlocker.try_send(Ok(()));
        }
    }

    /// It cannot be opened now.
    fn refuse(&mut self, error: &StoreError) {
        let text = error.to_string();
        if text != self.error {
            tracing::error!(%error, "the footage volume cannot be used");
        }
        if let Some(unlocker) = self.unlocking.now.take() {
            let _ = unlocker.try_send(Err(match error.kind() {
                ErrorKind::NoKey => VolumeRefusal::WrongKey,
                _ => VolumeRefusal::Failed(text.clone()),
            }));
        }
        self.disk = disk_state(error.kind());
        self.error = text;
        self.retry_at = self.ground.clock.mono() + RETRY_AFTER;
    }

    /// Opens it with the recovery key of the recorder that it comes from; from then on it is this one's.
    pub(crate) fn unlock(&mut self, key: &SecretText, answer: Unlocker) {
        let refusal = match RecoveryKey::parse(&key.0) {
            Err(error) => VolumeRefusal::Mistyped(error.to_string()),
            Ok(_) if self.place.dir.is_none() => VolumeRefusal::NoVolume,
            Ok(_) if self.opened().is_some() || self.erasing.is_some() || self.disk != DiskState::Locked => {
                VolumeRefusal::NotLocked
            }
            Ok(key) => {
                // Whoever else waits for another key is told that this one came instead.
                self.unlocking.next = Some((key, answer));
                return;
            }
        };
        let _ = answer.try_send(Err(refusal));
    }

    /// Writes down that it is erased, destroys its key, answers, and begins a new volume. On a thread of its own: to remove the
    /// files of a large disk takes longer than the role may be silent.
    pub(crate) fn erase(
        &mut self,
        by: String,
        encrypt: Option<bool>,
        answer: SyncSender<Result<(), VolumeRefusal>>,
    ) {
        let dir = match self.erasable() {
            Ok(dir) => dir,
            Err(refusal) => {
                let _ = answer.try_send(Err(refusal));
                return;
            }
        };
        let (reader, books) = (self.reader(), self.ground.books.clone());
        self.encrypt_next = encrypt;
        let before = self.let_go();
        self.disk = DiskState::Unformatted;
        self.error = "Its footage is being erased. It takes new footage in a moment.".to_owned();
        let erase = move || {
            if let Some(Err(error)) = before.map(Closing::finish) {
                tracing::warn!(%error, "a volume's end is not on its disk");
            }
            let destroyed = destroy(&dir, by, reader, books.as_ref());
            let gone = destroyed.is_ok();
            let _ = answer.try_send(destroyed);
            if !gone {
                return;
            }
            tracing::warn!(dir = %dir.display(), "the volume's key is destroyed, and its footage with it");
            if let Err(error) = store::erase(&dir) {
                tracing::error!(%error, dir = %dir.display(), "what is left of an erased volume cannot be removed");
            }
        };
        match thread::Builder::new().name("erasing".to_owned()).spawn(erase) {
            Ok(thread) => self.erasing = Some(thread),
            Err(error) => tracing::error!(%error, "no thread to erase a volume"),
        }
    }

    /// Writes down that it is erased, as far as that is possible: its disk is about to be formatted, whatever is wrong with it.
    /// A ledger that cannot be written hears of it when it can be again: it may lie on this very disk, which nobody could format
    /// otherwise.
    pub(crate) fn give_up(&self, by: String, answer: SyncSender<Result<(), VolumeRefusal>>) {
        let Some(dir) = self.place.dir.clone() else {
            let _ = answer.try_send(Err(VolumeRefusal::NoVolume));
            return;
        };
        let (reader, books) = (self.reader(), self.ground.books.clone());
        let tell = move || {
            match store::identify(&dir) {
                Ok((volume, _)) => {
                    let event = erasure(volume, by, reader);
                    if let Some(books) = books
                        && let Err(error) = books.keep(&event)
                    {
                        tracing::error!(%error, dir = %dir.display(), "it is written down later that a disk is formatted");
                        books.note(event);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, dir = %dir.display(), "what is formatted is no volume that can be told of");
                }
            }
            let _ = answer.try_send(Ok(()));
        };
        if let Err(error) = thread::Builder::new().name("giving-up".to_owned()).spawn(tell) {
            tracing::error!(%error, "no thread to write down that a disk is formatted");
        }
    }

    /// Where it lies, if it has a key that can be destroyed.
    fn erasable(&self) -> Result<PathBuf, VolumeRefusal> {
        if self.erasing.is_some() {
            return Err(VolumeRefusal::Busy);
        }
        match (&self.place.dir, self.opened()) {
            (None, _) => Err(VolumeRefusal::NoVolume),
            (_, Some(opened)) if opened.encryption() == Encryption::Off => Err(VolumeRefusal::NotEncrypted),
            (Some(dir), _) => Ok(dir.clone()),
        }
    }

    /// Ends recording here, and begins it anew at the next look.
    fn let_go(&mut self) -> Option<Closing> {
        let now = self.ground.clock.mono();
        self.retry_at = now;
        self.life.take().map(|life| life.close(now))
    }

    /// Begins again when the recorder ended, or when the disk could not be opened; not while somebody else has the folder.
    pub(crate) fn look_after(&mut self, is_free: bool) {
        if self.erasing.take_if(|thread| thread.is_finished()).is_some() {
            self.retry_at = self.ground.clock.mono();
        }
        if self.erasing.is_some() {
            return;
        }
        let was_open = self.opened().is_some();
        if let Some(end) = self.life.as_mut().and_then(Life::look)
            && let Some(life) = self.life.take()
        {
            self.bury(life, end);
        } else if !was_open && self.opened().is_some() {
            self.welcome();
        }
        let is_time = self.ground.clock.mono() >= self.retry_at || self.unlocking.next.is_some();
        if self.life.is_none() && is_time && is_free {
            self.open();
        }
        self.tell();
        let well = self.is_well(self.ground.clock.mono());
        if let Some(opened) = self.life.as_mut().and_then(Life::opened_mut) {
            opened.account.look(well, &opened.status);
        }
    }

    fn bury(&mut self, life: Life, end: End) {
        match end {
            End::Refused(error) => self.refuse(&error),
            End::Over => {
                self.disk = DiskState::Failed;
                self.error = life.last_words();
                tracing::error!(error = self.error, "recording ended and is begun again");
                self.retry_at = self.ground.clock.mono();
            }
        }
    }

    pub(crate) fn status(&self) -> VolumeStatus {
        let now = self.ground.clock.mono();
        let place =
            VolumeStatus { device: self.place.device.clone(), path: self.path(), ..VolumeStatus::default() };
        let Some(opened) = self.opened() else {
            let opening = self.life.as_ref().and_then(|life| life.opening_for(now));
            let (disk, error) = match opening {
                Some(spent) if spent >= STALLED_FOR => (DiskState::Failed, NO_ANSWER.to_owned()),
                _ => (self.disk, self.error.clone()),
            };
            let locked = self.place.dir.is_some() && disk == DiskState::Locked;
            return VolumeStatus {
                encryption: locked.then_some(Encryption::Locked),
                disk,
                error,
                total_bytes: if self.place.dir.is_some() { self.options().max_bytes.0 } else { 0 },
                ..place
            };
        };
        let status = opened.status.get();
        let (disk, error) = match (status.last_error_kind, &status.last_error) {
            _ if is_stalled(&status, now) => (DiskState::Failed, NO_ANSWER.to_owned()),
            (kind, error) => (kind.map_or(DiskState::Ok, disk_state), error.clone().unwrap_or_default()),
        };
        VolumeStatus {
            encryption: Some(opened.encryption()),
            recording: recorded_channels(&status, self.ground.clock.wall()),
            disk,
            error,
            total_bytes: status.volume_max.0,
            used_bytes: status.volume_used.0,
            locked_bytes: status.volume_locked.0,
            retention: status.classes.iter().map(expected).collect(),
            write_bytes_per_sec: status.write_bytes_per_sec,
            oldest: status.bounds.map(|(oldest, _)| oldest),
            newest: status.bounds.map(|(_, newest)| newest),
            concerns: concerns(&status),
            ..place
        }
    }

    fn path(&self) -> String {
        self.place.dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default()
    }

    /// Asks the recorder to make all of it durable and to end. What is in the rings and not yet durable by then goes to whoever
    /// takes the channels, as far back as the rings reach.
    pub(crate) fn close(mut self) -> Option<Closing> {
        self.let_go()
    }

    /// What its recorder says of itself.
    #[cfg(test)]
    pub(crate) fn figures(&self) -> Option<RecorderStatus> {
        self.opened().map(|opened| opened.status.get())
    }

    #[cfg(test)]
    pub(crate) fn channels(&self) -> Channels {
        self.choice.get()
    }

    /// Nothing of it is on its way.
    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        let opening = self.life.as_ref().is_some_and(|life| life.opened().is_none());
        !opening && self.erasing.is_none() && self.unlocking.next.is_none()
    }
}

fn within(since: Option<MonoTime>, now: MonoTime, limit: Duration) -> bool {
    since.is_none_or(|since| now.since(since) < limit)
}

fn is_stalled(status: &RecorderStatus, now: MonoTime) -> bool {
    !within(status.committing_since, now, STALLED_FOR)
}

/// That a volume's footage goes.
fn erasure(volume: [u8; 16], by: String, reader: Option<Arc<Reader>>) -> Event {
    // What cannot be told does not keep anybody from destroying a key.
    let streams = reader.and_then(|reader| spans(&reader).ok()).unwrap_or_default();
    Event::VolumeErased { volume: Hex(volume), by: by.into(), streams }
}

/// As [`RecordVolume::erase`], up to the moment from which nobody can read it.
fn destroy(
    dir: &Path,
    by: String,
    reader: Option<Arc<Reader>>,
    books: Option<&Books>,
) -> Result<(), VolumeRefusal> {
    let refused = |error: StoreError| match error.kind() {
        ErrorKind::Invalid => VolumeRefusal::NotEncrypted,
        ErrorKind::NotFound => VolumeRefusal::NoVolume,
        _ => VolumeRefusal::Failed(error.to_string()),
    };
    let (volume, cipher) = store::identify(dir).map_err(refused)?;
    if cipher == Cipher::None {
        return Err(VolumeRefusal::NotEncrypted);
    }
    if let Some(books) = books {
        books.keep(&erasure(volume, by, reader)).map_err(|error| {
            VolumeRefusal::Failed(format!("the ledger cannot write down that it is erased: {error}"))
        })?;
    }
    store::destroy_key(dir).map_err(refused)
}

fn spans(reader: &Reader) -> Result<Vec<StreamSpan>, StoreError> {
    let span = |(stream, (start, end)): (StreamId, _)| StreamSpan {
        channel: stream.channel,
        stream: stream.kind,
        start,
        end,
    };
    Ok(reader.all_bounds()?.into_iter().map(span).collect())
}

/// What is wrong although footage is recorded, for people.
fn concerns(status: &RecorderStatus) -> Vec<String> {
    let kept = status.retention_error.as_ref().map(|error| {
        format!(
            "Old footage does not go as it should, or cannot be written down. It is tried again. ({error})"
        )
    });
    let unwitnessed = (status.unwitnessed > 0).then(|| {
        format!(
            "Since the start {} segments of old footage made room for new, and the ledger could not write it down: \
             exported files show gaps there without a reason. Look after the disk that has the ledger.",
            status.unwitnessed
        )
    });
    let damaged = status.damages.last().map(|last| {
        format!(
            "Footage reads back damaged, which is a sign of a failing disk. Export what you need, and replace the disk. \
             ({last})"
        )
    });
    kept.into_iter().chain(unwitnessed).chain(damaged).collect()
}

fn expected(class: &ClassStatus) -> Expected {
    Expected {
        keep_days: class.rule.max_days,
        used_bytes: class.used_bytes.0,
        hours: class.expected.map(|stays| stays.as_secs() / 3600),
    }
}

fn recorded_channels(status: &RecorderStatus, now: WallTime) -> Vec<ChannelId> {
    let fresh = i64::try_from(FRESH.as_micros()).unwrap_or(i64::MAX);
    let is_fresh = |at: &WallTime| now.micros_since(*at).abs() <= fresh;
    status
        .streams
        .iter()
        .filter(|(id, stream)| id.kind == StreamKind::Main && stream.last_unit.as_ref().is_some_and(is_fresh))
        .filter(|_| status.last_error.is_none())
        .map(|(id, _)| id.channel)
        .collect()
}

fn disk_state(kind: ErrorKind) -> DiskState {
    match kind {
        ErrorKind::DiskFull => DiskState::Full,
        ErrorKind::Unwritable => DiskState::Unwritable,
        ErrorKind::NoKey => DiskState::Locked,
        _ => DiskState::Failed,
    }
}
