//! The board's disks: found, mounted, formatted, let go of when pulled.
//!
//! Every fixed disk of ours takes footage, and a removable one while there is no other. Each is mounted at a place of
//! its own, the first one where other things that need room are kept, too; `record` is told of each coming and going.
//! The kernel writes no more to a file system once its journal could not be written, so a disk that `record` cannot write for
//! a while is mounted anew.
//! Does not belong here: what the kernel shows (`system::DiskPlaces`), and what `record` does.
//!
//! Invariant: nothing is written to a disk that is not ours, but to one that is wholly blank and not
//! removable, or that the owner named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use system::{Content, Disk, DiskPlaces};

use super::desk::Desk;
use crate::messages::{DiskState, DiskUse, DiskView, Volume};

/// How often the kernel's list is looked at: a pulled disk is noticed within this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// While there is no disk yet: the first seconds after power-on, when every one of them is footage.
const SEEK_EVERY: Duration = Duration::from_millis(200);
/// A disk that did not read is read again this often; a spinning one takes its time after power-on.
const RETRY_LOOKS: u32 = 25;
/// For so many looks on end `record` cannot write to a disk before it is let go of: what passes sooner, passes by itself.
const FAILING_LOOKS: u32 = 10;
/// A disk that was let go of is mounted anew after so many looks, and after twice as many each further time: first its last
/// files are closed, and one that fails again and again must not take the channels each time.
const REMOUNT_LOOKS: u32 = 2;
/// And after no more than so many.
const MAX_REMOUNT_LOOKS: u32 = 600;
/// A smaller disk holds no footage to speak of.
const MIN_DISK_BYTES: u64 = 64 << 20;
/// The volume's folder on the disk.
const VOLUME: &str = "volume";

/// What is done to disks; tests have their own.
pub(super) trait Hands: Send {
    /// Mounts `device` at `at`; what of it is for footage, in bytes.
    fn mount(&mut self, device: &Path, at: &Path) -> Result<u64, String>;
    /// Takes a mounted disk that is gone out of sight.
    fn detach(&mut self, at: &Path);
    /// Makes an empty volume of the whole disk; `at` is free to mount it for that.
    fn format(&mut self, disk: &Path, bytes: u64, at: &Path) -> Result<(), String>;
}

enum Order {
    Format { device: String, encrypt: Option<bool>, answer: mpsc::SyncSender<Result<(), String>> },
    Stop,
}

/// The thread that looks after the disks.
pub(super) struct DiskThread {
    orders: mpsc::SyncSender<Order>,
    thread: thread::JoinHandle<()>,
}

impl DiskThread {
    /// Starts looking; `mounts` are the places where disks are mounted, as many as may be in use.
    pub(super) fn start(
        desk: &Arc<Desk>,
        mounts: Vec<PathBuf>,
        hands: impl Hands + 'static,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::sync_channel(1);
        let told = Arc::clone(desk);
        let thread = thread::Builder::new().name("disks".to_owned()).spawn(move || {
            let mut disks = Disks::new(DiskPlaces::default(), mounts, hands);
            loop {
                let order = inbox.recv_timeout(if disks.used.is_empty() { SEEK_EVERY } else { LOOK_EVERY });
                match order {
                    Ok(Order::Format { device, encrypt, answer }) => {
                        let accepted = disks.accept_format(&device, encrypt);
                        let _ = answer.try_send(accepted);
                    }
                    Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                disks.look(&told.failing_volumes(), &mut |volumes, views| {
                    told.set_volumes(volumes);
                    told.set_disks(views);
                });
            }
        })?;
        let asking = orders.clone();
        desk.set_formatter(Box::new(move |device, encrypt| {
            let (answer, answered) = mpsc::sync_channel(1);
            let busy = || "The disks are busy; try again in a moment.".to_owned();
            let order = Order::Format { device: device.to_owned(), encrypt, answer };
            asking.try_send(order).map_err(|_| busy())?;
            answered.recv_timeout(LOOK_EVERY).map_err(|_| busy())?
        }));
        Ok(Self { orders, thread })
    }

    /// Ends it; what is mounted stays so.
    pub(super) fn stop(self) {
        let _ = self.orders.send(Order::Stop);
        let _ = self.thread.join();
    }
}

/// A disk by name and attachment.
type Key = (String, u64);

enum Known {
    Is(Content),
    /// It did not read, or not mount; it is tried again when the count is down.
    Failed(String, u32),
}

/// A disk that takes footage.
struct Used {
    key: Key,
    at: PathBuf,
    volume: Volume,
    /// Looks on end at which it could not be written.
    failing: u32,
}

struct Disks<H> {
    places: DiskPlaces,
    mounts: Vec<PathBuf>,
    hands: H,
    known: BTreeMap<Key, Known>,
    /// How often a disk was let go of because it could not be written.
    stopped: BTreeMap<Key, u32>,
    /// In the order of `mounts`.
    used: Vec<Used>,
    /// The owner wants it erased.
    to_format: Option<Key>,
    /// Whether footage on a disk that was formatted is to be encrypted, where its owner said so.
    chosen: BTreeMap<Key, bool>,
    /// Counts what was mounted.
    generation: u32,
}

/// Told of the volumes and of all disks.
type Tell<'a> = &'a mut dyn FnMut(Vec<Volume>, Vec<DiskView>);

impl<H: Hands> Disks<H> {
    fn new(places: DiskPlaces, mounts: Vec<PathBuf>, hands: H) -> Self {
        let (known, stopped, chosen) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            places,
            mounts,
            hands,
            known,
            stopped,
            used: Vec::new(),
            to_format: None,
            chosen,
            generation: 0,
        }
    }

