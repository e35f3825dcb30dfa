//! The shelf: the bundles that lie in a folder of a disk.
//!
//! [`FolderShelf`] is DATA/update. A bundle appears under its name only when it is whole and on the disk. Does not belong
//! here: mounting, and what is in a bundle.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;

use crate::decide::BundleFile;
use crate::error::UpdateError;

/// Writes a bundle's bytes.
pub type Fill<'a> = &'a mut dyn FnMut(&mut dyn Write) -> Result<(), UpdateError>;

/// Where bundles are kept.
pub trait Shelf {
    /// Opens a bundle at its first byte; `None` when there is none.
    ///
    /// # Errors
    /// The system's.
    fn open(&mut self, file: BundleFile) -> io::Result<Option<Box<dyn Read + '_>>>;

    /// Replaces a bundle by what `fill` writes. When this returns it is on the disk; after an error or a power cut it
    /// is the old or the new one.
    ///
    /// # Errors
    /// `fill`'s, `NoSpace`, or `Device`.
    fn save(&mut self, file: BundleFile, fill: Fill<'_>) -> Result<(), UpdateError>;
}

/// A folder on a disk.
#[derive(Clone, Debug)]
pub struct FolderShelf {
    folder: PathBuf,
}

impl FolderShelf {
    /// The folder, which is made when something is saved.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// A bundle's place.
    #[must_use]
    pub fn path(&self, file: BundleFile) -> PathBuf {
        self.folder.join(match file {
            BundleFile::Staged => "staged.bundle",
            BundleFile::Previous => "previous.bundle",
        })
    }

    /// Removes a bundle, if it is there.
    ///
    /// # Errors
    /// `Device` when the disk fails.
    pub fn remove(&mut self, file: BundleFile) -> Result<(), UpdateError> {
        match fs::remove_file(self.path(file)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(UpdateError::file("removing a bundle")(e)),
            _ => Ok(()),
        }
    }
}

impl Shelf for FolderShelf {
    fn open(&mut self, file: BundleFile) -> io::Result<Option<Box<dyn Read + '_>>> {
        match File::open(self.path(file)) {
            Ok(file) => Ok(Some(Box::new(BufReader::new(file)))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn save(&mut self, file: BundleFile, fill: Fill<'_>) -> Result<(), UpdateError> {
        let saving = UpdateError::file("saving a bundle");
        fs::create_dir_all(&self.folder).map_err(&saving)?;
        let path = self.path(file);
        let unfinished = path.with_extension("new");
        let mut to = BufWriter::new(File::create(&unfinished).map_err(&saving)?);
        fill(&mut to)?;
        let file = to.into_inner().map_err(|e| saving(e.into_error()))?;
        file.sync_all().map_err(&saving)?;
        fs::rename(&unfinished, &path).map_err(&saving)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(&saving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_replaced_wholly_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = FolderShelf::new(folder.path().join("update"));
        let read = |shelf: &mut FolderShelf| {
            let mut bytes = Vec::new();
            let mut file = shelf.open(BundleFile::Previous).unwrap()?;
            file.read_to_end(&mut bytes).unwrap();
            Some(bytes)
        };
        assert_eq!(read(&mut shelf), None);
        let write = |bytes: &'static [u8]| {
            move |to: &mut dyn Write| to.write_all(bytes).map_err(UpdateError::file("test"))
        };
        shelf.save(BundleFile::Previous, &mut write(b"one")).unwrap();
        let failed = shelf.save(BundleFile::Previous, &mut |to| {
            write(b"half")(to)?;
            Err(UpdateError::Damaged("test".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(read(&mut shelf).as_deref(), Some(&b"one"[..]));
        shelf.save(BundleFile::Previous, &mut write(b"two")).unwrap();
        assert_eq!(read(&mut shelf).as_deref(), Some(&b"two"[..]));
        assert!(shelf.open(BundleFile::Staged).unwrap().is_none());
        shelf.remove(BundleFile::Previous).unwrap();
        shelf.remove(BundleFile::Previous).unwrap();
        assert_eq!(read(&mut shelf), None);
    }
}
