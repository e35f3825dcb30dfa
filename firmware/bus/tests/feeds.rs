//! Feeds and fan-out: many readers, slow readers, rings that come and go.

mod common;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bus::{Fanout, FanoutReader, Feed, Feeds, Item, Limits, Publisher, RingSpec, Unit};
use common::{H264, H265, LONG, SMALL, child, payload, prove, publish, publish_bytes, stream};
use hal::{Clock, SystemClock};
use proptest::prelude::*;

const MOST: usize = 2 << 10;

fn fanout(bytes: usize, items: usize) -> Fanout<u64> {
    Fanout::new(Limits { bytes, items })
}

/// Pushes `count` GOPs of 4 items of 10 bytes, numbered on from `from`.
fn push_gops(fanout: &Fanout<u64>, from: u64, count: u64) -> u64 {
    for n in from..from + count * 4 {
        fanout.push(Arc::new(n), n % 4 == 0, 10);
    }
    from + count * 4
}

fn take(reader: &mut FanoutReader<u64>) -> Vec<Result<u64, u64>> {
    std::iter::from_fn(|| match reader.try_next()? {
        Item::Item(item) => Some(Ok(*item)),
        Item::Lost { gops } => Some(Err(gops)),
        Item::Closed => None,
    })
    .collect()
}

#[test]
fn readers_begin_at_the_last_keyframe_and_get_the_same_items() {
    let fanout = fanout(1000, 100);
    push_gops(&fanout, 0, 3);
    let (mut one, mut two) = (fanout.reader(), fanout.reader());
    assert_eq!(fanout.readers(), 2);
    assert_eq!(take(&mut one), [Ok(8), Ok(9), Ok(10), Ok(11)]);
    fanout.push(Arc::new(12), true, 10);
    assert_eq!(take(&mut one), [Ok(12)]);
    assert_eq!(take(&mut two), [Ok(12)], "not begun yet, it begins at the newest");
    fanout.push(Arc::new(13), false, 10);
    let (Some(Item::Item(a)), Some(Item::Item(b))) = (one.try_next(), two.try_next()) else {
        panic!("an item each");
    };
    assert!(Arc::ptr_eq(&a, &b), "shared, not copied");
    drop((one, two));
    assert_eq!(fanout.readers(), 0);
}

#[test]
fn a_follower_goes_on_where_it_is_and_hears_of_losses() {
    let fanout = fanout(1000, 100);
    push_gops(&fanout, 0, 2);
    fanout.push(Arc::new(8), true, 10);
    let mut follower = fanout.follower();
    assert!(follower.has_all() && take(&mut follower).is_empty());
    fanout.push(Arc::new(9), false, 10);
    assert!(!follower.has_all());
    assert_eq!(take(&mut follower), [Ok(9)], "in the middle of a GOP");
    assert!(follower.has_all());
    fanout.lost(2);
    assert!(!follower.has_all(), "there is something to be told");
    fanout.push(Arc::new(12), true, 10);
    assert_eq!(take(&mut follower), [Err(2), Ok(12)]);
    assert!(!fanout.reader().has_all(), "a new reader has a keyframe to read");
    fanout.close();
    assert!(!follower.has_all());
}

#[test]
fn without_slow_readers_only_the_current_gop_is_held() {
    let fanout = fanout(1_000_000, 10_000);
    let mut reader = fanout.reader();
    let mut next = 0;
    for _ in 0..50 {
        next = push_gops(&fanout, next, 1);
        assert_eq!(take(&mut reader).len(), 4);
        assert!(fanout.bytes() <= 80, "{} bytes held", fanout.bytes());
    }
}

#[test]
fn a_slow_reader_loses_whole_gops_and_the_others_lose_nothing() {
    // Room for three GOPs.
    let fanout = fanout(120, 100);
    let (mut slow, mut quick) = (fanout.reader(), fanout.reader());
    push_gops(&fanout, 0, 1);
    assert_eq!(take(&mut quick).len(), 4);
    // In the middle of the first GOP.
    assert!(matches!(slow.try_next(), Some(Item::Item(item)) if *item == 0));
    for gop in 1..6 {
        push_gops(&fanout, gop * 4, 1);
        assert_eq!(take(&mut quick), (gop * 4..gop * 4 + 4).map(Ok).collect::<Vec<_>>());
        assert!(fanout.bytes() <= 120);
    }
    // 0 (begun), 1, 2, 3, 4 lost; 5 is the newest.
    assert_eq!(take(&mut slow), [Err(5), Ok(20), Ok(21), Ok(22), Ok(23)]);
    // Between two GOPs: the one it has is not counted.
    push_gops(&fanout, 24, 6);
    assert_eq!(take(&mut slow), [Err(5), Ok(44), Ok(45), Ok(46), Ok(47)]);
}

