//! A disk that tells what is read from it, and fails when told to.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::disk::RealDisk;
use crate::{Access, Disk, DiskFile};

/// One read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) file: PathBuf,
    pub(crate) offset: u64,
    pub(crate) bytes: usize,
}

/// The real disk, watched.
pub(crate) struct Watched {
    this: Weak<Self>,
    fails: AtomicBool,
    reads: Mutex<Vec<Read>>,
}

struct WatchedFile {
    disk: Arc<Watched>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl Watched {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            fails: AtomicBool::new(false),
            reads: Mutex::default(),
        })
    }

    /// From now on nothing can be read.
    pub(crate) fn fail(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    /// What was read since this was asked last.
    pub(crate) fn reads(&self) -> Vec<Read> {
        std::mem::take(&mut self.reads.lock().unwrap())
    }

    fn check(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

impl Disk for Watched {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.create(path, bytes)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.check()?;
        let disk = self.this.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Arc::new(WatchedFile { disk, path: path.to_owned(), file: RealDisk.open(path, access)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }

    fn read_text(&self, path: &Path) -> io::Result<String> {
        RealDisk.read_text(path)
    }

    fn replace_text(&self, path: &Path, text: &str) -> io::Result<()> {
        RealDisk.replace_text(path, text)
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.check()?;
        let bytes = self.file.read_at(offset, into)?;
        let read = Read { file: self.path.clone(), offset, bytes };
        self.disk.reads.lock().unwrap().push(read);
        Ok(bytes)
    }

    fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_at(offset, from)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn forget_cache(&self) {
        self.file.forget_cache();
    }
}
