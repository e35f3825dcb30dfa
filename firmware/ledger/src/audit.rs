//! Looking at everything: each kept leaf, each hash, the last checkpoint.
//!
//! Opening looks at the end only, so that it takes as long after ten years as on the first day. This reads
//! all files once, in order, and needs no more memory for a large ledger than for a small one.
//!
//! Does not belong here: mending. A ledger that is not what was signed is evidence.

use std::sync::Arc;

use crate::error::LedgerError;
use crate::hex::{Hash, Hex};
use crate::key::VerifierKey;
use crate::lines::{LeafFile, whole_lines};
use crate::reader::{HASH_BYTES, Reader, damaged, io};
use crate::storage::{Storage, read_up_to};
use crate::tree::{Frontier, leaf_hash, stored_hashes};

/// How far an audit is, in leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Looked at.
    pub done: u64,
    /// All there are.
    pub total: u64,
}

/// What an audit found, when nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The number of leaves.
    pub size: u64,
    /// The oldest leaf that is there; of those before it only the hashes are.
    pub first_kept: u64,
    /// How many leaves the last checkpoint counts. Those behind it are vouched for by nobody.
    pub signed: u64,
}

/// Leaves between two calls of `progress`.
const STEP: u64 = 4096;

/// Looks at everything, while nobody appends.
///
/// # Errors
/// As [`Reader::open`]; [`crate::ErrorKind::Damaged`] names the first leaf that is not what was written.
pub fn audit(
    storage: Arc<dyn Storage>,
    key: &VerifierKey,
    progress: &mut dyn FnMut(Progress),
) -> Result<Audit, LedgerError> {
    let reader = Reader::open(storage, key)?;
    let mut walk =
        Walk { reader: &reader, frontier: Frontier::default(), block: Vec::new(), begins: 0, progress };
    walk.reached()?;
    while walk.frontier.size() < reader.first_kept() {
        let hash = walk.kept(stored_hashes(walk.frontier.size()))?;
        walk.push(hash)?;
    }
    for (number, file) in reader.files.iter().enumerate() {
        let end = reader.files.get(number + 1).map_or(reader.size(), |next| next.first);
        walk.file(*file, end)?;
    }
    Ok(Audit {
        size: reader.size(),
        first_kept: reader.first_kept(),
        signed: reader.checkpoint.checkpoint().size,
    })
}

struct Walk<'a> {
    reader: &'a Reader,
    frontier: Frontier,
    /// Part of the file of hashes, and the position of its first.
    block: Vec<u8>,
    begins: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Walk<'_> {
    fn file(&mut self, file: LeafFile, end: u64) -> Result<(), LedgerError> {
        if self.frontier.size() != file.first {
            return Err(damaged(&format!("leaves from {} on are missing", self.frontier.size())));
        }
        for line in whole_lines(&self.reader.read_file(file)?) {
            self.push(leaf_hash(line))?;
        }
        if self.frontier.size() != end {
            return Err(damaged(&format!("{} ends with another leaf than {end}", file.name())));
        }
        Ok(())
    }

    /// Adds a leaf and compares what it completes with what is kept.
    fn push(&mut self, leaf: Hash) -> Result<(), LedgerError> {
        let index = self.frontier.size();
        if index == self.reader.size() {
            return Err(damaged("there are more leaves than the ledger has"));
        }
        let mut complete = Vec::new();
        self.frontier.push(leaf, &mut complete);
        for (position, hash) in (stored_hashes(index)..).zip(complete) {
            if self.kept(position)? != hash {
                return Err(damaged(&format!("leaf {index} is not what was written")));
            }
        }
        self.reached()
    }

    /// Compares with the last checkpoint, when its size is reached.
    fn reached(&mut self) -> Result<(), LedgerError> {
        let (size, signed) = (self.frontier.size(), self.reader.checkpoint.checkpoint());
        if size == signed.size && self.frontier.root() != signed.root {
            return Err(damaged("the leaves are not those of the last checkpoint"));
        }
        if size.is_multiple_of(STEP) || size == self.reader.size() {
            (self.progress)(Progress { done: size, total: self.reader.size() });
        }
        Ok(())
    }

    /// The hash at a position. They are asked for in their order, so that the file is read in large pieces.
    fn kept(&mut self, position: u64) -> Result<Hash, LedgerError> {
        const BLOCK_HASHES: u64 = 2048;
        let missing = || damaged("the file of hashes is shorter than the ledger");
        let tail = stored_hashes(self.reader.tail.first);
        if let Some(at) = position.checked_sub(tail) {
            return self.reader.tail.hashes.get(at as usize).copied().ok_or_else(missing);
        }
        if !(self.begins..self.begins + self.block.len() as u64 / HASH_BYTES).contains(&position) {
            let file = self.reader.hashes.as_deref().ok_or_else(missing)?;
            self.begins = position;
            self.block = read_up_to(file, position * HASH_BYTES, (BLOCK_HASHES * HASH_BYTES) as usize)
                .map_err(|error| io("the hashes cannot be read", error))?;
        }
        let at = ((position - self.begins) * HASH_BYTES) as usize;
        self.block.get(at..).and_then(<[u8]>::first_chunk).copied().map(Hex).ok_or_else(missing)
    }
}
