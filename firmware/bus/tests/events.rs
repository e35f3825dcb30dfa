//! Events: all publishers, in order, new ones, slow subscribers, dead publishers.

mod common;

use std::fs;
use std::time::Duration;

use bus::{
    ErrorKind, Event, EventKind, EventPublisher, EventSubscriber, MAX_EVENT_TEXT_BYTES, NextEvent, Start,
};
use common::{LONG, child};
use hal::{ChannelId, WallTime};

fn event(n: i64) -> Event {
    Event {
        at: WallTime::from_unix_micros(n),
        channel: ChannelId::new(1),
        kind: EventKind::CameraOffline { reason: "no answer from 192.0.2.1".to_owned() },
    }
}

fn next(subscriber: &mut EventSubscriber) -> (String, i64) {
    loop {
        match subscriber.next().expect("a sound bus") {
            NextEvent::Event { publisher, event } => return (publisher, event.at.as_unix_micros()),
            NextEvent::Empty => assert!(subscriber.wait(LONG), "nothing came"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn events_of_all_publishers_come_each_in_order_whenever_they_appear() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut subscriber = EventSubscriber::open(dir.path()).expect("the folder");
    assert_eq!(subscriber.next().expect("nothing"), NextEvent::Empty);
    assert!(!subscriber.wait(Duration::from_millis(20)));
    let publishers: Vec<_> = (0..3)
        .map(|who| {
            let dir = dir.path().to_owned();
            std::thread::spawn(move || {
                let mut publisher = EventPublisher::create(&dir, &format!("role-{who}")).expect("a ring");
                for n in 0..100 {
                    publisher.publish(&event(n)).expect("published");
                    std::thread::yield_now();
                }
                publisher
            })
        })
        .collect();
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..300 {
        let (publisher, n) = next(&mut subscriber);
        let expected = seen.entry(publisher).or_insert(0);
        assert_eq!(*expected, n);
        *expected += 1;
    }
    assert_eq!(seen.len(), 3);
    // A successor by the same name, after its predecessor was read to its end.
    drop(publishers.into_iter().map(|thread| thread.join().expect("a publisher")).collect::<Vec<_>>());
    let mut again = EventPublisher::create(dir.path(), "role-1").expect("a ring");
    again.publish(&event(7)).expect("published");
    assert_eq!(next(&mut subscriber), ("role-1".to_owned(), 7));
}

#[test]
fn a_subscriber_begins_now_or_with_what_is_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut publisher = EventPublisher::create(dir.path(), "ingest").expect("a ring");
    publisher.publish(&event(1)).expect("published");
    let mut now = EventSubscriber::open(dir.path()).expect("the folder");
    let mut all = EventSubscriber::open_at(dir.path(), Start::Oldest).expect("the folder");
    publisher.publish(&event(2)).expect("published");
    assert_eq!(next(&mut now).1, 2);
    assert_eq!(next(&mut all).1, 1);
    assert_eq!(next(&mut all).1, 2);
    for n in 0..10_000 {
        publisher.publish(&event(n)).expect("published");
    }
    let NextEvent::Lost { publisher, events } = now.next().expect("a sound bus") else { panic!("not lost") };
    assert_eq!(publisher, "ingest");
    assert_eq!(next(&mut now).1, events as i64, "exactly that many");
}

#[test]
fn names_texts_and_files_have_limits() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["", "../ingest", "In", "a.b", &"a".repeat(65)] {
        let error = EventPublisher::create(dir.path(), name).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    fs::write(dir.path().join("broken.events"), "no ring").expect("garbage");
    let mut subscriber = EventSubscriber::open(dir.path()).expect("the folder");
    let mut publisher = EventPublisher::create(dir.path(), "ingest").expect("a ring");
    let error = EventPublisher::create(dir.path(), "ingest").expect_err("it has one");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let long = EventKind::RecordingFailed { reason: "\u{20ac}".repeat(1000) };
    let at = WallTime::from_unix_micros(1);
    publisher.publish(&Event { at, channel: None, kind: long }).expect("published");
    let NextEvent::Event { event, .. } = subscriber.next().expect("a sound bus") else { panic!("no event") };
    let EventKind::RecordingFailed { reason } = event.kind else { panic!("another kind") };
    assert!(reason.len() <= MAX_EVENT_TEXT_BYTES && reason.len() > MAX_EVENT_TEXT_BYTES - 3);
    let error = EventSubscriber::open(&dir.path().join("missing")).expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
#[ignore = "a child of the test below"]
fn publish_events() {
    let Some((dir, life)) = common::parent() else { return };
    let mut publisher = EventPublisher::create(&dir, "child").expect("a ring");
    for n in 0.. {
        publisher.publish(&event((life << 32 | n) as i64)).expect("published");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_killed_publishers_events_go_on_with_its_successor() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut subscriber = EventSubscriber::open(dir.path()).expect("the folder");
    for life in 1..=4_i64 {
        let mut publisher = child("publish_events", dir.path(), life as u64);
        let mut expected = None;
        while expected.is_none_or(|n: i64| n & 0xffff_ffff < 5) {
            let (_, n) = next(&mut subscriber);
            assert!(n >> 32 == life || n >> 32 == life - 1);
            if n >> 32 == life {
                assert_eq!(n, expected.unwrap_or(life << 32));
                expected = Some(n + 1);
            }
        }
        publisher.kill();
    }
}
