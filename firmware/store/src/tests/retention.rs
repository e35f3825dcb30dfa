//! What goes when room is needed or days are over, also when the clock jumps.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hal::{ByteCount, Clock, StreamKind, WallTime};

use super::support::{Made, Source, Turned, assert_clean, keys, read_all, scratch, small, stream};
use crate::faults::{Fault, FaultDisk, Loss, MemoryDisk, Operation};
use crate::segment::number;
use crate::{Class, Reader, Retention, Store, list, rebuild_index};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const SEGMENT: u64 = 64 << 10;

fn class(number: u8) -> Class {
    Class::new(number).unwrap()
}

fn rule(max_days: Option<u32>, share: u32) -> Retention {
    Retention { max_days, share }
}

/// 1970-01-01T00:01:00Z.
const YEAR_1970: WallTime = WallTime::from_unix_micros(60_000_000);
/// 2040-01-01T00:00:00Z.
const YEAR_2040: WallTime = WallTime::from_unix_micros(2_208_988_800_000_000);

/// One stream for good and one that is kept for some days.
struct House {
    dir: tempfile::TempDir,
    clock: Arc<Turned>,
    store: Option<Store>,
    lasting: Source,
    passing: Source,
    days: u32,
    segments: u64,
}

impl House {
    fn new(segments: u64, days: u32) -> Self {
        let mut house = Self {
            dir: scratch(),
            clock: Turned::new(),
            store: None,
            lasting: Source::new(stream(1, StreamKind::Main), 5, 1200),
            passing: Source::new(stream(2, StreamKind::Main), 5, 1200),
            days,
            segments,
        };
        house.open(true);
        house
    }

