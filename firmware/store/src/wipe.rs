//! Small files that are overwritten before they are removed.
//!
//! Does not belong here: which files those are (`erase`), footage.
//!
//! Invariant: zeros are on the medium before the name goes. What that cannot reach is in docs/storage.md, "Keys".

use std::io::{self, IoSlice};
use std::path::Path;

use crate::disk::{Access, Disk, DiskFile, write_full};
use crate::layout::BLOCK_BYTES;

/// Larger files are not overwritten to their end: the largest here is `locks.toml`, with a thousand locks of all streams.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Overwrites a file and what an interrupted [`Disk::replace_text`] may have left of one, and removes both, durably. Doing it
/// twice does nothing the second time.
///
/// # Errors
/// The system's.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    for path in [path.with_added_extension("new"), path.to_owned()] {
        let file = match disk.open(&path, Access::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        overwrite(&*file)?;
        disk.remove(&path)?;
        path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))?;
    }
    Ok(())
}

/// Zeros in place of what a file holds, on the medium.
///
/// # Errors
/// The system's.
pub(crate) fn overwrite(file: &dyn DiskFile) -> io::Result<()> {
    static ZEROS: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];
    let size = file.size()?.min(MAX_FILE_BYTES);
    for at in (0..size).step_by(ZEROS.len()) {
        let piece = (size - at).min(BLOCK_BYTES) as usize;
        write_full(file, at, &mut [IoSlice::new(&ZEROS[..piece])])?;
    }
    file.sync_data()
}
