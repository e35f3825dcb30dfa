//! `cargo xtask bench NAME`: the registry of benchmarks.

use std::fs;

use serde::Serialize;

use crate::workspace::{Failure, target};
use crate::{bench_index, bench_record, bench_rtsp, bench_store};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The index of a full 4 TB volume: opening it after a power cut, and what a timeline asks of a year of 16 channels
    Index(bench_index::Args),
    /// Sixteen channels of 4 Mbit/s to disk, beside ffmpeg and, where it is on PATH, Moonfire NVR recording the same streams
    Record(bench_record::Args),
    /// One stream to 10 to 500 RTSP clients, beside what the sockets alone cost, and beside gst-rtsp-server
    Rtsp(bench_rtsp::Args),
    /// The store alone, beside a loop that only writes and syncs, and beside ffmpeg
    Store(bench_store::Args),
}

/// Measures, prints, and keeps the figures.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.what {
        What::Index(args) => {
            let figures = bench_index::run(args)?;
            keep("index", &figures)?;
            figures.verdict()
        }
        What::Record(args) => keep("record", &bench_record::run(args)?),
        What::Rtsp(args) => keep("rtsp", &bench_rtsp::run(args)?),
        What::Store(args) => bench_store::run(args)?.map_or(Ok(()), |figures| keep("store", &figures)),
    }
}

fn keep(name: &str, figures: &impl Serialize) -> Result<(), Failure> {
    let dir = target().join("bench");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{name}.json"));
    fs::write(&path, serde_json::to_string_pretty(figures)?)?;
    println!("figures: {}", path.display());
    Ok(())
}
