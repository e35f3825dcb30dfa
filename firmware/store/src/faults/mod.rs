//! A disk that fails on order: for tests of this crate and of whoever records.
//!
//! [`FaultDisk`] works on a real folder, or on a [`MemoryDisk`] that can be copied at any moment for nothing. It remembers
//! what was not synced; a power cut then takes that away, all of it or some sectors. The index is SQLite's and is not
//! affected. Does not belong here: deciding what to test.
//!
//! Invariants
//! - What `sync_data` (and for names `sync_dir`) promised stays, except for a disk that was told to lie.
//! - The same seed loses the same sectors.

mod disk;
mod fault;
mod machine;
mod medium;
mod memory;
mod moment;
mod stall;
mod unsynced;

pub use disk::FaultDisk;
pub use fault::{Fault, Loss};
pub use memory::MemoryDisk;
pub use moment::{Moment, Operation};
pub use stall::Stall;
