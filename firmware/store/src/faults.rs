//! A disk that fails on order: for tests of this crate and of whoever records.
//!
//! It works in a real folder, but remembers what was not synced; a power cut then takes that away, all of it or some
//! sectors. The index is SQLite's and is not affected. Does not belong here: deciding what to test.
//!
//! Invariants
//! - What `sync_data` (and for names `sync_dir`) promised stays, except for a disk that was told to lie.
//! - The same seed loses the same sectors.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Access, Disk, DiskFile, RealDisk, write_full};

/// What is lost or kept at once when the power goes.
const SECTOR_BYTES: usize = 512;

/// What an operation does instead of working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes: this and every later operation fails, and unsynced writes are lost as the seed says.
    PowerCut,
    /// The device fails (EIO). A failing sync loses what was written since the last one.
    Eio,
    /// As [`Fault::Eio`], but only writes fail.
    WriteEio,
    /// No room (ENOSPC).
    Enospc,
    /// The file system is read-only (EROFS).
    ReadOnly,
    /// A write takes only part of the bytes, without an error.
    Short,
    /// A sync says that it is done and has done nothing; writes work.
    Lie,
}

/// How a power cut treats what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    Everything,
    /// Nothing is lost: the process was killed, not the machine.
    Nothing,
    /// Each sector, name and write by the toss of a coin with this seed.
    Some(u64),
}

/// A disk that fails on order.
#[derive(Clone)]
pub struct FaultDisk(Arc<Mutex<Machine>>);

struct Machine {
    real: RealDisk,
    /// Operations that change something, so far.
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    /// From this operation on.
    until: Option<(u64, u64, Fault)>,
    loss: Loss,
    off: bool,
    /// What unsynced writes overwrote, in order.
    unsynced: Vec<Overwritten>,
    /// Names that no `sync_dir` made durable, in order.
    renamed: Vec<Name>,
    /// Who is who.
    identities: BTreeMap<PathBuf, u64>,
    next_identity: u64,
}

struct Overwritten {
    file: Arc<dyn DiskFile>,
    /// Of the file, whatever its name is by now and however often it is open.
    identity: u64,
    offset: u64,
    before: Vec<u8>,
}

enum Name {
    Created(PathBuf),
    Renamed(PathBuf, PathBuf),
}

struct FaultFile {
    machine: Arc<Mutex<Machine>>,
    identity: u64,
    file: Arc<dyn DiskFile>,
}

impl FaultDisk {
    /// A disk that works, until told otherwise.
    #[must_use]
    pub fn new(loss: Loss) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            real: RealDisk,
            operations: 0,
            faults: BTreeMap::new(),
            until: None,
            loss,
            off: false,
            unsynced: Vec::new(),
            renamed: Vec::new(),
            identities: BTreeMap::new(),
            next_identity: 0,
        })))
    }

    /// Operation number `operation` (from 0; writes, syncs, creations, renames and removals count) fails.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        lock(&self.0).faults.insert(operation, fault);
    }

    /// The next `count` operations fail.
    pub fn fail_next(&self, count: u64, fault: Fault) {
        let mut machine = lock(&self.0);
        machine.until = Some((machine.operations, machine.operations.saturating_add(count), fault));
    }

    /// Everything works again, except after a power cut.
    pub fn heal(&self) {
        let mut machine = lock(&self.0);
        machine.until = None;
        machine.faults.clear();
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
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(errno: nix::errno::Errno) -> io::Error {
    io::Error::from(errno)
}

impl Machine {
    fn identity(&mut self, path: &Path) -> u64 {
        let next = &mut self.next_identity;
        *self.identities.entry(path.to_owned()).or_insert_with(|| {
            *next += 1;
            *next
        })
    }

    /// Counts an operation; which fault it meets, if any.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.off {
            return Err(error(nix::errno::Errno::EIO));
        }
        let number = self.operations;
        self.operations += 1;
        let ranged = self.until.filter(|(from, to, _)| (*from..*to).contains(&number));
        match self.faults.get(&number).copied().or(ranged.map(|(_, _, fault)| fault)) {
            Some(Fault::PowerCut) => {
                self.power_cut();
                Err(error(nix::errno::Errno::EIO))
            }
            other => Ok(other),
        }
    }

    /// As `step`, for everything but writes and syncs.
    fn step_name(&mut self) -> io::Result<Option<Fault>> {
        match self.step()? {
            Some(Fault::Eio) => Err(error(nix::errno::Errno::EIO)),
            Some(Fault::Enospc) => Err(error(nix::errno::Errno::ENOSPC)),
            Some(Fault::ReadOnly) => Err(error(nix::errno::Errno::EROFS)),
            other => Ok(other),
        }
    }

    fn power_cut(&mut self) {
        if self.off {
            return;
        }
        self.off = true;
        let mut coin = match self.loss {
            Loss::Nothing => return,
            Loss::Everything => Coin(None),
            Loss::Some(seed) => Coin(Some(seed | 1)),
        };
        for lost in std::mem::take(&mut self.unsynced).iter().rev() {
            lost.undo(&mut coin);
        }
        // Names go in order: a journal loses its tail.
        let names = std::mem::take(&mut self.renamed);
        let keep = names.iter().take_while(|_| !coin.loses()).count();
        for name in names[keep..].iter().rev() {
            // Best effort, as everything about a power cut.
            let _ = match name {
                Name::Created(path) => self.real.remove(path),
                Name::Renamed(from, to) => self.real.rename(to, from),
            };
        }
    }

    fn forget(&mut self, identity: u64) {
        self.unsynced.retain(|write| write.identity != identity);
    }

    /// What a failed sync does on Linux: the pages are clean now, and the medium never got them.
    fn lose(&mut self, identity: u64) {
        let (lost, kept) =
            std::mem::take(&mut self.unsynced).into_iter().partition(|write| write.identity == identity);
        self.unsynced = kept;
        let lost: Vec<Overwritten> = lost;
        let mut coin = match self.loss {
            Loss::Some(seed) => Coin(Some((seed ^ self.operations) | 1)),
            _ => Coin(None),
        };
        for write in lost.iter().rev() {
            write.undo(&mut coin);
        }
    }
}

