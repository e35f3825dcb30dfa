//! A ledger's folder in memory that fails on order.
//!
//! For tests of this crate and of whoever writes a ledger. It remembers what was not synced; a power cut
//! takes that away, all of it or some sectors and names. Does not belong here: deciding what to test.
//!
//! Invariants
//! - What `sync_data` and `sync_names` promised stays.
//! - The same seed loses the same.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{Storage, StorageFile};

/// What is lost or kept at once when the power goes.
const SECTOR_BYTES: usize = 512;

/// What an operation does instead of working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes in the middle of it: this and every later operation fails, until
    /// [`MemoryStorage::restart`].
    PowerCut,
    /// The device fails: half of a write is done, and a sync loses what was written since the last one.
    Io,
    /// No room: half of a write is done.
    Full,
}

/// How a power cut treats what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    Everything,
    /// Nothing is lost: the process was killed, not the machine.
    Nothing,
    /// Each sector, size and name by the toss of a coin with this seed.
    Some(u64),
}

/// A folder in memory. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct MemoryStorage(Arc<Mutex<Machine>>);

#[derive(Debug)]
struct Machine {
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    locked: bool,
    off: bool,
    /// Operations that change something, so far.
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    coin: Coin,
    bytes_read: u64,
}

#[derive(Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, in order.
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Size(u64),
}

struct MemoryFile {
    machine: Arc<Mutex<Machine>>,
    file: usize,
}

struct MemoryLock(Arc<Mutex<Machine>>);

impl MemoryStorage {
    /// An empty folder that works, until told otherwise.
    #[must_use]
    pub fn new(loss: Loss) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            locked: false,
            off: false,
            operations: 0,
            faults: BTreeMap::new(),
            coin: Coin(loss),
            bytes_read: 0,
        })))
    }

    /// Operation number `operation` fails, from 0: writes, sizes, syncs, creations, renames and removals
    /// count.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        lock(&self.0).faults.insert(operation, fault);
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        lock(&self.0).operations
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        lock(&self.0).off
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        lock(&self.0).power_cut();
    }

    /// The power is back, and nothing fails any more. What was open is not to be used again.
    pub fn restart(&self) {
        let mut machine = lock(&self.0);
        machine.off = false;
        machine.locked = false;
        machine.faults.clear();
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        lock(&self.0).bytes_read
    }

    /// Changes a file behind the ledger's back, durably, and makes it when there is none.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut machine = lock(&self.0);
        let file = machine.file(name);
        let contents = &mut machine.files[file];
        change(&mut contents.bytes);
        contents.durable = contents.bytes.clone();
        contents.unsynced.clear();
        machine.durable_names.insert(name.to_owned(), file);
    }
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl Machine {
    /// Counts an operation; which fault it meets, if any.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.off {
            return Err(power_is_off());
        }
        self.operations += 1;
        Ok(self.faults.get(&(self.operations - 1)).copied())
    }

    /// As `step`, for what is done or not done.
    fn step_name(&mut self) -> io::Result<()> {
        let fault = self.step()?;
        self.fail(fault)
    }

    fn fail(&mut self, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            None => Ok(()),
            Some(Fault::PowerCut) => {
                self.power_cut();
                Err(power_is_off())
            }
            Some(Fault::Io) => Err(io::Error::other("the device failed")),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn file(&mut self, name: &str) -> usize {
        if let Some(file) = self.names.get(name) {
            return *file;
        }
        self.files.push(Contents::default());
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.files.len() - 1
    }

    fn power_cut(&mut self) {
        if self.off {
            return;
        }
        self.off = true;
        for contents in &mut self.files {
            contents.lose(&mut self.coin);
        }
        // Each name is what it was or what it is, whatever becomes of the others.
        let all: Vec<String> = self.durable_names.keys().chain(self.names.keys()).cloned().collect();
        for name in all {
            if self.names.get(&name) != self.durable_names.get(&name) && !self.coin.loses() {
                match self.names.get(&name).copied() {
                    Some(file) => self.durable_names.insert(name, file),
                    None => self.durable_names.remove(&name),
                };
            }
        }
        self.names = self.durable_names.clone();
    }
}

