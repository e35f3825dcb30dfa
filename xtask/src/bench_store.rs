//! `cargo xtask bench store`: what the store costs, beside a floor and ffmpeg.
//!
//! Each case is a process of its own (`bench_store_case`), so that its memory and CPU time are its own. The floor is a
//! loop that writes the same bytes with the same rhythm of `fdatasync` and does nothing else. Cases are repeated in turn,
//! so that a moment's noise does not fall on one of them alone, and the middle one counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::bench_store_case::{Case, Mode, Outcome};
use crate::bench_store_crash::{self, CrashFigures};
use crate::bench_store_ffmpeg;
use crate::workspace::{Failure, target};

/// Seconds of footage a case writes as fast as it goes: 16 streams of 4 Mbit/s then make 0.96 GB.
const SECONDS: u32 = 120;
const QUICK_SECONDS: u32 = 20;
/// Seconds that a case in real time takes.
const PACED_SECONDS: u32 = 30;
const QUICK_PACED_SECONDS: u32 = 10;
/// Of each case; the one in the middle counts.
const REPEATS: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shorter, and each case once
    #[arg(long)]
    quick: bool,
    /// One case, as JSON: what this program starts itself for
    #[arg(long, hide = true)]
    case: Option<String>,
}

/// The figures.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    cases: Vec<Line>,
    /// CPU seconds a gigabyte of the store without hashing and encryption, for each of the floor's, by medium and streams.
    ratio_to_floor: BTreeMap<String, f64>,
    ffmpeg: Vec<bench_store_ffmpeg::Line>,
    crash: CrashFigures,
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    medium: &'static str,
    #[serde(flatten)]
    case: Case,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Runs it all and prints the tables; `None` when it was one case.
pub(crate) fn run(args: &Args) -> Result<Option<Figures>, Failure> {
    if let Some(case) = &args.case {
        let outcome = serde_json::from_str::<Case>(case)?.run()?;
        println!("{}", serde_json::to_string(&outcome)?);
        return Ok(None);
    }
    if cfg!(debug_assertions) {
        return Err(
            "figures of an unoptimised build mean nothing: cargo run --release -p xtask -- bench store"
                .into(),
        );
    }
    let (seconds, paced, repeats) =
        if args.quick { (QUICK_SECONDS, QUICK_PACED_SECONDS, 1) } else { (SECONDS, PACED_SECONDS, REPEATS) };
    let mut cases = Vec::new();
    for (medium, root) in media()? {
        let mut shapes: Vec<Case> = Vec::new();
        for streams in [16, 64] {
            shapes.extend(Mode::ALL.map(|mode| Case::new(mode, streams, seconds, false)));
        }
        shapes.extend([16, 64].map(|streams| Case::new(Mode::Hashed, streams, paced, true)));
        cases.extend(measure(medium, &root, &shapes, repeats)?);
    }
    print(&cases);
    let ffmpeg = bench_store_ffmpeg::run(&target().join("bench/store"), if args.quick { 10 } else { 60 })?;
    let crash = bench_store_crash::run(&target().join("bench/store"), if args.quick { 5 } else { 12 })?;
    let ratio_to_floor = ratios(&cases);
    println!("\nCPU time to the floor's, no hashing and no encryption (goal: 1.3 at most)");
    for (name, ratio) in &ratio_to_floor {
        println!("  {name:<22} {ratio:.2}");
    }
    Ok(Some(Figures { cases, ratio_to_floor, ffmpeg, crash }))
}

/// Memory, and the disk under the build folder.
fn media() -> Result<Vec<(&'static str, PathBuf)>, Failure> {
    let disk = target().join("bench/store");
    fs::create_dir_all(&disk)?;
    let memory = Path::new("/dev/shm");
    let mut media = vec![("disk", disk)];
    if memory.is_dir() {
        media.insert(0, ("tmpfs", memory.to_owned()));
    }
    Ok(media)
}

fn measure(medium: &'static str, root: &Path, shapes: &[Case], repeats: usize) -> Result<Vec<Line>, Failure> {
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); shapes.len()];
    for turn in 1..=repeats {
        for (case, outcomes) in shapes.iter().zip(&mut outcomes) {
            println!("==> {medium}, {}, turn {turn} of {repeats}", case.title());
            outcomes.push(in_a_process(root, case)?);
        }
    }
    Ok(shapes
        .iter()
        .zip(outcomes)
        .map(|(case, mut outcomes)| {
            outcomes.sort_by(|a, b| a.cpu_sec_per_gb.total_cmp(&b.cpu_sec_per_gb));
            Line { medium, case: case.clone(), outcome: outcomes.swap_remove(outcomes.len() / 2) }
        })
        .collect())
}

fn in_a_process(root: &Path, case: &Case) -> Result<Outcome, Failure> {
    let dir = root.join(format!("candor-bench-{}", std::process::id()));
    let case = Case { dir: dir.clone(), ..case.clone() };
    let output = Command::new(std::env::current_exe()?)
        .args(["bench", "store", "--case", &serde_json::to_string(&case)?])
        .stderr(Stdio::inherit())
        .output();
    let removed = fs::remove_dir_all(&dir);
    let output = output?;
    if !output.status.success() {
        return Err(format!("{}: {}", case.title(), output.status).into());
    }
    removed?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn ratios(cases: &[Line]) -> BTreeMap<String, f64> {
    let find = |line: &Line, mode| {
        cases.iter().find(|other| {
            other.case.mode == mode && other.medium == line.medium && other.case.streams == line.case.streams
        })
    };
    cases
        .iter()
        .filter(|line| line.case.mode == Mode::Bare)
        .filter_map(|line| {
            let floor = find(line, Mode::Floor)?.outcome.cpu_sec_per_gb;
            let name = format!("{}, {} streams", line.medium, line.case.streams);
            Some((name, line.outcome.cpu_sec_per_gb / floor))
        })
        .collect()
}

fn print(cases: &[Line]) {
    println!(
        "\n{:<6} {:<28} {:>9} {:>8} {:>10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>11}",
        "medium",
        "case",
        "CPU s/GB",
        "MB/s",
        "amplific.",
        "sync/s",
        "folder/s",
        "other/s",
        "write/s",
        "MB resid.",
        "first byte"
    );
    for Line { medium, case, outcome } in cases {
        println!(
            "{medium:<6} {:<28} {:>9.2} {:>8.0} {:>10} {:>8.2} {:>8.2} {:>8.2} {:>8.1} {:>9.1} {:>11}",
            case.title(),
            outcome.cpu_sec_per_gb,
            outcome.megabytes_per_sec,
            outcome.write_amplification.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}")),
            outcome.syncs_per_footage_sec,
            outcome.folder_syncs_per_footage_sec,
            outcome.other_syncs_per_footage_sec,
            outcome.writes_per_footage_sec,
            outcome.resident_bytes as f64 / 1e6,
            outcome.first_byte_micros.map_or_else(|| "-".to_owned(), |micros| format!("{micros} us")),
        );
    }
    println!(
        "A second of footage: sync/s is fdatasync of segments, folder/s fsync of their folder, other/s syncs of files that are \
         made or replaced, write/s writes to segments.\nNot counted: what SQLite writes and syncs for the index (its bytes are in \
         the amplification); there is no ledger here. cargo xtask bench record counts both."
    );
}
