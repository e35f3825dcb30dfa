//! A stream in two classes by turns, of which one is overwritten: events.
//!
//! Does not belong here: when a stream changes (crate `recorder`).

use std::path::Path;
use std::sync::Arc;

use hal::{Clock, StreamKind};

use super::support::{
    BEGINNING, END, Made, Source, Turned, assert_clean, assert_stretch, keys, noise, read_all, scratch,
    small, stream,
};
use crate::faults::{Fault, FaultDisk, Loss};
use crate::{Class, FragmentRequest, Order, Reader, ReplayRequest, Retention, Store, list, rebuild_index};

const CONTINUOUS: Class = Class::DEFAULT;
/// A few: continuous footage is overwritten soon.
const SEGMENTS: u64 = 8;
/// Continuous footage that is more than the volume has room for.
const LONG: usize = 120;
const DAY: u64 = 86_400;

fn event() -> Class {
    Class::new(5).unwrap()
}

/// A channel with sound, and all that it ever sent.
struct Channel {
    clock: Arc<Turned>,
    sources: [Source; 2],
    made: [Vec<Made>; 2],
}

impl Channel {
    fn new() -> Self {
        let sources =
            [(StreamKind::Main, 5, 1200), (StreamKind::Audio, 10, 160)].map(|(kind, rate, bytes)| {
                // A keyframe every 2 s, so that a change after an odd number of seconds is within a GOP.
                Source::new(stream(1, kind), rate, bytes)
            });
        Self { clock: Turned::new(), sources, made: [Vec::new(), Vec::new()] }
    }

    fn open(&self, disk: &FaultDisk, dir: &Path) -> Store {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let mut store =
            Store::open_on(Arc::new(disk.clone()), dir, small(SEGMENTS), &keys(), clock).unwrap().0;
        store.set_clock_trusted(true);
        store.set_retention(event(), Retention { max_days: Some(30), share: 1 });
        store
    }

    /// So many seconds, each of them committed; whether all commits were acknowledged.
    fn record(&mut self, store: &mut Store, class: Class, seconds: usize) -> bool {
        for source in &self.sources {
            store.set_class(source.stream, class);
        }
        let mut all = true;
        for _ in 0..seconds {
            self.clock.pass(1);
            for (source, made) in self.sources.iter_mut().zip(&mut self.made) {
                made.extend(source.feed(store, source.rate));
            }
            all &= store.commit().is_ok();
        }
        all
    }

    fn seconds(&self) -> usize {
        self.made[0].len() / self.sources[0].rate as usize
    }
}

/// The event lasts from second `from` to second `to`; what there is of it is there once, and decodes from the first unit on.
#[track_caller]
fn assert_event_is_there(dir: &Path, channel: &Channel, from: usize, to: usize) {
    let reader = Reader::open(dir, &keys()).unwrap();
    for (source, made) in channel.sources.iter().zip(&channel.made) {
        let of_second = |second: usize| second * source.rate as usize;
        let of = |second: usize| made[of_second(second)].wall;
        let units: Vec<_> =
            reader.units(source.stream, of(from), of(to)).unwrap().collect::<Result<_, _>>().unwrap();
        // What came before the first keyframe needs what was overwritten.
        let first = of_second(from) + made[of_second(from)..].iter().position(|unit| unit.keyframe).unwrap();
        assert_eq!(assert_stretch(made, &units), (first, of_second(to)), "{}", source.stream);
        // All that there is: each unit once, and in order.
        let all = read_all(&reader, source.stream);
        let places = all.iter().map(|unit| made.iter().position(|made| made.is(unit)).unwrap());
        assert!(places.is_sorted_by(|before, after| before < after));
        assert!(all.len() < made.len() && all.last().is_some_and(|last| made.last().unwrap().is(last)));
    }
    // A player begins with the keyframe, too, and has the sound with it.
    let made = &channel.made[0];
    let (start, end) = (made[from * 5].wall, made[to * 5].wall);
    let request = ReplayRequest {
        stream: channel.sources[0].stream,
        sound: true,
        start,
        end,
        order: Order::Forward,
        keyframes_only: false,
    };
    let replayed: Vec<_> = reader.replay(&request).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(replayed.iter().find(|unit| unit.unit.stream.kind == StreamKind::Main).unwrap().unit.keyframe);
    assert!(replayed.iter().any(|unit| unit.unit.stream.kind == StreamKind::Audio));
    let zero = start.offset_micros(-3_600_000_000);
    let request =
        FragmentRequest { channel: channel.sources[0].stream.channel, start, end, zero, sound: true };
    let fragments: Result<Vec<_>, _> = reader.fragments(&request).unwrap().collect();
    assert!(fragments.unwrap().len() > to - from);
}

/// Continuous for a while, an event, continuous until what was before the event is gone; `before` decides where in a GOP the
/// event begins.
fn live(dir: &Path, before: usize, lasts: usize) -> Channel {
    let mut channel = Channel::new();
    let mut store = channel.open(&FaultDisk::new(Loss::Everything), dir);
    assert!(channel.record(&mut store, CONTINUOUS, before));
    assert!(channel.record(&mut store, event(), lasts));
    assert!(channel.record(&mut store, CONTINUOUS, LONG));
    store.finish().unwrap();
    channel
}

