//! `cargo xtask image`: everything that is flashed onto a board, from source.
//!
//! `compose.rs` says in which order; the other files make one thing each. What they make is listed in `places.rs`.

mod audit;
mod bundle;
mod cache;
mod command;
mod compose;
mod ext4_seed;
mod flash;
mod flash_file;
mod initramfs;
mod kernel;
mod keys;
mod media;
mod media_musl;
mod pack;
mod places;
mod programs;
mod progress;
mod ram;
mod reproduce;
mod root;
mod sbom;
mod seed;
mod sizes;
mod source;
mod stage;
mod tool;
mod toolchain;
mod verifier;

pub(crate) use command::{Args, make, make_media, run};
pub(crate) use pack::{Made, PackArgs, pack, write_root_keys};
pub(crate) use places::Places;
pub(crate) use tool::run as run_tool;
pub(crate) use verifier::make_verifier;
