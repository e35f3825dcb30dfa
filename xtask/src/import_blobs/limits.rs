//! How much of anything a dump may make us do.
//!
//! A dump is whatever somebody read from a chip: half of it may be missing, and it may be made to harm.

/// The largest flash of a recorder heard of has 128 MiB.
pub(super) const MAX_DUMP_BYTES: u64 = 1 << 30;
/// The largest module heard of has 6.6 MB (`hi3531_vfmw.ko`).
pub(super) const MAX_FILE_BYTES: usize = 32 << 20;
/// All files together.
pub(super) const MAX_TOTAL_BYTES: usize = 512 << 20;
/// A vendor has some fifty modules and as many libraries.
pub(super) const MAX_FILES: usize = 1024;
/// Names in one file system.
pub(super) const MAX_ENTRIES: usize = 50_000;
/// Folders within folders.
pub(super) const MAX_DEPTH: usize = 16;
/// File systems in a dump.
pub(super) const MAX_PLACES: usize = 64;
/// What is told of what went wrong.
pub(super) const MAX_NOTES: usize = 200;
/// Compressed names and inodes of a squashfs: vendors' have some 100 KB; what they may grow to is a few hundred times that.
pub(super) const MAX_SQUASHFS_TABLE_BYTES: u64 = 1 << 20;
/// Nodes of a JFFS2: one for each 4 KiB written.
pub(super) const MAX_NODES: usize = 200_000;
/// Memory of the whole program while it reads a dump. What asks for more ends it, with nothing written yet.
pub(super) const MAX_ADDRESS_SPACE: u64 = 6 << 30;
