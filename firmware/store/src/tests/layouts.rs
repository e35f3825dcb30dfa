//! Several volumes as one: thousands of layouts of gaps and clocks, in memory.
//!
//! What is chosen is the same code as in a recorder; volumes are lists of chunks. Does not belong here: payloads, damage,
//! volumes on a disk (`volumes`).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use evidence::{CHUNK_DISCONTINUITY, ChunkHeader, Frame};
use hal::{Pts90k, StreamId, StreamKind, WallTime};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::support::{BEGINNING, END, START_MICROS, stream};
use crate::error::{ErrorKind, StoreError};
use crate::lane::Chunks;
use crate::runs::{SegmentRun, runs_of};
use crate::segment::{Contents, Entry};
use crate::select::Selection;

/// Units from one keyframe to the next.
const GROUP: usize = 20;
/// 10 units a second.
const UNIT_TICKS: i64 = 9_000;
const UNIT_MICROS: i64 = 100_000;
/// About what a small segment takes.
const SEGMENT_UNITS: usize = 80;
/// A chunk's anchor may be off so much, and half of that at either end of a part makes no difference to what is asked.
const ANCHOR_ERROR_MICROS: i64 = 100_000;

/// Pictures of a group in decoding order, by their place in time: two B-frames between others.
const WITH_B_FRAMES: [usize; GROUP] = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11, 15, 13, 14, 18, 16, 17, 19];

#[derive(Clone, Copy, Debug)]
struct Unit {
    pts: i64,
    wall: i64,
    keyframe: bool,
    begins: bool,
}

/// Something happens to the clock.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Before this unit.
    at: usize,
    /// The wall clock is set by so many tenths of a second.
    tenths: i64,
    /// The source begins anew: at a keyframe, with presentation times moved by so many units.
    life: Option<i64>,
}

/// What one volume has.
#[derive(Clone, Debug)]
struct Volume {
    /// Stretches of units; each begins at a keyframe, as a recorder does, and ends anywhere.
    stretches: Vec<Range<usize>>,
    /// A commit after so many units: chunks end there.
    every: usize,
    /// And at the end of a stretch; else a chunk may go on over a gap of less than a second.
    commits_at_ends: bool,
}

#[derive(Clone, Debug)]
struct Layout {
    b_frames: bool,
    count: usize,
    steps: Vec<Step>,
    volumes: Vec<Volume>,
    /// Where parts begin and how long they are, tenths of a second.
    parts: Vec<(i64, i64)>,
}

impl Layout {
    fn units(&self) -> Vec<Unit> {
        let place = |unit: usize| match self.b_frames {
            true => unit / GROUP * GROUP + WITH_B_FRAMES[unit % GROUP],
            false => unit,
        };
        let unit = |unit: usize| Unit {
            pts: 1_000 + place(unit) as i64 * UNIT_TICKS,
            wall: START_MICROS + place(unit) as i64 * UNIT_MICROS,
            keyframe: unit.is_multiple_of(GROUP),
            begins: false,
        };
        let mut units: Vec<Unit> = (0..self.count).map(unit).collect();
        for step in &self.steps {
            let at = if step.life.is_some() { step.at / GROUP * GROUP } else { step.at };
            let Some(rest) = units.get_mut(at..).filter(|rest| !rest.is_empty()) else { continue };
            rest[0].begins |= step.life.is_some();
            for unit in rest {
                unit.wall += step.tenths * UNIT_MICROS;
                unit.pts += step.life.unwrap_or(0) * UNIT_TICKS;
            }
        }
        units
    }
}

fn main_stream() -> StreamId {
    stream(1, StreamKind::Main)
}

/// A volume that has its chunks in memory.
struct InMemory(Vec<Arc<Contents>>);

impl Chunks for InMemory {
    fn runs(&self, _: StreamId, from: WallTime, to: WallTime) -> Result<Vec<SegmentRun>, StoreError> {
        let all = self.0.iter().zip(0..).flat_map(|(contents, segment)| runs_of(segment, &contents.entries));
        Ok(all.filter(|run| run.start < to && run.end > from).collect())
    }

    fn chunks(&self, segment: u64) -> Result<Arc<Contents>, StoreError> {
        Ok(Arc::clone(&self.0[segment as usize]))
    }

    fn refusal(&self, _: u64, _: &Entry) -> Option<StoreError> {
        None
    }

    fn damage(&self, _: u64, offset: u64, what: &str) -> StoreError {
        StoreError::new(ErrorKind::Damaged, std::path::Path::new("in memory"), Some(offset), what)
    }
}

