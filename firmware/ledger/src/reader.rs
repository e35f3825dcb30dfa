//! Reading a ledger's files: leaves, roots and proofs.
//!
//! The hashes of all leaf files but the last lie in `hashes`; those of the last file are made from its leaves
//! when the ledger is opened, and kept in memory. So opening reads the last leaf file, and a logarithmic
//! number of hashes.
//!
//! Does not belong here: writing (`log`), and looking at everything (`audit`).
//!
//! Invariant: no leaf and no proof is given out that does not fit the hashes.

use std::sync::Arc;

use crate::checkpoint::SignedCheckpoint;
use crate::error::{ErrorKind, LedgerError};
use crate::hex::{Hash, Hex};
use crate::key::VerifierKey;
use crate::lines::{LeafFile, MAX_FILE_BYTES, MAX_FILE_LEAVES, whole_lines};
use crate::note::MAX_NOTE_BYTES;
use crate::proof::{consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
use crate::storage::{Storage, StorageFile, read_up_to};
use crate::tree::{Frontier, MAX_TREE_SIZE, Subtree, empty_root, join, leaf_hash, stored_hashes, subtrees};

pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const HASHES: &str = "hashes";
pub(crate) const HASH_BYTES: u64 = 32;

/// The most leaves that one call gives.
pub const MAX_LEAVES_AT_ONCE: usize = 1000;

/// A ledger's files as they were when they were opened.
pub struct Reader {
    pub(crate) storage: Arc<dyn Storage>,
    /// From the oldest kept to the last.
    pub(crate) files: Vec<LeafFile>,
    /// `None` as long as there is no more than one leaf file.
    pub(crate) hashes: Option<Box<dyn StorageFile>>,
    pub(crate) checkpoint: SignedCheckpoint,
    pub(crate) tail: Tail,
}

/// The last leaf file's part of the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    /// Index of its first leaf.
    pub(crate) first: u64,
    /// The right edge of the whole ledger.
    pub(crate) frontier: Frontier,
    /// The hashes from position [`stored_hashes`] of `first` on.
    pub(crate) hashes: Vec<Hash>,
}

impl Tail {
    /// Behind a leaf file that is full.
    pub(crate) fn begin(frontier: Frontier) -> Self {
        Self { first: frontier.size(), frontier, hashes: Vec::new() }
    }

    pub(crate) fn push(&mut self, leaf: &[u8]) {
        self.frontier.push(leaf_hash(leaf), &mut self.hashes);
    }

    pub(crate) fn leaves(&self) -> u64 {
        self.frontier.size() - self.first
    }
}

/// What opening left aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes behind the last whole leaf: of a batch that was never acknowledged.
    pub cut_bytes: u64,
    /// Leaves behind the last signed checkpoint.
    pub unsigned_leaves: u64,
}

impl Reader {
    /// Opens the ledger of `key` to read it, also while another process writes it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Truncated`] when leaves that the last
    /// checkpoint counts are missing, [`ErrorKind::Refused`] when that checkpoint is not by `key`,
    /// [`ErrorKind::Damaged`] when it does not fit the hashes or files are not what was written, and the
    /// system's.
    pub fn open(storage: Arc<dyn Storage>, key: &VerifierKey) -> Result<Self, LedgerError> {
        Self::open_with_tail(storage, key).map(|(reader, _, _)| reader)
    }

    /// Also gives the last leaf file as it was read.
    pub(crate) fn open_with_tail(
        storage: Arc<dyn Storage>,
        key: &VerifierKey,
    ) -> Result<(Self, Recovery, Vec<u8>), LedgerError> {
        // In this order: a writer signs only what is there.
        let checkpoint = read_checkpoint(&*storage, key)?;
        let files = leaf_files(&*storage)?;
        let mut reader = Self { storage, files, hashes: None, checkpoint, tail: Tail::default() };
        let mut content = Vec::new();
        if let Some(last) = reader.files.last().copied() {
            reader.begin_tail(last.first)?;
            content = reader.read_file(last)?;
        }
        let mut recovery = Recovery::default();
        let mut whole_bytes = 0;
        for line in whole_lines(&content).take(MAX_FILE_LEAVES as usize) {
            reader.tail.push(line);
            whole_bytes += line.len() as u64 + 1;
        }
        if let Some(last) = reader.files.last_mut() {
            recovery.cut_bytes = last.bytes - whole_bytes;
            last.bytes = whole_bytes;
        }
        recovery.unsigned_leaves = reader.check_against_checkpoint()?;
        Ok((reader, recovery, content))
    }

