//! Crashes at every moment of many lives.
//!
//! What was acknowledged is there, and nothing else is told.
//!
//! A plan says what a volume lives through (`crash_plan`), `crash_life` lives through it and keeps every moment, and here
//! each moment is a place where the power may go: with whatever loss, whatever is left of the index, and up to two more
//! crashes while the volume is put right. `CANDOR_CRASH_POINTS=1000000` makes so many of them instead of [`POINTS`];
//! `PROPTEST_RNG_SEED` has them be others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use super::crash_index::{Fate, IndexCopy, rows};
use super::crash_life::{Point, Story, live, open, taken};
use super::crash_plan::{Plan, on_a_failing_device, on_a_good_device};
use super::crash_told::{Told, assert_clean_on, list};
use super::support::{Source, keys, noise};
use crate::check::{check_on, rebuild_index_on};
use crate::faults::{Fault, FaultDisk, Loss, Operation};
use crate::volume::Volume;
use crate::walk::walk;
use crate::{Reader, RecoveryReport, Store};

/// Crash points in all, unless asked otherwise.
const POINTS: u64 = 10_000;

/// Tenths of them, for each test: several, so that they run beside each other. Crashes of the recovery take longer.
const TENTHS: [u64; 4] = [3, 3, 2, 2];

/// How many moments of one plan are tried: more plans find more than more moments of one.
const POINTS_PER_PLAN: usize = 80;

/// How the story ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The power goes.
    Cut(Loss),
    /// The process is killed; what it wrote is in the cache.
    Kill,
}

/// One crash, and what comes of it.
#[derive(Clone, Debug)]
struct Crash {
    end: End,
    fate: Fate,
    /// The power goes while the volume is put right, after so many operations.
    again: Vec<(u64, Loss)>,
    /// A reader comes before the volume is put right.
    reads: bool,
    /// It is opened once more.
    twice: bool,
    /// Commits afterwards.
    goes_on: u64,
    /// The index is compared with a new one.
    compares: bool,
    /// A bit of a chunk rots afterwards.
    rots: Option<u64>,
}

fn some_loss(seed: u64) -> Loss {
    match seed % 6 {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 => Loss::Writes(noise(seed)),
        3 => Loss::Torn(noise(seed)),
        _ => Loss::Some(noise(seed)),
    }
}

fn some_fate(seed: u64) -> Fate {
    match seed % 10 {
        0 => Fate::Lost,
        1 => Fate::Garbage,
        2 => Fate::Stale(noise(seed) % 1000),
        3 | 4 => Fate::Torn(noise(seed) % 1000),
        _ => Fate::Kept,
    }
}

impl Crash {
    fn chosen(seed: u64, always_again: bool) -> Self {
        let dice = |number: u64| noise(seed ^ (number << 32));
        let kill = dice(1).is_multiple_of(6);
        let crashes = if always_again { 1 + (dice(2) % 4) / 3 } else { (dice(2) % 8).saturating_sub(5) };
        Self {
            end: if kill { End::Kill } else { End::Cut(some_loss(dice(3))) },
            fate: if kill { Fate::Kept } else { some_fate(dice(4)) },
            again: (0..crashes).map(|crash| (dice(5 + crash) % 5, some_loss(dice(8 + crash)))).collect(),
            reads: dice(14).is_multiple_of(4),
            twice: dice(15).is_multiple_of(4),
            goes_on: if dice(11).is_multiple_of(12) { 1 + dice(12) % 8 } else { 0 },
            compares: dice(13).is_multiple_of(12),
            rots: dice(16).is_multiple_of(8).then_some(dice(17)),
        }
    }
}

/// Says what was tried when it fails.
struct Context<'a>(&'a Point, &'a Crash);

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("before operation {}, {:?}: {:?}", self.0.moment.number, self.0.moment.next, self.1);
        }
    }
}

/// Ends the story at `point`; how many more crashes came while the volume was put right.
fn crash(story: &Story, point: &Point, crash: &Crash) -> u64 {
    let _context = Context(point, crash);
    let disk = match crash.end {
        End::Cut(loss) => FaultDisk::after_power_cut(&point.moment, loss),
        End::Kill => FaultDisk::after_kill(&point.moment, Loss::Everything),
    };
    let dir = story.dir.path();
    story.index(point, crash.fate).put(dir);
    if crash.reads {
        read_before(&disk, dir, &point.told);
    }
    let (told, store, more) = put_right(&disk, dir, &point.told, &crash.again);
    let ends = told.assert_kept(&disk, dir, &store);
    assert_clean_on(&disk, dir);
    drop(store);
    let disk = if crash.twice { put_right_again(&disk, dir, &told) } else { disk };
    if crash.compares {
        let before = rows(dir);
        rebuild_index_on(Arc::new(disk.clone()), dir).unwrap();
        assert_eq!(before, rows(dir), "the index is not what a new one would be");
    }
    if crash.goes_on > 0 {
        go_on(point, &disk, dir, &ends, crash.goes_on);
    } else if let Some(seed) = crash.rots {
        rot(&disk, dir, &told, seed);
    }
    more
}

