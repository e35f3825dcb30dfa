//! The ledger: a tamper-evident, append-only Merkle log, and its proofs.
//!
//! What happens to footage, who looks at it and who changes the recorder is written down as leaves of one
//! tree (RFC 9162), whose root the recorder signs from time to time (C2SP tlog-checkpoint). Whoever keeps one
//! such checkpoint can prove later that nothing before it was changed or taken away. docs/ledger.md has every
//! byte, and says what this does not prove.
//!
//! - [`Log`] writes: `open`, `append`, `checkpoint`, `add_cosignature`; [`Reader`] reads: `leaf`, `leaves`,
//!   `inclusion`, `consistency`, `root_at`; [`audit`] looks at everything.
//! - [`Leaf`] and [`Event`] are the vocabulary.
//! - [`SignedCheckpoint`], [`VerifierKey`], [`Signer`], [`verify_inclusion`], [`verify_consistency`] are
//!   pure, and all that a verifier needs; they are there without the feature `log`, in a browser too.
//!
//! Does not belong here: footage and its hash chain, when something is written, where the key is kept.
//!
//! Invariants
//! - What was appended is durable, and never changes.
//! - No checkpoint is signed that does not continue the one before.
//! - Nothing from outside is believed before a signature or a proof holds.

#[cfg(feature = "log")]
mod audit;
mod checkpoint;
mod crypto;
mod error;
mod event;
mod hex;
mod key;
mod leaf;
#[cfg(feature = "log")]
mod lines;
#[cfg(feature = "log")]
mod log;
#[cfg(feature = "log")]
mod memory;
mod moment;
mod note;
mod proof;
#[cfg(feature = "log")]
mod reader;
#[cfg(feature = "log")]
mod storage;
mod text;
mod tree;

#[cfg(feature = "log")]
pub use audit::{Audit, Progress, audit};
pub use checkpoint::{Checkpoint, SignedCheckpoint, Witness};
pub use error::{ErrorKind, LedgerError};
pub use event::{Event, LossReason, RemovalReason, StreamHead, StreamRange, StreamSpan};
pub use hex::{Hash, Hex, VolumeId};
pub use key::{KeyKind, MAX_NAME_BYTES, Signer, VerifierKey};
pub use leaf::{Leaf, MAX_LEAF_BYTES};
#[cfg(feature = "log")]
pub use log::{DEFAULT_LEAF_BYTES, Log};
#[cfg(feature = "log")]
pub use memory::{Fault, Loss, MemoryStorage};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, SignatureLine, SignedNote};
pub use proof::{MAX_PROOF_HASHES, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
#[cfg(feature = "log")]
pub use reader::{MAX_LEAVES_AT_ONCE, Reader, Recovery};
#[cfg(feature = "log")]
pub use storage::{Folder, Storage, StorageFile};
pub use text::{MAX_TEXT_BYTES, Text};
pub use tree::{Frontier, MAX_TREE_SIZE, Subtree, empty_root, leaf_hash, node_hash, stored_hashes, subtrees};

#[cfg(all(test, feature = "log"))]
mod tests;