    fn open_hashes(&self) -> Result<Box<dyn StorageFile>, LedgerError> {
        self.storage.open(HASHES).map_err(|_| damaged("the file of hashes cannot be opened"))
    }

    /// The right edge of all leaf files but the last.
    fn begin_tail(&mut self, first: u64) -> Result<(), LedgerError> {
        if first > MAX_TREE_SIZE {
            return Err(damaged("the last leaf file has a name that cannot be"));
        }
        if first > 0 {
            self.hashes = Some(self.open_hashes()?);
        }
        let peaks = subtrees(0, first).map(|peak| self.kept_hash(peak)).collect::<Result<_, _>>()?;
        let frontier = Frontier::new(first, peaks).ok_or_else(|| damaged("the hashes do not fit"))?;
        self.tail = Tail::begin(frontier);
        Ok(())
    }

    /// How many leaves the last checkpoint does not count.
    fn check_against_checkpoint(&self) -> Result<u64, LedgerError> {
        let signed = self.checkpoint.checkpoint();
        let Some(unsigned) = self.size().checked_sub(signed.size) else {
            let what = format!(
                "the ledger has {} leaves, but its last checkpoint counts {}: leaves were lost or taken away",
                self.size(),
                signed.size
            );
            return Err(LedgerError::new(ErrorKind::Truncated, what));
        };
        if self.root_at(signed.size)? != signed.root {
            return Err(damaged("the leaves are not those of the last checkpoint"));
        }
        self.consistency(signed.size, self.size())?;
        Ok(unsigned)
    }

    /// The ledger as it is now, to be read beside its writer, who goes on meanwhile. Leaf files that he drops later are
    /// [`ErrorKind::Dropped`] here. It copies the hashes of the last leaf file: at most 512 KiB.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] when the file of hashes cannot be opened.
    pub fn snapshot(&self) -> Result<Self, LedgerError> {
        Ok(Self {
            storage: Arc::clone(&self.storage),
            files: self.files.clone(),
            hashes: self.hashes.as_ref().map(|_| self.open_hashes()).transpose()?,
            checkpoint: self.checkpoint.clone(),
            tail: self.tail.clone(),
        })
    }

