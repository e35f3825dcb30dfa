//! Which operation fails, and when the power is gone.
//!
//! Does not belong here: what an operation does (`disk`), what is lost (`medium`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::fault::{Fault, Loss, dice};
use super::medium::Medium;
use super::memory::MemoryDisk;
use super::moment::{Moment, Operation};
use super::stall::Gate;
use crate::disk::Disk;

pub(super) type Watcher = Box<dyn FnMut(Moment) + Send>;

pub(super) struct Machine {
    pub(super) base: Arc<dyn Disk>,
    /// `base`, when it can be copied.
    pub(super) memory: Option<MemoryDisk>,
    pub(super) medium: Medium,
    pub(super) loss: Loss,
    /// Operations that change something, so far.
    pub(super) operations: u64,
    pub(super) reads: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    /// From one operation to another.
    pub(super) until: Option<(Range<u64>, Fault)>,
    pub(super) failing_reads: BTreeSet<u64>,
    pub(super) stalls: BTreeMap<u64, Arc<Gate>>,
    pub(super) stalled_reads: BTreeMap<u64, Arc<Gate>>,
    pub(super) watcher: Option<Watcher>,
    /// The answer of a disk that is not there.
    off: Option<Errno>,
    /// How often it came back: what was opened before is dead.
    life: u64,
}

/// Waits where a test has the next operation wait, then locks the machine.
pub(super) fn enter(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    let mut locked = lock(machine);
    while let Some(gate) = locked.next_stall() {
        drop(locked);
        gate.pass();
        locked = lock(machine);
    }
    locked
}

/// As [`enter`], for the next reading.
pub(super) fn enter_reading(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    let mut locked = lock(machine);
    while let Some(gate) = locked.next_stalled_read() {
        drop(locked);
        gate.pass();
        locked = lock(machine);
    }
    locked
}

pub(super) fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    pub(super) fn new(base: Arc<dyn Disk>, memory: Option<MemoryDisk>, medium: Medium, loss: Loss) -> Self {
        Self {
            base,
            memory,
            medium,
            loss,
            operations: 0,
            reads: 0,
            faults: BTreeMap::new(),
            until: None,
            failing_reads: BTreeSet::new(),
            stalls: BTreeMap::new(),
            stalled_reads: BTreeMap::new(),
            watcher: None,
            off: None,
            life: 0,
        }
    }

    fn next_stall(&mut self) -> Option<Arc<Gate>> {
        self.stalls.remove(&self.operations)
    }

    fn next_stalled_read(&mut self) -> Option<Arc<Gate>> {
        self.stalled_reads.remove(&self.reads)
    }

    pub(super) fn is_off(&self) -> bool {
        self.off.is_some()
    }

    pub(super) fn life(&self) -> u64 {
        self.life
    }

    fn check(&self, life: u64) -> io::Result<()> {
        match self.off {
            Some(errno) => Err(errno.into()),
            None if life != self.life => Err(Errno::EIO.into()),
            None => Ok(()),
        }
    }

    /// Counts an operation; which fault it meets, if any. A cut is still to be made.
    pub(super) fn step(&mut self, life: u64, next: &Operation) -> io::Result<Option<Fault>> {
        self.check(life)?;
        self.watch(next);
        let number = self.operations;
        self.operations += 1;
        let ranged = self.until.as_ref().filter(|(range, _)| range.contains(&number));
        Ok(self.faults.get(&number).copied().or(ranged.map(|(_, fault)| *fault)))
    }

    /// Shows the disk as it is to whoever watches.
    pub(super) fn watch(&mut self, next: &Operation) {
        let Some(mut watcher) = self.watcher.take() else { return };
        if let Some(memory) = &self.memory {
            watcher(Moment {
                number: self.operations,
                next: next.clone(),
                memory: memory.copy(),
                medium: self.medium.clone(),
            });
        }
        self.watcher = Some(watcher);
    }

    /// As `step`, for everything but writes and syncs: does `work`, or fails. Where the power goes, it may be done too.
    pub(super) fn step_name(
        &mut self,
        next: &Operation,
        work: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.step(self.life, next)? {
            Some(Fault::Eio) => Err(Errno::EIO.into()),
            Some(Fault::Enospc) => Err(Errno::ENOSPC.into()),
            Some(Fault::ReadOnly) => Err(Errno::EROFS.into()),
            Some(fault @ (Fault::PowerCut | Fault::Gone)) => {
                let done = match next {
                    Operation::SyncDir => false,
                    Operation::Replace(_) => self.loss.kept_names(1) == 1,
                    // A name that is not synced: the loss decides.
                    _ => true,
                };
                if done {
                    // What it would have answered, nobody hears.
                    let _ = work(self);
                }
                Err(self.cut(fault))
            }
            Some(Fault::SyncEio) if *next == Operation::SyncDir => Err(Errno::EIO.into()),
            Some(Fault::Lie) if *next == Operation::SyncDir => Ok(()),
            _ => work(self),
        }
    }

    /// Counts a reading.
    pub(super) fn step_read(&mut self, life: u64) -> io::Result<()> {
        self.check(life)?;
        let number = self.reads;
        self.reads += 1;
        if self.failing_reads.contains(&number) { Err(Errno::EIO.into()) } else { Ok(()) }
    }

    /// The power goes; returns what operations get for an answer from then on.
    pub(super) fn cut(&mut self, fault: Fault) -> io::Error {
        let errno = if fault == Fault::Gone { Errno::ENODEV } else { Errno::EIO };
        if self.off.is_none() {
            self.off = Some(errno);
            self.medium.cut(&*self.base, self.loss);
        }
        errno.into()
    }

    /// The power comes back, or the device does.
    pub(super) fn come_back(&mut self) {
        if self.off.take().is_some() {
            self.life += 1;
            self.faults.clear();
            self.until = None;
        }
    }

    /// How much of `bytes` a write does that fails, or is short: any number, not only of sectors.
    pub(super) fn part_of(&self, bytes: usize) -> usize {
        let seed = match self.loss {
            Loss::Some(seed) | Loss::Writes(seed) | Loss::Torn(seed) => seed,
            Loss::Everything | Loss::Nothing => 0,
        };
        dice(seed, self.operations, 5) as usize % bytes.max(1)
    }

    /// A disk that is on, or its answer.
    pub(super) fn reachable(&self) -> io::Result<&dyn Disk> {
        self.check(self.life)?;
        Ok(&*self.base)
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watcher.is_some()
    }
}
