//! The role `record`: owns the disks; records, and answers for what is recorded.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hal::{ByteCount, ChannelId, Clock, MonoTime, StreamKind, SystemClock, WallTime};
use recorder::{Recorder, RecorderStatus, StatusHandle, StopFlag};
use store::{ErrorKind, Reader, Store, StoreError, StoreOptions};

use crate::control::{Control, Receiver};
use crate::footage_server::{FootageServer, SharedReader};
use crate::messages::{
    DiskState, RecordStatus, RoleConfig, RoleStatus, STATUS_EVERY, ToRole, Volume as Place,
};
use crate::settings::Storage;

/// A disk that could not be opened is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// A channel counts as recorded while its newest unit is not older than this: a frame a second and two drains.
const FRESH: Duration = Duration::from_secs(2);
/// Orders that wait; there are few.
const INBOX: usize = 16;
/// A disk that the recorder has to itself is divided into at least so many segments, so that overwriting the
/// oldest takes a small part of what there is.
const MIN_SEGMENTS_ON_DISK: u64 = 16;
/// Smaller ones do not take a large keyframe (an eighth of a segment is the most for one unit).
const MIN_SEGMENT_BYTES: u64 = 4 << 20;
/// Segments of a small disk are whole MiB.
const ALIGN_BYTES: u64 = 1 << 20;

