//! What can go wrong with a volume: what, in which file, at which offset.
//!
//! Does not belong here: what to do about it; callers decide by `kind()`.

use std::io;
use std::path::{Path, PathBuf};

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such volume, segment or chunk.
    NotFound,
    /// Another writer has the volume.
    Locked,
    /// The volume is encrypted, and no key at hand opens it; nothing on it was changed.
    NoKey,
    /// The file system is full; footage continues when there is room again.
    DiskFull,
    /// The folder does not allow writing, or the file system is mounted read-only.
    Unwritable,
    /// The device failed to read or write.
    Io,
    /// The bytes on disk are not what was written.
    Damaged,
    /// A version, cipher or codec that this program does not know; the footage is left alone.
    Unsupported,
    /// The footage was overwritten by newer footage, or deleted, while it was being read.
    Recycled,
    /// The index failed; the footage itself is unharmed and the index can be rebuilt.
    Index,
    /// Locked footage is in the way: of a deletion, or of locking more.
    Pinned,
    /// Footage was not removed, because that could not be written down; it is tried again.
    Unwitnessed,
    /// There is no footage in the asked time.
    NoFootage,
    /// The caller asked for something that cannot be: a unit over the limit, an impossible option.
    Invalid,
}

/// A request to the store that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {what}{}", file.display(), at(*.offset), because(.source.as_ref()))]
pub struct StoreError {
    kind: ErrorKind,
    file: PathBuf,
    offset: Option<u64>,
    what: String,
    source: Option<io::Error>,
}

fn at(offset: Option<u64>) -> String {
    offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default()
}

fn because(source: Option<&io::Error>) -> String {
    source.map(|source| format!(": {source}")).unwrap_or_default()
}

impl StoreError {
    /// `what` is a sentence for people, without the file's name.
    pub(crate) fn new(kind: ErrorKind, file: &Path, offset: Option<u64>, what: impl Into<String>) -> Self {
        Self { kind, file: file.to_owned(), offset, what: what.into(), source: None }
    }

    /// Takes the kind from the system's answer.
    pub(crate) fn io(file: &Path, offset: Option<u64>, what: impl Into<String>, source: io::Error) -> Self {
        Self {
            kind: kind_of(&source),
            file: file.to_owned(),
            offset,
            what: what.into(),
            source: Some(source),
        }
    }

    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, without the file's name, for people.
    #[must_use]
    pub fn what(&self) -> String {
        format!("{}{}", self.what, because(self.source.as_ref()))
    }

    /// The file it is about.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where in the file, in bytes.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory => ErrorKind::Unwritable,
        _ => ErrorKind::Io,
    }
}
