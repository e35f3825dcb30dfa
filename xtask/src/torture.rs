//! `cargo xtask torture`: power cuts at every write, and at every flush.
//!
//! Does not belong here: the cuts themselves, which are `tests/src/bin/torture.rs`.

use clap::ValueEnum;

use crate::steps::run as step;
use crate::workspace::Failure;

/// The words for this program that make the image that these tests, and those of `make test`, run.
pub(crate) const TEST_IMAGE: &[&str] = &["image", "--board", "virt-a7", "--agent"];

/// Options of the sweep.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which flash layout
    #[arg(long, value_enum, default_value = "both")]
    layout: Layout,
    /// At most so many moments of each layout; those that differ most come first. Without it: all, which takes days
    #[arg(long)]
    limit: Option<usize>,
    /// So many real kills of the emulator in the midst of an update of each layout
    #[arg(long, default_value_t = 4)]
    kills: usize,
    /// So many cuts of a recording
    #[arg(long, default_value_t = 20)]
    recordings: usize,
    /// At most so many flushes of a recording, each with three disks; those that differ most come first. Without it: all
    #[arg(long)]
    flushes: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Layout {
    #[value(name = "16")]
    Nor16,
    #[value(name = "64")]
    Nor64,
    Both,
}

/// Fails when a board did not survive. Goes on where it was stopped, as long as the image is the same.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let layout = match args.layout {
        Layout::Nor16 => "16",
        Layout::Nor64 => "64",
        Layout::Both => "both",
    };
    let (kills, recordings) = (args.kills.to_string(), args.recordings.to_string());
    let mut words = vec!["--layout", layout, "--kills", &kills, "--recordings", &recordings];
    let limit = args.limit.map(|limit| limit.to_string());
    if let Some(limit) = &limit {
        words.extend(["--limit", limit]);
    }
    let flushes = args.flushes.map(|flushes| flushes.to_string());
    if let Some(flushes) = &flushes {
        words.extend(["--flushes", flushes]);
    }
    step("cargo", &[&["xtask"], TEST_IMAGE].concat(), &[])?;
    step("cargo", &["build", "--locked", "-p", "candor", "-p", "tests", "--bins"], &[])?;
    let mut command = vec!["run", "--locked", "--quiet", "-p", "tests", "--bin", "torture", "--"];
    command.extend(words);
    step("cargo", &command, &[])
}