/// Runs until the warden says otherwise.
pub(crate) fn run(
    control: &Control,
    config: RoleConfig,
    orders: Receiver,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (events, inbox) = mpsc::sync_channel(INBOX);
    orders.spawn(move |order| {
        let _ = events.send(order);
    })?;
    let reader = SharedReader::default();
    FootageServer::start(&config.run_dir, Arc::clone(&reader))?;
    let place = config.volume.ok_or("the warden named no volume")?;
    let mut volume = Volume {
        place,
        run_dir: config.run_dir,
        storage: config.settings.storage,
        clock: Arc::clone(&clock),
        reader,
        running: None,
        disk: DiskState::Ok,
        error: String::new(),
        retry_at: clock.mono(),
    };
    volume.open();
    control.ready();
    loop {
        volume.look_after();
        control.status(RoleStatus::Record(volume.status()));
        match inbox.recv_timeout(STATUS_EVERY) {
            Ok(ToRole::Shutdown) | Err(RecvTimeoutError::Disconnected) => {
                return volume.close().map_err(Into::into);
            }
            Ok(ToRole::Configure(config)) => volume.move_to(config.volume.unwrap_or_default()),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The volume and its recorder, whether they are well or not.
struct Volume {
    place: Place,
    run_dir: PathBuf,
    storage: Storage,
    clock: Arc<dyn Clock>,
    reader: SharedReader,
    running: Option<Running>,
    disk: DiskState,
    error: String,
    retry_at: MonoTime,
}

struct Running {
    thread: JoinHandle<Result<(), StoreError>>,
    stop: StopFlag,
    status: StatusHandle,
}

impl Volume {
    /// Footage goes elsewhere, or nowhere while there is no disk. What is in the rings by then and was not yet
    /// durable goes to the next disk, as far back as the rings reach.
    fn move_to(&mut self, place: Place) {
        if place == self.place {
            return;
        }
        if let Some(running) = self.running.take() {
            // Answers and files of the old disk are let go of first, so that it can be unmounted.
            set_reader(&self.reader, None);
            running.stop.stop();
            match running.thread.join() {
                Ok(Ok(())) => tracing::info!("the volume is closed"),
                Ok(Err(error)) => tracing::warn!(%error, "the volume's end is not on its disk"),
                Err(_) => tracing::error!("the recorder made a mistake while closing the volume"),
            }
        }
        self.place = place;
        self.error.clear();
        self.retry_at = self.clock.mono();
    }

    fn options(&self) -> StoreOptions {
        let Storage { max_bytes, segment_bytes } = self.storage;
        let Some(capacity) = self.place.capacity_bytes else {
            return StoreOptions { max_bytes: ByteCount(max_bytes), segment_bytes: ByteCount(segment_bytes) };
        };
        let small = (capacity / MIN_SEGMENTS_ON_DISK).max(MIN_SEGMENT_BYTES) / ALIGN_BYTES * ALIGN_BYTES;
        StoreOptions {
            max_bytes: ByteCount(max_bytes.min(capacity)),
            segment_bytes: ByteCount(segment_bytes.min(small)),
        }
    }

    fn open(&mut self) {
        let Some(dir) = self.place.dir.clone() else {
            self.disk = self.place.state;
            self.error.clone_from(&self.place.message);
            return;
        };
        match self.start(&dir) {
            Ok(running) => {
                self.running = Some(running);
                self.error.clear();
            }
            Err(error) => {
                let text = error.to_string();
                if text != self.error {
                    tracing::error!(%error, "the footage volume cannot be used");
                }
                self.disk = disk_state(error.downcast_ref().map_or(ErrorKind::Io, StoreError::kind));
                self.error = text;
                self.retry_at = self.clock.mono() + RETRY_AFTER;
            }
        }
    }

    fn start(&mut self, dir: &Path) -> Result<Running, Box<dyn Error + Send + Sync>> {
        let (store, recovery) = Store::open(dir, self.options(), Arc::clone(&self.clock))?;
        tracing::info!(?recovery, dir = %dir.display(), "volume open");
        set_reader(&self.reader, Some(Arc::new(Reader::open(dir)?)));
        let recorder = Recorder::new(&self.run_dir, store, Arc::clone(&self.clock));
        let (status, stop) = (recorder.status(), StopFlag::new());
        let flag = stop.clone();
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || recorder.run(&flag))?;
        Ok(Running { thread, stop, status })
    }

    /// Begins again when the recorder ended, or when the disk could not be opened.
    fn look_after(&mut self) {
        if self.running.as_ref().is_some_and(|running| running.thread.is_finished())
            && let Some(running) = self.running.take()
        {
            set_reader(&self.reader, None);
            self.disk = DiskState::Failed;
            self.error = match running.thread.join() {
                Ok(Ok(())) => "The recorder ended by itself.".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "The recorder made a mistake. Its log has the details.".to_owned(),
            };
            tracing::error!(error = self.error, "recording ended and is begun again");
            self.retry_at = self.clock.mono();
        }
        if self.running.is_none() && self.clock.mono() >= self.retry_at {
            self.open();
        }
    }

    fn status(&self) -> RecordStatus {
        let Some(running) = &self.running else {
            return RecordStatus {
                disk: self.disk,
                error: self.error.clone(),
                path: self.path(),
                total_bytes: if self.place.dir.is_some() { self.options().max_bytes.0 } else { 0 },
                ..RecordStatus::default()
            };
        };
        let status = running.status.get();
        let (oldest, newest) = self.bounds();
        RecordStatus {
            recording: recorded_channels(&status, self.clock.wall()),
            disk: status.last_error_kind.map_or(DiskState::Ok, disk_state),
            error: status.last_error.clone().unwrap_or_default(),
            path: self.path(),
            total_bytes: status.volume_max.0,
            used_bytes: status.volume_used.0,
            write_bytes_per_sec: status.write_bytes_per_sec,
            oldest,
            newest,
            lost_gops: status.streams.values().map(|stream| stream.lost_gops).sum(),
        }
    }

    fn path(&self) -> String {
        self.place.dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default()
    }

    fn bounds(&self) -> (Option<WallTime>, Option<WallTime>) {
        let reader = self.reader.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let bounds = reader.and_then(|reader| volume_bounds(&reader).ok()).flatten();
        (bounds.map(|(oldest, _)| oldest), bounds.map(|(_, newest)| newest))
    }

    fn close(self) -> Result<(), StoreError> {
        let Some(running) = self.running else { return Ok(()) };
        running.stop.stop();
        running.thread.join().unwrap_or(Ok(()))
    }
}

fn volume_bounds(reader: &Reader) -> Result<Option<(WallTime, WallTime)>, StoreError> {
    let mut all: Option<(WallTime, WallTime)> = None;
    for stream in reader.streams()? {
        if let Some((start, end)) = reader.bounds(stream)? {
            all = Some(all.map_or((start, end), |(oldest, newest)| (oldest.min(start), newest.max(end))));
        }
    }
    Ok(all)
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
        _ => DiskState::Failed,
    }
}

fn set_reader(shared: &SharedReader, reader: Option<Arc<Reader>>) {
    *shared.write().unwrap_or_else(std::sync::PoisonError::into_inner) = reader;
}

/// The volume in `dir`: a recorder's data folder holds it, or it is the volume itself.
pub(crate) fn volume_in(dir: &Path) -> PathBuf {
    let inside = dir.join("volume");
    if inside.join("volume.toml").exists() { inside } else { dir.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(dir: &Path, generation: u32) -> Place {
        Place {
            dir: Some(dir.join("volume")),
            generation,
            capacity_bytes: Some(256 << 20),
            ..Place::default()
        }
    }

    fn pulled(generation: u32) -> Place {
        let message = "No disk is attached.".to_owned();
        Place { generation, state: DiskState::Missing, message, ..Place::default() }
    }

    #[test]
    fn a_disk_comes_goes_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut volume = Volume {
            place: pulled(0),
            run_dir: dir.path().join("run"),
            storage: Storage::default(),
            retry_at: clock.mono(),
            clock,
            reader: SharedReader::default(),
            running: None,
            disk: DiskState::Ok,
            error: String::new(),
        };
        let look = |volume: &mut Volume| {
            volume.look_after();
            (volume.running.is_some(), volume.reader.read().unwrap().is_some(), volume.status())
        };
        let (runs, reads, status) = look(&mut volume);
        assert_eq!((runs, reads, status.disk), (false, false, DiskState::Missing));
        assert_eq!((status.error.as_str(), status.path.as_str()), ("No disk is attached.", ""));

        volume.move_to(on_disk(&first, 1));
        let (runs, reads, status) = look(&mut volume);
        assert_eq!((runs, reads, status.disk), (true, true, DiskState::Ok));
        assert_eq!(status.total_bytes, 256 << 20, "the disk is the limit, not the settings");

        volume.move_to(pulled(1));
        let (runs, reads, status) = look(&mut volume);
        assert_eq!((runs, reads, status.disk), (false, false, DiskState::Missing));

        volume.move_to(on_disk(&second, 2));
        assert!(look(&mut volume).0);
        // The same folder, but another disk in it: it is opened anew, which the first one's lock would not allow twice.
        volume.move_to(on_disk(&second, 3));
        assert!(volume.running.is_none());
        assert!(look(&mut volume).0);
        volume.close().unwrap();
        assert!(first.join("volume/volume.toml").exists() && second.join("volume/volume.toml").exists());
    }
}
