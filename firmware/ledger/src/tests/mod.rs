//! Tests over several files of this crate.

mod crash;
mod disk;
mod events;
mod notes;
mod proofs;
mod support;
