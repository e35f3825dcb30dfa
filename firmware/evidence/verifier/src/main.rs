//! `candor-verify`: `candor verify` as a program by itself.
//!
//! `cargo xtask verifier` builds it so that it needs no other file on any Linux machine of its kind. Does not belong here:
//! what it does (`lib.rs`).

use std::process::ExitCode;

use clap::Parser;
use verifier::VerifyArgs;

/// Say whether an exported file is what a recorder recorded, all of it; exits with 1 unless it is
#[derive(Debug, Parser)]
#[command(name = "candor-verify", version)]
struct CommandLine {
    #[command(flatten)]
    args: VerifyArgs,
}

fn main() -> ExitCode {
    verifier::run(&CommandLine::parse().args)
}