/// Before anybody repairs anything a reader tells no untruth.
fn read_before(disk: &FaultDisk, dir: &Path, told: &Told) {
    let Ok(reader) = Reader::open_on(Arc::new(disk.clone()), dir, &keys()) else { return };
    if told.failing {
        // Where a recovery was cut off that had several segments to tell the index of, which only failures leave, there
        // may be a hole until the next one.
        told.assert_made(&reader);
    } else {
        told.assert_true(&reader);
    }
}

/// Opens a volume, and the power goes meanwhile, some times; what must still be there then, and how often the power went.
fn put_right(disk: &FaultDisk, dir: &Path, told: &Told, crashes: &[(u64, Loss)]) -> (Told, Store, u64) {
    let kept = Arc::new(Mutex::new(told.clone()));
    let seen = Arc::clone(&kept);
    disk.watch(move |moment| {
        // The volume may have been told to become smaller.
        if let Some(segment) = taken(&moment.next) {
            seen.lock().unwrap().recycle(segment);
        }
    });
    let mut more = 0;
    for (later, loss) in crashes {
        let index = IndexCopy::take(dir);
        disk.set_loss(*loss);
        disk.fail_at(disk.operations() + later, Fault::PowerCut);
        drop(open(disk, dir, told.options));
        if disk.is_off() {
            more += 1;
            disk.come_back();
            if later % 2 == 0 {
                index.put(dir);
            }
        }
        disk.heal();
    }
    let (store, report) = open(disk, dir, told.options).unwrap();
    disk.unwatch();
    assert_eq!(report.damages, [""; 0], "a crash is no damage");
    let told = kept.lock().unwrap().clone();
    (told, store, more)
}

/// What a volume that was put right told is durable, and putting it right again changes nothing. The disk after that.
fn put_right_again(disk: &FaultDisk, dir: &Path, told: &Told) -> FaultDisk {
    let (there, names) = (list(disk, dir), numbers(disk, dir));
    let disk = FaultDisk::after_power_cut(&disk.moment().unwrap(), Loss::Everything);
    let before = rows(dir);
    let (_, report) = open(&disk, dir, told.options).unwrap();
    assert_eq!(report.damages, [""; 0], "a crash is no damage");
    let still = list(&disk, dir);
    for (name, chunk) in &there {
        assert_eq!(still.get(name), Some(chunk), "told after the first start, and gone after the second");
    }
    // Where the last thing before a kill was a recycling, that is not durable, and what was recycled is back.
    if names == numbers(&disk, dir) {
        let RecoveryReport { segments, scanned, torn_bytes, .. } = report;
        // A torn tail stays until it is written over.
        assert_eq!(report, RecoveryReport { segments, scanned, torn_bytes, ..Default::default() });
        // Where a first commit failed there is a file with nothing but its header, too.
        assert!(scanned <= 1 || told.failing, "only what is being written is scanned");
        assert_eq!(before, rows(dir));
    }
    disk
}

/// A bit of a chunk is not as it was written: that is noticed, and what it is of is not read.
fn rot(disk: &FaultDisk, dir: &Path, told: &Told, seed: u64) {
    let volume = Volume::open(Arc::new(disk.clone()), dir).unwrap();
    let mut chunks = Vec::new();
    walk(&volume, |header, _, contents| {
        chunks.extend(contents.entries.iter().map(|entry| (header.segment, *entry)));
        Ok(())
    })
    .unwrap();
    let Some((segment, entry)) = chunks.get(seed as usize % chunks.len().max(1)) else { return };
    let bytes = u64::from(entry.header_bytes) + u64::from(entry.payload_bytes);
    let at = entry.offset + noise(seed) % bytes;
    disk.flip(&volume.path(*segment), at, 1 << (seed % 8)).unwrap();
    let report = check_on(Arc::new(disk.clone()), dir, &keys()).unwrap();
    assert!(!report.is_clean(), "byte {at} of segment {segment} rots unnoticed");
    let reader = Reader::open_on(Arc::new(disk.clone()), dir, &keys()).unwrap();
    let whole = told.assert_made_before_damage(&reader);
    let units: usize = chunks.iter().map(|(_, entry)| entry.units as usize).sum();
    assert!(whole < units, "what rotted is read");
}

/// The numbers of all segment files.
fn numbers(disk: &FaultDisk, dir: &Path) -> Vec<u64> {
    Volume::open(Arc::new(disk.clone()), dir).unwrap().numbers().unwrap()
}

