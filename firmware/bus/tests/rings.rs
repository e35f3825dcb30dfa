//! One ring in one process: order, loss, formats, limits, files that are no ring.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use bus::{ErrorKind, Next, Publisher, RingSpec, Start, Subscriber, ring_path};
use common::{H264, H265, SMALL, payload, prove, publish, publish_bytes, stream, unit};
use hal::{AccessUnit, AudioCodec, AudioFormat, MAX_UNIT_BYTES, StreamFormat, StreamKind};
use proptest::prelude::*;

const MOST: usize = 4 << 10;

fn ring() -> (tempfile::TempDir, Publisher) {
    let dir = tempfile::tempdir().expect("a folder");
    let publisher = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("the ring");
    (dir, publisher)
}

fn open(dir: &Path, start: Start) -> Subscriber {
    Subscriber::open(dir, stream(1), start).expect("the ring")
}

#[test]
fn units_come_in_order_with_everything_they_were_published_with() {
    let (dir, mut publisher) = ring();
    let mut reader = open(dir.path(), Start::Oldest);
    let mut data = vec![1, 2, 3];
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);
    assert!(data.is_empty());
    for n in 0..200 {
        assert_eq!(publish(&mut publisher, n, n % 10 == 0, MOST), n);
        let meta = unit(&mut reader, &mut data);
        assert_eq!(prove(&meta, &data, MOST), n);
        assert_eq!(meta.sequence, n);
        assert_eq!(meta.wall.as_unix_micros(), n as i64);
        assert_eq!(meta.keyframe, n % 10 == 0);
        assert_eq!(meta.discontinuity, n == 0, "only the first of a life");
    }
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);
}

#[test]
fn readers_start_where_they_ask_to() {
    let (dir, mut publisher) = ring();
    for n in 0..25 {
        publish_bytes(&mut publisher, n, n % 10 == 5, b"unit");
    }
    let mut data = Vec::new();
    assert_eq!(unit(&mut open(dir.path(), Start::Oldest), &mut data).sequence, 5);
    assert_eq!(unit(&mut open(dir.path(), Start::LatestKeyframe), &mut data).sequence, 15);
    let mut next = open(dir.path(), Start::Next);
    assert_eq!(next.next(&mut data).expect("a sound ring"), Next::Empty);
    assert!(!publisher.take_keyframe_request(), "who wants the next waits for it");
    for n in 25..37 {
        publish_bytes(&mut publisher, n, n % 10 == 5, b"unit");
    }
    // 25 is a keyframe and the first after the reader came.
    assert_eq!(unit(&mut next, &mut data).sequence, 25);
    for n in 37..45 {
        publish_bytes(&mut publisher, n, n % 10 == 5, b"unit");
    }
    let mut between = open(dir.path(), Start::Next);
    publish_bytes(&mut publisher, 46, false, b"unit");
    assert_eq!(between.next(&mut data).expect("a sound ring"), Next::Empty, "not a keyframe");
    publish_bytes(&mut publisher, 47, true, b"unit");
    assert_eq!(unit(&mut between, &mut data).sequence, 46);
}

#[test]
fn a_slow_reader_loses_whole_gops_and_is_told_how_many() {
    let (dir, mut publisher) = ring();
    let mut reader = open(dir.path(), Start::Oldest);
    let mut data = Vec::new();
    let kilobyte = [7; 1024];
    // GOPs of 8 KiB in a ring of 64.
    for n in 0..4 {
        publish_bytes(&mut publisher, n, n % 8 == 0, &kilobyte);
    }
    for n in 0..4 {
        assert_eq!(unit(&mut reader, &mut data).sequence, n);
    }
    for n in 4..84 {
        publish_bytes(&mut publisher, n, n % 8 == 0, &kilobyte);
    }
    // Units 20 to 83 are there; 24 is the first keyframe of them.
    let lost = reader.next(&mut data).expect("a sound ring");
    assert_eq!(lost, Next::Lost { units: 20, gops: 3 }, "the rest of one GOP and two whole ones");
    assert!(data.is_empty());
    for n in 24..84 {
        assert_eq!(unit(&mut reader, &mut data).sequence, n);
    }
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);
}

