//! What footage proves: chunks, the proofs in files, and their verification.
//!
//! A chunk is up to a second of one stream; its header names the payload's hash and the chunk before (docs/storage.md). An
//! exported file carries the headers and what the ledger says about them (docs/evidence.md); [`verify`] tells from the file and a
//! public key whether it is what was recorded. That needs no recorder: this crate reads what it is handed, and compiles to
//! WebAssembly. Does not belong here: where chunks lie on a disk (crate `store`).
//!
//! Invariants
//! - Nothing here trusts what it is given: sizes and counts are bounded before they are used.
//! - What a header means is covered by its hash; where it lies is, too, but not by the cipher's tag.

mod chunk;
mod cipher;
mod coverage;
mod error;
mod file;
pub mod layout;
mod moment;
mod outline;
mod proof;
mod reasons;
mod report;
mod sample;
mod samples;
mod shown;
mod statement;
mod text;
mod trust;
mod verify;
mod walk;

pub use chunk::{
    CHUNK_DISCONTINUITY, CHUNK_KEYFRAME, CHUNK_UNHASHED, ChunkHeader, FIXED_BYTES, Frame, HeaderError, KeyId,
    MAX_HEADER_BYTES, Placement, TAG_BYTES, header_bytes, stream, stride, wall_at,
};
pub use cipher::{LifeKey, NotAuthentic, SECRET_BYTES, VolumeId, VolumeKey, derive};
pub use coverage::{JOIN_MICROS, NEW_TIMELINE_MICROS};
pub use error::VerifyError;
pub use proof::{
    Manifest, PROOF_BRAND, PROOF_UUID, Proof, ProofRun, ProofTrack, leaf_record, leaf_record_bytes,
};
pub use report::{
    Absent, Export, Finding, Gap, GapKind, Place, Reason, Recorder, Report, Seen, TrackReport, Verdict,
};
pub use sample::{MAX_ENTRY_BYTES, SampleFormat};
pub use trust::{Fingerprint, NoKey, Trusted};
pub use verify::verify;

#[cfg(test)]
mod tests;
