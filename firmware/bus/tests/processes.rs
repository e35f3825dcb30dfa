//! Rings between processes: nothing torn, death survived, woken without polling.

mod common;

use std::fs;
use std::time::Duration;

use bus::{ErrorKind, Next, Publisher, RingSpec, Start, Subscriber};
use common::{H264, LONG, SMALL, child, parent, prove, publish, stream, unit};
use hal::{AccessUnit, Clock, Pts90k, SystemClock, WallTime};

/// An eighth of the ring: readers are overrun in the middle of copies.
const MOST: usize = 8 << 10;
const UNITS: u64 = 100_000;
const GOP: u64 = 12;

#[test]
#[ignore = "a child of the tests below"]
fn publish_at_full_speed() {
    let Some((dir, life)) = parent() else { return };
    let mut publisher = Publisher::create(&dir, stream(1), &H264, SMALL).expect("the ring");
    fs::write(dir.join(format!("ready-{life}")), "").expect("the mark");
    // Until it is killed or asked to go.
    for n in 0.. {
        publish(&mut publisher, life << 32 | n, n % GOP == 0, MOST);
        if n % 4096 == 0 && dir.join("go").exists() {
            return;
        }
    }
}

/// Reads and proves until `last` or the end; returns units read and lost.
fn read_all(reader: &mut Subscriber, last: u64) -> (u64, u64) {
    let mut data = Vec::new();
    let (mut read, mut lost, mut expected, mut after_loss) = (0, 0, None, true);
    // What was overrun before the first was read is not lost: nobody had begun.
    loop {
        match reader.next(&mut data).expect("a sound ring") {
            Next::Unit(meta) => {
                let seed = prove(&meta, &data, MOST);
                assert_eq!(meta.keyframe, (seed & 0xffff_ffff).is_multiple_of(GOP));
                assert!(meta.keyframe || !after_loss, "a loss ends at a keyframe");
                assert!(
                    expected.is_none_or(|expected| expected == meta.sequence),
                    "losses are counted exactly"
                );
                (after_loss, expected) = (false, Some(meta.sequence + 1));
                if read == 0 {
                    lost += meta.sequence;
                }
                read += 1;
                if seed == last {
                    return (read, lost);
                }
            }
            Next::Lost { units, gops } => {
                assert!(data.is_empty());
                assert!(
                    units > 0 && gops > 0 && gops <= units.div_ceil(GOP) + 1,
                    "{units} units, {gops} GOPs"
                );
                expected = expected.map(|expected| expected + units);
                lost += units;
                after_loss = true;
            }
            Next::Empty => assert!(reader.wait(LONG), "the publisher stopped"),
            Next::Retired => return (read, lost),
        }
    }
}

#[test]
#[ignore = "a child of the test below"]
fn read_at_full_speed() {
    let Some((dir, life)) = parent() else { return };
    let mut reader = Subscriber::open(&dir, stream(1), Start::Oldest).expect("the ring");
    fs::write(dir.join("reading"), "").expect("the mark");
    let (read, lost) = read_all(&mut reader, life << 32 | (UNITS - 1));
    fs::write(dir.join("result"), format!("{read} {lost}")).expect("the result");
}

#[test]
fn an_overrun_reader_in_another_process_never_gets_a_torn_unit() {
    let dir = tempfile::tempdir().expect("a folder");
    // The ring is there before its publisher starts, so that both readers see all of it.
    let mut first = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("the ring");
    let mut reader = Subscriber::open(dir.path(), stream(1), Start::Oldest).expect("the ring");
    let mut other = child("read_at_full_speed", dir.path(), 7);
    other.wait_for(&dir.path().join("reading"));
    let writer = std::thread::spawn(move || {
        for n in 0..UNITS {
            publish(&mut first, 7 << 32 | n, n % GOP == 0, MOST);
        }
        first
    });
    let (read, lost) = read_all(&mut reader, 7 << 32 | (UNITS - 1));
    let _ring = writer.join().expect("the publisher");
    other.end();
    let result = fs::read_to_string(dir.path().join("result")).expect("the result");
    let (other_read, other_lost) = result.split_once(' ').expect("two numbers");
    let other_read: u64 = other_read.parse().expect("a number");
    let other_lost: u64 = other_lost.parse().expect("a number");
    println!("here {read} read, {lost} lost; there {other_read} read, {other_lost} lost");
    for (read, lost) in [(read, lost), (other_read, other_lost)] {
        assert!(read >= 100, "readers read");
        assert!(lost > 0, "and were overrun");
        assert_eq!(read + lost, UNITS);
    }
}