    fn open(&mut self, trusted: bool) {
        self.store = None;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let mut store = Store::open(self.dir.path(), small(self.segments), &keys(), clock).unwrap().0;
        store.set_clock_trusted(trusted);
        store.set_class(self.passing.stream, class(1));
        store.set_retention(class(1), rule(Some(self.days), 1));
        self.store = Some(store);
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    /// Both have a second of footage now.
    fn record(&mut self) -> (Vec<Made>, Vec<Made>) {
        let now = self.clock.wall();
        let store = self.store.as_mut().unwrap();
        self.lasting.go_to(now);
        self.passing.go_to(now);
        let made = (self.lasting.feed(store, 5), self.passing.feed(store, 5));
        self.commit();
        made
    }

    fn commit(&mut self) -> u64 {
        let report = self.store().commit().unwrap();
        assert_eq!(report.retention_error, None);
        report.expired
    }

    /// Commits until nothing goes any more.
    fn settle(&mut self) {
        while self.commit() > 0 {}
    }

    /// Days pass, with footage every six hours; the first units of the stream that passes.
    fn live(&mut self, days: u64) -> Vec<Made> {
        let mut firsts = Vec::new();
        for _ in 0..4 * days {
            firsts.push(self.record().1.remove(0));
            self.clock.pass(6 * HOUR);
            self.settle();
        }
        firsts
    }

    /// The ages of what there is of the stream that passes, in hours.
    fn hours(&self) -> Vec<i64> {
        let reader = Reader::open(self.dir.path(), &keys()).unwrap();
        let now = self.clock.wall();
        let age = |at: WallTime| now.micros_since(at) / 3_600_000_000;
        let units = read_all(&reader, self.passing.stream);
        units.iter().filter(|unit| unit.discontinuity).map(|unit| age(unit.wall)).collect()
    }

    fn lasting_units(&self) -> usize {
        read_all(&Reader::open(self.dir.path(), &keys()).unwrap(), self.lasting.stream).len()
    }
}

#[test]
fn footage_goes_when_its_days_are_over_and_nothing_else_does() {
    let mut house = House::new(60, 7);
    house.live(20);
    let hours = house.hours();
    // By segments, of which each has a day: at most a day late, and never early.
    assert!((7 * 24..=8 * 24 + 6).contains(&hours[0]), "{hours:?}");
    assert_eq!(hours.len() as i64, hours[0] / 6, "one every six hours, without a hole: {hours:?}");
    assert_eq!(house.lasting_units(), 20 * 4 * 5, "the other class keeps all");
    assert_clean(house.dir.path());

    // Neither a new index nor a new start brings it back.
    house.store = None;
    rebuild_index(house.dir.path()).unwrap();
    assert_eq!(house.hours(), hours);
    house.open(true);
    house.settle();
    assert_eq!(house.hours(), hours);
    house.live(1);
    assert!(house.hours()[0] <= 8 * 24 + 6);
    // Longer from now on: what is there stays.
    house.store().set_retention(class(1), rule(Some(30), 1));
    let before = house.hours().len();
    house.live(3);
    assert_eq!(house.hours().len(), before + 12);
    assert_clean(house.dir.path());
}

#[test]
fn a_clock_that_jumps_neither_deletes_nor_hides_footage() {
    let mut house = House::new(60, 7);
    house.live(3);
    // Somebody sets it to 2040, for an hour. Whoever says that the clock is right is believed no faster than a day an hour.
    let before = house.clock.wall();
    house.clock.set(YEAR_2040);
    let in_2040 = house.record().1;
    house.clock.pass(HOUR);
    house.settle();
    // The battery is empty: 1970, and nobody vouches for that.
    house.clock.set(YEAR_1970);
    house.open(false);
    house.settle();
    let in_1970 = house.record().1;
    house.clock.pass(DAY);
    house.settle();
    assert_eq!(house.hours().len(), 14, "twelve, and one of each jump");
    // A time server answers.
    house.clock.set(before.offset_micros(((DAY + HOUR) * 1_000_000) as i64));
    house.store().set_clock_trusted(true);
    house.record();
    house.settle();
    assert_eq!(house.hours().len(), 15);
    let all = read_all(&Reader::open(house.dir.path(), &keys()).unwrap(), house.passing.stream);
    for made in in_2040.iter().chain(&in_1970) {
        assert!(all.iter().any(|unit| made.is(unit)), "footage of another time is hidden");
    }
    // None of it stays for good.
    house.live(10);
    let hours = house.hours();
    assert!(hours.iter().all(|hours| (0..=8 * 24 + 6).contains(hours)), "{hours:?}");
    assert!(hours.len() >= 28, "{hours:?}");
    assert_clean(house.dir.path());
}

#[test]
fn a_recorder_without_a_battery_that_begins_in_1970_keeps_what_it_records_later() {
    let mut house = House::new(60, 7);
    house.clock.set(YEAR_1970);
    house.open(false);
    house.record();
    // From the network.
    house.clock.pass(HOUR);
    let first = WallTime::from_unix_micros(super::support::START_MICROS);
    house.clock.set(first);
    house.store().set_clock_trusted(true);
    house.live(2);
    // Power cut, and no network.
    house.clock.set(YEAR_1970);
    house.open(false);
    for _ in 0..8 {
        house.clock.pass(6 * HOUR);
        house.settle();
    }
    house.clock.set(first.offset_micros((4 * DAY * 1_000_000) as i64));
    let of_2026 = house.hours().into_iter().filter(|hours| *hours < 1000).count();
    assert_eq!(of_2026, 8, "{:?}", house.hours());
}

#[test]
fn a_month_without_power_is_made_up_for() {
    let mut house = House::new(60, 7);
    house.live(5);
    house.clock.set(house.clock.wall().offset_micros((30 * DAY * 1_000_000) as i64));
    house.open(true);
    // All of it is over, and goes within two days.
    house.live(2);
    let hours = house.hours();
    assert!(hours.iter().all(|hours| *hours <= 48), "{hours:?}");
    assert_eq!(hours.len(), 8, "what was recorded since is there");
    // And what was recorded while the calendar made up for it is kept as long as all.
    house.live(4);
    assert_eq!(house.hours().len(), 24);
    house.live(4);
    assert!((28..=33).contains(&house.hours().len()), "{:?}", house.hours());
}

#[test]
fn each_class_keeps_its_share_when_room_is_needed() {
    let (dir, clock) = (scratch(), Turned::new());
    let mut store = Store::open(dir.path(), small(14), &keys(), clock).unwrap().0;
    let mut sources = [1, 2, 3]
        .map(|channel| Source::new(stream(channel, StreamKind::Main), 5, 3000 / u64::from(channel) as usize));
    for (source, (number, share)) in sources.iter().zip([(0, 3), (1, 1), (2, 0)]) {
        store.set_class(source.stream, class(number));
        store.set_retention(class(number), rule(None, share));
    }
    let counts = |dir: &Path| {
        let segments = list(dir).unwrap().segments;
        [0, 1, 2].map(|number| segments.iter().filter(|it| it.sealed && it.class == class(number)).count())
    };
    for _ in 0..80 {
        for source in &mut sources {
            source.feed(&mut store, 5);
        }
        store.commit().unwrap();
    }
    // 14 files, of which three are being written. Who has no share has what it writes, and at most one more.
    let [first, second, third] = counts(dir.path());
    assert_eq!(first + second + third, 11);
    assert!(third <= 1 && (8..=9).contains(&first) && (2..=3).contains(&second), "{first} {second} {third}");
    assert_clean(dir.path());
    // A class that nobody writes to any more gives nothing as long as it has no more than its share: of twelve closed ones,
    // as the class without a share has none open any more.
    for _ in 0..20 {
        sources[0].feed(&mut store, 5);
        store.commit().unwrap();
    }
    assert_eq!(counts(dir.path()), [9, 3, 0]);
    // Another share: what it has too much goes first.
    store.set_retention(class(1), rule(None, 0));
    for _ in 0..20 {
        sources[0].feed(&mut store, 5);
        store.commit().unwrap();
    }
    assert_eq!(counts(dir.path())[1], 0);
    // Also the segments that nobody would ever have filled.
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let left = sources.each_ref().map(|source| reader.bounds(source.stream).unwrap().is_some());
    assert_eq!(left, [true, false, false]);
    assert_clean(dir.path());
}

#[test]
fn a_stream_that_is_kept_shorter_from_now_on_keeps_what_it_has() {
    let mut house = House::new(60, 7);
    let stream = house.passing.stream;
    house.store().set_class(stream, class(0));
    house.live(4);
    house.store().set_class(stream, class(1));
    house.live(12);
    let hours = house.hours();
    let old = hours.iter().filter(|hours| **hours > 9 * 24).count();
    assert_eq!(old, 16, "four days that are kept as long as there is room: {hours:?}");
    assert!((28..=33).contains(&(hours.len() - old)), "{hours:?}");
    assert_clean(house.dir.path());
}

#[test]
fn in_the_steady_state_files_are_neither_made_nor_removed() {
    let dir = scratch();
    let (clock, disk) = (Turned::new(), FaultDisk::in_memory(&MemoryDisk::default(), Loss::Everything));
    let clock_of_store = Arc::clone(&clock) as Arc<dyn Clock>;
    let mut store =
        Store::open_on(Arc::new(disk.clone()), dir.path(), small(10), &keys(), clock_of_store).unwrap().0;
    store.set_clock_trusted(true);
    store.set_retention(class(1), rule(Some(1), 4));
    let mut sources = [1, 2].map(|channel| Source::new(stream(channel, StreamKind::Main), 5, 2000));
    store.set_class(sources[1].stream, class(1));
    let (mut recycled, mut expired) = (0, 0);
    let seen = Arc::new(Mutex::new((0, BTreeSet::new())));
    for hour in 0..400 {
        if hour == 100 {
            let watched = Arc::clone(&seen);
            disk.watch(move |moment| match moment.next {
                Operation::Create(_) | Operation::Remove(_) => watched.lock().unwrap().0 += 1,
                Operation::Rename(from, _) => {
                    watched.lock().unwrap().1.extend(number(&from));
                }
                _ => {}
            });
        }
        clock.pass(HOUR);
        sources[0].go_to(clock.wall());
        sources[0].feed(&mut store, 5);
        // Now and then so much less that its days are over before its room is needed.
        if hour % 4 == 0 {
            sources[1].go_to(clock.wall());
            sources[1].feed(&mut store, 5);
        }
        let report = store.commit().unwrap();
        if hour >= 100 {
            expired += report.expired;
            recycled += report.sealed;
        }
    }
    disk.unwatch();
    let (made_or_removed, reused) = &*seen.lock().unwrap();
    assert_eq!(*made_or_removed, 0);
    assert!(expired > 5 && recycled > 10 && reused.len() > 15, "{expired} {recycled} {}", reused.len());
}

#[test]
fn for_how_long_footage_will_stay_is_known_after_an_hour() {
    let (dir, clock) = (scratch(), Turned::new());
    let clock_of_store = Arc::clone(&clock) as Arc<dyn Clock>;
    let mut store = Store::open(dir.path(), small(2000), &keys(), clock_of_store).unwrap().0;
    store.set_retention(class(1), rule(Some(2), 1));
    let mut sources = [1, 2].map(|channel| Source::new(stream(channel, StreamKind::Main), 5, 2000));
    store.set_class(sources[1].stream, class(1));
    let mut written = 0;
    for minute in 0..120 {
        for source in &mut sources {
            source.go_to(clock.wall());
            source.feed(&mut store, 5);
        }
        written += store.commit().unwrap().written.0;
        if minute == 30 {
            assert!(
                store.classes().iter().all(|class| class.expected.is_none() && class.bytes_per_day.is_none())
            );
        }
        clock.pass(60);
    }
    let classes = store.classes();
    assert_eq!(classes.iter().map(|it| it.class).collect::<Vec<_>>(), [class(0), class(1)]);
    let a_day = written / 2 * 12;
    for class in &classes {
        let rate = class.bytes_per_day.unwrap().0;
        assert!((a_day * 8 / 10..a_day * 12 / 10).contains(&rate), "{rate}, {a_day}");
    }
    assert_eq!(classes[1].expected.unwrap().as_secs(), 2 * DAY);
    // All that the other one leaves.
    let room = 2000 * SEGMENT - 2 * classes[1].bytes_per_day.unwrap().0;
    let days = classes[0].expected.unwrap().as_secs_f64() / DAY as f64;
    let wanted = room as f64 / classes[0].bytes_per_day.unwrap().0 as f64;
    assert!((days - wanted).abs() < 0.1, "{days}, {wanted}");
    // A start does not forget it.
    store.finish().unwrap();
    let store = Store::open(dir.path(), small(2000), &keys(), clock).unwrap().0;
    let again = store.classes()[0].bytes_per_day.unwrap();
    assert!((a_day * 7 / 10..a_day * 13 / 10).contains(&again.0), "{again:?}");
    assert_eq!(store.status().max_bytes, ByteCount(2000 * SEGMENT));
}

#[test]
fn a_commit_that_failed_does_not_come_back_when_the_one_that_took_its_place_expires() {
    let (dir, clock) = (scratch(), Turned::new());
    let disk = FaultDisk::new(Loss::Nothing);
    let open = || {
        let (disk, clock) = (Arc::new(disk.clone()), Arc::clone(&clock) as Arc<dyn Clock>);
        let mut store = Store::open_on(disk, dir.path(), small(10), &keys(), clock).unwrap().0;
        store.set_clock_trusted(true);
        store.set_retention(Class::DEFAULT, rule(Some(1), 1));
        store
    };
    let mut store = open();
    let mut source = Source::new(stream(1, StreamKind::Main), 5, 2000);
    source.feed(&mut store, 5);
    // The file is made, its name synced, the commit written; then the sync fails, and another segment has it again.
    disk.fail_at(disk.operations() + 3, Fault::SyncEio);
    let report = store.commit().unwrap();
    assert_eq!((report.failed, report.units), (1, 5));
    let with_footage = || -> Vec<u64> {
        let segments = list(dir.path()).unwrap().segments;
        segments.iter().filter(|it| it.chunks > 0).map(|it| it.segment).collect()
    };
    assert_eq!(with_footage(), [2], "the first one is void");
    clock.pass(2 * DAY);
    store.commit().unwrap();
    clock.pass(2 * DAY);
    assert_eq!(store.commit().unwrap().expired, 1);
    disk.cut_power();
    drop(store);
    disk.come_back();
    let mut store = open();
    assert_eq!(read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream).len(), 0);
    assert_eq!(with_footage(), [0; 0]);
    store.commit().unwrap();
    assert_clean(dir.path());
}
