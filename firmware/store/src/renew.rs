//! New keys for a volume that is there, also while it is written to.
//!
//! Does not belong here: how keys are wrapped (`key_file`), volumes that are opened with them (`store`).

use std::path::Path;
use std::sync::Arc;

use crate::config::Cipher;
use crate::disk::RealDisk;
use crate::error::StoreError;
use crate::keys::Keys;
use crate::volume::Volume;

/// Makes the volume in `dir` open for those who have `keys`, one of which opens it already, as opening it for writing does;
/// the owner's recovery key takes the place of any other one. Returns whether the owner's key in `keys` opens it then;
/// `false` for a plain volume.
///
/// A writer is not disturbed: the volume's own key stays the same. Only whoever runs the writer may call this.
///
/// # Errors
/// `NoKey` when none of `keys` opens it; `NotFound`, `Damaged`, `Unsupported`, `Io`.
pub fn renew_keys(dir: &Path, keys: &Keys) -> Result<bool, StoreError> {
    let volume = Volume::open(Arc::new(RealDisk), dir)?;
    if volume.cipher == Cipher::None {
        return Ok(false);
    }
    volume.key_file().renew(keys)?;
    Ok(volume.key_file().opens_for_owner(keys))
}
