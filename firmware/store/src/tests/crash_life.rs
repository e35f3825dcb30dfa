//! The life of a volume as a plan has it, with every moment of it kept.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hal::{ByteCount, StreamKind};

use super::crash_index::{Fate, IndexCopy};
use super::crash_plan::{Plan, Step};
use super::crash_told::{Line, SMALL_BYTES, Told, list};
use super::support::{Source, clock, keys, noise, scratch, small, small_sealed, stream};
use crate::faults::{Fault, FaultDisk, Loss, MemoryDisk, Moment, Operation};
use crate::segment::number;
use crate::{Reader, RecoveryReport, Store, StoreOptions};

/// What a volume that is full before its time has room for, beside what is left to the index.
const LITTLE_ROOM_BYTES: u64 = (8 << 20) + 4 * (64 << 10) + 100;

/// A moment at which the story may end.
pub(crate) struct Point {
    pub(crate) moment: Moment,
    pub(crate) index: IndexCopy,
    pub(crate) told: Told,
}

/// A life that was lived.
pub(crate) struct Story {
    pub(crate) points: Vec<Point>,
    /// For the lock and the index, which are no business of the disk's. The paths on the disk begin with it too.
    pub(crate) dir: tempfile::TempDir,
}

struct Scene {
    told: Told,
    points: Vec<Point>,
}

struct Life {
    dir: tempfile::TempDir,
    disk: FaultDisk,
    store: Option<Store>,
    sources: Vec<Source>,
    scene: Arc<Mutex<Scene>>,
    options: StoreOptions,
    seed: u64,
}

fn lock(scene: &Mutex<Scene>) -> MutexGuard<'_, Scene> {
    scene.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Streams that fill a segment in some seconds.
fn sources() -> Vec<Source> {
    vec![
        Source::new(stream(1, StreamKind::Main), 8, 1200),
        Source::new(stream(1, StreamKind::Audio), 12, 160),
        Source::new(stream(2, StreamKind::Main), 4, 600),
    ]
}

/// Lives through `plan`.
pub(crate) fn live(plan: &Plan) -> Story {
    let mut life = Life::new(plan);
    life.open();
    for (number, step) in plan.steps.iter().enumerate() {
        life.seed = noise(plan.seed ^ number as u64);
        life.step(*step);
    }
    life.disk.heal();
    life.record(8);
    life.restart();
    life.disk.unwatch();
    let Life { scene, dir, .. } = life;
    let points = std::mem::take(&mut lock(&scene).points);
    Story { points, dir }
}

/// Opens a volume after whatever happened to it.
pub(crate) fn open(
    disk: &FaultDisk,
    dir: &Path,
    options: StoreOptions,
) -> Result<(Store, RecoveryReport), crate::StoreError> {
    Store::open_on(Arc::new(disk.clone()), dir, options, &keys(), clock())
}

impl Life {
    fn new(plan: &Plan) -> Self {
        let dir = scratch();
        let narrow = noise(plan.seed).is_multiple_of(4);
        let memory =
            if narrow { MemoryDisk::with_capacity(LITTLE_ROOM_BYTES) } else { MemoryDisk::default() };
        let disk = FaultDisk::in_memory(&memory, Loss::Everything);
        let sealed = noise(plan.seed ^ 1).is_multiple_of(3);
        let options = if sealed { small_sealed(plan.segments) } else { small(plan.segments) };
        let sources = sources();
        let line = |source: &Source| Line { stream: source.stream, made: Arc::default(), acknowledged: 0 };
        let failing = plan.steps.iter().any(|step| matches!(step, Step::Fail(..) | Step::FailRead(_)));
        let told = Told {
            lines: sources.iter().map(line).collect(),
            chunks: Arc::default(),
            options,
            failing,
            narrow,
        };
        let scene = Arc::new(Mutex::new(Scene { told, points: Vec::new() }));
        let (watched, folder) = (Arc::clone(&scene), dir.path().to_owned());
        disk.watch(move |moment| watch(&mut lock(&watched), moment, &folder));
        Self { dir, disk, store: None, sources, scene, options, seed: plan.seed }
    }

    fn told(&self) -> Told {
        lock(&self.scene).told.clone()
    }

    fn step(&mut self, step: Step) {
        let next = self.disk.operations();
        match step {
            Step::Record(quarters) => self.record(quarters),
            Step::Whisper(who) => {
                self.feed(who, 2);
                self.commit();
            }
            Step::Hold => self.feed_all(4),
            Step::Gap(seconds) => {
                for source in &mut self.sources {
                    source.next = (source.next + source.rate * seconds).next_multiple_of(source.gop);
                    source.discontinuity = true;
                }
            }
            Step::NewFormat => self.sources.iter_mut().for_each(|source| source.parameter_set ^= 3),
            Step::Scrub => {
                if let Some(store) = &mut self.store {
                    store.scrub(ByteCount(u64::MAX));
                }
            }
            Step::Restart => self.restart(),
            Step::Kill => {
                self.store = None;
                self.open();
            }
            Step::Resize(segments) => {
                self.end();
                self.options.max_bytes.0 = segments * SMALL_BYTES;
                lock(&self.scene).told.options = self.options;
                self.open();
            }
            Step::Cut(later, loss) => {
                self.disk.set_loss(loss);
                self.disk.fail_at(next + later, Fault::PowerCut);
            }
            Step::Fail(later, count, fault) => {
                (0..count).for_each(|number| self.disk.fail_at(next + later + number, fault));
            }
            Step::FailRead(later) => self.disk.fail_read_at(self.disk.reads() + later),
            Step::Heal => self.disk.heal(),
        }
    }

