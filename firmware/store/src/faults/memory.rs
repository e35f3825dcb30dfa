//! A disk in memory.
//!
//! Does not belong here: failing (`machine`).
//!
//! Invariant: a copy shares nothing that changes with the original, and costs no more than its list of files.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Access, Disk, DiskFile};

/// Files in memory. Clones are the same disk; [`MemoryDisk::copy`] makes another one.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<Files>>);

#[derive(Clone)]
struct Files {
    names: BTreeMap<PathBuf, u64>,
    /// Of removed files too, as long as the disk lives: somebody may have one open.
    contents: BTreeMap<u64, Arc<Vec<u8>>>,
    next: u64,
    capacity_bytes: u64,
}

struct MemoryFile {
    disk: MemoryDisk,
    number: u64,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::with_capacity(u64::MAX)
    }
}

impl MemoryDisk {
    /// An empty disk for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Self {
        let files =
            Files { names: BTreeMap::new(), contents: BTreeMap::new(), next: 0, capacity_bytes: bytes };
        Self(Arc::new(Mutex::new(files)))
    }

    /// Another disk with the same files.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.files().clone())))
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn number(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn free_bytes(&self) -> u64 {
        let sizes = self.names.values().filter_map(|number| self.contents.get(number));
        self.capacity_bytes.saturating_sub(sizes.map(|content| content.len() as u64).sum())
    }

    fn put(&mut self, path: &Path, content: Vec<u8>) -> u64 {
        self.next += 1;
        self.names.insert(path.to_owned(), self.next);
        self.contents.insert(self.next, Arc::new(content));
        self.next
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut files = self.files();
        if files.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if files.free_bytes() < bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let size = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let number = files.put(path, vec![0; size]);
        Ok(Arc::new(MemoryFile { disk: self.clone(), number }))
    }

    fn open(&self, path: &Path, _: Access) -> io::Result<Arc<dyn DiskFile>> {
        let number = self.files().number(path)?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), number }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files();
        let number = files.number(from)?;
        files.names.remove(from);
        files.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files().names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.files().names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.files().free_bytes())
    }

    fn read_text(&self, path: &Path) -> io::Result<String> {
        let files = self.files();
        let content = files.contents.get(&files.number(path)?).ok_or(io::ErrorKind::NotFound)?;
        String::from_utf8(content.to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn replace_text(&self, path: &Path, text: &str) -> io::Result<()> {
        self.files().put(path, text.as_bytes().to_vec());
        Ok(())
    }
}

impl MemoryFile {
    fn content<T>(&self, work: impl FnOnce(&mut Arc<Vec<u8>>) -> T) -> io::Result<T> {
        self.disk
            .files()
            .contents
            .get_mut(&self.number)
            .map(work)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.content(|content| {
            let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let count = into.len().min(content.len() - begin);
            into[..count].copy_from_slice(&content[begin..begin + count]);
            count
        })
    }

    fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let begin = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.content(|content| {
            let content = Arc::make_mut(content);
            let count = from.iter().map(|slice| slice.len()).sum::<usize>();
            if content.len() < begin + count {
                content.resize(begin + count, 0);
            }
            let mut at = begin;
            for slice in from {
                content[at..at + slice.len()].copy_from_slice(slice);
                at += slice.len();
            }
            count
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.content(|content| content.len() as u64)
    }

    fn forget_cache(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was() {
        let disk = MemoryDisk::with_capacity(10_000);
        let (a, b) = (Path::new("/volume/a"), Path::new("/volume/b"));
        let file = disk.create(a, 8192).unwrap();
        assert_eq!(disk.create(a, 1).map(drop).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.create(b, 4096).map(drop).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.write_at(8190, &[IoSlice::new(b"xy")]).unwrap(), 2);
        let copy = disk.copy();
        file.write_at(8190, &[IoSlice::new(b"z")]).unwrap();
        disk.rename(a, b).unwrap();
        let mut two = [0; 4];
        assert_eq!(file.read_at(8190, &mut two).unwrap(), 2);
        assert_eq!(&two[..2], b"zy");
        assert_eq!(copy.list(Path::new("/volume")).unwrap(), [a]);
        assert_eq!(copy.open(a, Access::Read).unwrap().read_at(8190, &mut two).unwrap(), 2);
        assert_eq!(&two[..2], b"xy");
        assert_eq!(copy.free_bytes(a).unwrap(), 10_000 - 8192);
    }
}
