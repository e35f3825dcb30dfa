//! Writing a ledger.
//!
//! A batch of leaves is one write behind the end of the last leaf file and one `fdatasync`. When a leaf file
//! is full, its hashes are written behind the others and synced, and only then the next file is made: so
//! hashes are never missing for a file that is not the last. docs/ledger.md has the format and what a crash
//! leaves.
//!
//! Does not belong here: what is worth a leaf, and how often a checkpoint is signed.
//!
//! Invariants
//! - What [`Log::append`] returned is durable; what opening found is made durable before it counts.
//! - No checkpoint is signed that does not continue the one before.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::error::{ErrorKind, LedgerError};
use crate::key::{Signer, VerifierKey};
use crate::lines::{LeafFile, MAX_FILE_BYTES, MAX_FILE_LEAVES, to_lines};
use crate::note::SignatureLine;
use crate::proof::verify_consistency;
use crate::reader::{CHECKPOINT, HASH_BYTES, HASHES, Reader, Recovery, Tail, damaged, io};
use crate::storage::{Storage, StorageFile, replace};
use crate::tree::{MAX_TREE_SIZE, empty_root, stored_hashes};

/// Bytes of leaves that are kept unless told otherwise. With 16 channels a full disk of 4 TB asks for half of
/// it.
pub const DEFAULT_LEAF_BYTES: u64 = 1 << 30;
/// Leaf files that are kept whatever the limit says: the one that is written, and the one before.
const MIN_FILES: usize = 2;

/// How large a ledger and its leaf files may become. Tests have smaller ones, so that more happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) leaf_bytes: u64,
    pub(crate) file_bytes: u64,
    pub(crate) file_leaves: u64,
}

/// The one writer of a ledger.
pub struct Log {
    reader: Reader,
    limits: Limits,
    /// The last leaf file; `None` before the first leaf.
    file: Option<Box<dyn StorageFile>>,
    /// An append failed: what it left behind the last leaf is to be cut off before the next.
    torn: bool,
    _lock: Box<dyn Any + Send + Sync>,
}

