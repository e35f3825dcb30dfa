//! xtask: developer commands, run as `cargo xtask COMMAND`.
//!
//! This file turns a command into a call and an error into an exit code.

mod bench;
mod bench_index;
mod bench_index_open;
mod bench_record;
mod bench_record_calls;
mod bench_record_floor;
mod bench_record_kill;
mod bench_record_peer;
mod bench_record_play;
mod bench_record_recorder;
mod bench_rtsp;
mod bench_rtsp_peer;
mod bench_rtsp_role;
mod bench_store;
mod bench_store_case;
mod bench_store_crash;
mod bench_store_disk;
mod bench_store_ffmpeg;
mod buildroot;
mod demo;
mod demo_settings;
mod emulate;
mod fuzz;
mod image;
mod import_blobs;
mod processes;
mod sbom;
mod spread;
mod steps;
mod stream_key;
mod system_calls;
mod test;
mod tidy;
mod torture;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of Candor
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build and run the recorder with four channels until Ctrl-C
    Demo(demo::Args),
    /// Run every test and check
    Test,
    /// Make what is flashed onto a board: kernel, loader, root, flash images, bundle
    Image(image::Args),
    /// Make what tests of the vendor's media platform run on this machine, in target/media/
    Media,
    /// Make the program that verifies exported files and needs nothing else: target/verifier/candor-verify
    Verifier,
    /// Run a board's image in QEMU, with its console on this terminal
    Emulate(emulate::Args),
    /// Measure, beside a peer in the same run; a table, and figures in target/bench/NAME.json
    Bench(bench::Args),
    /// Take a vendor's modules and libraries out of a flash dump, with a manifest of hashes
    ImportBlobs(import_blobs::Args),
    /// Check our Buildroot files
    #[command(subcommand)]
    Buildroot(buildroot::Args),
    /// Cut the emulated board's power at every write of an update, and while it records
    Torture(torture::Args),
    /// Look for input that the RTSP server cannot bear, with libFuzzer
    Fuzz(fuzz::Args),
    /// Check layers, import circles, file heads, lengths and links
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Test => test::run(),
        Command::Image(args) => image::run(&args),
        Command::Media => image::make_media(),
        Command::Verifier => image::make_verifier(),
        Command::Emulate(args) => emulate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::ImportBlobs(args) => import_blobs::run(&args),
        Command::Buildroot(args) => buildroot::run(&args),
        Command::Torture(args) => torture::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Tidy => tidy::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