/// Cuts units into chunks and segments as the store does.
struct Writer {
    segments: Vec<Contents>,
    in_segment: usize,
    open: Vec<Unit>,
    sequence: u64,
    unit_ticks: i32,
}

impl Writer {
    fn record(units: &[Unit], volume: &Volume) -> InMemory {
        let segments = vec![Contents::default()];
        let mut this = Self { segments, in_segment: 0, open: Vec::new(), sequence: 1, unit_ticks: 3_000 };
        for stretch in &volume.stretches {
            for (number, unit) in units[stretch.clone()].iter().enumerate() {
                if this.open.first().is_some_and(|first| !takes(first, unit)) {
                    this.close();
                }
                this.open.push(*unit);
                if number % volume.every == volume.every - 1 {
                    this.close();
                }
            }
            if volume.commits_at_ends {
                this.close();
            }
        }
        this.close();
        InMemory(this.segments.into_iter().map(Arc::new).collect())
    }

    fn close(&mut self) {
        let Some(first) = self.open.first().copied() else { return };
        let offset = |unit: &Unit| (unit.pts - first.pts) as i32;
        let (least, most) = self
            .open
            .iter()
            .map(offset)
            .fold((0, 0), |(least, most), offset| (least.min(offset), most.max(offset)));
        if self.open.len() > 1 {
            self.unit_ticks = (most - least) / (self.open.len() as i32 - 1);
        }
        let frame = |unit: &Unit| Frame {
            size: 100,
            pts_offset: offset(unit),
            keyframe: unit.keyframe,
            discontinuity: unit.begins,
        };
        let header = ChunkHeader {
            placement: evidence::Placement::default(),
            stream: main_stream(),
            sequence: self.sequence,
            pts: Pts90k(first.pts),
            wall: WallTime::from_unix_micros(first.wall),
            start_offset: least,
            end_offset: most + self.unit_ticks,
            flags: if first.begins { CHUNK_DISCONTINUITY } else { 0 },
            payload_crc: 0,
            payload_hash: [0; 32],
            previous: [0; 32],
            key: None,
            entry: vec![16, 1, 0, 0, 0, 0, 0, 0],
            frames: self.open.iter().map(frame).collect(),
            payload_bytes: 100 * self.open.len() as u32,
        };
        self.sequence += 1;
        if self.in_segment >= SEGMENT_UNITS {
            self.segments.push(Contents::default());
            self.in_segment = 0;
        }
        self.in_segment += self.open.len();
        if let Some(segment) = self.segments.last_mut() {
            segment.push(self.sequence * 4096, &header, &header.encode());
        }
        self.open.clear();
    }
}

/// As the store's builder tells whether a unit goes on in the chunk that begins with `first`.
fn takes(first: &Unit, unit: &Unit) -> bool {
    let ticks = unit.pts - first.pts;
    let strayed = unit.wall - first.wall - Pts90k(ticks).as_micros();
    !unit.begins && ticks.abs() < Pts90k::PER_SECOND && strayed.abs() <= ANCHOR_ERROR_MICROS
}

/// The numbers of the units that are read, in that order.
fn read(units: &[Unit], volumes: &[InMemory], from: WallTime, to: WallTime) -> Vec<usize> {
    let volumes = volumes.iter().map(|volume| volume as &dyn Chunks);
    let mut selection = Selection::new(volumes, main_stream(), from, to).unwrap();
    let mut numbers = Vec::new();
    while let Some(chunk) = selection.next() {
        for frame in chunk.frames() {
            let pts = chunk.entry.pts.0 + i64::from(frame.pts_offset);
            let wall = chunk.header.wall_of(frame.pts_offset).as_unix_micros();
            let is_it =
                |unit: &Unit| unit.pts == pts && (unit.wall - wall).abs() <= ANCHOR_ERROR_MICROS + 100;
            numbers.push(units.iter().position(is_it).expect("what is read was recorded"));
        }
        assert!(numbers.len() <= 4 * units.len(), "it does not end");
    }
    numbers
}

