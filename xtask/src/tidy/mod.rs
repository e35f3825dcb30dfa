//! `cargo xtask tidy`: the rules of structure that no compiler checks.
//!
//! `layers`: crates use only what lies below them. `files`: heads, lengths, faces. `circles`: no file imports
//! in a circle. `links`: no dead link in a document.

mod circles;
mod files;
mod layers;
mod links;
mod run;
mod source;

pub(crate) use run::run;