#[test]
fn event_footage_plays_after_the_footage_around_it_was_overwritten() {
    for (before, lasts) in [(20, 6), (21, 6), (21, 5), (40, 7)] {
        let dir = scratch();
        let channel = live(dir.path(), before, lasts);
        let reader = Reader::open(dir.path(), &keys()).unwrap();
        let oldest = reader.bounds(channel.sources[0].stream).unwrap().unwrap().0;
        assert!(channel.made[0][before * 5].wall <= oldest, "what was before the event is gone");
        assert_event_is_there(dir.path(), &channel, before, before + lasts);
        let (stream, runs) = (channel.sources[0].stream, |reader: &Reader, stream| {
            reader.runs(stream, BEGINNING, END).unwrap()
        });
        let told = runs(&reader, stream);
        assert!(told.len() >= 2, "the event and what is newest: {told:?}");
        assert_clean(dir.path());
        rebuild_index(dir.path()).unwrap();
        assert_event_is_there(dir.path(), &channel, before, before + lasts);
        assert_eq!(runs(&Reader::open(dir.path(), &keys()).unwrap(), stream), told);
    }
}

#[test]
fn a_change_holds_from_the_next_commit_on_and_can_be_asked_for() {
    let dir = scratch();
    let mut channel = Channel::new();
    let mut store = channel.open(&FaultDisk::new(Loss::Everything), dir.path());
    let stream = channel.sources[0].stream;
    store.set_class(stream, event());
    assert_eq!((store.class(stream), store.class_awaits_commit()), (event(), false), "nothing is there yet");
    channel.sources[0].feed(&mut store, 3);
    store.set_class(stream, CONTINUOUS);
    assert_eq!((store.class(stream), store.class_awaits_commit()), (event(), true));
    store.commit().unwrap();
    assert_eq!((store.class(stream), store.class_awaits_commit()), (CONTINUOUS, false));
    store.set_class(stream, event());
    assert_eq!((store.class(stream), store.class_awaits_commit()), (event(), false), "nothing waits");
}

#[test]
fn event_footage_has_days_of_its_own() {
    let dir = scratch();
    let (before, lasts) = (21, 6);
    let mut channel = live(dir.path(), before, lasts);
    let disk = FaultDisk::new(Loss::Everything);
    let mut store = channel.open(&disk, dir.path());
    let end = channel.seconds();
    // 29 days later it is there, and the continuous footage goes on beside it.
    channel.clock.pass(29 * DAY);
    channel.sources.iter_mut().for_each(|source| source.go_to(channel.clock.wall()));
    assert!(channel.record(&mut store, CONTINUOUS, LONG));
    assert_event_is_there(dir.path(), &channel, before, before + lasts);
    channel.clock.pass(3 * DAY);
    channel.sources.iter_mut().for_each(|source| source.go_to(channel.clock.wall()));
    assert!(channel.record(&mut store, CONTINUOUS, 20));
    store.finish().unwrap();
    assert!(list(dir.path()).unwrap().segments.iter().all(|segment| segment.class == CONTINUOUS));
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let oldest = reader.bounds(channel.sources[0].stream).unwrap().unwrap().0;
    assert!(channel.made[0][end * 5 - 1].wall < oldest);
    assert_clean(dir.path());
}

/// The power goes at `operation` of a life in which events come and go while the oldest footage is overwritten.
fn crash_at(operation: u64, loss: Loss) -> bool {
    let dir = scratch();
    let disk = FaultDisk::new(loss);
    disk.fail_at(operation, Fault::PowerCut);
    let mut channel = Channel::new();
    let opened = Store::open_on(
        Arc::new(disk.clone()),
        dir.path(),
        small(SEGMENTS),
        &keys(),
        Arc::clone(&channel.clock) as Arc<dyn Clock>,
    );
    let Ok((mut store, _)) = opened else { return disk.is_off() };
    let mut acknowledged = 0;
    for second in 0..90 {
        let class = if second % 15 >= 12 { event() } else { CONTINUOUS };
        if channel.record(&mut store, class, 1) {
            acknowledged = channel.seconds();
        }
        if disk.is_off() {
            break;
        }
    }
    let went = disk.is_off();
    disk.cut_power();
    drop(store);
    let store = channel.open(&FaultDisk::new(Loss::Everything), dir.path());
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    for (source, made) in channel.sources.iter().zip(&channel.made) {
        let all = read_all(&reader, source.stream);
        let places: Vec<_> =
            all.iter().map(|unit| made.iter().position(|made| made.is(unit)).unwrap()).collect();
        assert!(places.is_sorted_by(|before, after| before < after), "{operation}, {loss:?}");
        let end = places.last().map_or(0, |last| last + 1);
        assert!(end >= acknowledged * source.rate as usize, "{operation}, {loss:?}: {end}");
    }
    store.finish().unwrap();
    assert_clean(dir.path());
    went
}

#[test]
fn a_crash_among_events_loses_and_doubles_nothing() {
    let (mut operation, mut points) = (0, 0);
    // Not a divisor of what a second takes, so that every kind of operation has its turn.
    while crash_at(operation, [Loss::Everything, Loss::Some(noise(operation)), Loss::Nothing][points % 3]) {
        operation += 7;
        points += 1;
    }
    assert!(points > 30, "{points} crash points");
}
