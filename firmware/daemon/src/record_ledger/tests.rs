//! The ledger of the role `record`: without a disk, damaged, beside proofs.

use hal::SystemClock;

use super::*;

fn desk() -> RecordLedger {
    let key = LedgerKey { recorder: "0123abcd".to_owned(), seed: [7; 32] };
    RecordLedger::new(key, Arc::new(SystemClock::new()))
}

fn login(by: &str) -> Event {
    Event::LoginOk { by: by.into(), from: None }
}

fn words(ledger: &RecordLedger) -> Vec<String> {
    let leaves = ledger.leaves(None, 100).unwrap();
    leaves.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
}

#[test]
fn what_is_noted_without_a_disk_is_written_when_there_is_one_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = desk();
    ledger.note(login("ann"));
    ledger.move_to(Some(dir.path().join("ledger")));
    ledger.look_after();
    let origin = ledger.head().origin;
    assert!(origin.starts_with("candor/0123abcd/0001-"), "{origin}");
    ledger.note(login("eve"));
    ledger.close();

    let again = desk();
    again.move_to(Some(dir.path().join("ledger")));
    again.look_after();
    let head = again.head();
    assert_eq!((head.size, head.origin), (2, origin.clone()));
    assert!(head.checkpoint.starts_with(&format!("{origin}\n2\n")), "{}", head.checkpoint);
    let words = words(&again);
    assert!(words[0].contains("eve") && words[1].contains("ann"), "{words:?}");
}

#[test]
fn what_happens_is_written_down_while_a_proof_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(desk());
    ledger.move_to(Some(dir.path().to_owned()));
    ledger.look_after();
    // More than one leaf file, so that hashes are read from the disk, too.
    let many = 10_000_u64;
    for _ in 0..many / MAX_WAITING as u64 + 1 {
        (0..MAX_WAITING).for_each(|_| ledger.note(login("ann")));
        ledger.beside().unwrap();
    }
    let written = ledger.head().size;
    assert!(written > many);
    // Of another thread, as sealing a segment is: it comes back while leaves are looked for, ...
    let append = || {
        let of_thread = Arc::clone(&ledger);
        std::thread::spawn(move || of_thread.keep(&login("eve"))).join().unwrap().unwrap();
    };
    let (reader, key) = ledger.beside().unwrap();
    append();
    assert_eq!((reader.size(), ledger.head().size), (written, written + 1));
    // ... and while they are proved.
    let (export, signed) = ledger.keep_signed(Event::RecorderStopped, &key).unwrap();
    append();
    assert_eq!((export, ledger.head().size), (written + 1, written + 3));
    let wanted = (0..written).step_by(97).chain([export]);
    let signed_size = signed.last_checkpoint().checkpoint().size;
    let expected: Vec<u8> = wanted
        .clone()
        .flat_map(|index| {
            let (leaf, path) = (signed.leaf(index).unwrap(), signed.inclusion(index, signed_size).unwrap());
            evidence::leaf_record(index, &leaf, &path)
        })
        .collect();
    assert!(records(&signed, wanted).unwrap() == expected);
    // All of it together: the event is made while others are written down.
    let wanted = Wanted {
        start: ledger.clock.wall(),
        end: ledger.clock.wall(),
        sealed: std::collections::BTreeSet::new(),
        gaps: true,
    };
    let vouchers = ledger.vouch(wanted, |_| {
        append();
        Event::RecorderStopped
    });
    let size = written + 5;
    assert!(vouchers.unwrap().checkpoint.contains(&format!("\n{size}\n")));
    // Another ledger's leaves are not proved by this one.
    ledger.move_to(Some(dir.path().join("elsewhere")));
    ledger.look_after();
    assert!(ledger.keep_signed(Event::RecorderStopped, &key).is_err());
}

#[test]
fn a_damaged_ledger_is_left_alone_and_named_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("ledger");
    let ledger = desk();
    ledger.move_to(Some(place.clone()));
    ledger.look_after();
    ledger.note(login("ann"));
    let origin = ledger.head().origin;
    ledger.close();
    let folder = place.join(origin.rsplit('/').next().unwrap());
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("leaves") {
            fs::OpenOptions::new().write(true).open(entry.path()).unwrap().set_len(0).unwrap();
        }
    }
    let ledger = desk();
    ledger.move_to(Some(place.clone()));
    ledger.look_after();
    assert!(ledger.head().origin.contains("/0002-"));
    ledger.note(login("bob"));
    ledger.close();
    let ledger = desk();
    ledger.move_to(Some(place));
    ledger.look_after();
    let words = words(&ledger);
    assert!(words[1].contains("ledger_replaced") && words[1].contains(&origin), "{words:?}");
    assert!(folder.exists());
}

#[test]
fn nobody_who_tells_or_asks_waits_for_its_disk() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = desk();
    ledger.move_to(Some(dir.path().join("first")));
    ledger.look_after();
    let signed = ledger.signed().unwrap();
    // As whoever writes has it while the disk does not answer.
    let stuck = ledger.state();
    ledger.note(login("ann"));
    ledger.move_to(Some(dir.path().join("second")));
    ledger.note(login("eve"));
    assert_eq!(ledger.signed(), Some(signed));
    assert!(ledger.last_sealed(ledger::Hex([1; 16]), 0).is_err());
    drop(stuck);
    // What was told before it moved and after, in order, is where it lay: nothing of it was written yet.
    ledger.look_after();
    let head = ledger.head();
    ledger.close();
    let again = desk();
    again.move_to(Some(dir.path().join("first")));
    again.look_after();
    let words = words(&again);
    assert!(words[0].contains("eve") && words[1].contains("ann"), "{words:?}");
    assert_ne!(again.head().origin, head.origin);
}

#[test]
fn what_cannot_be_written_is_written_later_and_what_was_to_be_kept_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = desk();
    // More than one batch.
    (0..MAX_BATCH + 5).for_each(|_| ledger.note(login("ann")));
    assert!(ledger.keep(&login("eve")).is_err());
    ledger.move_to(Some(dir.path().to_owned()));
    ledger.look_after();
    ledger.keep(&login("bob")).unwrap();
    let size = ledger.head().size;
    assert_eq!(size, MAX_BATCH as u64 + 6);
    let newest = ledger.leaves(None, 2).unwrap();
    let newest: Vec<_> = newest.iter().map(|(_, leaf)| String::from_utf8_lossy(leaf)).collect();
    assert!(newest[0].contains("bob") && newest[1].contains("ann"), "{newest:?}");
}
