//! candor: the recorder program.
//!
//! One program plays every role (docs/architecture.md): `candor run` is the warden, which starts the others.
//! This file turns a command into a call and an error into an exit code, and does nothing else.

mod account;
mod accounts_text;
mod announcer;
mod archive;
mod args;
mod backend;
mod board_settings;
mod boot;
mod bus_sink;
mod capture_role;
mod clock_watch;
mod control;
mod event_watch;
mod export_command;
mod files;
mod footage;
mod footage_client;
mod footage_deletions;
mod footage_keys;
mod footage_locks;
mod footage_refusal;
mod footage_replay;
mod footage_server;
mod ingest_role;
mod ipc;
mod keeping;
mod leaf_search;
mod ledger_seals;
mod logs;
mod loss_tally;
mod messages;
mod meter;
mod monitor;
mod motion;
mod motion_events;
mod notary;
mod probe_command;
mod record_ledger;
mod record_role;
mod record_volume;
mod record_volumes;
mod role;
mod roles;
mod serve;
mod settings;
mod shelf;
mod store_command;
mod update_command;
#[cfg(test)]
mod update_fixtures;
mod update_line;
mod version;
mod volume_life;
mod volume_order;
mod vouchers;
mod warden;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Command, CommandLine};

fn main() -> ExitCode {
    if warden::is_init() {
        warden::init();
    }
    let line = CommandLine::parse();
    logs::begin();
    let outcome = match line.command {
        Command::Run(args) => warden::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Role { role } => roles::run(role).map(|()| ExitCode::SUCCESS),
        Command::Store(command) => store_command::run(&command),
        Command::Export(args) => export_command::run(&args),
        Command::Verify(args) => Ok(verifier::run(&args)),
        Command::Update(command) => update_command::run(&command),
        Command::Probe(args) => probe_command::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("candor: {error}");
        ExitCode::FAILURE
    })
}
