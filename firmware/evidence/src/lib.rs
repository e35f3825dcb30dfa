//! What footage proves: chunks as they are stored, and who can vouch for them.
//!
//! A chunk is up to a second of one stream; its header names the payload's hash and the chunk before. docs/storage.md
//! has every byte. Whoever verifies an export needs this crate and a public key, no recorder: it does no I/O and
//! compiles to WebAssembly. Does not belong here: where chunks lie on a disk (crate `store`).
//!
//! Invariants
//! - Nothing here trusts what it is given: sizes and counts are bounded before they are used.
//! - What a header means is covered by its hash; where it lies is, too, but not by the cipher's tag.

mod chunk;
mod cipher;
pub mod layout;
mod sample;

pub use chunk::{
    CHUNK_DISCONTINUITY, CHUNK_KEYFRAME, CHUNK_UNHASHED, ChunkHeader, FIXED_BYTES, Frame, HeaderError, KeyId,
    MAX_HEADER_BYTES, Placement, TAG_BYTES, header_bytes, stream, stride, wall_at,
};
pub use cipher::{LifeKey, NotAuthentic, SECRET_BYTES, VolumeId, VolumeKey, derive};
pub use sample::{MAX_ENTRY_BYTES, SampleFormat};
