//! One volume of the role `record`: its store, its recording thread, its reader.
//!
//! Does not belong here: which channels it takes (`record_volumes`).
//!
//! Invariant: while there is a folder and a disk under it, this goes on trying to record there.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hal::{ByteCount, ChannelId, Clock, MonoTime, StreamId, StreamKind, WallTime};
use ledger::{Event, Hex, StreamSpan};
use recorder::{
    Candidate, ChannelChoice, Channels, Recorder, RecorderStatus, StatusHandle, StopFlag, StoreDesk,
};
use store::{Cipher, ClassStatus, ErrorKind, Keys, Reader, RecoveryKey, Store, StoreError, StoreOptions};

use crate::account::Account;
use crate::footage_keys::{FootageKeys, SecretText};
use crate::keeping::Keeping;
use crate::messages::{DiskState, Encryption, Expected, Volume as Place, VolumeStatus};
use crate::notary::Books;
use crate::settings::Storage;
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
const STALLED_FOR: Duration = Duration::from_secs(6);
/// A volume that was given up must be well for so long before channels come back: each move costs a gap in its runs.
const WELL_FOR: Duration = Duration::from_secs(60);

/// A volume and its recorder, whether they are well or not.
pub(crate) struct RecordVolume {
    place: Place,
    run_dir: PathBuf,
    storage: Storage,
    keys: FootageKeys,
    clock: Arc<dyn Clock>,
    choice: ChannelChoice,
    books: Option<Books>,
    keeping: Keeping,
    running: Option<Running>,
    disk: DiskState,
    error: String,
    retry_at: MonoTime,
    /// It was given up, and not well since.
    unwell_at: Option<MonoTime>,
    /// Its footage is being erased; until then nothing is done with it.
    erasing: Option<JoinHandle<()>>,
}

struct Running {
    thread: JoinHandle<Result<(), StoreError>>,
    stop: StopFlag,
    status: StatusHandle,
    reader: Arc<Reader>,
    encryption: Encryption,
    desk: StoreDesk,
    account: Account,
}

impl RecordVolume {
    pub(crate) fn new(
        place: Place,
        run_dir: &Path,
        storage: &Storage,
        keys: &FootageKeys,
        clock: Arc<dyn Clock>,
        books: Option<Books>,
        keeping: Keeping,
    ) -> Self {
        Self {
            place,
            run_dir: run_dir.to_owned(),
            storage: storage.clone(),
            keys: keys.clone(),
            retry_at: clock.mono(),
            clock,
            choice: ChannelChoice::default(),
            books,
            keeping,
            running: None,
            disk: DiskState::Ok,
            error: String::new(),
            unwell_at: None,
            erasing: None,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What can be read of it now.
    pub(crate) fn reader(&self) -> Option<Arc<Reader>> {
        self.running.as_ref().map(|running| Arc::clone(&running.reader))
    }

    /// Where its store can be asked for something.
    pub(crate) fn desk(&self) -> Option<StoreDesk> {
        self.running.as_ref().map(|running| running.desk.clone())
    }

    /// Whether the owner means this one.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        !path.is_empty() && self.path() == path
    }

    /// Whether it is encrypted if it is made now, and for whom it opens from now on.
    pub(crate) fn set_encryption(&mut self, if_new: bool, keys: &FootageKeys) {
        self.storage.encrypt = if_new;
        if self.keys == *keys {
            return;
        }
        self.keys = keys.clone();
        let (Some(dir), Some(running)) = (&self.place.dir, &mut self.running) else { return };
        if running.encryption == Encryption::Off {
            return;
        }
        running.encryption = match store::renew_keys(dir, &self.keys.keys()) {
            Ok(true) => Encryption::Recoverable,
            Ok(false) => Encryption::DeviceOnly,
            Err(error) => {
                // It is tried again when the volume is opened the next time; until then people see it.
                tracing::error!(%error, dir = %dir.display(), "the volume does not open with the new keys");
                Encryption::DeviceOnly
            }
        };
    }

    /// How long footage of each channel is kept from now on.
    pub(crate) fn keep(&mut self, keeping: &Keeping) {
        if self.keeping == *keeping {
            return;
        }
        self.keeping = keeping.clone();
        if let Some(running) = &self.running {
            let keeping = keeping.clone();
            // A recorder that does not serve its desk is stuck, and is told anew when it is begun again.
            if !running.desk.order(move |store| keeping.apply(store)) {
                tracing::error!(volume = self.place.title(), "too much waits for the volume");
            }
        }
    }

    /// It records these channels from now on.
    pub(crate) fn set_channels(&self, channels: Channels) {
        self.choice.set(channels);
    }

    /// How it stands where channels are shared out.
    pub(crate) fn candidate(&mut self) -> Candidate {
        let now = self.clock.mono();
        if !self.is_well(now) {
            self.unwell_at = Some(now);
        }
        let usable = self.unwell_at.is_none_or(|at| now.since(at) >= WELL_FOR);
        if usable {
            self.unwell_at = None;
        }
        Candidate { usable, capacity: self.options().max_bytes, channels: self.choice.get() }
    }

    fn is_well(&self, now: MonoTime) -> bool {
        let Some(running) = &self.running else { return false };
        let status = running.status.get();
        let within = |since: Option<MonoTime>, limit| since.is_none_or(|since| now.since(since) < limit);
        within(status.failing_since, FAILING_FOR) && within(status.committing_since, STALLED_FOR)
    }

    fn options(&self) -> StoreOptions {
        // Without a key that is kept, what is recorded now could not be read after a restart.
        let cipher = match self.keys.device {
            Some(_) if self.storage.encrypt => Cipher::ChaCha20Poly1305,
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
            ..StoreOptions::with_max_bytes(ByteCount(max_bytes))
        }
    }

    fn open(&mut self) {
        let Some(dir) = self.place.dir.clone() else {
            self.disk = self.place.state;
            self.error.clone_from(&self.place.message);
            return;
        };
        if let Err(error) = self.open_with(&dir, &self.keys.keys()) {
            let text = error.to_string();
            if text != self.error {
                tracing::error!(%error, "the footage volume cannot be used");
            }
            self.disk = disk_state(error.downcast_ref().map_or(ErrorKind::Io, StoreError::kind));
            self.error = text;
            self.retry_at = self.clock.mono() + RETRY_AFTER;
        }
    }

    fn open_with(&mut self, dir: &Path, keys: &Keys) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.running = Some(self.start(dir, keys)?);
        self.error.clear();
        Ok(())
    }

