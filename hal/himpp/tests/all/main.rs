//! The client against a host that does what a test wants.

mod life;
mod orders;
mod packs;
mod signals;
mod stage;
