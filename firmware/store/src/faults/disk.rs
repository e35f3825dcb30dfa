//! The disk that fails on order.
//!
//! Does not belong here: what is lost (`medium`), when (`machine`).

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use super::fault::{Fault, Loss};
use super::machine::{Machine, enter, enter_reading, lock};
use super::medium::Medium;
use super::memory::MemoryDisk;
use super::moment::{Moment, Operation};
use super::stall::{Gate, Stall};
use crate::disk::{Access, Disk, DiskFile, RealDisk};

/// A disk that fails on order. Clones are the same disk.
#[derive(Clone)]
pub struct FaultDisk(Arc<Mutex<Machine>>);

struct FaultFile {
    machine: Arc<Mutex<Machine>>,
    identity: u64,
    /// Of the machine when it was opened.
    life: u64,
    file: Arc<dyn DiskFile>,
}

impl FaultDisk {
    /// A disk that works until told otherwise, in this machine's file system.
    #[must_use]
    pub fn new(loss: Loss) -> Self {
        Self::of(Machine::new(Arc::new(RealDisk), None, Medium::default(), loss))
    }

    /// A disk that works until told otherwise, in memory.
    #[must_use]
    pub fn in_memory(memory: &MemoryDisk, loss: Loss) -> Self {
        Self::in_state(memory.clone(), Medium::default(), loss)
    }

    fn in_state(memory: MemoryDisk, medium: Medium, loss: Loss) -> Self {
        Self::of(Machine::new(Arc::new(memory.clone()), Some(memory), medium, loss))
    }

    fn of(machine: Machine) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    /// Another disk: that of a machine whose power went at `moment`, and is back.
    #[must_use]
    pub fn after_power_cut(moment: &Moment, loss: Loss) -> Self {
        let mut medium = moment.medium.clone();
        let memory = moment.memory.copy();
        medium.cut(&memory, loss);
        Self::in_state(memory, medium, loss)
    }

    /// Another disk: that of a machine that went on at `moment`, while whoever used the disk was killed. What was not synced
    /// can be read, and is still not durable.
    #[must_use]
    pub fn after_kill(moment: &Moment, loss: Loss) -> Self {
        Self::in_state(moment.memory.copy(), moment.medium.clone(), loss)
    }

    /// Has `watcher` see the disk before every operation, while it stands still. Only a disk in memory can be watched.
    pub fn watch(&self, watcher: impl FnMut(Moment) + Send + 'static) {
        lock(&self.0).watcher = Some(Box::new(watcher));
    }

    /// Nobody watches any more.
    pub fn unwatch(&self) {
        lock(&self.0).watcher = None;
    }

    /// The disk as it is now; `None` when it is not in memory.
    #[must_use]
    pub fn moment(&self) -> Option<Moment> {
        let machine = lock(&self.0);
        let memory = machine.memory.as_ref()?.copy();
        Some(Moment {
            number: machine.operations,
            next: Operation::Sync,
            memory,
            medium: machine.medium.clone(),
        })
    }

    /// Operation number `operation` (from 0; writes, syncs, creations, renames and removals count) fails.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        lock(&self.0).faults.insert(operation, fault);
    }

    /// The next `count` operations fail.
    pub fn fail_next(&self, count: u64, fault: Fault) {
        let mut machine = lock(&self.0);
        machine.until = Some((machine.operations..machine.operations.saturating_add(count), fault));
    }

    /// Reading number `reading` (from 0; reads, openings and listings count) fails with EIO.
    pub fn fail_read_at(&self, reading: u64) {
        lock(&self.0).failing_reads.insert(reading);
    }

    /// Operation number `operation` waits until it is let go; the disk can be read meanwhile.
    #[must_use]
    pub fn stall_at(&self, operation: u64) -> Stall {
        let gate = Arc::new(Gate::default());
        lock(&self.0).stalls.insert(operation, Arc::clone(&gate));
        Stall(gate)
    }

    /// Reading number `reading` waits until it is let go; others do not wait for it.
    #[must_use]
    pub fn stall_reading_at(&self, reading: u64) -> Stall {
        let gate = Arc::new(Gate::default());
        lock(&self.0).stalled_reads.insert(reading, Arc::clone(&gate));
        Stall(gate)
    }

    /// Everything works again, except after a power cut.
    pub fn heal(&self) {
        let mut machine = lock(&self.0);
        machine.until = None;
        machine.faults.clear();
        machine.failing_reads.clear();
    }

    /// Whether something is still to fail.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        let machine = lock(&self.0);
        machine.until.is_some() || !machine.faults.is_empty() || !machine.failing_reads.is_empty()
    }

    /// What later power cuts take.
    pub fn set_loss(&self, loss: Loss) {
        lock(&self.0).loss = loss;
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        lock(&self.0).operations
    }

    /// Readings so far.
    #[must_use]
    pub fn reads(&self) -> u64 {
        lock(&self.0).reads
    }

    /// Whether the power is gone, or the device.
    #[must_use]
    pub fn is_off(&self) -> bool {
        lock(&self.0).is_off()
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        lock(&self.0).cut(Fault::PowerCut);
    }

    /// Pulls the device out now.
    pub fn pull_out(&self) {
        lock(&self.0).cut(Fault::Gone);
    }

    /// The power is back, or the device, with what is durable; it works until told otherwise. What was open before fails
    /// for ever, as a file of a device that was pulled out does.
    pub fn come_back(&self) {
        lock(&self.0).come_back();
    }

    /// Flips the bits of `mask` in one byte of a file, as age does.
    ///
    /// # Errors
    /// When there is no such byte.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        let machine = &mut *lock(&self.0);
        machine.medium.flip(&*machine.base, path, offset, mask)
    }

    /// Has the sectors that `bytes` lie in fail to be read, until they are written.
    pub fn spoil(&self, path: &Path, bytes: Range<u64>) {
        lock(&self.0).medium.spoil(path, &bytes);
    }

    fn file(&self, machine: &Machine, identity: u64, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultFile { machine: Arc::clone(&self.0), identity, life: machine.life(), file })
    }
}

