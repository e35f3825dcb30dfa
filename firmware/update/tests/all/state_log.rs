//! The state log under power cuts: each value is the old or the new.

use std::collections::BTreeMap;

use hal::NorFlash;
use proptest::prelude::*;
use update::{ErrorKind, MAX_LIVE_BYTES, MAX_LOG_BYTES, MAX_VALUE_BYTES, StateLog};

use crate::partition::{Partition, cuts};

type Values = BTreeMap<String, Vec<u8>>;
type Change = (String, Option<Vec<u8>>);

fn set(key: &str, bytes: usize, fill: u8) -> Change {
    (key.to_owned(), Some((0..bytes).map(|i| fill ^ i as u8).collect()))
}

fn open(flash: &Partition) -> StateLog<Partition> {
    StateLog::open(flash.clone(), 0, flash.size).unwrap().0
}

fn values(log: &StateLog<Partition>) -> Values {
    log.keys().map(|key| (key.to_owned(), log.get(key).unwrap().to_vec())).collect()
}

fn apply(log: &mut StateLog<Partition>, (key, value): &Change) -> bool {
    match value {
        Some(value) => log.set(key, value).is_ok(),
        None => log.remove(key).is_ok(),
    }
}

fn after(values: &Values, (key, value): &Change) -> Values {
    let mut values = values.clone();
    match value {
        Some(value) => values.insert(key.clone(), value.clone()),
        None => values.remove(key),
    };
    values
}

/// Makes the changes until the power fails; what the log may then hold: the values before and after the last change.
fn run(flash: &Partition, start: &Values, script: &[Change]) -> (Values, Values) {
    let mut log = open(flash);
    assert_eq!(values(&log), *start);
    let mut now = start.clone();
    for change in script {
        let next = after(&now, change);
        if !apply(&mut log, change) {
            assert_eq!(values(&log), now, "a failed change must not show");
            return (now, next);
        }
        now = next;
    }
    (now.clone(), now)
}

/// Reopens after a cut: old or new, the same again at a second opening, and it can be written to.
fn reopen(flash: &Partition, (old, new): &(Values, Values)) -> Values {
    flash.chip.restore_power();
    let found = values(&open(flash));
    assert!(found == *old || found == *new, "neither old nor new: {:?}", found.keys());
    assert_eq!(values(&open(flash)), found);
    found
}

/// Sweeps the cut over a script; the number of cuts.
fn sweep(block: u32, size: u32, script: &[Change], step: u64) -> usize {
    let flash = Partition::whole(size, block, 1);
    run(&flash, &Values::new(), script);
    let ops = flash.ops.lock().unwrap().clone();
    assert!(ops.iter().any(|op| op.erase), "the script must erase");
    let cuts = cuts(&ops, step);
    for (seed, &cut) in cuts.iter().enumerate() {
        let flash = Partition::whole(size, block, seed as u64);
        flash.chip.cut_power_after(cut);
        let allowed = run(&flash, &Values::new(), script);
        let found = reopen(&flash, &allowed);
        let more = [set("after", 5, 1), set("boot", 9, 2), ("settings-v1".to_owned(), None)];
        let allowed = run(&flash, &found, &more);
        assert_eq!(allowed.0, allowed.1, "without a cut every change is made");
        assert_eq!(reopen(&flash, &allowed), allowed.1);
    }
    cuts.len()
}

/// Values of all sizes, replaced and removed, until the halves changed places more than twice.
fn script(half: usize) -> Vec<Change> {
    let mut script = vec![set("accounts", half / 8, 3), set("identity", 40, 4)];
    for round in 0..24 {
        script.push(set("settings-v1", half / 9 + usize::from(round), round));
        script.push(set("boot", 30 + usize::from(round % 3), round));
        if round % 4 == 0 {
            script.push((if round % 8 == 0 { "identity" } else { "floor" }.to_owned(), None));
            script.push(set("floor", usize::from(round), round));
        }
    }
    script
}

#[test]
fn every_byte_of_a_small_log_can_be_the_last() {
    let count = sweep(1024, 2048, &script(1024), 1);
    println!("state log, 1 KiB blocks: {count} cuts, 0 lost");
    assert!(count > 5_000, "{count}");
}

#[test]
fn cuts_with_blocks_of_64_kib() {
    let count = sweep(64 * 1024, 128 * 1024, &script(64 * 1024), 4099);
    println!("state log, 64 KiB blocks: {count} cuts, 0 lost");
    assert!(count > 1_000, "{count}");
}

#[test]
fn cuts_with_blocks_of_256_kib() {
    let script: Vec<Change> = script(64 * 1024).into_iter().chain(script(200 * 1024)).collect();
    let count = sweep(256 * 1024, 1024 * 1024, &script, 30_011);
    println!("state log, 256 KiB blocks: {count} cuts, 0 lost");
    assert!(count > 1_000, "{count}");
}

