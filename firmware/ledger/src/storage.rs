//! The ledger's folder: its file operations, behind a trait.
//!
//! So that tests can break them. [`Folder`] is one of the file system; `MemoryStorage` loses power on order.
//! Does not belong here: what the bytes mean.
//!
//! Invariant: nothing is durable before `sync_data` on the file, and before `sync_names` for its name.

use std::any::Any;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What one folder does. Names are without a path.
pub trait Storage: Send + Sync {
    /// Takes the lock of the one writer, until what is returned is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when another has it, and the system's.
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>>;
    /// The files with their sizes in bytes, unsorted.
    ///
    /// # Errors
    /// The system's.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// Opens an existing file to read it.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    /// Opens a file to read and write it; makes it when there is none.
    ///
    /// # Errors
    /// The system's.
    fn open_to_write(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    /// Renames a file, over another one where there is one.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_names(&self) -> io::Result<()>;
}

/// One open file.
pub trait StorageFile: Send + Sync {
    /// Reads up to `into.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes all of it.
    ///
    /// # Errors
    /// The system's; then any part of it may be written.
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Sets the size.
    ///
    /// # Errors
    /// The system's.
    fn set_size(&self, bytes: u64) -> io::Result<()>;
    /// Makes what was written durable, as `fdatasync(2)`.
    ///
    /// # Errors
    /// The system's; then nothing is known about what was written since the last success.
    fn sync_data(&self) -> io::Result<()>;
    /// The size in bytes.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;
}

/// Reads exactly `bytes`, or as far as the file goes.
pub(crate) fn read_up_to(file: &dyn StorageFile, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(offset + filled as u64, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// Replaces a small file: whenever the power goes, one of both is there.
pub(crate) fn replace(storage: &dyn Storage, name: &str, content: &[u8]) -> io::Result<()> {
    let fresh = format!("{name}.new");
    let file = storage.open_to_write(&fresh)?;
    file.set_size(0)?;
    file.write_all_at(0, content)?;
    file.sync_data()?;
    drop(file);
    storage.rename(&fresh, name)?;
    storage.sync_names()
}

/// A folder of this machine's file system.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An existing folder.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// A folder that is made, with its parents, when it is not there yet.
    ///
    /// # Errors
    /// The system's.
    pub fn create(path: &Path) -> io::Result<Self> {
        make(path)?;
        Ok(Self::new(path))
    }
}

/// Makes a folder whose name, and its parents', are as durable as what will be in it.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::NotFound.into()),
    };
    make(parent)?;
    fs::create_dir(path)?;
    File::open(parent)?.sync_all()
}

struct FolderFile(File);

impl Storage for Folder {
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            // A name that is not text is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                files.push((name, entry.metadata()?.len()));
            }
        }
        Ok(files)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(FolderFile(File::open(self.0.join(name))?)))
    }

    fn open_to_write(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Box::new(FolderFile(options.open(self.0.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl StorageFile for FolderFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
