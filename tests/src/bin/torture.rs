//! What `cargo xtask torture` runs: every cut, every flush, and more.
//!
//! Does not belong here: what a cut is, and what is asked of a board afterwards (the library).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;
use serde_json::{Value, json};
use tests::{
    BoardImage, FlushPoint, Layout, Mark, Point, Random, RecordedDisk, RecordingCuts, Sweep, chosen_flushes,
    sweep_flushes, target,
};

/// Segments that are recycled in the recording whose every flush is looked at: a few minutes.
const RECYCLINGS: usize = 40;

/// Of what a disk was given a power cut may cost so much (docs/reliability.md).
const MAX_LOSS_MS: u64 = 2000;

/// QEMU's names for what its chip does.
const ERASE: &str = "pflash_write_block_erase";
const PROGRAM: &str = "pflash_write_block_flush";

/// Cuts power at every write of an update, and while recording
#[derive(Debug, Parser)]
#[command(name = "torture")]
struct Args {
    /// Which flash layout: 16, 64 or both
    #[arg(long, default_value = "both")]
    layout: String,
    /// At most so many moments of each layout; those that differ most come first
    #[arg(long)]
    limit: Option<usize>,
    /// So many real kills of the emulator in the midst of an update of each layout
    #[arg(long, default_value_t = 4)]
    kills: usize,
    /// So many cuts of a recording
    #[arg(long, default_value_t = 20)]
    recordings: usize,
    /// At most so many flushes of a recording, each with three disks. Without it: all
    #[arg(long)]
    flushes: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let layouts: Vec<Layout> = Layout::ALL
        .into_iter()
        .filter(|layout| args.layout == "both" || args.layout == layout.name())
        .collect();
    let dir = target().join("torture");
    fs::create_dir_all(&dir).expect("the build folder can be written");
    let mut table = Vec::new();
    for layout in layouts {
        table.extend(updates(layout, &dir.join(layout.name()), &args));
    }
    if args.recordings > 0 {
        table.push(recordings(args.recordings));
    }
    if args.flushes != Some(0) {
        table.push(flushes(&dir.join("flushes"), args.flushes.unwrap_or(usize::MAX)));
    }
    println!();
    for row in &table {
        println!("{}", row.text);
    }
    if table.iter().any(|row| row.failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Row {
    text: String,
    failed: bool,
}

fn updates(layout: Layout, dir: &Path, args: &Args) -> [Row; 2] {
    println!("==> {} MB: one update with every write kept", layout.name());
    let sweep = of_image(layout, dir, || Sweep::record(layout, dir));
    let mut points = sweep.chosen(usize::MAX);
    let first: BTreeSet<String> = points.iter().map(Point::to_string).collect();
    let mut others: Vec<Point> =
        sweep.points().iter().copied().filter(|point| !first.contains(&point.to_string())).collect();
    shuffle(&mut others);
    points.extend(others);
    points.truncate(args.limit.unwrap_or(usize::MAX));
    let results = Results::open(&dir.join("results.jsonl"));
    let left: Vec<Point> = points.iter().copied().filter(|point| !results.has(&point.to_string())).collect();
    println!(
        "==> {} MB: {} moments in all, {} asked for, {} done before",
        layout.name(),
        sweep.points().len(),
        points.len(),
        points.len() - left.len()
    );
    sweep.try_points(&left, dir, &|point, verdict| {
        let verdict = verdict.map(|verdict| format!("{verdict:?}").into());
        results.add(&point.to_string(), &verdict, left.len());
    });
    let (good, bad) = results.count(&points.iter().map(Point::to_string).collect::<Vec<_>>());
    let cuts = Row {
        text: format!(
            "{} MB: update and setting: {good} of {} cuts survived, {bad} not; {} moments in all",
            layout.name(),
            good + bad,
            sweep.points().len()
        ),
        failed: bad > 0,
    };
    [cuts, kills(layout, &sweep, dir, args.kills)]
}

/// Erases and programs alternate, each at any place of its run.
fn kills(layout: Layout, sweep: &Sweep, dir: &Path, count: usize) -> Row {
    let mut random = Random(0x6b11);
    let mut failed = 0;
    for number in 1..=count {
        let (event, of) = if number % 2 == 0 { (ERASE, 20) } else { (PROGRAM, 2000) };
        let at = 1 + usize::try_from(random.below(of)).unwrap_or(0);
        match sweep.kill(event, at, dir) {
            Ok((what, verdict)) => println!("[{number}/{count}] killed at {what}: {verdict:?}"),
            Err(error) => {
                failed += 1;
                println!("[{number}/{count}] killed at {event} {at}: FAILED: {error}");
            }
        }
    }
    Row { text: format!("{} MB: {count} real kills, {failed} failed", layout.name()), failed: failed > 0 }
}

fn recordings(count: usize) -> Row {
    println!("==> recordings: {count} cuts");
    let mut cuts = RecordingCuts::begin();
    let mut failed = 0;
    for number in 1..=count {
        match cuts.next_cut() {
            Ok(worst) => println!("[{number}/{count}] {} ms lost at worst", worst.as_millis()),
            Err(error) => {
                failed += 1;
                println!("[{number}/{count}] FAILED: {error}");
            }
        }
    }
    Row {
        text: format!(
            "recordings: {count} cuts, {failed} failed, worst loss {} ms",
            cuts.worst().as_millis()
        ),
        failed: failed > 0,
    }
}

fn flushes(dir: &Path, limit: usize) -> Row {
    println!("==> flushes: one recording with every write kept");
    let run = of_image(Layout::Nor64, dir, || RecordedDisk::record(dir, RECYCLINGS));
    let points = chosen_flushes(&run.points, limit.min(run.points.len()));
    let results = Results::open(&dir.join("results.jsonl"));
    let left: Vec<FlushPoint> =
        points.iter().filter(|point| !results.has(&point.to_string())).cloned().collect();
    println!(
        "==> flushes: {} in all, {} asked for, {} done before; {} segments begun, the index' log folded in {} times",
        run.points.len(),
        points.len(),
        points.len() - left.len(),
        run.count(Mark::SegmentBegun),
        run.count(Mark::IndexFolded)
    );
    sweep_flushes(&run, &left, dir, &|point, verdict| {
        let verdict = verdict.map(|verdict| {
            json!({
                "lost_ms": u64::try_from(verdict.lost.as_millis()).unwrap_or(u64::MAX),
                "chunks": verdict.chunks,
                "complaints": verdict.complaints,
                "starts": point.starts,
            })
        });
        results.add(&point.to_string(), &verdict, left.len());
    });
    let names: Vec<String> = points.iter().map(FlushPoint::to_string).collect();
    let ((good, bad), verdicts) = (results.count(&names), results.verdicts(&names));
    let worst_of = |starts: bool| {
        let of_kind = verdicts.iter().filter(|verdict| verdict["starts"] == starts);
        of_kind.filter_map(|verdict| verdict["lost_ms"].as_u64()).max().unwrap_or(0)
    };
    let (worst, at_a_start) = (worst_of(false), worst_of(true));
    let repaired = verdicts.iter().filter(|verdict| verdict["complaints"][0].is_string()).count();
    Row {
        text: format!(
            "flushes: {good} of {} good, {bad} not, each with three disks; {} in all; file systems that needed more than \
             their journal: {repaired}; worst loss of what a disk was given {worst} ms, and {at_a_start} ms of what came until a recorder had started",
            good + bad,
            run.points.len()
        ),
        failed: bad > 0 || worst > MAX_LOSS_MS,
    }
}

/// Makes a run, or reads the one that is in `dir`, if that was of the same image: what was found out about another one says
/// nothing about this.
fn of_image<T>(layout: Layout, dir: &Path, record: impl FnOnce() -> T) -> T {
    let image = image_of(layout);
    let known = fs::read_to_string(dir.join("image.txt")).unwrap_or_default();
    if known != image {
        let _ = fs::remove_dir_all(dir);
    }
    fs::create_dir_all(dir).expect("the build folder can be written");
    let run = record();
    fs::write(dir.join("image.txt"), image).expect("a note can be written");
    run
}

/// Which image it is, in a line.
fn image_of(layout: Layout) -> String {
    let bytes = fs::read(BoardImage::find().nor(layout)).expect("the chip's image");
    let hash = ring::digest::digest(&ring::digest::SHA256, &bytes);
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shuffle(points: &mut [Point]) {
    let mut random = Random(0x7041);
    for last in (1..points.len()).rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).unwrap_or(last);
        points.swap(last, other);
    }
}

/// What was found out, kept so that a run can be gone on with.
struct Results {
    path: PathBuf,
    lines: Mutex<Vec<Value>>,
}

impl Results {
    fn open(path: &Path) -> Self {
        let lines = File::open(path).map(BufReader::new).map(|file| {
            file.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect()
        });
        Self { path: path.to_owned(), lines: Mutex::new(lines.unwrap_or_default()) }
    }

