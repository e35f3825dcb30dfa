//! A moment in the life of a disk, to come back to.
//!
//! Does not belong here: what is made of it (`disk`).

use std::path::PathBuf;

use super::medium::Medium;
use super::memory::MemoryDisk;

/// An operation that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file is made.
    Create(PathBuf),
    /// A file is written.
    Write,
    /// A file is synced.
    Sync,
    /// A file is renamed.
    Rename(PathBuf, PathBuf),
    /// A file is removed.
    Remove(PathBuf),
    /// A folder is synced.
    SyncDir,
    /// A small file is replaced.
    Replace(PathBuf),
}

/// What a disk had, and what of it was not durable, before an operation; two for a creation, the second with a file that
/// has no bytes yet.
pub struct Moment {
    /// The operation's number, from 0.
    pub number: u64,
    /// The operation that comes next.
    pub next: Operation,
    pub(super) memory: MemoryDisk,
    pub(super) medium: Medium,
}
