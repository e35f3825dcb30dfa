//! What can go wrong with a ledger, a proof or a signature.
//!
//! Does not belong here: what to do about it; callers decide by `kind()`.

use std::io;

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A text from outside is not what it should be: a note, a checkpoint, a key, a leaf, a proof.
    Malformed,
    /// A signature or a proof does not hold.
    Refused,
    /// The caller asked for something that cannot be: a leaf over the limit, an index behind the end.
    Invalid,
    /// There is no ledger here.
    NotFound,
    /// The leaf was dropped to keep the ledger within its limit. Its hash is still there.
    Dropped,
    /// Another writer has the ledger.
    Locked,
    /// The file system is full; appending can be tried again when there is room.
    DiskFull,
    /// The folder does not allow writing, or the file system is mounted read-only.
    Unwritable,
    /// The device failed to read or write.
    Io,
    /// The files are not what was written.
    Damaged,
    /// The ledger is shorter than its own last signed checkpoint.
    Truncated,
}

/// A request to the ledger that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}{}", because(.source.as_ref()))]
pub struct LedgerError {
    kind: ErrorKind,
    what: String,
    source: Option<io::Error>,
}

fn because(source: Option<&io::Error>) -> String {
    source.map(|source| format!(": {source}")).unwrap_or_default()
}

impl LedgerError {
    /// `what` is a sentence for people.
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

#[cfg(feature = "log")]
impl LedgerError {
    /// Takes the kind from the system's answer.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::WouldBlock => ErrorKind::Locked,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory => ErrorKind::Unwritable,
            _ => ErrorKind::Io,
        };
        Self { kind, what: what.into(), source: Some(source) }
    }
}
