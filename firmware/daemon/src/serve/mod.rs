//! The role `serve`: everything that listens on the network.
//!
//! `run` starts it, `listeners` are its ports, `house` is what its parts share, `api` implements `web::Api`,
//! `accounts` is who may sign in, `password_line` the line before the password verifier, `watchers` who is watching, `updates` what pages are told, `update` the way of new software and other orders to the warden, `views` turns the
//! recorder's state into the API's words, `gate` decides for RTSP,
//! `happenings` has what happens, and `replays` what was recorded for it.
//!
//! It has no disk and no footage keys: footage comes from `record` through `footage_client`, settings and
//! accounts are kept by the warden.

mod accounts;
mod api;
mod deletions;
mod gate;
mod happenings;
mod house;
mod listeners;
mod locks;
mod marks;
mod notes;
mod password_line;
mod recording;
mod replays;
mod run;
mod storage;
mod stream;
mod update;
mod updates;
mod views;
mod watchers;

pub(crate) use run::run;