/// Records into a volume that was put right.
fn go_on(point: &Point, disk: &FaultDisk, dir: &Path, ends: &[usize], commits: u64) {
    let mut told = point.told.clone();
    told.learn(list(disk, dir), ends);
    let (mut store, _) = open(disk, dir, told.options).unwrap();
    let mut sources: Vec<Source> = told.lines.iter().map(|line| Source::new(line.stream, 6, 900)).collect();
    for source in &mut sources {
        // Behind whatever was made, at a keyframe.
        source.next = 1_000 * source.gop;
        source.discontinuity = true;
    }
    for _ in 0..commits {
        for (line, source) in told.lines.iter_mut().zip(&mut sources) {
            let made = source.feed(&mut store, source.rate);
            Arc::make_mut(&mut line.made).extend(made.into_iter().map(Arc::new));
        }
        store.commit().unwrap();
    }
    store.finish().unwrap();
    assert_clean_on(disk, dir);
    // Some of it was recycled: what is there now is all that can be known.
    told.chunks = Arc::new(list(disk, dir));
    let (store, _) = open(disk, dir, told.options).unwrap();
    let ends = told.assert_kept(disk, dir, &store);
    for (line, end) in told.lines.iter().zip(ends) {
        assert_eq!(line.made.len(), end, "{}", line.stream);
    }
}

/// What was tried, by what it was.
#[derive(Default)]
struct Tally {
    points: u64,
    plans: u64,
    more: u64,
    kinds: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn count(&mut self, point: &Point, crash: &Crash, more: u64) {
        self.points += 1;
        self.more += more;
        let next = match point.moment.next {
            Operation::Create(_) => "before or in a creation",
            Operation::Write => "before a write",
            Operation::Sync => "before a sync of a file",
            Operation::Rename(..) => "before a renaming",
            Operation::Remove(_) => "before a removal",
            Operation::SyncDir => "before a sync of a folder",
            Operation::Replace(_) => "before volume.toml is replaced",
        };
        let end = match crash.end {
            End::Kill => "killed",
            End::Cut(Loss::Everything) => "everything lost",
            End::Cut(Loss::Nothing) => "nothing lost",
            End::Cut(Loss::Some(_)) => "some sectors lost",
            End::Cut(Loss::Writes(_)) => "some writes lost",
            End::Cut(Loss::Torn(_)) => "a write torn",
        };
        let fate = match crash.fate {
            Fate::Kept => "index kept",
            Fate::Torn(_) => "index torn",
            Fate::Stale(_) => "index stale",
            Fate::Lost => "index lost",
            Fate::Garbage => "index garbage",
        };
        for kind in [next, end, fate] {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }
}

/// As many points as a test is to try.
fn wanted(tenths: u64) -> u64 {
    let asked = std::env::var("CANDOR_CRASH_POINTS").ok().and_then(|asked| asked.parse::<u64>().ok());
    (asked.unwrap_or(POINTS) * tenths).div_ceil(10)
}

/// Lives through a plan, and crashes at some moments of it.
fn try_plan(plan: &Plan, always_again: bool, tally: &RefCell<Tally>) {
    let story = live(plan);
    let points = &story.points;
    let count = POINTS_PER_PLAN.min(points.len());
    for number in 0..count {
        let seed = noise(plan.seed ^ (number as u64 + 1));
        // One of each stretch of the story.
        let stretch = points.len() / count;
        let point = &points[number * stretch + seed as usize % stretch];
        let chosen = Crash::chosen(seed, always_again);
        let more = crash(&story, point, &chosen);
        tally.borrow_mut().count(point, &chosen, more);
    }
    tally.borrow_mut().plans += 1;
}

/// Tries plan after plan until there were enough crash points.
fn sweep(name: &str, test: usize, plans: impl Strategy<Value = Plan>, always_again: bool) {
    let wanted = wanted(TENTHS[test]);
    let mut config = Config { max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        // Each test has lives of its own; a commit is not to fail for what another one did.
        config.rng_seed = RngSeed::Fixed(test as u64);
    }
    let mut runner = TestRunner::new(config);
    let tally = RefCell::new(Tally::default());
    while tally.borrow().points < wanted {
        let tree = plans.new_tree(&mut runner).unwrap();
        let tried = runner.run_one(tree, |plan| {
            try_plan(&plan, always_again, &tally);
            Ok(())
        });
        if let Err(TestError::Fail(reason, plan)) = tried {
            panic!("{reason}\n{plan:#?}");
        }
        let tally = tally.borrow();
        if tally.plans % 250 == 0 {
            println!("{name}: {} of {wanted} crash points, {} lives", tally.points, tally.plans);
        }
    }
    let tally = tally.into_inner();
    println!(
        "{name}: {} crash points in {} lives, {} more while recovering",
        tally.points, tally.plans, tally.more
    );
    for (kind, count) in &tally.kinds {
        println!("  {count:>8} {kind}");
    }
}

#[test]
fn power_cuts_and_kills_on_a_good_device() {
    sweep("good device", 0, on_a_good_device(), false);
}

#[test]
fn power_cuts_and_kills_on_a_failing_device() {
    sweep("failing device", 1, on_a_failing_device(), false);
}

#[test]
fn crashes_of_the_recovery_on_a_good_device() {
    sweep("recovery, good device", 2, on_a_good_device(), true);
}

#[test]
fn crashes_of_the_recovery_on_a_failing_device() {
    sweep("recovery, failing device", 3, on_a_failing_device(), true);
}