    fn is_used(&self, disk: &Disk) -> bool {
        self.used.iter().any(|used| used.key == key(disk))
    }

    /// Whether `device` may be formatted; if so, the next look does it.
    fn accept_format(&mut self, device: &str, encrypt: Option<bool>) -> Result<(), String> {
        let disks = self.places.list();
        let Some(disk) = disks.iter().find(|disk| disk.name == device) else {
            return Err(format!("There is no disk {device}."));
        };
        if self.is_used(disk) {
            return Err("Footage is written to this disk. Pull it, or use another.".to_owned());
        }
        if disk.bytes < MIN_DISK_BYTES {
            return Err("This disk is too small for footage.".to_owned());
        }
        let key = key(disk);
        self.chosen.remove(&key);
        self.chosen.extend(encrypt.map(|encrypt| (key.clone(), encrypt)));
        self.to_format = Some(key);
        Ok(())
    }

    /// Compares what is there with what was; tells of every change on the way. `failing` are the volumes that cannot be written,
    /// as `record` says.
    fn look(&mut self, failing: &[PathBuf], tell: Tell<'_>) {
        let disks = self.places.list();
        let there = |one: &Key| disks.iter().any(|disk| key(disk) == *one);
        self.known.retain(|known, _| there(known));
        self.stopped.retain(|stopped, _| there(stopped));
        self.chosen.retain(|chosen, _| there(chosen));
        for used in &mut self.used {
            let fails = used.volume.dir.as_ref().is_some_and(|dir| failing.contains(dir));
            used.failing = if fails { used.failing + 1 } else { 0 };
        }
        let goes_on = |used: &Used| there(&used.key) && used.failing < FAILING_LOOKS;
        let (kept, gone): (Vec<Used>, Vec<Used>) =
            std::mem::take(&mut self.used).into_iter().partition(goes_on);
        self.used = kept;
        for used in gone.iter().filter(|used| there(&used.key)) {
            self.stop_using(used);
        }
        if !gone.is_empty() {
            // `record` lets go of its files when it hears of it; nobody new finds them from here on.
            self.tell(&disks, tell);
        }
        for used in gone {
            tracing::error!(disk = used.key.0, "a footage disk is gone, or cannot be written any more");
            self.hands.detach(&used.at);
        }
        for disk in &disks {
            self.learn(disk);
        }
        if let Some(wanted) = self.to_format.take()
            && let Some(disk) = disks.iter().find(|disk| key(disk) == wanted)
        {
            self.format(disk, &disks, tell);
        }
        self.take_ours(&disks);
        for disk in &disks {
            if self.is_blank(disk) && self.free_mount().is_some() {
                tracing::info!(disk = disk.name, "a blank disk is formatted");
                self.format(disk, &disks, tell);
            }
        }
        self.take_ours(&disks);
        self.tell(&disks, tell);
    }

    /// The disk is there, and cannot be written.
    fn stop_using(&mut self, used: &Used) {
        let times = self.stopped.entry(used.key.clone()).or_default();
        let looks = REMOUNT_LOOKS.saturating_mul(1 << (*times).min(16)).min(MAX_REMOUNT_LOOKS);
        *times = times.saturating_add(1);
        let what = "it did not take what was written, and is tried again in a while";
        self.known.insert(used.key.clone(), Known::Failed(what.to_owned(), looks));
    }

    fn tell(&self, disks: &[Disk], tell: Tell<'_>) {
        let mut volumes: Vec<Volume> = self.used.iter().map(|used| used.volume.clone()).collect();
        // Whatever the others take: its owner must see it.
        volumes.extend(disks.iter().filter_map(|disk| self.stopped_volume(disk)));
        if volumes.is_empty() {
            volumes.push(self.no_volume(disks));
        }
        tell(volumes, self.views(disks));
    }

    fn learn(&mut self, disk: &Disk) {
        let known = self.known.get_mut(&key(disk));
        match known {
            Some(Known::Is(_)) => return,
            Some(Known::Failed(_, looks)) if *looks > 0 => {
                *looks -= 1;
                return;
            }
            _ => {}
        }
        let known = match self.places.look(disk) {
            Ok(content) => {
                tracing::info!(disk = disk.name, model = disk.model, bytes = disk.bytes, ?content, "disk");
                Known::Is(content)
            }
            Err(error) => Known::Failed(error.to_string(), RETRY_LOOKS),
        };
        self.known.insert(key(disk), known);
    }

