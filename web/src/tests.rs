//! The whole site, asked over an API that lives in memory.
//!
//! Each file asks one kind of question; `memory.rs` answers for the recorder, `ask.rs` asks.
//!
//! Does not belong here: tests of one file's inside (they stand in it).

mod access;
mod ask;
mod assets;
mod bodies;
mod connections;
mod document;
mod files;
mod memory;
mod streams;
mod threats;
mod updates;
mod upload;
