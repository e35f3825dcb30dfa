//! The role `record`: owns the disks; records, and answers for what is recorded.
//!
//! Does not belong here: what waits for a disk. That is done by the threads of volumes (`volume_life`), of the ledger (`notary`)
//! and of whoever asks (`footage_server`).
//!
//! Invariant: this thread goes on reporting whatever the disks do; a silent role is ended, and the whole machine after it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use hal::{ByteCount, Clock, SystemClock};
use ledger::Event;
use recorder::{Channels, Reached};
use store::RealDisk;

use crate::announcer::Announcer;
use crate::clock_watch::ClockWatch;
use crate::control::{Control, Receiver};
use crate::event_watch;
use crate::footage_locks::FootageLocks;
use crate::footage_server::FootageServer;
use crate::keeping::Keeping;
use crate::loss_tally::LossTally;
use crate::messages::{RecordStatus, RoleConfig, RoleStatus, STATUS_EVERY, ToRole, Volume};
use crate::notary::Books;
use crate::record_ledger::RecordLedger;
use crate::record_volumes::RecordVolumes;
use crate::settings::Settings;
use crate::shelf::Shelf;
use crate::volume_life::Ground;
use crate::volume_order::VolumeOrder;

/// Orders that wait; there are few.
const INBOX: usize = 16;
/// Volumes that are not closed by then never will be before the warden ends this role; the ledger is to be closed, too.
const CLOSING_FOR: Duration = Duration::from_millis(750);

/// What may wait to be written on a disk: a second of a board's channels, and as much as the memory has room for.
const PENDING_BYTES: ByteCount = ByteCount(16 << 20);
/// The same where memory is not short: a second of 64 channels of 8 Mbit/s.
const MANY_PENDING_BYTES: ByteCount = ByteCount(64 << 20);

/// What this thread is told.
enum Told {
    Warden(ToRole),
    Owner(VolumeOrder),
    /// The channels on which something happens from now on.
    Events(Channels),
    /// Something became of a volume.
    Volume,
}

/// Runs until the warden says otherwise.
pub(crate) fn run(
    control: &Control,
    config: RoleConfig,
    orders: Receiver,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (events, inbox) = mpsc::sync_channel(INBOX);
    let (from_owner, from_bus, from_volumes) = (events.clone(), events.clone(), events.clone());
    orders.spawn(move |order| {
        let _ = events.send(Told::Warden(order));
    })?;
    let shelf = Arc::<Shelf>::default();
    let ledger = config.ledger.map(|key| Arc::new(RecordLedger::new(key, Arc::clone(&clock))));
    let line = Box::new(move |order| from_owner.send(Told::Owner(order)).is_ok());
    let locks = FootageLocks::default();
    FootageServer::start(&config.run_dir, Arc::clone(&shelf), ledger.clone(), line, locks.clone())?;
    if let Some(ledger) = &ledger {
        ledger.move_to(ledger_place(&config.volumes));
        ledger.note(Event::RecorderStarted { version: env!("CARGO_PKG_VERSION").into() });
    }
    // Before the volumes, which ask it what it knows of them.
    let books = ledger.clone().map(Books::new).transpose()?;
    let mut announcer = Announcer::new(&config.run_dir, "record");
    let mut watch = ClockWatch::new(clock.wall(), clock.mono());
    let mut channels = channels(&config.settings);
    let (mut kept, mut in_event) = (config.settings.channels, Channels::new());
    let mut volumes = {
        let ground = Ground {
            pending_bytes: if config.ring_bytes.is_some() { PENDING_BYTES } else { MANY_PENDING_BYTES },
            run_dir: config.run_dir.clone(),
            clock: Arc::clone(&clock),
            disks: Arc::new(|_: &Path| Arc::new(RealDisk)),
            books: books.clone(),
            tally: LossTally::default(),
            reached: Reached::default(),
            // With so much in the inbox it is not asleep.
            wake: Arc::new(move || drop(from_volumes.try_send(Told::Volume))),
        };
        RecordVolumes::new(ground, config.settings.storage, config.footage_keys, (shelf, locks))
    };
    volumes.keep(Keeping::of(&kept, &in_event));
    volumes.move_to(config.volumes);
    volumes.look_after(&channels);
    let told = move |channels| from_bus.send(Told::Events(channels)).is_ok();
    event_watch::start(&config.run_dir, Arc::clone(&clock), told)?;
    control.ready();
    loop {
        volumes.look_after(&channels);
        let step = watch.look(clock.wall(), clock.mono());
        if let Some(ledger) = &ledger {
            step.into_iter().for_each(|step| ledger.note(step));
        }
        let ledger_signed = ledger.as_ref().and_then(|ledger| ledger.signed());
        let status = RecordStatus { ledger: ledger_signed, ..volumes.status() };
        announcer.disk(status.disk, &status.error, clock.wall());
        control.status(RoleStatus::Record(status));
        match inbox.recv_timeout(STATUS_EVERY) {
            Ok(Told::Warden(ToRole::Shutdown)) | Err(RecvTimeoutError::Disconnected) => {
                let closed = volumes.close(CLOSING_FOR);
                if let Some(ledger) = &ledger {
                    ledger.note(Event::RecorderStopped);
                    ledger.close();
                }
                return closed.map_err(Into::into);
            }
            Ok(Told::Warden(ToRole::Configure(config))) => {
                channels = self::channels(&config.settings);
                kept = config.settings.channels;
                volumes.keep(Keeping::of(&kept, &in_event));
                if let Some(books) = &books {
                    books.move_to(ledger_place(&config.volumes));
                }
                volumes.encrypt(config.settings.storage.encrypt, config.footage_keys);
                volumes.mirror(config.settings.storage.mirror);
                volumes.move_to(config.volumes);
            }
            Ok(Told::Owner(order)) => volumes.follow(order),
            Ok(Told::Events(channels)) => {
                in_event = channels;
                volumes.keep(Keeping::of(&kept, &in_event));
            }
            Ok(Told::Warden(_) | Told::Volume) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

fn channels(settings: &Settings) -> Channels {
    settings.channels.iter().map(|channel| channel.number).collect()
}

/// Beside the first volume that has a disk.
fn ledger_place(volumes: &[Volume]) -> Option<PathBuf> {
    let first = volumes.iter().find_map(|volume| volume.dir.as_ref())?;
    Some(first.parent()?.join("ledger"))
}