    /// The number of leaves, dropped ones too.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tail.frontier.size()
    }

    /// The root of all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tail.frontier.root()
    }

    /// The oldest leaf that is still there; [`Self::size`] when there is none.
    #[must_use]
    pub fn first_kept(&self) -> u64 {
        self.files.first().map_or(self.size(), |file| file.first)
    }

    /// Bytes of the leaves that are still there.
    #[must_use]
    pub fn leaf_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The last signed checkpoint.
    #[must_use]
    pub fn last_checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The root of the first `size` leaves.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there are not so many, [`ErrorKind::Damaged`] and the system's.
    pub fn root_at(&self, size: u64) -> Result<Hash, LedgerError> {
        self.reaches(size)?;
        let peaks = subtrees(0, size).map(|peak| self.hash(peak)).collect::<Result<Vec<_>, _>>()?;
        Ok(join(&peaks).unwrap_or_else(empty_root))
    }

    /// The proof that leaf `index` is among the first `size` leaves. Works for dropped leaves too.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there is no such leaf, [`ErrorKind::Damaged`] when no proof can be made
    /// that holds, and the system's.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, LedgerError> {
        self.reaches(size)?;
        let proof = inclusion_proof(index, size, |subtree| self.hash(subtree))?;
        let leaf = self.hash(Subtree::leaf(index))?;
        verify_inclusion(&leaf, index, size, &proof, &self.root_at(size)?)
            .map_err(|_| damaged("the hashes do not fit one another"))?;
        Ok(proof)
    }

    /// The proof that the first `old` leaves are the beginning of the first `new`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there are not so many, [`ErrorKind::Damaged`] when no proof can be made
    /// that holds, and the system's.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LedgerError> {
        self.reaches(new)?;
        let proof = consistency_proof(old, new, |subtree| self.hash(subtree))?;
        verify_consistency(old, &self.root_at(old)?, new, &self.root_at(new)?, &proof)
            .map_err(|_| damaged("the hashes do not fit one another"))?;
        Ok(proof)
    }

    /// The bytes of leaf `index`.
    ///
    /// # Errors
    /// [`ErrorKind::Dropped`] when it is no longer there, [`ErrorKind::Invalid`] when it never was,
    /// [`ErrorKind::Damaged`] when it is not what was written, and the system's.
    pub fn leaf(&self, index: u64) -> Result<Vec<u8>, LedgerError> {
        self.reaches(index.saturating_add(1))?;
        let leaf = self.leaves(index, 1)?.into_iter().find(|(found, _)| *found == index);
        leaf.map(|(_, leaf)| leaf).ok_or_else(|| {
            let what = format!("leaf {index} was dropped; the oldest that is kept is {}", self.first_kept());
            LedgerError::new(ErrorKind::Dropped, what)
        })
    }

    /// Leaves with their indices from `from` on, or from the oldest kept, at most `limit` and at most
    /// [`MAX_LEAVES_AT_ONCE`]; none only at the end. They may be fewer than there are: go on behind the last.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] when they are not what was written, and the system's.
    pub fn leaves(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
        let from = from.max(self.first_kept());
        let Some(file) = self.file_of(from).filter(|_| from < self.size()) else {
            return Ok(Vec::new());
        };
        let end = from.saturating_add(limit.min(MAX_LEAVES_AT_ONCE) as u64);
        self.read_leaves(file, from, end)
    }

    /// The leaves before `before`, newest first, otherwise as [`Self::leaves`].
    ///
    /// # Errors
    /// As [`Self::leaves`].
    pub fn leaves_backwards(&self, before: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
        let before = before.min(self.size());
        let Some(file) = before.checked_sub(1).and_then(|last| self.file_of(last)) else {
            return Ok(Vec::new());
        };
        let from = before.saturating_sub(limit.min(MAX_LEAVES_AT_ONCE) as u64);
        let mut leaves = self.read_leaves(file, from, before)?;
        leaves.reverse();
        Ok(leaves)
    }

    /// The file that has leaf `index`, if it is kept.
    fn file_of(&self, index: u64) -> Option<LeafFile> {
        self.files[..self.files.partition_point(|file| file.first <= index)].last().copied()
    }

    /// Those of the leaves `from..to` that are in `file`.
    fn read_leaves(&self, file: LeafFile, from: u64, to: u64) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
        let content = self.read_file(file)?;
        let mut leaves = Vec::new();
        let mut next = file.first;
        for line in whole_lines(&content) {
            if next >= to {
                return Ok(leaves);
            }
            if next >= from {
                if leaf_hash(line) != self.hash(Subtree::leaf(next))? {
                    return Err(damaged(&format!("leaf {next} is not what was written")));
                }
                leaves.push((next, line.to_vec()));
            }
            next += 1;
        }
        let end = self.files.iter().map(|other| other.first).find(|first| *first > file.first);
        if next < end.unwrap_or(self.size()).min(to) {
            return Err(damaged(&format!("leaf {next} is not what was written")));
        }
        Ok(leaves)
    }

    /// What counts of a leaf file.
    pub(crate) fn read_file(&self, leaf_file: LeafFile) -> Result<Vec<u8>, LedgerError> {
        let name = leaf_file.name();
        if leaf_file.bytes > MAX_FILE_BYTES {
            return Err(damaged(&format!("{name} is larger than a leaf file can be")));
        }
        let file = self.storage.open(&name).map_err(|error| match error.kind() {
            // Another process that writes has dropped it since it was listed.
            std::io::ErrorKind::NotFound => {
                LedgerError::new(ErrorKind::Dropped, format!("{name} was dropped"))
            }
            _ => io(&format!("{name} cannot be read"), error),
        })?;
        read_up_to(&*file, 0, leaf_file.bytes as usize)
            .map_err(|error| io(&format!("{name} cannot be read"), error))
    }

    fn reaches(&self, size: u64) -> Result<(), LedgerError> {
        if size <= self.size() {
            return Ok(());
        }
        let what = format!("the ledger has {} leaves, not {size}", self.size());
        Err(LedgerError::new(ErrorKind::Invalid, what))
    }

    /// The hash of a complete subtree.
    pub(crate) fn hash(&self, subtree: Subtree) -> Result<Hash, LedgerError> {
        match subtree.position().checked_sub(stored_hashes(self.tail.first)) {
            None => self.kept_hash(subtree),
            Some(at) => {
                let hash = usize::try_from(at).ok().and_then(|at| self.tail.hashes.get(at)).copied();
                hash.ok_or_else(|| LedgerError::new(ErrorKind::Invalid, "the ledger does not go so far"))
            }
        }
    }

    /// The same, from the file.
    fn kept_hash(&self, subtree: Subtree) -> Result<Hash, LedgerError> {
        let missing = || damaged("the file of hashes is shorter than the ledger");
        let file = self.hashes.as_deref().ok_or_else(missing)?;
        let bytes = read_up_to(file, subtree.position() * HASH_BYTES, HASH_BYTES as usize)
            .map_err(|error| io("the hashes cannot be read", error))?;
        bytes.try_into().map(Hex).map_err(|_| missing())
    }
}