#[test]
fn a_reader_between_two_gops_does_not_count_the_one_it_has() {
    let dir = tempfile::tempdir().expect("a folder");
    // The index remembers more than the payload.
    let spec = RingSpec { payload_bytes: 64 << 10, slots: 512 };
    let mut publisher = Publisher::create(dir.path(), stream(1), &H264, spec).expect("the ring");
    let mut reader = open(dir.path(), Start::Oldest);
    let mut data = Vec::new();
    for n in 0..96 {
        publish_bytes(&mut publisher, n, n % 8 == 0, &[7; 1024]);
        if n < 8 {
            assert_eq!(unit(&mut reader, &mut data).sequence, n);
        }
    }
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Lost { units: 24, gops: 3 });
}

#[test]
fn a_reader_without_a_keyframe_to_go_on_with_asks_for_one() {
    let (dir, mut publisher) = ring();
    let mut reader = open(dir.path(), Start::Oldest);
    let mut data = Vec::new();
    publish_bytes(&mut publisher, 0, true, &[7; 1024]);
    unit(&mut reader, &mut data);
    assert!(!publisher.take_keyframe_request());
    for n in 1..100 {
        publish_bytes(&mut publisher, n, false, &[7; 1024]);
    }
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);
    assert!(publisher.take_keyframe_request());
    assert!(!publisher.take_keyframe_request(), "taken is taken");
    publish_bytes(&mut publisher, 100, true, &[7; 1024]);
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Lost { units: 99, gops: 1 });
    assert_eq!(unit(&mut reader, &mut data).sequence, 100);
    reader.request_keyframe();
    assert!(publisher.take_keyframe_request());
}

#[test]
fn the_ring_of_a_publisher_that_ends_is_read_to_its_end() {
    let (dir, mut publisher) = ring();
    let mut reader = open(dir.path(), Start::Oldest);
    let mut data = Vec::new();
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);
    let sleeper = std::thread::spawn(move || {
        let woken = reader.wait(common::LONG);
        (woken, reader)
    });
    publish(&mut publisher, 0, true, MOST);
    let (woken, mut reader) = sleeper.join().expect("a reader");
    assert!(woken);
    publish(&mut publisher, 1, false, MOST);
    drop(publisher);
    assert_eq!(unit(&mut reader, &mut data).sequence, 0);
    assert_eq!(unit(&mut reader, &mut data).sequence, 1);
    for _ in 0..2 {
        assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Retired);
    }
    let error = Subscriber::open(dir.path(), stream(1), Start::Oldest).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 0, "nothing is left behind");
}

#[test]
fn an_ending_publisher_wakes_its_readers() {
    let (dir, publisher) = ring();
    let mut reader = open(dir.path(), Start::Oldest);
    let mut data = Vec::new();
    assert_eq!(reader.next(&mut data).expect("a sound ring"), Next::Empty);
    let sleeper = std::thread::spawn(move || (reader.wait(common::LONG), reader.next(&mut data)));
    drop(publisher);
    let (woken, next) = sleeper.join().expect("a reader");
    assert!(woken);
    assert_eq!(next.expect("a sound ring"), Next::Retired);
}

#[test]
fn no_unit_comes_under_another_units_format() {
    let (dir, mut publisher) = ring();
    let mut reader = open(dir.path(), Start::Oldest);
    let mut data = Vec::new();
    publish_bytes(&mut publisher, 0, true, b"old");
    publish_bytes(&mut publisher, 1, false, b"old");
    publisher.set_format(&H264).expect("the same");
    publish_bytes(&mut publisher, 2, false, b"old");
    let aac =
        AudioFormat { codec: AudioCodec::Aac, sample_rate: 48_000, channels: 2, config: vec![0x11; 64] };
    publisher.set_format(&StreamFormat::Audio(aac)).expect("the longest");
    publisher.set_format(&H265).expect("another");
    publish_bytes(&mut publisher, 3, true, b"new");
    for n in 0..4 {
        assert_eq!(unit(&mut reader, &mut data).sequence, n);
        assert_eq!(reader.format(), if n < 3 { H264 } else { H265 });
    }
    // Who comes later cannot know the old format, and skips what is in it.
    let mut late = open(dir.path(), Start::Oldest);
    assert_eq!(late.format(), H265);
    assert_eq!(unit(&mut late, &mut data).sequence, 3);
}

