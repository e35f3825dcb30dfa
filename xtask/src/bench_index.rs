//! `cargo xtask bench index`: what the index of a full 4 TB volume costs.
//!
//! A year of 16 channels with sound, without the footage (`store::simulate`): how large the index is, how long the volume
//! takes to open, and how long a timeline takes to answer. Goals: opened within 2 s, a year answered in 10 ms.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hal::{ChannelId, Clock, StreamId, StreamKind, SystemClock, WallTime};
use serde::Serialize;
use store::simulate::{Pattern, Simulation};
use store::{Keys, Reader, Store, StoreOptions};

use crate::workspace::Failure;

const CHANNELS: u16 = 16;
/// 2025-11-20T10:00:00Z.
const START: WallTime = WallTime::from_unix_micros(1_763_632_800_000_000);
const DAY_MICROS: i64 = 86_400_000_000;
/// Of each question; the 50th and the 99th of them count.
const QUESTIONS: usize = 100;
/// Runs of one channel that a screen can show.
const AT_MOST: usize = 2000;
const OPENINGS: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder for the volume: 2 GB of a file system with sparse files
    #[arg(long, default_value = "/dev/shm")]
    place: PathBuf,
}

#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    patterns: Vec<PatternFigures>,
}

#[derive(Debug, Serialize)]
struct PatternFigures {
    what: String,
    segments: u64,
    runs: u64,
    index_bytes: u64,
    /// The slowest.
    opened_for_writing_ms: f64,
    opened_for_reading_ms: f64,
    timelines: Vec<Timeline>,
}

#[derive(Debug, Serialize)]
struct Timeline {
    days: i64,
    p50_ms: f64,
    p99_ms: f64,
    /// Of all channels.
    runs: usize,
    /// Whether short gaps were left out.
    merged: bool,
}

/// Makes both volumes, one after the other, and asks them.
pub(crate) fn run(args: &Args) -> Result<Figures, Failure> {
    let patterns = [Pattern::Continuous { gaps_a_day: 4 }, Pattern::Events { a_day: 100 }];
    let patterns = patterns.into_iter().map(|pattern| measure(args, pattern));
    Ok(Figures { patterns: patterns.collect::<Result<_, _>>()? })
}

fn measure(args: &Args, pattern: Pattern) -> Result<PatternFigures, Failure> {
    let dir = tempfile::tempdir_in(&args.place)?;
    let channels: Vec<ChannelId> = (1..=CHANNELS).filter_map(ChannelId::new).collect();
    let of = |kind| channels.iter().map(move |channel| StreamId::new(*channel, kind));
    let mains: Vec<StreamId> = of(StreamKind::Main).collect();
    let streams = mains.iter().copied().chain(of(StreamKind::Audio)).collect();
    let simulation = Simulation::year(streams, START, pattern);
    println!("==> {pattern:?}, a year of {CHANNELS} channels with sound, {} segments", simulation.segments);
    let runs = simulation.make(dir.path())?;
    let (writing, reading) = open(dir.path(), &simulation)?;
    let index_bytes = store::simulate::index_bytes(dir.path())?.0;
    println!(
        "{runs} runs, index of {:.1} MB; opened for writing in {writing:.1} ms, for reading in {reading:.1} ms",
        index_bytes as f64 / 1e6
    );
    let timelines = [365, 90, 30, 1].map(|days| ask(dir.path(), &simulation, &mains, days));
    Ok(PatternFigures {
        what: format!("{pattern:?}"),
        segments: simulation.segments,
        runs,
        index_bytes,
        opened_for_writing_ms: writing,
        opened_for_reading_ms: reading,
        timelines: timelines.into_iter().collect::<Result<_, _>>()?,
    })
}

/// Milliseconds that the slowest opening took, for writing and for reading.
fn open(dir: &Path, simulation: &Simulation) -> Result<(f64, f64), Failure> {
    let options = StoreOptions {
        segment_bytes: simulation.segment_bytes,
        ..StoreOptions::with_max_bytes(simulation.max_bytes())
    };
    let clock = Arc::new(SystemClock::new());
    let (mut writing, mut reading) = (0_f64, 0_f64);
    for _ in 0..OPENINGS {
        let begun = clock.mono();
        let store = Store::open(dir, options, &Keys::default(), clock.clone())?;
        writing = writing.max(millis(&*clock, begun));
        drop(store);
        let begun = clock.mono();
        let reader = Reader::open(dir, &Keys::default())?;
        reading = reading.max(millis(&*clock, begun));
        drop(reader);
    }
    Ok((writing, reading))
}

fn ask(dir: &Path, simulation: &Simulation, streams: &[StreamId], days: i64) -> Result<Timeline, Failure> {
    let reader = Reader::open(dir, &Keys::default())?;
    let clock = SystemClock::new();
    let to = simulation.end();
    let mut times = Vec::new();
    let mut answer = Vec::new();
    for _ in 0..QUESTIONS {
        let begun = clock.mono();
        answer = reader.coverage(streams, to.offset_micros(-days * DAY_MICROS), to, AT_MOST)?;
        times.push(millis(&clock, begun));
    }
    times.sort_by(f64::total_cmp);
    let timeline = Timeline {
        days,
        p50_ms: times[QUESTIONS / 2],
        p99_ms: times[QUESTIONS - 1 - QUESTIONS / 100],
        runs: answer.iter().map(|coverage| coverage.runs.len()).sum(),
        merged: answer.iter().any(|coverage| coverage.merged),
    };
    println!(
        "{days} days of {} streams: p50 {:.2} ms, p99 {:.2} ms; {} runs, {}",
        streams.len(),
        timeline.p50_ms,
        timeline.p99_ms,
        timeline.runs,
        if timeline.merged { "short gaps merged" } else { "exact" }
    );
    Ok(timeline)
}

fn millis(clock: &dyn Clock, since: hal::MonoTime) -> f64 {
    clock.mono().since(since).as_secs_f64() * 1e3
}
