//! HiMPP's layouts, values and errors, generation by generation.
//!
//! The vendor's library speaks the calling convention and the structures of 32-bit ARM. Here they are described so that they
//! have the same size and the same offsets on every target: what `mpp-host` hands to the real library, and what the
//! stand-in library takes on the builder's machine, is the same bytes. Each structure is checked while it is compiled.
//!
//! | Module | Holds |
//! |---|---|
//! | [`common`] | structures that all generations share |
//! | [`g1`], [`g2`], [`g3`] | structures of one generation; `g3` re-exports what it has in common with `g2` |
//!
//! A structure is zero unless said otherwise ([`Default`], [`Field::ZERO`]). `HI_BOOL` and enumerations are `i32` here: what
//! the library writes may be a value that we do not know. Sizes and offsets were read from the debug information of the
//! public headers, compiled for 32-bit ARM.
//!
//! Does not belong here: calling anything (`mpp-host`), and which value to choose (`hal-himpp`). No unsafe code.

#![no_std]

mod addr;
mod codes;
mod error;
mod functions;
mod generation;
mod layout;
mod structures;
mod words;

pub mod common;
pub mod g1;
pub mod g2;
pub mod g3;

pub use addr::Addr32;
pub use codes::{Codes, VoSync, value};
pub use error::{Description, ErrorCode, MppError, describe, error};
pub use functions::functions;
pub use generation::{Dialect, Generation, KNOWN_VERSIONS, UnknownGeneration, UnknownVersion, recognise};
pub use layout::{Field, Layout, Member};
pub use structures::structures;
pub use words::{Variant, Words};
