//! Replays beside what was recorded: forwards, by keyframes, backwards, over gaps.

use hal::{StreamKind, WallTime};

use super::clips::{clip, record, wall};
use super::support::{BEGINNING, END, Made, Source, keys, open, read_all, scratch, stream};
use crate::{ErrorKind, Order, Reader, ReplayRequest, ReplayUnit, StoredUnit};

fn all(order: Order, keyframes_only: bool) -> ReplayRequest {
    let stream = stream(1, StreamKind::Main);
    ReplayRequest { stream, sound: false, start: BEGINNING, end: END, order, keyframes_only }
}

fn replay(reader: &Reader, request: &ReplayRequest) -> Vec<ReplayUnit> {
    reader.replay(request).unwrap().collect::<Result<_, _>>().unwrap()
}

fn units(replayed: &[ReplayUnit]) -> Vec<StoredUnit> {
    replayed.iter().map(|next| next.unit.clone()).collect()
}

/// Picture groups, the last one first.
fn turned(units: &[StoredUnit]) -> Vec<StoredUnit> {
    let mut groups: Vec<Vec<StoredUnit>> = Vec::new();
    for unit in units {
        if unit.keyframe || groups.is_empty() {
            groups.push(Vec::new());
        }
        groups.last_mut().unwrap().push(unit.clone());
    }
    groups.into_iter().rev().flatten().collect()
}

/// Two stretches of `groups` picture groups with a minute between them.
fn two_stretches(dir: &std::path::Path, groups: u64) -> (Reader, Vec<Made>) {
    let mut store = open(dir, 64);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 300);
    let count = source.gop * groups;
    let mut made = source.feed(&mut store, count);
    source.go_to(made.last().unwrap().wall.offset_micros(60_100_000));
    made.extend(source.feed(&mut store, count));
    store.commit().unwrap();
    drop(store);
    (Reader::open(dir, &keys()).unwrap(), made)
}

#[test]
fn forwards_it_is_what_was_recorded_and_gaps_are_told() {
    let volume = scratch();
    let (reader, made) = two_stretches(volume.path(), 4);
    let replayed = replay(&reader, &all(Order::Forward, false));
    assert_eq!(replayed.len(), made.len());
    assert!(made.iter().zip(&replayed).all(|(made, next)| made.is(&next.unit)));
    let half = made.len() / 2;
    for (at, next) in replayed.iter().enumerate() {
        let missing = next.missing_micros.unwrap_or(0);
        assert_eq!(missing > 0, at == half, "unit {at}: {missing}");
        assert_eq!(next.ends_section, at == half - 1 || at == made.len() - 1, "unit {at}");
        assert_eq!(next.is_last, at == made.len() - 1, "unit {at}");
    }
    let missing = replayed[half].missing_micros.unwrap();
    assert!((59_800_000..=60_100_000).contains(&missing), "{missing}");
}

#[test]
fn backwards_and_by_keyframes_it_is_the_same_units() {
    let volume = scratch();
    let (reader, made) = two_stretches(volume.path(), 4);
    let forwards = read_all(&reader, stream(1, StreamKind::Main));
    let keyframes: Vec<StoredUnit> = forwards.iter().filter(|unit| unit.keyframe).cloned().collect();
    assert_eq!(units(&replay(&reader, &all(Order::Forward, true))), keyframes);
    let backwards = replay(&reader, &all(Order::Reverse, false));
    assert_eq!(units(&backwards), turned(&forwards));
    let rare = replay(&reader, &all(Order::Reverse, true));
    assert_eq!(units(&rare), turned(&keyframes));
    // The later stretch is first; what is missing is told of the first group of the earlier one.
    let gaps = |all: &[ReplayUnit]| -> Vec<usize> {
        (1..all.len()).filter(|&at| all[at].missing_micros.is_some()).collect()
    };
    assert_eq!((gaps(&backwards), gaps(&rare)), (vec![made.len() / 2], vec![keyframes.len() / 2]));
    for all in [&backwards, &rare] {
        let ends: Vec<usize> = (0..all.len()).filter(|&at| all[at].ends_section).collect();
        assert_eq!(ends, [all.len() / 2 - 1, all.len() - 1]);
        assert!(all.iter().enumerate().all(|(at, next)| next.is_last == (at == all.len() - 1)));
    }
}

#[test]
fn a_part_begins_at_the_keyframe_before_and_ends_in_time() {
    let volume = scratch();
    let (reader, made) = two_stretches(volume.path(), 4);
    let (start, end) = (made[27].wall, made[53].wall);
    let part = |order| {
        let request = ReplayRequest { start, end, ..all(order, false) };
        units(&replay(&reader, &request))
    };
    let forwards = part(Order::Forward);
    assert!(made[20..53].iter().zip(&forwards).all(|(made, unit)| made.is(unit)));
    assert_eq!(forwards.len(), 33);
    assert_eq!(part(Order::Reverse), turned(&forwards));
    let nothing = |start: WallTime, end: WallTime, order| {
        let request = ReplayRequest { start, end, ..all(order, false) };
        reader.replay(&request).err().map(|error| error.kind())
    };
    let gap = made[79].wall.offset_micros(10_000_000);
    for order in [Order::Forward, Order::Reverse] {
        assert_eq!(
            nothing(gap, gap.offset_micros(1_000_000), order),
            Some(ErrorKind::NoFootage),
            "{order:?}"
        );
        assert_eq!(nothing(BEGINNING, BEGINNING.offset_micros(1), order), Some(ErrorKind::NoFootage));
    }
    // Backwards from within the gap: the end of what was before it, and how far that is.
    let request = ReplayRequest { end: gap, ..all(Order::Reverse, true) };
    let first = replay(&reader, &request).swap_remove(0);
    assert!(made[60].is(&first.unit) && first.missing_micros.unwrap() > 9_000_000, "{first:?}");
}

#[test]
fn pictures_and_sound_of_a_clip_come_in_turns() {
    let (clip, _made) = clip("car-detection.mp4", false);
    let volume = scratch();
    record(&clip, volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let request = ReplayRequest {
        sound: true,
        start: wall(5_000_000),
        end: wall(20_000_000),
        ..all(Order::Forward, false)
    };
    let replayed = replay(&reader, &request);
    let of = |kind| replayed.iter().filter(move |next| next.unit.stream.kind == kind);
    assert!(of(StreamKind::Audio).count() > 100 && of(StreamKind::Main).count() > 100);
    assert!(replayed.is_sorted_by_key(|next| next.unit.wall), "each when it is due");
    for kind in [StreamKind::Main, StreamKind::Audio] {
        assert_eq!(of(kind).filter(|next| next.is_last).count(), 1, "{kind}");
        assert!(of(kind).next_back().unwrap().is_last && of(kind).all(|next| next.missing_micros.is_none()));
    }
}

#[test]
fn groups_with_b_frames_are_whole_backwards() {
    let (clip, _made) = clip("one-by-one-person-detection.mp4", true);
    let volume = scratch();
    record(&clip, volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let forwards = read_all(&reader, stream(1, StreamKind::Main));
    let backwards = units(&replay(&reader, &all(Order::Reverse, false)));
    assert_eq!(backwards, turned(&forwards));
}