/// The leaf files, in order.
pub(crate) fn leaf_files(storage: &dyn Storage) -> Result<Vec<LeafFile>, LedgerError> {
    let listed = storage.list().map_err(|error| io("the ledger's folder cannot be read", error))?;
    let leaf_file =
        |(name, bytes): (String, u64)| LeafFile::first_of(&name).map(|first| LeafFile { first, bytes });
    let mut files: Vec<_> = listed.into_iter().filter_map(leaf_file).collect();
    files.sort_unstable_by_key(|file| file.first);
    Ok(files)
}

/// The last checkpoint. A ledger begins with one, so that other files without one are what is left of a
/// ledger.
fn read_checkpoint(storage: &dyn Storage, key: &VerifierKey) -> Result<SignedCheckpoint, LedgerError> {
    let file = match storage.open(CHECKPOINT) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let listed = storage.list().map_err(|error| io("the ledger's folder cannot be read", error))?;
            return Err(
                if listed.iter().any(|(name, _)| name == HASHES || LeafFile::first_of(name).is_some()) {
                    LedgerError::new(ErrorKind::Truncated, "there are leaves or hashes, but no checkpoint")
                } else {
                    LedgerError::new(ErrorKind::NotFound, "there is no ledger here")
                },
            );
        }
        other => other.map_err(|error| io("the last checkpoint cannot be read", error))?,
    };
    // One byte more than there may be, so that the parser sees that it is too long.
    let bytes = read_up_to(&*file, 0, MAX_NOTE_BYTES + 1)
        .map_err(|error| io("the last checkpoint cannot be read", error))?;
    let text = String::from_utf8(bytes).map_err(|_| damaged("the last checkpoint is not text"))?;
    let checkpoint: SignedCheckpoint =
        text.parse().map_err(|_| damaged("the last checkpoint cannot be understood"))?;
    checkpoint.verify(key, &[])?;
    Ok(checkpoint)
}

pub(crate) fn damaged(what: &str) -> LedgerError {
    LedgerError::new(ErrorKind::Damaged, what)
}

pub(crate) fn io(what: &str, error: std::io::Error) -> LedgerError {
    LedgerError::io(what, error)
}