#[test]
fn what_cannot_be_published_is_refused_and_changes_nothing() {
    let (dir, mut publisher) = ring();
    let mut reader = open(dir.path(), Start::Oldest);
    let half = vec![7; SMALL.payload_bytes as usize / 2];
    let over = vec![7; half.len() + 1];
    let mut unit_of = |stream, data: &[u8]| {
        let unit = AccessUnit {
            stream,
            pts: hal::Pts90k(0),
            wall: hal::WallTime::default(),
            keyframe: true,
            discontinuity: false,
            data,
        };
        publisher.publish(&unit).map_err(|error| error.kind())
    };
    assert_eq!(unit_of(stream(1), &over), Err(ErrorKind::TooLarge));
    assert_eq!(unit_of(stream(1), &vec![7; MAX_UNIT_BYTES + 1]), Err(ErrorKind::TooLarge));
    assert_eq!(unit_of(stream(1), &[]), Err(ErrorKind::Invalid));
    assert_eq!(unit_of(stream(2), &half), Err(ErrorKind::Invalid));
    assert_eq!(unit_of(stream(1), &half), Ok(0));
    let mut data = Vec::new();
    assert_eq!(unit(&mut reader, &mut data).len as usize, half.len());
    for kind in StreamKind::ALL {
        let spec = RingSpec::for_stream(kind);
        let limit = spec.payload_bytes as usize / 2;
        assert!(kind != StreamKind::Main || limit >= MAX_UNIT_BYTES, "a main stream takes every unit");
    }
    for spec in [(0, 1), (4096, 0), (4095, 1), (u32::MAX, 1), (512 << 20, 1), (4096, u32::MAX)] {
        let spec = RingSpec { payload_bytes: spec.0, slots: spec.1 };
        let error = Publisher::create(dir.path(), stream(3), &H264, spec).expect_err("no geometry");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    let error =
        Publisher::create(&dir.path().join("missing"), stream(3), &H264, SMALL).expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn files_that_are_no_rings_are_refused_with_the_reason_and_replaced_by_a_publisher() {
    let (dir, mut publisher) = ring();
    publish(&mut publisher, 1, true, MOST);
    let path = ring_path(dir.path(), stream(1));
    let good = fs::read(&path).expect("the ring");
    drop(publisher);
    let change = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let mut longer = good.clone();
    longer.push(0);
    let cases: [(&str, Vec<u8>, ErrorKind, &str); 11] = [
        ("nothing", vec![], ErrorKind::Damaged, "no header"),
        ("half a header", good[..20].to_vec(), ErrorKind::Damaged, "no header"),
        ("truncated", good[..good.len() - 1].to_vec(), ErrorKind::Damaged, "its header says"),
        ("too long", longer, ErrorKind::Damaged, "its header says"),
        ("text", vec![b'x'; 100_000], ErrorKind::Foreign, "magic"),
        ("another version", change(8, &[2]), ErrorKind::Foreign, "version is 2"),
        ("another payload", change(12, &[1]), ErrorKind::Foreign, "payload of"),
        ("another size", change(14, &[3]), ErrorKind::Damaged, "its header says"),
        ("other slots", change(16, &[128]), ErrorKind::Foreign, "offsets"),
        ("other offsets", change(28, &[1]), ErrorKind::Foreign, "offsets"),
        ("another stream", change(36, &[2]), ErrorKind::Foreign, "ChannelId(2)"),
    ];
    for (name, bytes, kind, reason) in cases {
        fs::write(&path, bytes).expect("a file");
        let error = Subscriber::open(dir.path(), stream(1), Start::Oldest).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains("ch1-main.ring"), "{name}: {text}");
    }
    let mut publisher = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("replaced");
    publish(&mut publisher, 2, true, MOST);
    assert_eq!(unit(&mut open(dir.path(), Start::Oldest), &mut Vec::new()).sequence, 0);
    // A folder at its place stays, and is an error.
    fs::create_dir(ring_path(dir.path(), stream(2))).expect("a folder");
    let error = Publisher::create(dir.path(), stream(2), &H264, SMALL).expect_err("a folder");
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn a_file_shortened_while_mapped_is_an_error_and_no_crash() {
    let (dir, mut publisher) = ring();
    let mut readers: Vec<_> = (0..2).map(|_| open(dir.path(), Start::Oldest)).collect();
    let mut data = Vec::new();
    for n in 0..10 {
        publish(&mut publisher, n, true, MOST);
    }
    unit(&mut readers[0], &mut data);
    let file = fs::OpenOptions::new().write(true).open(ring_path(dir.path(), stream(1))).expect("the ring");
    for len in [8192, 0] {
        file.set_len(len).expect("shortened");
        for reader in &mut readers {
            let error = reader.next(&mut data).expect_err("nothing there");
            assert_eq!(error.kind(), ErrorKind::Damaged);
            assert!(error.to_string().contains("shortened"), "{error}");
            assert!(data.is_empty());
        }
    }
    let unit_now = AccessUnit {
        stream: stream(1),
        pts: hal::Pts90k(0),
        wall: hal::WallTime::default(),
        keyframe: true,
        discontinuity: false,
        data: &[7; 9000],
    };
    assert_eq!(publisher.publish(&unit_now).expect_err("no file").kind(), ErrorKind::Damaged);
    drop(publisher);
    let mut publisher = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("a new ring");
    publisher.publish(&unit_now).expect("published");
    assert_eq!(unit(&mut open(dir.path(), Start::Oldest), &mut data).len, 9000);
}

#[derive(Clone, Debug)]
enum Step {
    Publish { len: usize, keyframe: bool },
    Read,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (9..12_000_usize, proptest::bool::weighted(0.2))
            .prop_map(|(len, keyframe)| Step::Publish { len, keyframe }),
        3 => Just(Step::Read),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The ring against a list of everything ever published.
    #[test]
    fn a_ring_is_a_list_that_forgets(steps in proptest::collection::vec(step(), 1..400), slots in 4..40_u32) {
        let dir = tempfile::tempdir().expect("a folder");
        let spec = RingSpec { payload_bytes: 32 << 10, slots };
        let mut publisher = Publisher::create(dir.path(), stream(1), &H264, spec).expect("the ring");
        let mut reader = open(dir.path(), Start::Oldest);
        let mut list: Vec<(bool, Vec<u8>)> = Vec::new();
        let mut data = Vec::new();
        // The next unit to read, and the GOP of the last one read.
        let mut next: Option<usize> = None;
        let mut news = false;
        for step in steps {
            match step {
                Step::Publish { len, keyframe } => {
                    let seed = list.len() as u64;
                    let bytes = payload(seed, len);
                    publish_bytes(&mut publisher, seed, keyframe, &bytes);
                    list.push((keyframe, bytes));
                    news = true;
                }
                Step::Wait => {
                    let told = reader.wait(Duration::ZERO);
                    prop_assert!(told || !news, "a reader that has not looked since is told");
                }
                Step::Read => {
                    let held = |from: usize| {
                        let bytes: usize = list[from..].iter().map(|unit| unit.1.len().next_multiple_of(8)).sum();
                        bytes <= 32 << 10 && list.len() - from <= slots as usize
                    };
                    let first_keyframe =
                        |from: usize| (from..list.len()).find(|&at| list[at].0 && held(at));
                    news = false;
                    match reader.next(&mut data).expect("a sound ring") {
                        Next::Unit(meta) => {
                            let at = meta.sequence as usize;
                            prop_assert_eq!(Some(at), next.or(first_keyframe(0)));
                            prop_assert_eq!(&data, &list[at].1);
                            prop_assert_eq!(meta.keyframe, list[at].0);
                            prop_assert_eq!(meta.discontinuity, at == 0 );
                            next = Some(at + 1);
                        }
                        Next::Lost { units, gops } => {
                            let from = next.expect("nothing is lost before the first");
                            prop_assert!(!held(from), "not lost while it is there");
                            let to = from + units as usize;
                            prop_assert_eq!(Some(to), first_keyframe(from));
                            // Keyframes lost, and the GOP that was begun, unless a keyframe came next.
                            let keyframes = list[from..to].iter().filter(|unit| unit.0).count() as u64;
                            let least = keyframes + u64::from(!list[from].0);
                            prop_assert!(gops == least || gops == least + 1, "{} for {}", gops, least);
                            prop_assert!(gops <= units);
                            next = Some(to);
                        }
                        Next::Empty => match next {
                            Some(from) => prop_assert!(
                                from == list.len() || (!held(from) && first_keyframe(from).is_none())
                            ),
                            None => prop_assert_eq!(first_keyframe(0), None),
                        },
                        Next::Retired => prop_assert!(false, "its publisher lives"),
                    }
                }
            }
        }
    }

    /// Whatever is written over a ring, a reader ends with an answer.
    #[test]
    fn a_hostile_publisher_crashes_no_reader(
        writes in proptest::collection::vec((0..12_288_u64, any::<[u8; 8]>(), 0..4_u8), 1..40),
        cut in proptest::option::weighted(0.2, 0..80_000_u64),
    ) {
        let (dir, mut publisher) = ring();
        let mut reader = open(dir.path(), Start::Oldest);
        for n in 0..80 {
            publish(&mut publisher, n, n % 5 == 0, MOST);
        }
        let path = ring_path(dir.path(), stream(1));
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).expect("the ring");
        let mut data = Vec::new();
        for (at, bytes, kind) in writes {
            let bytes = match kind {
                0 => [0; 8],
                1 => [0xff; 8],
                2 => u64::from_le_bytes(bytes).wrapping_rem(200).to_le_bytes(),
                _ => bytes,
            };
            file.write_all_at(&bytes, at & !7).expect("written");
            for _ in 0..3 {
                let _ = reader.next(&mut data);
                prop_assert!(data.len() <= SMALL.payload_bytes as usize);
            }
            reader.wait(Duration::ZERO);
            for start in [Start::Oldest, Start::LatestKeyframe, Start::Next] {
                if let Ok(mut other) = Subscriber::open(dir.path(), stream(1), start) {
                    let _ = other.next(&mut data);
                }
            }
        }
        if let Some(len) = cut {
            file.set_len(len).expect("shortened");
            let _ = reader.next(&mut data);
        }
        // Who takes such a file over makes a sound ring of it.
        drop((publisher, reader));
    }

    /// A publisher that finds a ring in any state goes on with a sound one.
    #[test]
    fn a_file_in_any_state_is_taken_over_or_replaced(
        writes in proptest::collection::vec((0..8_192_u64, any::<[u8; 8]>()), 0..12),
    ) {
        let (dir, mut publisher) = ring();
        for n in 0..80 {
            publish(&mut publisher, n, n % 5 == 0, MOST);
        }
        let path = ring_path(dir.path(), stream(1));
        // As after a kill: the bytes without the process.
        let mut left = fs::read(&path).expect("the ring");
        drop(publisher);
        for (at, bytes) in writes {
            let at = (at & !7) as usize;
            left[at..at + 8].copy_from_slice(&bytes);
        }
        fs::write(&path, left).expect("the file");
        let mut publisher = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("a ring");
        let mut reader = open(dir.path(), Start::Next);
        let mut data = Vec::new();
        for n in 0..100 {
            publish(&mut publisher, n, n % 5 == 0, MOST);
            let meta = unit(&mut reader, &mut data);
            prop_assert_eq!(prove(&meta, &data, MOST), n);
            prop_assert_eq!(meta.discontinuity, n == 0);
        }
    }
}