#[test]
fn a_gop_over_the_limits_is_cut_at_its_old_end_and_readers_in_it_go_on() {
    let fanout = fanout(1000, 5);
    let (mut quick, mut slow) = (fanout.reader(), fanout.reader());
    fanout.push(Arc::new(0), true, 10);
    assert!(matches!(slow.try_next(), Some(Item::Item(_))));
    for n in 1..20 {
        fanout.push(Arc::new(n), false, 10);
        assert!(!take(&mut quick).is_empty(), "who keeps up misses nothing");
        assert!(fanout.bytes() <= 50);
    }
    let mut late = fanout.reader();
    assert_eq!(take(&mut late), [], "there is no keyframe any more");
    assert_eq!(take(&mut slow), []);
    fanout.push(Arc::new(20), true, 10);
    assert_eq!(take(&mut late), [Ok(20)]);
    assert_eq!(take(&mut slow), [Err(1), Ok(20)]);
    assert_eq!(take(&mut quick), [Ok(20)]);
}

#[test]
fn what_the_source_lost_is_told_to_every_reader() {
    let fanout = fanout(1000, 100);
    let (mut one, mut two) = (fanout.reader(), fanout.reader());
    push_gops(&fanout, 0, 1);
    assert_eq!(take(&mut one).len(), 4);
    fanout.lost(3);
    push_gops(&fanout, 16, 1);
    assert_eq!(take(&mut one), [Err(3), Ok(16), Ok(17), Ok(18), Ok(19)]);
    assert_eq!(take(&mut two), [Ok(16), Ok(17), Ok(18), Ok(19)], "who had not begun lost nothing");
}

