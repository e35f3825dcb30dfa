//! `cargo xtask import-blobs DUMP`: a vendor's files, out of a flash dump.
//!
//! The modules and libraries of the owner's own board. The dump is searched for file systems by their magic numbers; each is read in memory by code that checks every length,
//! and nothing of it but plain files with recognised names is written, into one new folder, beside a manifest. Squashfs is read by
//! the crate backhand. For cramfs, romfs and JFFS2 there is none that bounds what a damaged image makes it do, so those
//! readers are here, one a file; the formats are small.
//!
//! Does not belong here: reading flash (docs/flashing.md), what becomes of the files (buildroot/package/candor-blobs).

mod command;
mod cramfs;
mod field;
mod jffs2;
mod jffs2_node;
mod keep;
mod limits;
mod manifest;
mod romfs;
mod scan;
mod squashfs;
#[cfg(test)]
mod tests;
mod uimage;

pub(crate) use command::{Args, run};