impl Disk for FaultDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut machine = enter(&self.0);
        let operation = Operation::Create(path.to_owned());
        let mut made = None;
        let done = machine.step_name(&operation, |machine| {
            if machine.is_watched() {
                // The name may be there before the bytes are.
                machine.base.create(path, 0)?;
                let before = machine.medium.clone();
                machine.medium.created(path);
                machine.watch(&operation);
                machine.medium = before;
                machine.base.remove(path)?;
            }
            let file = machine.base.create(path, bytes)?;
            made = Some((machine.medium.created(path), file));
            Ok(())
        });
        let failed = done.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::EIO as i32));
        if failed && !machine.is_off() && machine.base.create(path, 0).is_ok() {
            // The name was made, the bytes were not, and the name could not be removed either.
            machine.medium.created(path);
        }
        done?;
        let (identity, file) = made.ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&machine, identity, file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut machine = enter_reading(&self.0);
        let life = machine.life();
        machine.step_read(life)?;
        let file = machine.base.open(path, access)?;
        let identity = machine.medium.identity(path);
        let file = self.file(&machine, identity, file);
        drop(machine);
        if access == Access::Medium {
            file.forget_cache();
        }
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let operation = Operation::Rename(from.to_owned(), to.to_owned());
        enter(&self.0).step_name(&operation, |machine| {
            machine.base.rename(from, to)?;
            machine.medium.renamed(from, to);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        enter(&self.0).step_name(&Operation::Remove(path.to_owned()), |machine| {
            machine.medium.removing(&*machine.base, path);
            machine.base.remove(path)
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = enter(&self.0);
        machine.step_name(&Operation::SyncDir, |machine| {
            machine.base.sync_dir(dir)?;
            machine.medium.names_synced();
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut machine = enter_reading(&self.0);
        let life = machine.life();
        machine.step_read(life)?;
        machine.base.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        lock(&self.0).reachable()?.create_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        lock(&self.0).reachable()?.free_bytes(dir)
    }

    fn read_text(&self, path: &Path) -> io::Result<String> {
        let mut machine = enter_reading(&self.0);
        let life = machine.life();
        machine.step_read(life)?;
        machine.base.read_text(path)
    }

    fn replace_text(&self, path: &Path, text: &str) -> io::Result<()> {
        enter(&self.0)
            .step_name(&Operation::Replace(path.to_owned()), |machine| machine.base.replace_text(path, text))
    }
}

impl FaultFile {
    fn put(&self, machine: &mut Machine, offset: u64, bytes: &[u8]) -> io::Result<()> {
        machine.medium.write(self.identity, &*self.file, offset, bytes)
    }
}

impl DiskFile for FaultFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut machine = enter_reading(&self.machine);
        machine.step_read(self.life)?;
        if machine.medium.is_unreadable(self.identity, &(offset..offset + into.len() as u64)) {
            return Err(Errno::EIO.into());
        }
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut machine = enter(&self.machine);
        let mut bytes: Vec<u8> = from.iter().flat_map(|slice| slice.iter().copied()).collect();
        match machine.step(self.life, &Operation::Write)? {
            None | Some(Fault::Lie | Fault::SyncEio) => {}
            Some(Fault::Enospc) => return Err(Errno::ENOSPC.into()),
            Some(Fault::ReadOnly) => return Err(Errno::EROFS.into()),
            Some(Fault::Short) => bytes.truncate(machine.part_of(bytes.len()).max(1)),
            Some(Fault::Eio | Fault::WriteEio) => {
                let part = machine.part_of(bytes.len());
                self.put(&mut machine, offset, &bytes[..part])?;
                return Err(Errno::EIO.into());
            }
            Some(fault @ (Fault::PowerCut | Fault::Gone)) => {
                // What of it is on the medium, the loss decides.
                self.put(&mut machine, offset, &bytes)?;
                return Err(machine.cut(fault));
            }
        }
        self.put(&mut machine, offset, &bytes)?;
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut machine = enter(&self.machine);
        let fault = machine.step(self.life, &Operation::Sync)?;
        let errno = match fault {
            Some(fault @ (Fault::PowerCut | Fault::Gone)) => return Err(machine.cut(fault)),
            Some(Fault::Eio | Fault::SyncEio) => Errno::EIO,
            Some(Fault::Enospc) => Errno::ENOSPC,
            Some(Fault::ReadOnly) => Errno::EROFS,
            Some(Fault::Lie) => return Ok(()),
            Some(Fault::Short | Fault::WriteEio) | None => {
                machine.medium.synced(self.identity);
                return Ok(());
            }
        };
        machine.medium.sync_failed(self.identity);
        Err(errno.into())
    }

    fn size(&self) -> io::Result<u64> {
        enter_reading(&self.machine).step_read(self.life)?;
        self.file.size()
    }

    fn forget_cache(&self) {
        let machine = &mut *lock(&self.machine);
        machine.medium.evict(&*machine.base, self.identity, machine.loss);
        self.file.forget_cache();
    }
}
