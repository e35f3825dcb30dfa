//! A stage that holds the root too, for trying a board without writing flash.
//!
//! The boot loader fetches it over the network. Does not belong here: what the loader does with it.

use std::path::PathBuf;

use super::places::Places;
use super::source::Source;
use super::toolchain::TARGET;
use super::{initramfs, keys, stage};
use crate::workspace::Failure;

/// Writes `stage-ram.uimage` from an image that was just made.
pub(super) fn write(places: &Places, source: &Source) -> Result<PathBuf, Failure> {
    let keys = keys::open(&places.keys, source)?;
    let loader = places.cross.join(TARGET).join("board/loader");
    let packed = places.out.join("initramfs-ram.cpio.xz");
    let root = places.out.join("root");
    initramfs::write_with_root(&packed, &loader, &keys.root_document, &root, source)?;
    let output = places.out.join("stage-ram.uimage");
    stage::write_to(&output, places, source, &packed, stage::KERNEL_AT)?;
    Ok(output)
}
