//! A stream, servers that hand it out, and a crowd that watches: for benchmarks.
//!
//! `cargo xtask bench rtsp` runs this program in its roles, each a process of its own, and measures them from outside. Every
//! server plays the same synthetic stream (`stream.rs`), whose pictures say when they were published; `clients` tells how many
//! of them came, and when. A server prints `port N` and ends when its standard input does.
//!
//! Does not belong here: what a process uses, comparing, repeating (xtask's `bench_rtsp.rs`).

mod clients;
mod cut;
mod floor;
mod gst;
mod ours;
mod ready;
#[path = "../../tests/common/said.rs"]
mod said;
mod stream;
mod talk;
mod tally;
mod viewer;

use std::path::PathBuf;

use clap::Parser;

use crate::talk::Failure;

/// Plays one part of the benchmark of RTSP servers
#[derive(Debug, Parser)]
enum Role {
    /// This crate's server, over a ring as the recorder's
    Candor,
    /// Each access unit to each socket as one contiguous write, and nothing else
    Floor,
    /// gst-rtsp-server with one pipeline for all
    Gst,
    /// Publishes what `candor` serves, in a folder of rings
    #[command(hide = true)]
    Camera { dir: PathBuf },
    /// Waits until a server plays, and says so
    Ready(ready::Args),
    /// Those who watch
    Clients(clients::Args),
}

fn main() -> Result<(), Failure> {
    match Role::parse() {
        Role::Candor => ours::run(),
        Role::Camera { dir } => ours::camera(&dir),
        Role::Floor => floor::run(),
        Role::Gst => gst::run(),
        Role::Ready(args) => ready::run(&args),
        Role::Clients(args) => clients::run(&args),
    }
}
