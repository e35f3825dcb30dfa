//! `candor verify`: whether an exported file is what a recorder recorded.
//!
//! The recorder's program has this command, and `candor-verify` (`main.rs`) has nothing else. Does not belong here: the
//! verification (crate `evidence`).
//!
//! Invariant: exit code 0 says that somebody has compared the key; nothing else does.

mod command;

pub use command::{VerifyArgs, run};