    fn record(&mut self, quarters: u64) {
        self.feed_all(quarters);
        self.commit();
    }

    fn feed_all(&mut self, quarters: u64) {
        for number in 0..self.sources.len() {
            self.feed(number, self.sources[number].rate * quarters / 4);
        }
    }

    fn feed(&mut self, number: usize, units: u64) {
        let Some(store) = &mut self.store else { return };
        let made = self.sources[number].feed(store, units);
        let line = &mut lock(&self.scene).told.lines[number];
        Arc::make_mut(&mut line.made).extend(made.into_iter().map(Arc::new));
    }

    fn commit(&mut self) {
        let Some(store) = &mut self.store else { return };
        let done = store.commit().is_ok();
        if self.disk.is_off() {
            self.store = None;
            return self.open();
        }
        // Beside the faults that are still to come.
        let still = self.still();
        if done {
            self.acknowledge(&still);
        }
        if !done || noise(self.seed).is_multiple_of(3) {
            // What a reader is told counts as acknowledged, even when the commit failed in the middle.
            let reader = Reader::open_on(Arc::new(still), self.dir.path(), &keys()).unwrap();
            let ends = self.told().assert_true(&reader);
            for (line, end) in lock(&self.scene).told.lines.iter_mut().zip(ends) {
                // Nothing is read where no keyframe is left.
                if end > 0 {
                    assert!(end >= line.acknowledged, "{}: acknowledged, and not to be read", line.stream);
                    line.acknowledged = end;
                }
            }
        }
    }

    /// The disk as it is, without faults.
    fn still(&self) -> FaultDisk {
        FaultDisk::after_kill(&self.disk.moment().unwrap(), Loss::Everything)
    }

    fn acknowledge(&self, still: &FaultDisk) {
        let chunks = list(still, self.dir.path());
        let told = &mut lock(&self.scene).told;
        for (name, chunk) in &*told.chunks {
            assert_eq!(chunks.get(name), Some(chunk), "lost while everything worked");
        }
        let ends: Vec<usize> = told.lines.iter().map(|line| line.made.len()).collect();
        told.learn(chunks, &ends);
    }

    fn restart(&mut self) {
        self.end();
        self.open();
    }

    fn end(&mut self) {
        let done = self.store.take().is_none_or(|store| store.finish().is_ok());
        if done && !self.disk.is_off() {
            self.acknowledge(&self.still());
        }
    }

    /// Opens the volume, however often the power goes meanwhile, and asserts that it is as it was told.
    fn open(&mut self) {
        let store = loop {
            if self.disk.is_off() {
                self.lose_index();
                self.disk.come_back();
            }
            match open(&self.disk, self.dir.path(), self.options) {
                Ok((store, report)) if report.damages.is_empty() => break store,
                _ if self.disk.is_off() => {}
                // What is in the way is gone at the next try.
                Ok(_) | Err(_) => {
                    assert!(self.disk.has_faults(), "nothing is in the way");
                    self.disk.heal();
                }
            }
        };
        let (still, told) = (self.still(), self.told());
        let ends = told.assert_kept(&still, self.dir.path(), &store);
        lock(&self.scene).told.learn(list(&still, self.dir.path()), &ends);
        for (source, end) in self.sources.iter_mut().zip(ends) {
            if end == 0 {
                // The store has nothing to decode it with.
                source.next = source.next.next_multiple_of(source.gop);
            }
        }
        self.store = Some(store);
    }

    /// The power went: so did some of the index.
    fn lose_index(&self) {
        let fate = match noise(self.seed ^ 7) % 8 {
            0 => Fate::Lost,
            1 => Fate::Garbage,
            2 => Fate::Stale(noise(self.seed) % 1000),
            3 => Fate::Torn(noise(self.seed) % 1000),
            _ => Fate::Kept,
        };
        let scene = lock(&self.scene);
        let Some(last) = scene.points.last() else { return };
        let index = last.index.after(fate, |thousandths| earlier(&scene.points, thousandths));
        index.put(self.dir.path());
    }
}

/// The index before so many thousandths of `points`.
fn earlier(points: &[Point], thousandths: u64) -> IndexCopy {
    let at = points.len() * thousandths as usize / 1000;
    points.get(at).map(|point| point.index.clone()).unwrap_or_default()
}

impl Story {
    /// What `fate` leaves of the index at a moment.
    pub(crate) fn index(&self, point: &Point, fate: Fate) -> IndexCopy {
        let before = self.points.iter().position(|other| std::ptr::eq(other, point)).unwrap_or(0);
        point.index.after(fate, |thousandths| earlier(&self.points[..before], thousandths))
    }
}

fn watch(scene: &mut Scene, moment: Moment, dir: &Path) {
    let taken = taken(&moment.next);
    scene.points.push(Point { moment, index: IndexCopy::take(dir), told: scene.told.clone() });
    if let Some(segment) = taken {
        scene.told.recycle(segment);
    }
}

/// The segment whose file an operation takes away.
pub(crate) fn taken(next: &Operation) -> Option<u64> {
    match next {
        Operation::Rename(from, _) | Operation::Remove(from) => number(from),
        _ => None,
    }
}