impl Log {
    /// Opens the ledger of `signer`'s key, or begins it, with a signed checkpoint of the empty tree. Keeps
    /// the newest leaves of at most `max_leaf_bytes`, but not less than the last two files (2 MiB).
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] when another writer has it, and as [`Reader::open`]. A ledger that is truncated
    /// or damaged is left as it is: it is evidence. The way on is another ledger, with another origin.
    pub fn open(
        storage: Arc<dyn Storage>,
        signer: &Signer,
        max_leaf_bytes: u64,
    ) -> Result<(Self, Recovery), LedgerError> {
        let limits =
            Limits { leaf_bytes: max_leaf_bytes, file_bytes: MAX_FILE_BYTES, file_leaves: MAX_FILE_LEAVES };
        Self::open_with_limits(storage, signer, limits)
    }

    pub(crate) fn open_with_limits(
        storage: Arc<dyn Storage>,
        signer: &Signer,
        limits: Limits,
    ) -> Result<(Self, Recovery), LedgerError> {
        let lock = storage.lock().map_err(|error| io("the ledger cannot be locked", error))?;
        let opened = match Reader::open_with_tail(Arc::clone(&storage), signer.verifier()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                begin(&*storage, signer)?;
                Reader::open_with_tail(storage, signer.verifier())
            }
            other => other,
        };
        let (reader, recovery, content) = opened?;
        let mut log = Self { reader, limits, file: None, torn: false, _lock: lock };
        log.settle(&content).map_err(|error| io("the ledger cannot be written", error))?;
        Ok((log, recovery))
    }

    /// Cuts what is torn, and makes durable what counts: a sync that failed in an earlier life may have left
    /// pages that look written and are not, and only writing them again changes that.
    fn settle(&mut self, content: &[u8]) -> std::io::Result<()> {
        let Some(last) = self.reader.files.last().copied() else { return Ok(()) };
        self.reader.storage.sync_names()?;
        let file = self.reader.storage.open_to_write(&last.name())?;
        file.set_size(last.bytes)?;
        let signed = self.reader.checkpoint.checkpoint().size.saturating_sub(last.first) as usize;
        let content = &content[..last.bytes as usize];
        let unsigned: usize =
            content.split_inclusive(|byte| *byte == b'\n').take(signed).map(<[u8]>::len).sum();
        file.write_all_at(unsigned as u64, &content[unsigned..])?;
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }

    /// Everything that reads: leaves, roots, proofs.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Appends a batch, durably, and returns its indices. At most 1 MiB and 8192 leaves; see
    /// [`crate::Leaf::encode`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for what cannot be a leaf, and the system's: then nothing was appended, and it
    /// can be tried again. Only a crash right then may leave some of the first of them.
    pub fn append(&mut self, batch: &[Vec<u8>]) -> Result<Range<u64>, LedgerError> {
        let lines = to_lines(batch)?;
        let from = self.reader.size();
        if batch.is_empty() {
            return Ok(from..from);
        }
        if from + batch.len() as u64 > MAX_TREE_SIZE {
            return Err(LedgerError::new(ErrorKind::Invalid, "the ledger is full"));
        }
        self.mend()?;
        let bytes = self.reader.files.last().map_or(0, |file| file.bytes);
        let fits = bytes + lines.len() as u64 <= self.limits.file_bytes
            && self.reader.tail.leaves() + batch.len() as u64 <= self.limits.file_leaves;
        if self.file.is_none() || !fits {
            self.next_file()?;
        }
        let (Some(file), Some(last)) = (&self.file, self.reader.files.last_mut()) else {
            return Err(damaged("the ledger has no leaf file"));
        };
        let written = file.write_all_at(last.bytes, &lines).and_then(|()| file.sync_data());
        self.torn = written.is_err();
        written.map_err(|error| io("the ledger cannot be written", error))?;
        last.bytes += lines.len() as u64;
        for leaf in batch {
            self.reader.tail.push(leaf);
        }
        Ok(from..self.reader.size())
    }

    /// Takes back what a failed append may have left, before something else is written in its place: what was
    /// never acknowledged must not come back behind it.
    fn mend(&mut self) -> Result<(), LedgerError> {
        if let (true, Some(file), Some(last)) = (self.torn, &self.file, self.reader.files.last()) {
            let mended = file.set_size(last.bytes).and_then(|()| file.sync_data());
            mended.map_err(|error| io("the ledger cannot be written", error))?;
        }
        self.torn = false;
        Ok(())
    }

    /// Writes the full file's hashes and makes the next one.
    fn next_file(&mut self) -> Result<(), LedgerError> {
        let reader = &mut self.reader;
        let cannot = |error| io("the ledger cannot be written", error);
        if reader.tail.leaves() > 0 {
            let hashes = reader.storage.open_to_write(HASHES).map_err(cannot)?;
            let bytes: Vec<u8> = reader.tail.hashes.iter().flat_map(|hash| hash.0).collect();
            let offset = stored_hashes(reader.tail.first) * HASH_BYTES;
            hashes.write_all_at(offset, &bytes).and_then(|()| hashes.sync_data()).map_err(cannot)?;
            if reader.hashes.is_none() {
                reader.storage.sync_names().map_err(cannot)?;
            }
            reader.hashes = Some(hashes);
        }
        // From here on the next file may exist, and whoever opens the ledger would look for new leaves there alone: even
        // if this fails, nothing goes into the last one any more.
        self.file = None;
        let next = LeafFile { first: reader.size(), bytes: 0 };
        let file = reader.storage.open_to_write(&next.name()).map_err(cannot)?;
        // An earlier try may have left something.
        file.set_size(0).and_then(|()| reader.storage.sync_names()).map_err(cannot)?;
        reader.files.push(next);
        reader.tail = Tail::begin(std::mem::take(&mut reader.tail.frontier));
        self.file = Some(file);
        self.drop_oldest();
        Ok(())
    }

    /// Keeps the limit. What cannot be removed is tried again with the next file: it only takes room.
    fn drop_oldest(&mut self) {
        let reader = &mut self.reader;
        while reader.files.len() > MIN_FILES && reader.leaf_bytes() > self.limits.leaf_bytes {
            let removed = reader.storage.remove(&reader.files[0].name());
            if removed.is_err() {
                break;
            }
            reader.files.remove(0);
            // Before the next goes: a cut of the power must not bring back this one without the one behind
            // it.
            if reader.storage.sync_names().is_err() {
                break;
            }
        }
    }

    /// Signs a checkpoint of all leaves and keeps it. Gives the last one when nothing was appended since.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the key is not the ledger's, [`ErrorKind::Damaged`] when the ledger no
    /// longer continues its last checkpoint, and the system's.
    pub fn checkpoint(&mut self, signer: &Signer) -> Result<&SignedCheckpoint, LedgerError> {
        let last = self.reader.checkpoint.checkpoint();
        let (size, root) = (self.reader.size(), self.reader.root());
        if size != last.size {
            let proof = self.reader.consistency(last.size, size)?;
            verify_consistency(last.size, &last.root, size, &root, &proof)
                .map_err(|_| damaged("the ledger does not continue its last checkpoint"))?;
            self.keep(Checkpoint { origin: last.origin.clone(), size, root }.sign(signer)?)?;
        }
        Ok(&self.reader.checkpoint)
    }

    /// Adds a co-signer's line to the last checkpoint and keeps it. The next checkpoint has none again.
    ///
    /// # Errors
    /// As [`SignedCheckpoint::add_cosignature`], and the system's.
    pub fn add_cosignature(
        &mut self,
        line: SignatureLine,
        cosigner: &VerifierKey,
    ) -> Result<&SignedCheckpoint, LedgerError> {
        let mut cosigned = self.reader.checkpoint.clone();
        cosigned.add_cosignature(line, cosigner)?;
        self.keep(cosigned)?;
        Ok(&self.reader.checkpoint)
    }

    fn keep(&mut self, checkpoint: SignedCheckpoint) -> Result<(), LedgerError> {
        replace(&*self.reader.storage, CHECKPOINT, checkpoint.to_string().as_bytes())
            .map_err(|error| io("the checkpoint cannot be written", error))?;
        self.reader.checkpoint = checkpoint;
        Ok(())
    }
}

/// Begins a ledger in a folder that has none.
fn begin(storage: &dyn Storage, signer: &Signer) -> Result<(), LedgerError> {
    let origin = signer.verifier().name().to_owned();
    let checkpoint = Checkpoint { origin, size: 0, root: empty_root() }.sign(signer)?;
    replace(storage, CHECKPOINT, checkpoint.to_string().as_bytes())
        .map_err(|error| io("the checkpoint cannot be written", error))
}
