//! Crypto-erasing a volume: its key goes, then what it was for.
//!
//! Does not belong here: plain volumes. Overwriting terabytes is the job of whoever wipes disks.
//!
//! Invariant: the key goes first, then what people wrote. Whatever stops it after that, the footage is gone, and doing it
//! again ends it.

use std::path::Path;
use std::sync::Arc;

use evidence::VolumeId;

use crate::config::Cipher;
use crate::deletions::Deletions;
use crate::disk::{Disk, RealDisk};
use crate::error::{ErrorKind, StoreError};
use crate::index::Index;
use crate::locks::Locks;
use crate::volume::Volume;

/// A volume's identity, and how it is encrypted. No key is needed.
///
/// # Errors
/// `NotFound` when there is none; else as the system answers.
pub fn identify(dir: &Path) -> Result<(VolumeId, Cipher), StoreError> {
    Volume::open(Arc::new(RealDisk), dir).map(|volume| (volume.id, volume.cipher))
}

/// Makes all footage of an encrypted volume unreadable for ever, removes who locked what of it and why, and returns as soon as
/// it is so; [`erase`] makes the room free.
///
/// # Errors
/// As [`erase`].
pub fn destroy_key(dir: &Path) -> Result<(), StoreError> {
    let volume = encrypted(Arc::new(RealDisk), dir)?;
    let _lock = volume.lock()?;
    destroy(&volume)
}

fn destroy(volume: &Volume) -> Result<(), StoreError> {
    volume.key_file().erase()?;
    Locks::erase(volume)?;
    Deletions::erase(volume)
}

/// Makes all footage of an encrypted volume unreadable for ever, and leaves a folder in which a new volume can be made.
///
/// The key file is overwritten in place and synced before anything else, then the locks. What that cannot reach (a copy in a file system's
/// journal, blocks that flash has set aside) is in docs/storage.md, "Keys".
///
/// # Errors
/// `Invalid` for a plain volume, `Locked` while a writer has it, `NotFound` when there is none; else as the system answers.
pub fn erase(dir: &Path) -> Result<(), StoreError> {
    erase_on(Arc::new(RealDisk), dir)
}

/// As [`erase`], on another disk.
///
/// # Errors
/// As [`erase`].
pub fn erase_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<(), StoreError> {
    let volume = encrypted(disk, dir)?;
    let _lock = volume.lock()?;
    destroy(&volume)?;
    // From here on it is only about the room. The name of the volume goes last: until then this can be called again.
    let removed = |path: &Path| {
        volume.disk.remove(path).map_err(|error| StoreError::io(path, None, "cannot be removed", error))
    };
    for segment in volume.numbers()? {
        removed(&volume.path(segment))?;
    }
    Index::remove_files(&volume.index_path())?;
    removed(&volume.file())?;
    volume.disk.sync_dir(dir).map_err(|error| StoreError::io(dir, None, "cannot be made durable", error))
}

fn encrypted(disk: Arc<dyn Disk>, dir: &Path) -> Result<Volume, StoreError> {
    let volume = Volume::open(disk, dir)?;
    if volume.cipher == Cipher::None {
        let what = "the volume is not encrypted, so there is no key to erase";
        return Err(StoreError::new(ErrorKind::Invalid, dir, None, what));
    }
    Ok(volume)
}
