//! Settings: what the owner chose, in one TOML file.
//!
//! `model` is the shape, `validate` the rules, `load` the file: an error names the file, the line and what to
//! do. Only the warden reads or writes the file; a role is given the part it needs (`model::Settings::for_role`).
//!
//! Does not belong here: accounts and keys (crate `auth`), facts about the board (crate `board`).

mod change;
mod load;
mod model;
mod validate;

pub(crate) use change::{CameraChange, Change, ChangeError, apply};
#[cfg(test)]
pub(crate) use load::parse;
pub(crate) use load::{load, save};
pub(crate) use model::{Camera, Channel, Input, Settings, Stream, Transport};