    fn is_blank(&self, disk: &Disk) -> bool {
        let blank = matches!(self.known.get(&key(disk)), Some(Known::Is(Content::Blank)));
        blank && !disk.removable && disk.bytes >= MIN_DISK_BYTES
    }

    fn free_mount(&self) -> Option<PathBuf> {
        self.mounts.iter().find(|mount| self.used.iter().all(|used| used.at != **mount)).cloned()
    }

    /// Mounts the fixed disks of ours; a removable one only where there is no other.
    fn take_ours(&mut self, disks: &[Disk]) {
        let (removable, fixed): (Vec<&Disk>, Vec<&Disk>) = disks.iter().partition(|disk| disk.removable);
        for disk in fixed {
            self.take(disk);
        }
        for disk in removable {
            if self.used.is_empty() {
                self.take(disk);
            }
        }
    }

    fn take(&mut self, disk: &Disk) {
        let Some(Known::Is(Content::Ours { device })) = self.known.get(&key(disk)) else { return };
        if self.is_used(disk) {
            return;
        }
        let Some(at) = self.free_mount() else { return };
        match self.hands.mount(&self.places.device(device), &at) {
            Ok(capacity) => {
                tracing::info!(disk = disk.name, device, capacity, "the footage disk is mounted");
                self.generation += 1;
                let volume = Volume {
                    device: disk.name.clone(),
                    dir: Some(at.join(VOLUME)),
                    generation: self.generation,
                    capacity_bytes: Some(capacity),
                    encrypt: self.chosen.get(&key(disk)).copied(),
                    state: DiskState::Ok,
                    message: String::new(),
                };
                self.used.push(Used { key: key(disk), at, volume, failing: 0 });
                let mounts = &self.mounts;
                self.used.sort_by_key(|used| mounts.iter().position(|mount| *mount == used.at));
            }
            Err(error) => {
                tracing::error!(disk = disk.name, device, error, "the footage disk cannot be used");
                self.known.insert(key(disk), Known::Failed(error, RETRY_LOOKS));
            }
        }
    }

    fn format(&mut self, disk: &Disk, disks: &[Disk], tell: Tell<'_>) {
        let Some(at) = self.free_mount() else { return };
        self.tell(disks, &mut |volumes, mut views| {
            for view in views.iter_mut().filter(|view| view.device == disk.name) {
                view.state = DiskUse::Formatting;
            }
            tell(volumes, views);
        });
        let outcome = self.hands.format(&self.places.device(&disk.name), disk.bytes, &at);
        self.known.remove(&key(disk));
        match outcome {
            // Read again, as every other: what was written must read back as ours.
            Ok(()) => self.learn(disk),
            Err(error) => {
                tracing::error!(disk = disk.name, error, "the disk cannot be formatted");
                // Not tried again by itself: a disk that fails is its owner's to look at.
                self.known.insert(key(disk), Known::Failed(error, u32::MAX));
            }
        }
    }

    /// In place of a volume that cannot be written, until it is mounted anew.
    fn stopped_volume(&self, disk: &Disk) -> Option<Volume> {
        self.stopped.get(&key(disk)).filter(|_| !self.is_used(disk))?;
        let message = match self.known.get(&key(disk))? {
            Known::Failed(error, _) => format!("The disk {} does not work: {error}", disk.name),
            Known::Is(_) => format!("The disk {} is being tried again.", disk.name),
        };
        let (device, generation) = (disk.name.clone(), self.generation);
        Some(Volume { device, generation, state: DiskState::Failed, message, ..Volume::default() })
    }

    /// There is nowhere to write; says why.
    fn no_volume(&self, disks: &[Disk]) -> Volume {
        let failed = disks.iter().find_map(|disk| match self.known.get(&key(disk)) {
            Some(Known::Failed(error, _)) => Some(format!("The disk {} does not work: {error}", disk.name)),
            _ => None,
        });
        let (state, message) = if disks.is_empty() {
            (DiskState::Missing, "No disk is attached: nothing is recorded. Attach one.".to_owned())
        } else if let Some(failed) = failed {
            (DiskState::Failed, failed)
        } else {
            let words = "The disk holds something else: nothing is recorded. Have it formatted on the health page, \
                         or attach another.";
            (DiskState::Unformatted, words.to_owned())
        };
        Volume { generation: self.generation, state, message, ..Volume::default() }
    }

    fn views(&self, disks: &[Disk]) -> Vec<DiskView> {
        let views = disks.iter().map(|disk| DiskView {
            device: disk.name.clone(),
            model: disk.model.clone(),
            bytes: disk.bytes,
            state: match self.known.get(&key(disk)) {
                _ if self.is_used(disk) => DiskUse::Footage,
                Some(Known::Is(Content::Ours { .. })) => DiskUse::Spare,
                Some(Known::Is(Content::Blank | Content::Foreign)) => DiskUse::Unformatted,
                Some(Known::Failed(..)) | None => DiskUse::Failed,
            },
        });
        views.collect()
    }
}

fn key(disk: &Disk) -> Key {
    (disk.name.clone(), disk.instance)
}

#[cfg(test)]
mod tests;
