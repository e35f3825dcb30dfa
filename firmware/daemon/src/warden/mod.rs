//! The warden: starts the roles, watches them, keeps settings and accounts.
//!
//! It listens on no network and parses no footage, so that what watches cannot be reached by what it watches.
//! `run` is its life, `supervisor` one role's, `desk` what roles may ask of it, `overview` the picture of the
//! whole that people see, `identity` the key and certificate, `backoff` the pause before a restart.

mod backoff;
mod desk;
mod identity;
mod memory;
mod overview;
mod run;
mod supervisor;

pub(crate) use run::run;