#[test]
fn readers_go_on_when_a_publisher_is_killed_and_another_takes_over() {
    const LIVES: u64 = 12;
    let dir = tempfile::tempdir().expect("a folder");
    let mut reader = None;
    let mut data = Vec::new();
    let mut last: Option<(u64, u64)> = None;
    let mut lives_seen = 0;
    for life in 1..=LIVES {
        let mut publisher = child("publish_at_full_speed", dir.path(), life);
        publisher.wait_for(&dir.path().join(format!("ready-{life}")));
        let reader = reader
            .get_or_insert_with(|| Subscriber::open(dir.path(), stream(1), Start::Oldest).expect("the ring"));
        let mut in_this_life = 0;
        // Killed at another place of its work each time.
        let enough = 40 + life * 7;
        let mut kill = Some(());
        loop {
            match reader.next(&mut data).expect("a sound ring") {
                Next::Unit(meta) => {
                    let seed = prove(&meta, &data, MOST);
                    let now = seed >> 32;
                    if let Some((sequence, before)) = last {
                        assert!(meta.sequence > sequence, "the sequence goes on");
                        assert!(now >= before, "a life came back");
                        assert_eq!(meta.discontinuity, now != before, "unit {} of life {now}", meta.sequence);
                    } else {
                        assert!(meta.discontinuity || meta.sequence > 0);
                    }
                    lives_seen += u64::from(last.is_none_or(|(_, before)| before != now));
                    last = Some((meta.sequence, now));
                    in_this_life += u64::from(now == life);
                    if in_this_life == enough && kill.take().is_some() {
                        publisher.kill();
                    }
                }
                Next::Lost { units, .. } => assert!(units > 0),
                // After its death what is left in the ring is read, then there is no more.
                Next::Empty if kill.is_none() => break,
                Next::Empty => assert!(reader.wait(LONG), "nothing came"),
                Next::Retired => panic!("a killed publisher retires nothing"),
            }
        }
    }
    assert_eq!(lives_seen, LIVES);
    // The last one's successor has another geometry: the ring is replaced and its readers are told.
    let larger = RingSpec { payload_bytes: 128 << 10, slots: 64 };
    let mut successor = Publisher::create(dir.path(), stream(1), &H264, larger).expect("the ring");
    publish(&mut successor, 1, true, MOST);
    let mut reader = reader.expect("a reader");
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Retired);
    let mut reader = Subscriber::open(dir.path(), stream(1), Start::Oldest).expect("the new ring");
    let meta = unit(&mut reader, &mut data);
    assert!(meta.discontinuity && meta.sequence == 0);
}

#[test]
fn a_ring_has_one_publisher_across_processes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut publisher = child("publish_at_full_speed", dir.path(), 1);
    publisher.wait_for(&dir.path().join("ready-1"));
    let error = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect_err("it has one");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("ch1-main.ring"), "{error}");
    fs::write(dir.path().join("go"), "").expect("the mark");
    publisher.end();
    Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("free again");
}

#[test]
#[ignore = "a child of the test below"]
fn publish_with_the_time() {
    let Some((dir, count)) = parent() else { return };
    let clock = SystemClock::new();
    let mut publisher = Publisher::create(&dir, stream(2), &H264, SMALL).expect("the ring");
    fs::write(dir.join("ready"), "").expect("the mark");
    while !dir.join("begin").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    for n in 0..count {
        std::thread::sleep(Duration::from_millis(15));
        let unit = AccessUnit {
            stream: stream(2),
            pts: Pts90k(n as i64),
            wall: clock.wall(),
            keyframe: true,
            discontinuity: false,
            data: b"unit",
        };
        publisher.publish(&unit).expect("published");
    }
    while !dir.join("go").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_sleeping_reader_is_woken_at_once_and_by_nothing_else() {
    const COUNT: u64 = 40;
    let dir = tempfile::tempdir().expect("a folder");
    let clock = SystemClock::new();
    let mut publisher = child("publish_with_the_time", dir.path(), COUNT);
    publisher.wait_for(&dir.path().join("ready"));
    let mut reader = Subscriber::open(dir.path(), stream(2), Start::Oldest).expect("the ring");
    let mut data = Vec::new();
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);

    // Idle: asleep once, not waking in between.
    let before = switches();
    let began = clock.mono();
    assert!(!reader.wait(Duration::from_millis(600)), "nothing was published");
    assert!(clock.mono().since(began) >= Duration::from_millis(590));
    let idle = switches() - before;
    assert!(idle <= 3, "{idle} wake-ups while idle");

    // Busy: one sleep a unit, and each ends promptly.
    fs::write(dir.path().join("begin"), "").expect("the mark");
    let before = switches();
    let mut delays = Vec::new();
    for _ in 0..COUNT {
        let meta = unit(&mut reader, &mut data);
        delays.push(clock.wall().micros_since(meta.wall));
    }
    let busy = switches() - before;
    delays.sort_unstable();
    println!("wake-up after {} us (median), {} us (worst), {busy} sleeps", delays[20], delays[39]);
    // The median, since others use this machine too.
    assert!(delays[20] < 10_000, "woken after {} us", delays[20]);
    assert!(busy <= 2 * COUNT, "{busy} sleeps for {COUNT} units");
    fs::write(dir.path().join("go"), "").expect("the mark");
    publisher.end();
}

/// How often this thread went to sleep by itself.
fn switches() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.expect("the counter").trim().parse().expect("a number")
}

#[test]
fn a_unit_of_the_future_does_not_stop_the_clock() {
    // Wall times are data: the ring neither orders by them nor fails on their extremes.
    let dir = tempfile::tempdir().expect("a folder");
    let mut publisher = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("the ring");
    let mut reader = Subscriber::open(dir.path(), stream(1), Start::Oldest).expect("the ring");
    let mut data = Vec::new();
    for extreme in [i64::MIN, -1, i64::MAX] {
        let sent = AccessUnit {
            stream: stream(1),
            pts: Pts90k(extreme),
            wall: WallTime::from_unix_micros(extreme),
            keyframe: true,
            discontinuity: false,
            data: b"unit",
        };
        publisher.publish(&sent).expect("published");
        let meta = unit(&mut reader, &mut data);
        assert_eq!((meta.pts, meta.wall), (sent.pts, sent.wall));
    }
}