#[test]
fn a_cut_while_a_cut_is_mended() {
    // The first cut in a copy to the other half, the second anywhere in the next attempt.
    let first = script(1024);
    let dry = Partition::whole(2048, 1024, 1);
    run(&dry, &Values::new(), &first);
    let mut count = 0;
    let all = cuts(&dry.ops.lock().unwrap(), 1);
    for (seed, &cut) in all.iter().enumerate().step_by(17) {
        for second in (0..1500).step_by(61) {
            let flash = Partition::whole(2048, 1024, seed as u64);
            flash.chip.cut_power_after(cut);
            let allowed = run(&flash, &Values::new(), &first);
            let found = reopen(&flash, &allowed);
            flash.chip.cut_power_after(second);
            let allowed = run(&flash, &found, &[set("boot", 31, 9), set("floor", 3, 9)]);
            reopen(&flash, &allowed);
            count += 1;
        }
    }
    println!("state log, two cuts: {count} pairs, 0 lost");
    assert!(count > 5_000, "{count}");
}

#[test]
fn noise_opens_and_is_written_over() {
    let mut flash = Partition::whole(2048, 1024, 1);
    let noise: Vec<u8> = (0..2048_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x7F).collect();
    flash.program(0, &noise).unwrap();
    let (mut log, report) = StateLog::open(flash.clone(), 0, 2048).unwrap();
    assert!(report.fresh);
    log.set("boot", b"1").unwrap();
    assert_eq!(open(&flash).get("boot"), Some(&b"1"[..]));
}

#[test]
fn a_damaged_end_is_told_and_left_behind() {
    let mut flash = Partition::whole(2048, 1024, 1);
    let mut log = open(&flash);
    log.set("boot", b"1").unwrap();
    log.set("floor", b"2").unwrap();
    // A record that never got its first byte, but some of its last: chips do not promise an order.
    flash.program(300, &[0]).unwrap();
    let (mut log, report) = StateLog::open(flash.clone(), 0, 2048).unwrap();
    assert_eq!((report.records, report.torn_at), (2, Some(16 + 2 * 32)));
    log.set("boot", b"3").unwrap();
    let (log, report) = StateLog::open(flash.clone(), 0, 2048).unwrap();
    assert_eq!((log.get("boot"), log.get("floor")), (Some(&b"3"[..]), Some(&b"2"[..])));
    assert_eq!(report.torn_at, None);
}

#[test]
fn only_a_mebibyte_is_used_and_the_same_value_costs_nothing() {
    let flash = Partition::whole(4 << 20, 256 << 10, 1);
    let mut log = open(&flash);
    for round in 0..40 {
        log.set("settings-v1", &vec![round; 60_000]).unwrap();
    }
    assert!(flash.dump()[MAX_LOG_BYTES as usize..].iter().all(|&byte| byte == 0xFF));
    let ops = flash.ops.lock().unwrap().len();
    log.set("settings-v1", &vec![39; 60_000]).unwrap();
    log.remove("nothing").unwrap();
    assert_eq!(flash.ops.lock().unwrap().len(), ops);
}

#[test]
fn the_log_lies_where_it_is_told() {
    let flash = Partition::whole(8192, 1024, 1);
    let mut log = StateLog::open(flash.clone(), 2048, 4096).unwrap().0;
    for round in 0..200_u8 {
        log.set("boot", &[round; 50]).unwrap();
    }
    let bytes = flash.dump();
    assert!(bytes[..2048].iter().chain(&bytes[6144..]).all(|&byte| byte == 0xFF));
    let log = StateLog::open(flash, 2048, 4096).unwrap().0;
    assert_eq!(log.get("boot"), Some(&[199; 50][..]));
}

#[test]
fn limits_are_told_and_leave_what_was() {
    let flash = Partition::whole(1 << 20, 64 << 10, 1);
    let mut log = open(&flash);
    log.set("a", &vec![1; MAX_VALUE_BYTES]).unwrap();
    log.set("b", &vec![2; MAX_VALUE_BYTES]).unwrap();
    assert_eq!(log.set("c", &vec![0; MAX_VALUE_BYTES + 1]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(log.set("c", &vec![3; MAX_VALUE_BYTES]).unwrap_err().kind(), ErrorKind::TooLarge);
    let rest = MAX_LIVE_BYTES - 2 * (MAX_VALUE_BYTES + 32) - 32;
    log.set("c", &vec![3; rest]).unwrap();
    for round in 0..8 {
        log.set("a", &vec![round; MAX_VALUE_BYTES]).unwrap();
    }
    assert_eq!(values(&open(&flash)).len(), 3);
    assert_eq!(log.set("", b"x").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(log.set(&"k".repeat(33), b"x").unwrap_err().kind(), ErrorKind::Invalid);
    for (offset, length) in [(0, 64 << 10), (0, 0), (1, 1 << 20)] {
        let opened = StateLog::open(flash.clone(), offset, length);
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let key = prop::sample::select(vec!["boot", "floor", "settings-v1", "settings-v2", "accounts"]);
    let value = prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..120));
    prop::collection::vec((key.prop_map(str::to_owned), value), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_changes_and_any_cuts(
        rounds in prop::collection::vec((changes(), 0u64..6000), 1..6),
        seed in any::<u64>(),
    ) {
        let flash = Partition::whole(2048, 1024, seed);
        let mut now = Values::new();
        for (script, cut) in rounds {
            flash.chip.cut_power_after(cut);
            let allowed = run(&flash, &now, &script);
            now = reopen(&flash, &allowed);
        }
    }
}