impl Contents {
    fn change(&mut self, change: Change) {
        apply(&mut self.bytes, &change);
        self.unsynced.push(change);
    }

    /// Only what was written since the last sync, failed or not, gets onto the medium.
    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// What was not synced goes, as the coin says.
    fn lose(&mut self, coin: &mut Coin) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Size(_) if coin.loses() => {}
                Change::Size(size) => apply(&mut self.durable, &Change::Size(size)),
                Change::Write(offset, bytes) => {
                    let mut at = offset;
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let to_boundary = SECTOR_BYTES - at as usize % SECTOR_BYTES;
                        let (sector, after) = rest.split_at(rest.len().min(to_boundary));
                        if !coin.loses() {
                            apply(&mut self.durable, &Change::Write(at, sector.to_vec()));
                        }
                        at += sector.len() as u64;
                        rest = after;
                    }
                }
            }
        }
        self.bytes = self.durable.clone();
    }

    /// As `lose`, but it is still read until the power goes: it is in memory, not on the medium.
    fn lose_quietly(&mut self, coin: &mut Coin) {
        let seen = std::mem::take(&mut self.bytes);
        self.lose(coin);
        self.bytes = seen;
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Size(size) => bytes.resize(*size as usize, 0),
        Change::Write(offset, written) => {
            let (start, end) = (*offset as usize, *offset as usize + written.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(written);
        }
    }
}

/// Whether something is lost.
#[derive(Debug)]
struct Coin(Loss);

impl Coin {
    fn loses(&mut self) -> bool {
        match &mut self.0 {
            Loss::Everything => true,
            Loss::Nothing => false,
            Loss::Some(state) => {
                // splitmix64: the sequence must be the same everywhere and for neighbouring seeds another.
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (mixed ^ (mixed >> 31)) & 1 == 0
            }
        }
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        lock(&self.0).locked = false;
    }
}

impl Storage for MemoryStorage {
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut machine = lock(&self.0);
        if machine.off {
            return Err(power_is_off());
        }
        if std::mem::replace(&mut machine.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock(Arc::clone(&self.0))))
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let machine = lock(&self.0);
        if machine.off {
            return Err(power_is_off());
        }
        let size = |file: usize| machine.files[file].bytes.len() as u64;
        Ok(machine.names.iter().map(|(name, file)| (name.clone(), size(*file))).collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let machine = lock(&self.0);
        if machine.off {
            return Err(power_is_off());
        }
        let file = *machine.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemoryFile { machine: Arc::clone(&self.0), file }))
    }

    fn open_to_write(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        let file = machine.file(name);
        Ok(Box::new(MemoryFile { machine: Arc::clone(&self.0), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        let file = machine.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        machine.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        machine.names.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        machine.durable_names = machine.names.clone();
        Ok(())
    }
}

impl StorageFile for MemoryFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut machine = lock(&self.machine);
        if machine.off {
            return Err(power_is_off());
        }
        let rest = machine.files[self.file].bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        machine.bytes_read += count as u64;
        Ok(count)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut machine = lock(&self.machine);
        let fault = machine.step()?;
        let written = match fault {
            // A cut in the middle leaves any of it.
            None | Some(Fault::PowerCut) => bytes,
            Some(Fault::Io | Fault::Full) => &bytes[..bytes.len() / 2],
        };
        machine.files[self.file].change(Change::Write(offset, written.to_vec()));
        machine.fail(fault)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        let mut machine = lock(&self.machine);
        machine.step_name()?;
        machine.files[self.file].change(Change::Size(bytes));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut machine = lock(&self.machine);
        let fault = machine.step()?;
        let Machine { files, coin, .. } = &mut *machine;
        let contents = &mut files[self.file];
        match fault {
            None => contents.sync(),
            // What a failed sync does on Linux: the pages count as clean, and the medium never got some of
            // them.
            Some(Fault::Io | Fault::Full) => contents.lose_quietly(coin),
            Some(Fault::PowerCut) => {}
        }
        machine.fail(fault)
    }

    fn size(&self) -> io::Result<u64> {
        let machine = lock(&self.machine);
        if machine.off { Err(power_is_off()) } else { Ok(machine.files[self.file].bytes.len() as u64) }
    }
}
