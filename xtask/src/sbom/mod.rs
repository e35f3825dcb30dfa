//! What is in an image, named: `sbom.cdx.json` (CycloneDX 1.5) and `licences.txt`.
//!
//! `parts.rs` gathers from `crates.rs`, `app.rs` and `native.rs`, `audit.rs` asks the programs; `document.rs` and `licences.rs` write. The same
//! sources give the same bytes. Does not belong here: making the image (`image/`).

mod app;
mod audit;
mod crates;
mod document;
mod facts;
mod licences;
mod native;
mod part;
mod parts;
mod write;

pub(crate) use facts::{Facts, File, Kernel, Packaged};
pub(crate) use write::write;
