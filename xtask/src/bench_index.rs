//! `cargo xtask bench index`: what the index of a full 4 TB volume costs.
//!
//! A year of 16 channels with sound, without the footage (`store::simulate`), but for two segments that a power cut left
//! open: how large the index is, how long the volume takes to open, and how long a timeline takes to answer. A goal that
//! is missed is an error.
//!
//! Does not belong here: how it is opened (`bench_index_open.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use hal::{ByteCount, Clock, StreamId, StreamKind, SystemClock};
use serde::Serialize;
use store::simulate::{Pattern, Simulation};
use store::{Keys, Reader};

use crate::bench_index_open::{self, Opening, START, streams};
use crate::workspace::{Failure, target};

const CHANNELS: u16 = 16;
/// From asking for the volume to recording on it, or reading it, whatever happened before and whatever is in memory.
const OPEN_GOAL_MS: f64 = 2000.0;
/// The 99th percentile, with warm caches.
const YEAR_GOAL_MS: f64 = 10.0;
const YEAR_DAYS: i64 = 365;
const DAY_MICROS: i64 = 86_400_000_000;
/// Of each question; the 50th and the 99th of them count.
const QUESTIONS: usize = 100;
/// Runs of one channel that a screen can show.
const AT_MOST: usize = 2000;
/// What a volume of 4 TB is made of.
const SEGMENT_BYTES: ByteCount = ByteCount(256 << 20);
/// What it was made of before segments grew with their volume: four times as many files.
const SMALL_SEGMENT_BYTES: ByteCount = ByteCount(64 << 20);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the volume is: 1 GB on the disk under target/, where caches are also dropped, or in memory
    #[arg(long, value_enum, default_value_t = Place::Disk)]
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Place {
    Disk,
    Memory,
}

impl Place {
    fn folder(self) -> PathBuf {
        match self {
            Self::Disk => target().join("bench/index"),
            Self::Memory => PathBuf::from("/dev/shm"),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    place: Place,
    volumes: Vec<VolumeFigures>,
}

#[derive(Debug, Serialize)]
struct VolumeFigures {
    what: String,
    segments: u64,
    segment_bytes: u64,
    runs: u64,
    index_bytes: u64,
    openings: Vec<Opening>,
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

impl Figures {
    /// Whether all goals were reached.
    ///
    /// # Errors
    /// When one was not: which.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let missed: Vec<String> = self.volumes.iter().flat_map(VolumeFigures::missed).collect();
        if missed.is_empty() {
            println!("reached: opened within {OPEN_GOAL_MS:.0} ms, a year told within {YEAR_GOAL_MS:.0} ms");
            return Ok(());
        }
        Err(missed.join("\n").into())
    }
}

impl VolumeFigures {
    fn missed(&self) -> Vec<String> {
        let of = format!("{}, {} segments", self.what, self.segments);
        let openings = self.openings.iter().filter_map(|opening| {
            let took = opening.writing_ms.max(opening.reading_ms);
            (took > OPEN_GOAL_MS)
                .then(|| format!("{of}: opened in {took:.0} ms, the goal is {OPEN_GOAL_MS:.0}"))
        });
        let years =
            self.timelines.iter().filter(|timeline| timeline.days == YEAR_DAYS).filter_map(|timeline| {
                let took = timeline.p99_ms;
                (took > YEAR_GOAL_MS)
                    .then(|| format!("{of}: a year took {took:.1} ms, the goal is {YEAR_GOAL_MS:.0}"))
            });
        openings.chain(years).collect()
    }
}

/// Makes the volumes, one after the other, opens them and asks them.
pub(crate) fn run(args: &Args) -> Result<Figures, Failure> {
    if cfg!(debug_assertions) {
        return Err(
            "figures of an unoptimised build mean nothing: cargo run --release -p xtask -- bench index"
                .into(),
        );
    }
    let continuous = Pattern::Continuous { gaps_a_day: 4 };
    let shapes = [
        (continuous, SEGMENT_BYTES),
        (Pattern::Events { a_day: 100 }, SEGMENT_BYTES),
        (continuous, SMALL_SEGMENT_BYTES),
    ];
    let volumes =
        shapes.into_iter().map(|(pattern, segment_bytes)| measure(args.place, pattern, segment_bytes));
    Ok(Figures { place: args.place, volumes: volumes.collect::<Result<_, _>>()? })
}

fn measure(place: Place, pattern: Pattern, segment_bytes: ByteCount) -> Result<VolumeFigures, Failure> {
    fs::create_dir_all(place.folder())?;
    let dir = tempfile::tempdir_in(place.folder())?;
    let simulation = Simulation::year(streams(CHANNELS), START, pattern, segment_bytes);
    println!(
        "==> {pattern:?}, a year of {CHANNELS} channels with sound, {} segments of {} MiB",
        simulation.segments,
        segment_bytes.0 >> 20
    );
    let runs = simulation.make(dir.path())?;
    let index_bytes = store::simulate::index_bytes(dir.path())?.0;
    println!("{runs} runs, index of {:.1} MB", index_bytes as f64 / 1e6);
    let openings = bench_index_open::measure(dir.path(), &simulation, place == Place::Disk)?;
    let mains: Vec<StreamId> =
        simulation.streams.iter().copied().filter(|stream| stream.kind == StreamKind::Main).collect();
    let timelines = [YEAR_DAYS, 90, 30, 1].map(|days| ask(dir.path(), &simulation, &mains, days));
    Ok(VolumeFigures {
        what: format!("{pattern:?}"),
        segments: simulation.segments,
        segment_bytes: segment_bytes.0,
        runs,
        index_bytes,
        openings,
        timelines: timelines.into_iter().collect::<Result<_, _>>()?,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_index_open::{Caches, Left};

    #[test]
    fn a_goal_that_is_missed_is_an_error() {
        let figures = |writing_ms, p99_ms| Figures {
            place: Place::Disk,
            volumes: vec![VolumeFigures {
                what: "continuous".into(),
                segments: 1,
                segment_bytes: 1,
                runs: 1,
                index_bytes: 1,
                openings: vec![Opening {
                    left: Left::Full,
                    caches: Caches::Warm,
                    scanned: 2,
                    scanned_bytes: 1,
                    writing_ms,
                    reading_ms: 1.0,
                }],
                timelines: vec![
                    Timeline { days: YEAR_DAYS, p50_ms: 1.0, p99_ms, runs: 1, merged: false },
                    Timeline { days: 1, p50_ms: 1.0, p99_ms: 11.0, runs: 1, merged: false },
                ],
            }],
        };
        assert!(figures(1999.0, 9.0).verdict().is_ok());
        let said = |figures: Figures| figures.verdict().unwrap_err().to_string();
        assert_eq!(said(figures(2001.0, 9.0)), "continuous, 1 segments: opened in 2001 ms, the goal is 2000");
        assert_eq!(said(figures(1.0, 10.1)), "continuous, 1 segments: a year took 10.1 ms, the goal is 10");
    }
}