/// `None` always loses.
struct Coin(Option<u64>);

impl Coin {
    fn loses(&mut self) -> bool {
        let Some(state) = &mut self.0 else { return true };
        // xorshift64: the sequence must be the same everywhere, nothing else matters.
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state >> 63 == 0
    }
}

impl Overwritten {
    fn undo(&self, coin: &mut Coin) {
        let mut at = self.offset;
        let mut rest = self.before.as_slice();
        while !rest.is_empty() {
            let to_boundary = SECTOR_BYTES - (at as usize % SECTOR_BYTES);
            let (sector, after) = rest.split_at(rest.len().min(to_boundary));
            if coin.loses() {
                let _ = write_full(&*self.file, at, &mut [IoSlice::new(sector)]);
            }
            at += sector.len() as u64;
            rest = after;
        }
    }
}

impl Disk for FaultDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        let file = machine.real.create(path, bytes)?;
        machine.renamed.push(Name::Created(path.to_owned()));
        let identity = machine.identity(path);
        Ok(Arc::new(FaultFile { machine: Arc::clone(&self.0), identity, file }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut machine = lock(&self.0);
        if machine.off {
            return Err(error(nix::errno::Errno::EIO));
        }
        let file = machine.real.open(path, access)?;
        let identity = machine.identity(path);
        Ok(Arc::new(FaultFile { machine: Arc::clone(&self.0), identity, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        machine.real.rename(from, to)?;
        let identity = machine.identity(from);
        machine.identities.remove(from);
        machine.identities.insert(to.to_owned(), identity);
        machine.renamed.push(Name::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        machine.identities.remove(path);
        machine.real.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = lock(&self.0);
        if machine.step_name()? != Some(Fault::Lie) {
            machine.real.sync_dir(dir)?;
            machine.renamed.clear();
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let machine = lock(&self.0);
        if machine.off { Err(error(nix::errno::Errno::EIO)) } else { machine.real.list(dir) }
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        lock(&self.0).real.create_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        lock(&self.0).real.free_bytes(dir)
    }

    fn read_text(&self, path: &Path) -> io::Result<String> {
        lock(&self.0).real.read_text(path)
    }

    fn replace_text(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut machine = lock(&self.0);
        machine.step_name()?;
        machine.real.replace_text(path, text)
    }
}

impl DiskFile for FaultFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if lock(&self.machine).off {
            Err(error(nix::errno::Errno::EIO))
        } else {
            self.file.read_at(offset, into)
        }
    }

    fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut machine = lock(&self.machine);
        let mut bytes: Vec<u8> = from.iter().flat_map(|slice| slice.iter().copied()).collect();
        let mut before = vec![0; bytes.len()];
        let had = crate::disk::read_full(&*self.file, offset, &mut before)?;
        before.truncate(had);
        // On the way before the fault: a cut in the middle of a write leaves some of it.
        let remember = |machine: &mut Machine, before: Vec<u8>| {
            machine.unsynced.push(Overwritten {
                file: Arc::clone(&self.file),
                identity: self.identity,
                offset,
                before,
            });
        };
        let cut = machine.faults.get(&machine.operations) == Some(&Fault::PowerCut) && !machine.off;
        if cut {
            remember(&mut machine, before.clone());
            write_full(&*self.file, offset, &mut [IoSlice::new(&bytes)])?;
        }
        match machine.step()? {
            None | Some(Fault::Lie) => {}
            Some(Fault::Enospc) => return Err(error(nix::errno::Errno::ENOSPC)),
            Some(Fault::ReadOnly) => return Err(error(nix::errno::Errno::EROFS)),
            Some(Fault::Short) => {
                bytes.truncate((bytes.len() / 2).max(1));
                before.truncate(bytes.len());
            }
            Some(Fault::Eio | Fault::WriteEio | Fault::PowerCut) => {
                // Half of it is there.
                let half = bytes.len() / 2;
                remember(&mut machine, before[..half.min(before.len())].to_vec());
                write_full(&*self.file, offset, &mut [IoSlice::new(&bytes[..half])])?;
                return Err(error(nix::errno::Errno::EIO));
            }
        }
        remember(&mut machine, before);
        write_full(&*self.file, offset, &mut [IoSlice::new(&bytes)])?;
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut machine = lock(&self.machine);
        match machine.step()? {
            Some(Fault::Eio | Fault::Enospc | Fault::ReadOnly) => {
                machine.lose(self.identity);
                Err(error(nix::errno::Errno::EIO))
            }
            Some(Fault::Lie) => Ok(()),
            _ => {
                machine.forget(self.identity);
                Ok(())
            }
        }
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn forget_cache(&self) {
        self.file.forget_cache();
    }
}
