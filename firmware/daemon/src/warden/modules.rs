//! Kernel modules of a media platform, loaded before the roles start.
//!
//! Does not belong here: which they are (the board's description), and how one is loaded (`hal-linux`).

use std::path::Path;

use board::{Board, Media};
use hal_linux::load_kernel_module;

/// Loads them in their order. One that fails is told, and the rest is tried: what depends on it fails by itself, and footage of
/// network cameras does not.
pub(super) fn load(board: &Board) {
    for module in board.media.iter().flat_map(|Media { modules, .. }| modules) {
        match load_kernel_module(Path::new(&module.file), &module.parameters) {
            Ok(()) => tracing::info!(file = module.file, parameters = module.parameters, "kernel module"),
            Err(error) => tracing::error!(%error, "the media platform lacks a kernel module"),
        }
    }
}
