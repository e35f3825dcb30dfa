//! What a disk's medium has, as far as that is not what reading finds.
//!
//! Does not belong here: when something fails (`machine`).
//!
//! Invariant: a file keeps its identity when it is renamed; what is unsynced of it goes with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::Loss;
use super::unsynced::{SECTOR_BYTES, Settled, Unsynced, sectors};
use crate::disk::{Access, Disk, DiskFile, read_full, write_full};

#[derive(Clone, Default)]
pub(super) struct Medium {
    unsynced: Unsynced,
    /// Names that no `sync_dir` made durable, in order.
    names: Vec<Name>,
    /// Who is who.
    identities: BTreeMap<PathBuf, u64>,
    next_identity: u64,
    /// Sectors that cannot be read, of which file.
    unreadable: BTreeSet<(u64, u64)>,
}

#[derive(Clone)]
enum Name {
    Created(PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf, Arc<[u8]>),
}

impl Medium {
    pub(super) fn identity(&mut self, path: &Path) -> u64 {
        let next = &mut self.next_identity;
        *self.identities.entry(path.to_owned()).or_insert_with(|| {
            *next += 1;
            *next
        })
    }

    pub(super) fn created(&mut self, path: &Path) -> u64 {
        self.names.push(Name::Created(path.to_owned()));
        self.identity(path)
    }

    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        let identity = self.identity(from);
        self.identities.remove(from);
        self.identities.insert(to.to_owned(), identity);
        self.names.push(Name::Renamed(from.to_owned(), to.to_owned()));
    }

    /// A file is about to be removed.
    pub(super) fn removing(&mut self, base: &dyn Disk, path: &Path) {
        let content = base.open(path, Access::Read).and_then(|file| {
            let mut content = vec![0; usize::try_from(file.size()?).unwrap_or(0)];
            read_full(&*file, 0, &mut content)?;
            Ok(content)
        });
        self.identities.remove(path);
        self.names.push(Name::Removed(path.to_owned(), content.unwrap_or_default().into()));
    }

    pub(super) fn names_synced(&mut self) {
        self.names.clear();
    }

    /// Writes to the file of the disk below, and notes what that changes.
    pub(super) fn write(
        &mut self,
        identity: u64,
        file: &dyn DiskFile,
        offset: u64,
        bytes: &[u8],
    ) -> std::io::Result<()> {
        let range = offset..offset + bytes.len() as u64;
        let touched = sectors(&range);
        let first = touched.start * SECTOR_BYTES;
        let mut before = vec![0; ((touched.end - touched.start) * SECTOR_BYTES) as usize];
        let mut after = before.clone();
        let had = read_full(file, first, &mut before)?;
        write_full(file, offset, &mut [IoSlice::new(bytes)])?;
        let has = read_full(file, first, &mut after)?;
        self.unsynced.wrote(identity, touched.start, &before[..had], &after[..has]);
        // A disk puts another sector in the place of a bad one that is written as a whole.
        let whole = range.start.div_ceil(SECTOR_BYTES)..range.end / SECTOR_BYTES;
        self.unreadable.retain(|(owner, sector)| *owner != identity || !whole.contains(sector));
        Ok(())
    }

    pub(super) fn synced(&mut self, identity: u64) {
        self.unsynced.synced(identity);
    }

    pub(super) fn sync_failed(&mut self, identity: u64) {
        self.unsynced.sync_failed(identity);
    }

    pub(super) fn evict(&mut self, base: &dyn Disk, identity: u64, loss: Loss) {
        let evicted = self.unsynced.evict(identity, loss);
        self.settle(base, evicted);
    }

    /// The power goes: the disk below then has what is left.
    pub(super) fn cut(&mut self, base: &dyn Disk, loss: Loss) {
        let settled = self.unsynced.cut(loss);
        self.settle(base, settled);
        let mut names = std::mem::take(&mut self.names);
        for name in names.drain(loss.kept_names(names.len())..).rev() {
            // Best effort, as everything about a power cut.
            let _ = match &name {
                Name::Created(path) => {
                    self.identities.remove(path);
                    base.remove(path)
                }
                Name::Renamed(from, to) => {
                    let identity = self.identity(to);
                    self.identities.remove(to);
                    self.identities.insert(from.clone(), identity);
                    base.rename(to, from)
                }
                Name::Removed(path, content) => base
                    .create(path, content.len() as u64)
                    .and_then(|file| write_full(&*file, 0, &mut [IoSlice::new(content)])),
            };
        }
    }

    fn settle(&self, base: &dyn Disk, settled: Vec<Settled>) {
        let mut open: Option<(u64, Arc<dyn DiskFile>)> = None;
        for Settled { file, offset, bytes } in settled {
            if open.as_ref().is_none_or(|(identity, _)| *identity != file) {
                let path = self.identities.iter().find(|(_, identity)| **identity == file);
                open = path.and_then(|(path, _)| Some((file, base.open(path, Access::ReadWrite).ok()?)));
            }
            if let Some((_, file)) = &open {
                let _ = write_full(&**file, offset, &mut [IoSlice::new(&bytes)]);
            }
        }
    }

    /// Flips bits, on the medium and in what reading finds.
    pub(super) fn flip(
        &mut self,
        base: &dyn Disk,
        path: &Path,
        offset: u64,
        mask: u8,
    ) -> std::io::Result<()> {
        let file = base.open(path, Access::ReadWrite)?;
        let mut byte = [0];
        if read_full(&*file, offset, &mut byte)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        write_full(&*file, offset, &mut [IoSlice::new(&[byte[0] ^ mask])])?;
        let identity = self.identity(path);
        self.unsynced.flip(identity, offset, mask);
        Ok(())
    }

    pub(super) fn spoil(&mut self, path: &Path, bytes: &Range<u64>) {
        let identity = self.identity(path);
        self.unreadable.extend(sectors(bytes).map(|sector| (identity, sector)));
    }

    pub(super) fn is_unreadable(&self, identity: u64, bytes: &Range<u64>) -> bool {
        let sectors = sectors(bytes);
        self.unreadable.range((identity, sectors.start)..(identity, sectors.end)).next().is_some()
    }
}
