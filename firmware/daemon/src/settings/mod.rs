//! Settings: what the owner chose, as one TOML text.
//!
//! `model` is the shape, `validate` the rules, `load` the text: an error names the line and what to do;
//! `migrate` knows the older versions. Only the warden reads or writes the text (`warden/kept.rs`); a role is
//! given the part it needs (`model::Settings::for_role`).
//!
//! Does not belong here: accounts and keys (crate `auth`), facts about the board (crate `board`).

mod allow;
mod change;
mod keep_days;
mod load;
mod migrate;
mod model;
mod validate;

pub(crate) use allow::admits;
pub(crate) use change::{CameraChange, Change, ChangeError, apply};
pub(crate) use keep_days::{class_of, most_days};
pub(crate) use load::{SettingsError, parse};
pub(crate) use migrate::{OLDEST_VERSION, merged, text_for};
pub(crate) use model::{
    Alarm, Camera, Channel, Input, Multicast, Network, Settings, Storage, Stream, Transport, VERSION,
};