    /// Opens it with the recovery key of the recorder that it comes from; from then on it is this one's.
    pub(crate) fn unlock(&mut self, key: &SecretText) -> Result<(), VolumeRefusal> {
        let key = RecoveryKey::parse(&key.0).map_err(|error| VolumeRefusal::Mistyped(error.to_string()))?;
        let Some(dir) = self.place.dir.clone() else { return Err(VolumeRefusal::NoVolume) };
        if self.running.is_some() || self.erasing.is_some() || self.disk != DiskState::Locked {
            return Err(VolumeRefusal::NotLocked);
        }
        self.open_with(&dir, &self.keys.keys().and_recovery_key(&key)).map_err(|error| {
            match error.downcast_ref().map(StoreError::kind) {
                Some(ErrorKind::NoKey) => VolumeRefusal::WrongKey,
                _ => VolumeRefusal::Failed(error.to_string()),
            }
        })
    }

    /// Writes down that it is erased, destroys its key, answers, and begins a new volume. On a thread of its own: to remove the
    /// files of a large disk takes longer than the role may be silent.
    pub(crate) fn erase(&mut self, by: String, answer: SyncSender<Result<(), VolumeRefusal>>) {
        let dir = match self.erasable() {
            Ok(dir) => dir,
            Err(refusal) => {
                let _ = answer.try_send(Err(refusal));
                return;
            }
        };
        let (reader, books) = (self.reader(), self.books.clone());
        self.let_go();
        self.disk = DiskState::Unformatted;
        self.error = "Its footage is being erased. It takes new footage in a moment.".to_owned();
        let erase = move || {
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
    pub(crate) fn give_up(&self, by: String, answer: SyncSender<Result<(), VolumeRefusal>>) {
        let Some(dir) = self.place.dir.clone() else {
            let _ = answer.try_send(Err(VolumeRefusal::NoVolume));
            return;
        };
        let (reader, books) = (self.reader(), self.books.clone());
        let tell = move || {
            let told = store::identify(&dir)
                .map_err(io::Error::other)
                .and_then(|(volume, _)| announce_erasure(volume, by, reader, books.as_ref()));
            if let Err(error) = told {
                tracing::error!(%error, dir = %dir.display(), "it cannot be written down that a disk is formatted");
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
        match (&self.place.dir, &self.running) {
            (None, _) => Err(VolumeRefusal::NoVolume),
            (_, Some(running)) if running.encryption == Encryption::Off => Err(VolumeRefusal::NotEncrypted),
            (Some(dir), _) => Ok(dir.clone()),
        }
    }

    /// Ends recording here, and begins it anew at the next look.
    fn let_go(&mut self) {
        let Some(running) = self.running.take() else { return };
        if let Err(error) = running.end() {
            tracing::warn!(%error, "a volume's end is not on its disk");
        }
        self.retry_at = self.clock.mono();
    }

    fn start(&self, dir: &Path, keys: &Keys) -> Result<Running, Box<dyn Error + Send + Sync>> {
        let (mut store, recovery) = Store::open(dir, self.options(), keys, Arc::clone(&self.clock))?;
        let encryption = match store.status() {
            store::VolumeStatus { cipher: Cipher::None, .. } => Encryption::Off,
            store::VolumeStatus { recoverable: true, .. } => Encryption::Recoverable,
            _ => Encryption::DeviceOnly,
        };
        tracing::info!(?recovery, dir = %dir.display(), "volume open");
        let reader = Arc::new(Reader::beside(&store)?);
        self.keeping.apply(&mut store);
        if let Some(books) = &self.books {
            store.set_witness(Box::new(books.notary()));
        }
        let volume = store.volume();
        let recorder =
            Recorder::new(&self.run_dir, store, Arc::clone(&self.clock)).choose(self.choice.clone());
        let account = Account::open(volume, self.books.clone(), recorder.losses());
        let (status, stop, desk) = (recorder.status(), StopFlag::new(), recorder.desk());
        let flag = stop.clone();
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || recorder.run(&flag))?;
        Ok(Running { thread, stop, status, reader, encryption, desk, account })
    }

    /// Begins again when the recorder ended, or when the disk could not be opened.
    pub(crate) fn look_after(&mut self) {
        if self.erasing.take_if(|thread| thread.is_finished()).is_some() {
            self.retry_at = self.clock.mono();
        }
        if self.erasing.is_some() {
            return;
        }
        if self.running.as_ref().is_some_and(|running| running.thread.is_finished())
            && let Some(mut running) = self.running.take()
        {
            self.disk = DiskState::Failed;
            self.error = match running.thread.join() {
                Ok(Ok(())) => "The recorder ended by itself.".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "The recorder made a mistake. Its log has the details.".to_owned(),
            };
            tracing::error!(error = self.error, "recording ended and is begun again");
            running.account.close(Err(&self.error));
            self.retry_at = self.clock.mono();
        }
        if self.running.is_none() && self.clock.mono() >= self.retry_at {
            self.open();
        }
        let well = self.is_well(self.clock.mono());
        if let Some(running) = &mut self.running {
            running.account.look(well, &running.status);
        }
    }

    pub(crate) fn status(&self) -> VolumeStatus {
        let place =
            VolumeStatus { device: self.place.device.clone(), path: self.path(), ..VolumeStatus::default() };
        let Some(running) = &self.running else {
            let locked = self.place.dir.is_some() && self.disk == DiskState::Locked;
            return VolumeStatus {
                encryption: locked.then_some(Encryption::Locked),
                disk: self.disk,
                error: self.error.clone(),
                total_bytes: if self.place.dir.is_some() { self.options().max_bytes.0 } else { 0 },
                ..place
            };
        };
        let status = running.status.get();
        let bounds = volume_bounds(&running.reader).unwrap_or_default();
        VolumeStatus {
            encryption: Some(running.encryption),
            recording: recorded_channels(&status, self.clock.wall()),
            disk: status.last_error_kind.map_or(DiskState::Ok, disk_state),
            error: status.last_error.clone().unwrap_or_default(),
            total_bytes: status.volume_max.0,
            used_bytes: status.volume_used.0,
            locked_bytes: status.volume_locked.0,
            retention: status.classes.iter().map(expected).collect(),
            write_bytes_per_sec: status.write_bytes_per_sec,
            oldest: bounds.map(|(oldest, _)| oldest),
            newest: bounds.map(|(_, newest)| newest),
            lost_gops: status.streams.values().map(|stream| stream.lost_gops).sum(),
            concerns: concerns(&status),
            ..place
        }
    }

    fn path(&self) -> String {
        self.place.dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default()
    }

    /// Asks the recorder to make all of it durable and to end; [`RecordVolume::close`] waits for that.
    pub(crate) fn begin_closing(&self) {
        if let Some(running) = &self.running {
            running.stop.stop();
        }
    }

    /// What is in the rings and not yet durable by now goes to whoever takes the channels, as far back as the rings reach.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        self.running.map_or(Ok(()), Running::end)
    }
}

impl Running {
    /// Waits until all of it is durable.
    fn end(mut self) -> Result<(), StoreError> {
        self.stop.stop();
        // Answers and files of the disk are let go of first, so that it can be unmounted.
        drop(self.reader);
        let ended = self.thread.join().unwrap_or_else(|_| {
            tracing::error!("the recorder made a mistake while closing the volume");
            Ok(())
        });
        let error = ended.as_ref().err().map(ToString::to_string);
        self.account.close(error.as_deref().map_or(Ok(()), Err));
        ended
    }
}

/// Writes down that a volume's footage goes, before it does.
fn announce_erasure(
    volume: [u8; 16],
    by: String,
    reader: Option<Arc<Reader>>,
    books: Option<&Books>,
) -> io::Result<()> {
    let Some(books) = books else { return Ok(()) };
    // What cannot be told does not keep anybody from destroying a key.
    let streams = reader.and_then(|reader| spans(&reader).ok()).unwrap_or_default();
    books.keep(&Event::VolumeErased { volume: Hex(volume), by: by.into(), streams })
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
    announce_erasure(volume, by, reader, books).map_err(|error| {
        VolumeRefusal::Failed(format!("the ledger cannot write down that it is erased: {error}"))
    })?;
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

fn volume_bounds(reader: &Reader) -> Result<Option<store::Bounds>, StoreError> {
    Ok(reader.all_bounds()?.into_values().reduce(store::spanning))
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

/// The volume in `dir`: a recorder's data folder holds it, or it is the volume itself.
pub(crate) fn volume_in(dir: &Path) -> PathBuf {
    let inside = dir.join("volume");
    if inside.join("volume.toml").exists() { inside } else { dir.to_owned() }
}
