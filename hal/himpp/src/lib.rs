//! The vendor's media platform behind the HAL: the client of `mpp-host`.
//!
//! The vendor's library is closed, talks to closed kernel modules, and does not survive every misuse. So it lives in a
//! process of its own (`host/`), and this crate is its client: it plans what the library is told, adds up the memory that
//! this takes, draws titles and clocks, places packs in time, and starts the host again when it fails. The recorder goes on.
//!
//! Does not belong here: the vendor's structures (`mpp-abi`), the messages (`mpp-wire`), drivers of analog decoders (`hal-linux`).

mod backend;
mod budget;
mod channel;
mod command;
mod controls;
mod counters;
mod deliver;
mod error;
mod follow;
mod gate;
mod host;
mod host_log;
mod link;
mod monitor;
mod osd;
mod plan;
mod ring_file;
mod shared;
mod signal;
mod supervisor;
mod timeline;

pub use backend::{HimppBackend, Options};
pub use counters::Counters;
pub use host::{HostProcess, HostProgram, Spawn};
pub use signal::OpenFrontEnd;