#[tokio::test]
async fn waiting_readers_are_woken_and_told_of_the_end() {
    let fanout = fanout(1000, 100);
    let mut reader = fanout.reader();
    let writer = fanout.clone();
    let waiting = tokio::spawn(async move {
        let mut got = Vec::new();
        while let Item::Item(item) = reader.next().await {
            got.push(*item);
        }
        got
    });
    let pushing = std::thread::spawn(move || {
        push_gops(&writer, 0, 1);
        writer.close();
    });
    let got = tokio::time::timeout(LONG, waiting).await.expect("woken").expect("no panic");
    pushing.join().expect("the writer");
    assert_eq!(got, [0, 1, 2, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Items come in order, gaps are told and end at keyframes, memory is bounded.
    #[test]
    fn a_fanout_forgets_whole_gops(
        steps in proptest::collection::vec((0..4_u8, any::<bool>(), 1..60_usize), 1..300),
        items in 3..20_usize,
    ) {
        let fanout = fanout(400, items);
        let mut readers: Vec<(FanoutReader<u64>, Option<u64>)> = (0..3).map(|_| (fanout.reader(), None)).collect();
        let mut pushed: Vec<bool> = Vec::new();
        for (which, keyframe, bytes) in steps {
            let Some((reader, next)) = readers.get_mut(which as usize) else {
                fanout.push(Arc::new(pushed.len() as u64), keyframe, bytes);
                pushed.push(keyframe);
                prop_assert!(fanout.bytes() <= 400);
                continue;
            };
            match reader.try_next() {
                Some(Item::Item(item)) => {
                    match *next {
                        Some(next) => prop_assert_eq!(*item, next),
                        None => prop_assert!(pushed[*item as usize]),
                    }
                    *next = Some(*item + 1);
                }
                Some(Item::Lost { gops }) => {
                    let from = next.expect("it had begun") as usize;
                    let to = from + pushed[from..].iter().rposition(|&keyframe| keyframe).expect("a keyframe");
                    let keyframes = pushed[from..to].iter().filter(|&&keyframe| keyframe).count() as u64;
                    prop_assert_eq!(gops, (keyframes + u64::from(!pushed[from])).max(1));
                    *next = Some(to as u64);
                }
                Some(Item::Closed) => prop_assert!(false, "it is open"),
                None => if let Some(next) = *next {
                    let keyframe = pushed.iter().rposition(|&keyframe| keyframe);
                    let all_read = next == pushed.len() as u64;
                    prop_assert!(all_read || keyframe.is_none_or(|at| pushed.len() - at > 1));
                },
            }
        }
    }
}

async fn next(reader: &mut FanoutReader<Unit>) -> Arc<Unit> {
    loop {
        match tokio::time::timeout(LONG, reader.next()).await.expect("a unit") {
            Item::Item(unit) => return unit,
            Item::Lost { .. } => {}
            Item::Closed => panic!("the feed ended"),
        }
    }
}

async fn seed(reader: &mut FanoutReader<Unit>) -> u64 {
    let unit = next(reader).await;
    assert_eq!(unit.stream, stream(1));
    prove(&unit.meta, &unit.data, MOST)
}

#[tokio::test]
async fn a_feed_waits_for_its_ring_and_for_its_successors() {
    let dir = tempfile::tempdir().expect("a folder");
    // Not even the folder is there.
    let bus = dir.path().join("bus");
    let feeds = Feeds::new(&bus);
    let feed = feeds.get(stream(1));
    let mut reader = feed.reader();
    let mut format = feed.watch_format();
    assert_eq!(feed.format(), None);
    feed.request_keyframe();
    fs::create_dir(&bus).expect("the folder");
    let mut publisher = Publisher::create(&bus, stream(1), &H264, SMALL).expect("the ring");
    for n in 0..5 {
        publish(&mut publisher, n, n == 0, MOST);
    }
    let first = next(&mut reader).await;
    assert!(first.meta.discontinuity && first.meta.keyframe);
    assert_eq!(prove(&first.meta, &first.data, MOST), 0);
    for n in 1..5 {
        assert_eq!(seed(&mut reader).await, n);
    }
    assert_eq!(*format.borrow_and_update(), Some(H264));
    feed.request_keyframe();
    assert!(publisher.take_keyframe_request());

    // Ended and begun anew, with another format and geometry.
    drop(publisher);
    let larger = RingSpec { payload_bytes: 128 << 10, slots: 100 };
    let mut publisher = Publisher::create(&bus, stream(1), &H265, larger).expect("the ring");
    publish(&mut publisher, 100, true, MOST);
    let unit = next(&mut reader).await;
    assert_eq!(prove(&unit.meta, &unit.data, MOST), 100);
    assert!(unit.meta.discontinuity);
    tokio::time::timeout(LONG, format.changed()).await.expect("told").expect("a feed");
    assert_eq!(feed.format(), Some(H265));

    // While the feed follows, garbage takes the ring's place, then a ring again.
    drop(publisher);
    fs::write(bus.join("ch1-main.ring"), "no ring").expect("garbage");
    let mut publisher = Publisher::create(&bus, stream(1), &H264, SMALL).expect("the ring");
    publish(&mut publisher, 200, true, MOST);
    assert_eq!(seed(&mut reader).await, 200);
}

#[test]
fn whoever_listens_is_called_for_every_unit_until_it_stops() {
    let dir = tempfile::tempdir().expect("a folder");
    let feeds = Feeds::new(dir.path());
    let mut publisher = Publisher::create(dir.path(), stream(1), &H264, SMALL).expect("the ring");
    for round in 0..50 {
        let feed = feeds.get(stream(1));
        let (tell, told) = std::sync::mpsc::channel();
        let reader = std::sync::Mutex::new(feed.reader());
        // The call has the last reader, as a track has.
        let listening = feed.listen(move || {
            let mut reader = reader.lock().expect("the reader");
            while let Some(Item::Item(unit)) = reader.try_next() {
                let _ = tell.send(prove(&unit.meta, &unit.data, MOST));
            }
        });
        drop(feed);
        for n in round * 10..round * 10 + 10 {
            publish(&mut publisher, n, n % 10 == 0, MOST);
        }
        // The ring may have had older ones when the feed came.
        while told.recv_timeout(LONG).expect("a unit") != round * 10 + 9 {}
        publish(&mut publisher, round * 10 + 9, true, MOST);
        // While it may be called: its end must not wait for itself.
        drop(listening);
        assert_eq!(feeds.running(), 0);
    }
}

#[tokio::test]
async fn a_feed_survives_the_death_of_its_publisher() {
    let dir = tempfile::tempdir().expect("a folder");
    let feeds = Feeds::new(dir.path());
    let mut reader = feeds.get(stream(1)).reader();
    for life in 1..=5 {
        let mut publisher = child("publish_slowly", dir.path(), life);
        let mut first = true;
        loop {
            let unit = next(&mut reader).await;
            let now = prove(&unit.meta, &unit.data, MOST) >> 32;
            assert!(now == life || now + 1 == life);
            if now == life {
                // A reader of the fan-out begins where the first life is when it looks.
                assert!(life == 1 || unit.meta.discontinuity == first, "a new life is a discontinuity");
                first = false;
                if seed_number(&unit) >= 5 {
                    break;
                }
            }
        }
        publisher.kill();
    }
}

fn seed_number(unit: &Unit) -> u64 {
    unit.meta.pts.0.cast_unsigned() & 0xffff_ffff
}

#[test]
#[ignore = "a child of the test above"]
fn publish_slowly() {
    let Some((dir, life)) = common::parent() else { return };
    let mut publisher = Publisher::create(&dir, stream(1), &H264, SMALL).expect("the ring");
    for n in 0.. {
        publish(&mut publisher, life << 32 | n, n % 5 == 0, MOST);
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn a_stream_has_one_feed_while_somebody_holds_it_or_reads_from_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = SystemClock::new();
    let feeds = Feeds::new(dir.path());
    let (one, two) = (feeds.get(stream(1)), feeds.get(stream(1)));
    let _reader_of_one = one.reader();
    assert_eq!(two.readers(), 1, "both are the same");
    assert_eq!(feeds.running(), 1);
    let kept = two.reader();
    drop((one, two));
    assert_eq!(feeds.running(), 1, "a reader keeps it");
    drop((kept, _reader_of_one));
    assert_eq!(feeds.running(), 0);
    // Ends promptly, whatever it sleeps on: no ring, a silent ring, a busy ring.
    let silent = Publisher::create(dir.path(), stream(2), &H264, SMALL).expect("the ring");
    let ended = |feed: Arc<Feed>| {
        let began = clock.mono();
        drop(feed);
        assert!(clock.mono().since(began) < Duration::from_secs(10), "it slept on");
    };
    for _ in 0..50 {
        ended(feeds.get(stream(3)));
        ended(feeds.get(stream(2)));
    }
    let feed = feeds.get(stream(2));
    let mut format = feed.watch_format();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(LONG, format.wait_for(Option::is_some)).await.expect("seen").expect("a feed");
    });
    ended(feed);
    assert_eq!(feeds.running(), 0);
    drop(silent);
}

#[tokio::test]
async fn every_reader_of_a_feed_gets_every_unit_once() {
    const UNITS: u64 = 2000;
    let dir = tempfile::tempdir().expect("a folder");
    let spec = RingSpec { payload_bytes: 8 << 20, slots: 4096 };
    let mut publisher = Publisher::create(dir.path(), stream(1), &H264, spec).expect("the ring");
    let feeds = Feeds::new(dir.path());
    let feed = feeds.get(stream(1));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut reader = feed.reader();
            tokio::spawn(async move {
                let mut sequence = None;
                loop {
                    let unit = next(&mut reader).await;
                    prove(&unit.meta, &unit.data, MOST);
                    // The feed enters a ring that exists at its latest keyframe.
                    assert!(
                        sequence.is_none_or(|before| before + 1 == unit.meta.sequence) || unit.meta.keyframe
                    );
                    sequence = Some(unit.meta.sequence);
                    if unit.meta.sequence == UNITS - 1 {
                        return;
                    }
                }
            })
        })
        .collect();
    let writer = std::thread::spawn(move || {
        for n in 0..UNITS {
            publish_bytes(&mut publisher, n, n % 50 == 0, &payload(n, MOST));
        }
        publisher
    });
    for reader in readers {
        tokio::time::timeout(LONG, reader).await.expect("in time").expect("no panic");
    }
    writer.join().expect("the publisher");
}
