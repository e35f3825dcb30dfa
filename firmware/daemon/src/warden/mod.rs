//! The warden: starts the roles, watches them, keeps settings and accounts.
//!
//! It listens on no network and parses no footage, so that what watches cannot be reached by what it watches.
//! `run` is its life on a PC and `board` on a board, `supervisor` one role's, `desk` what roles may ask of it,
//! `overview` the picture of the whole that people see, `keeper` where things are kept, `kept` the settings
//! there, `identity` the key and certificate, `footage_keys` what footage is encrypted with, `backoff` the pause before a restart. Of a board alone are
//! `children` (orphans), `disks`, `network`, `time`, `contacts` (alarms and the button), `indicators` (lights),
//! `devices` (where contacts and lights are) and `watchdog`.
//! New software: `update` is the picture of it and its orders, `update_start` its beginning, `update_slots` where
//! it lies, `update_line` who brings it, `update_intake` how it is taken, `update_install` how it is written,
//! `update_trial` and `update_health` whether it is healthy, `update_sticks` what USB sticks have, `presence` the
//! proof that an owner stands before the recorder.

mod alarm_events;
mod backoff;
mod board;
mod children;
mod contacts;
mod desk;
mod devices;
mod disk_hands;
mod disks;
mod flash_keeper;
mod footage_keys;
mod identity;
mod indicators;
mod keeper;
mod kept;
mod ledger_key;
mod memory;
mod modules;
mod network;
mod overview;
mod presence;
mod progress;
mod run;
mod supervisor;
mod time;
mod update;
mod update_health;
mod update_install;
mod update_intake;
mod update_line;
mod update_slots;
mod update_start;
mod update_sticks;
mod update_trial;
mod watchdog;

pub(crate) use board::{init, is_init};
pub(crate) use run::run;
