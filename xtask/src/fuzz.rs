//! `cargo xtask fuzz`: strangers' input, made up by libFuzzer.
//!
//! Does not belong here: what a target does with its input (`firmware/rtsp/src/fuzzing.rs`), which is tested with the
//! corpus in `fuzz/seeds` wherever the other tests run.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::steps::run as step;
use crate::workspace::{Failure, root, target};

/// Those of `fuzz/Cargo.toml`.
const TARGETS: &[&str] = &["request", "framing", "session", "tunnel"];

/// Real requests have under 1 KB; conversations several of them.
const MAX_INPUT_BYTES: u32 = 16 << 10;

/// One input that takes longer is a finding.
const MAX_INPUT_SEC: u32 = 10;

/// So is one for which this much is held.
const MAX_MEMORY_MB: u32 = 2048;

/// Compilers that are no nightly ones have the instruments too.
const STABLE: (&str, &str) = ("RUSTC_BOOTSTRAP", "1");

/// Options of a run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One target; without it all, beside each other
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
    /// How long each runs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
}

/// Fails when something was found, which is in `fuzz/artifacts/` then. What is learnt stays in `target/fuzz/corpus/`.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let targets: Vec<&str> = match &args.target {
        Some(one) => vec![one],
        None => TARGETS.to_vec(),
    };
    let folder = target().join("fuzz");
    let folder = folder.to_str().ok_or("the build folder's name is no UTF-8")?;
    if !Command::new("cargo").args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success())
    {
        return Err("cargo-fuzz is missing: cargo install --locked cargo-fuzz".into());
    }
    step("cargo", &["fuzz", "build", "--target-dir", folder], &[STABLE])?;
    let mut running = Vec::new();
    for name in targets {
        running.push((name, start(name, args.minutes, folder)?));
    }
    let mut found = Vec::new();
    for (name, mut child) in running {
        let status = child.wait()?;
        let log = log(folder, name);
        for line in fs::read_to_string(&log)?.lines().filter(|line| is_outcome(line)) {
            println!("{name}: {line}");
        }
        if !status.success() {
            found.push(log);
        }
    }
    if found.is_empty() { Ok(()) } else { Err(format!("found something: see {}", found.join(", ")).into()) }
}

fn start(name: &str, minutes: u32, folder: &str) -> Result<Child, Failure> {
    let corpus = Path::new(folder).join("corpus").join(name);
    fs::create_dir_all(&corpus)?;
    let output = File::create(log(folder, name))?;
    let mut command = Command::new("cargo");
    command.args(["fuzz", "run", "--target-dir", folder, name]);
    // New inputs go into the first folder.
    command.arg(&corpus).arg(root().join("fuzz/seeds").join(name)).arg("--");
    command.arg(format!("-max_total_time={}", minutes * 60));
    command.arg(format!("-max_len={MAX_INPUT_BYTES}"));
    command.arg(format!("-timeout={MAX_INPUT_SEC}"));
    command.arg(format!("-rss_limit_mb={MAX_MEMORY_MB}"));
    command.env(STABLE.0, STABLE.1).current_dir(root()).stdin(Stdio::null());
    println!("==> {name} for {minutes} min");
    Ok(command.stdout(output.try_clone()?).stderr(output).spawn()?)
}

fn log(folder: &str, name: &str) -> String {
    format!("{folder}/{name}.log")
}

/// Coverage, executions, and what was found.
fn is_outcome(line: &str) -> bool {
    line.contains("\tDONE ")
        || line.starts_with("Done ")
        || line.contains("SUMMARY: ")
        || line.contains("panicked at")
}