/// Every unit that a volume has comes once, and where time only goes forward in recorded order.
fn check(layout: &Layout) -> Result<(), TestCaseError> {
    let units = layout.units();
    let volumes: Vec<InMemory> = layout.volumes.iter().map(|volume| Writer::record(&units, volume)).collect();
    let has: BTreeSet<usize> =
        layout.volumes.iter().flat_map(|volume| volume.stretches.iter().cloned().flatten()).collect();
    let all = read(&units, &volumes, BEGINNING, END);
    if layout.steps.is_empty() {
        prop_assert!(all.is_sorted(), "not in order: {:?}", all);
    }
    let mut sorted = all;
    sorted.sort_unstable();
    prop_assert_eq!(sorted, has.iter().copied().collect::<Vec<_>>());
    let whole_groups = layout.steps.iter().all(|step| step.life.is_some() || step.at.is_multiple_of(GROUP));
    for &(begin, length) in &layout.parts {
        let from = WallTime::from_unix_micros(START_MICROS + begin * UNIT_MICROS);
        let to = from.offset_micros(length * UNIT_MICROS);
        let some = read(&units, &volumes, from, to);
        let known: BTreeSet<usize> = some.iter().copied().collect();
        prop_assert_eq!(known.len(), some.len(), "twice in {:?}..{:?}: {:?}", from, to, some);
        prop_assert!(some.first().is_none_or(|first| units[*first].keyframe), "{:?}", some);
        // Where the clock was set within a group, there may be no keyframe that is before `from`.
        if whole_groups {
            let within =
                from.as_unix_micros() + ANCHOR_ERROR_MICROS..to.as_unix_micros() - ANCHOR_ERROR_MICROS;
            let missing: Vec<_> = has
                .iter()
                .filter(|unit| within.contains(&units[**unit].wall) && !known.contains(unit))
                .collect();
            prop_assert!(missing.is_empty(), "{:?} of {:?}..{:?}", missing, from, to);
        }
    }
    Ok(())
}

/// A presentation time comes twice, and the clock shows nearly the same at both: nobody can tell these units apart.
fn is_ambiguous(units: &[Unit]) -> bool {
    let mut times: Vec<(i64, i64)> = units.iter().map(|unit| (unit.pts, unit.wall)).collect();
    times.sort_unstable();
    times.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[1].1 - pair[0].1 < 900_000)
}

/// With stretches of at least so many units: of fewer B-frames nobody can tell how long a unit lasts.
fn volume(count: usize, least: usize) -> impl Strategy<Value = Volume> {
    // A gap in groups, and a length.
    let stretch = (0..6_usize, least..150);
    (vec(stretch, 1..8), 8..18_usize, any::<bool>()).prop_map(move |(pieces, every, commits_at_ends)| {
        let (mut stretches, mut next) = (Vec::new(), 0);
        for (gap, length) in pieces {
            let begin = (next + GROUP * gap).next_multiple_of(GROUP);
            let end = (begin + length).min(count);
            if begin + least <= end {
                stretches.push(begin..end);
            }
            next = end + 1;
        }
        Volume { stretches, every, commits_at_ends }
    })
}

fn step(count: usize) -> impl Strategy<Value = Step> {
    let at = prop_oneof![1..count, (1..count / GROUP).prop_map(|group| group * GROUP)];
    let tenths = prop_oneof![3 => -100..0_i64, 1 => 1..100_i64];
    (at, tenths, prop::option::weighted(0.3, -200..200_i64)).prop_map(|(at, tenths, life)| Step {
        at,
        tenths,
        life,
    })
}

/// The clock is set up to three times, or the source begins anew.
fn layout() -> impl Strategy<Value = Layout> {
    (200..400_usize)
        .prop_flat_map(|count| {
            let parts = vec((-10..400_i64, 1..200_i64), 2);
            (vec(step(count), 0..4), vec(volume(count, 1), 2..5), parts).prop_map(
                move |(steps, volumes, parts)| Layout { b_frames: false, count, steps, volumes, parts },
            )
        })
        .prop_filter("units that nobody can tell apart", |layout| !is_ambiguous(&layout.units()))
}

/// With B-frames; the clock is set back once, between two groups.
fn layout_with_b_frames() -> impl Strategy<Value = Layout> {
    (1..15_usize, prop::option::of(1..100_i64), vec(volume(400, 4), 2..4)).prop_map(
        |(group, tenths, volumes)| {
            let step = tenths.map(|tenths| Step { at: group * GROUP, tenths: -tenths, life: None });
            let steps = step.into_iter().collect();
            Layout { b_frames: true, count: 400, steps, volumes, parts: Vec::new() }
        },
    )
}

/// The same layouts each time, unless `PROPTEST_RNG_SEED` names others.
fn config() -> ProptestConfig {
    let named = ProptestConfig::with_cases(4_000);
    let rng_seed = if named.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { named.rng_seed };
    ProptestConfig { max_shrink_iters: 2_000, rng_seed, failure_persistence: None, ..named }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_unit_comes_once_whatever_lies_where(layout in layout()) {
        check(&layout)?;
    }

    #[test]
    fn every_unit_comes_once_with_b_frames(layout in layout_with_b_frames()) {
        check(&layout)?;
    }
}

