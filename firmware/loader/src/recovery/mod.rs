//! Recovery: for when no slot holds a system that may be started.
//!
//! It is what an owner needs then, and nothing else.
//!
//! A page over HTTPS says why it is there, asks for the code that the console shows, takes a bundle, verifies and installs it, and
//! restarts the board. Whoever cannot read the console can read the page and no more.
//!
//! Does not belong here: deciding that recovery is needed (`decide.rs`), formats and keys (`update`).

mod api;
mod desk;
mod identity;
mod media;
mod network;
mod page;
mod presence;
mod run;
mod server;
mod stage;
#[cfg(test)]
mod tests;

pub(crate) use run::run;
