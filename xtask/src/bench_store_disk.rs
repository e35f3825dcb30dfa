//! A disk that counts what the store asks of it.
//!
//! Does not belong here: what the index asks for. SQLite opens its files itself.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use store::{Access, Disk, DiskFile, RealDisk};

/// The real file system; every copy counts on.
#[derive(Clone, Default)]
pub(crate) struct CountingDisk {
    writes: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
    folder_syncs: Arc<AtomicU64>,
    other_syncs: Arc<AtomicU64>,
}

/// How often the system was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) writes: u64,
    /// `fdatasync` of a segment.
    pub(crate) syncs: u64,
    /// `fsync` of a folder.
    pub(crate) folder_syncs: u64,
    /// `fdatasync` of a segment's file that is made, and `fsync` of a small file that is replaced.
    pub(crate) other_syncs: u64,
}

impl CountingDisk {
    /// Since the disk was made.
    pub(crate) fn calls(&self) -> Calls {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Calls {
            writes: of(&self.writes),
            syncs: of(&self.syncs),
            folder_syncs: of(&self.folder_syncs),
            other_syncs: of(&self.other_syncs),
        }
    }
}

impl Calls {
    pub(crate) fn since(self, begun: Self) -> Self {
        Self {
            writes: self.writes - begun.writes,
            syncs: self.syncs - begun.syncs,
            folder_syncs: self.folder_syncs - begun.folder_syncs,
            other_syncs: self.other_syncs - begun.other_syncs,
        }
    }
}

struct CountingFile {
    file: Arc<dyn DiskFile>,
    disk: CountingDisk,
}

impl CountingDisk {
    fn counted(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountingFile { file, disk: self.clone() })
    }
}

impl Disk for CountingDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.other_syncs.fetch_add(1, Ordering::Relaxed);
        RealDisk.create(path, bytes).map(|file| self.counted(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path, access).map(|file| self.counted(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.folder_syncs.fetch_add(1, Ordering::Relaxed);
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
        // Its file, and then its folder.
        self.other_syncs.fetch_add(1, Ordering::Relaxed);
        self.folder_syncs.fetch_add(1, Ordering::Relaxed);
        RealDisk.replace_text(path, text)
    }
}

impl DiskFile for CountingFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.disk.writes.fetch_add(1, Ordering::Relaxed);
        self.file.write_at(offset, from)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn forget_cache(&self) {
        self.file.forget_cache();
    }
}