fn volumes(of: &[(&[Range<usize>], usize)]) -> Vec<Volume> {
    let volume = |(stretches, every): &(&[Range<usize>], usize)| Volume {
        stretches: stretches.to_vec(),
        every: *every,
        commits_at_ends: true,
    };
    of.iter().map(volume).collect()
}

/// Layouts that were read wrongly once: what came twice, what was left out.
#[test]
fn what_was_read_wrongly_once_is_read_once() {
    let set_back = |at, tenths: i64| vec![Step { at, tenths: -tenths, life: None }];
    let found = [
        // The unit that comes next lies behind one in the same chunk that no other volume has.
        (
            set_back(220, 92),
            vec![
                (&[80..189, 260..375][..], 6),
                (&[100..111, 160..193, 240..259, 380..383], 5),
                (&[100..154, 280..283, 380..400], 15),
            ],
        ),
        // What was given out lies in the middle of a chunk.
        (
            set_back(240, 54),
            vec![
                (&[40..150, 220..294, 380..400][..], 3),
                (&[0..81, 120..180, 220..317], 16),
                (&[60..171, 260..382], 5),
            ],
        ),
        (
            set_back(260, 71),
            vec![
                (&[80..176, 240..317, 380..400][..], 12),
                (&[20..63, 140..217, 280..315, 340..400], 17),
                (&[40..117, 180..215, 240..334], 5),
            ],
        ),
        // The clock was set back by as much as a gap is long: one run in the index.
        (
            set_back(213, 76),
            vec![
                (&[60..96, 200..216, 320..336][..], 7),
                (&[80..224, 260..336], 5),
                (&[20..79, 100..152, 220..257], 9),
            ],
        ),
        (
            vec![Step { at: 70, tenths: -83, life: None }],
            vec![(&[80..144, 220..225][..], 12), (&[0..94, 180..225], 16)],
        ),
    ];
    for (steps, has) in found {
        let layout =
            Layout { b_frames: false, count: 400, steps, volumes: volumes(&has), parts: vec![(186, 97)] };
        check(&layout).unwrap();
    }
    // Pictures that are shown before the last one of a volume.
    let steps = set_back(160, 60);
    let has = [(&[100..112, 160..291][..], 3), (&[80..166, 280..294], 13)];
    check(&Layout { b_frames: true, count: 400, steps, volumes: volumes(&has), parts: Vec::new() }).unwrap();
}

/// A unit is missing in the middle of a chunk of one volume, and another one has it.
#[test]
fn a_hole_in_a_chunk_is_filled() {
    let mut volumes = volumes(&[(&[0..10, 11..40], 20), (std::slice::from_ref(&(0..40)), 7)]);
    volumes[0].commits_at_ends = false;
    let layout = Layout { b_frames: false, count: 40, steps: Vec::new(), volumes, parts: Vec::new() };
    check(&layout).unwrap();
}

fn whole(stretches: &[Range<usize>], every: usize) -> Volume {
    Volume { stretches: stretches.to_vec(), every, commits_at_ends: false }
}

#[test]
fn a_unit_behind_a_gap_waits_for_those_that_another_volume_has() {
    let volumes = vec![
        whole(std::slice::from_ref(&(20..21)), 8),
        whole(&[100..180, 240..299], 12),
        whole(&[80..140, 200..253, 260..261], 13),
    ];
    let layout = Layout { b_frames: false, count: 370, steps: Vec::new(), volumes, parts: Vec::new() };
    check(&layout).unwrap();
}

/// The clock was set back, and the part begins in what was recorded then, behind a segment's first keyframe.
#[test]
fn a_part_begins_where_the_clock_was_set_back() {
    let step = |at, tenths| Step { at, tenths, life: None };
    let steps = vec![step(160, -59), step(180, -85), step(20, -68)];
    let volumes = vec![whole(&[40..41, 120..214], 8)];
    check(&Layout { b_frames: false, count: 249, steps, volumes, parts: vec![(0, 14)] }).unwrap();
}

/// Both volumes end in the midst of a group, one of them a picture later; it goes on behind a gap, within a chunk.
#[test]
fn the_last_picture_before_a_gap_comes_before_it() {
    let volumes = vec![whole(&[40..44, 140..233, 240..244], 15), whole(&[40..120, 220..234], 8)];
    check(&Layout { b_frames: true, count: 400, steps: Vec::new(), volumes, parts: Vec::new() }).unwrap();
}
