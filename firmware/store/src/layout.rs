//! How a segment file is divided: docs/storage.md, "Segment".
//!
//! Does not belong here: chunks (crate `evidence`), what a structure means (`segment`).

/// Commits, footers and the first chunk begin at multiples of this: one page and one physical sector, so that no
/// later write ever touches a sector with committed footage.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// The version of the segment and footer structures.
pub(crate) const FORMAT_VERSION: u16 = 1;