    fn has(&self, point: &str) -> bool {
        self.lines.lock().expect("no worker panicked").iter().any(|line| line["point"] == point)
    }

    fn add(&self, point: &str, verdict: &Result<Value, String>, of: usize) {
        let line = match verdict {
            Ok(verdict) => json!({ "point": point, "survived": true, "verdict": verdict }),
            Err(error) => json!({ "point": point, "survived": false, "verdict": error }),
        };
        let mut lines = self.lines.lock().expect("no worker panicked");
        let mut file =
            File::options().create(true).append(true).open(&self.path).expect("results can be kept");
        writeln!(file, "{line}").expect("results can be kept");
        lines.push(line);
        println!(
            "[{}, {of} in this run] {point}: {}",
            lines.len(),
            match verdict {
                Ok(verdict) => verdict.to_string(),
                Err(error) => format!("FAILED: {error}"),
            }
        );
    }

    /// Of the points that survived.
    fn verdicts(&self, points: &[String]) -> Vec<Value> {
        let lines = self.lines.lock().expect("no worker panicked");
        let of = lines.iter().filter(|line| points.iter().any(|point| line["point"] == point.as_str()));
        of.filter(|line| line["survived"] == true).map(|line| line["verdict"].clone()).collect()
    }

    fn count(&self, points: &[String]) -> (usize, usize) {
        let lines = self.lines.lock().expect("no worker panicked");
        let of = lines.iter().filter(|line| points.iter().any(|point| line["point"] == point.as_str()));
        let (good, bad): (Vec<&Value>, Vec<&Value>) = of.partition(|line| line["survived"] == true);
        (good.len(), bad.len())
    }
}
