//! Power is cut during an update, a change of settings, and a recording.
//!
//! A bounded selection; `cargo xtask torture` does the same at every write (docs/reliability.md has the figures).

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use tests::{
    Layout, Mark, RecordedDisk, RecordingCuts, Stopwatch, Sweep, chosen_flushes, no_emulator, sweep_flushes,
};

/// Of an update, on each layout: each kind of operation, and the steps of the state log.
const POINTS: usize = 6;
/// QEMU's names for what its chip does, and which one is cut.
const KILLS: [(&str, usize); 2] = [("pflash_write_block_erase", 3), ("pflash_write_block_flush", 500)];
/// While recording.
const CUTS: usize = 3;
/// Flushes of a recording, and how many segments are recycled in it.
const FLUSHES: usize = 14;
const RECYCLINGS: usize = 2;
/// What a power cut may cost.
const MAX_LOSS: Duration = Duration::from_secs(2);

fn sweep(layout: Layout) {
    if no_emulator() {
        return;
    }
    let dir = tempfile::Builder::new().prefix("sweep-").tempdir_in(tests::target().join("tmp")).unwrap();
    let sweep = Sweep::record(layout, dir.path());
    println!("{} moments; a few of them:", sweep.points().len());
    let failures = Mutex::new(Vec::new());
    sweep.try_points(&sweep.chosen(POINTS), dir.path(), &|point, verdict| match verdict {
        Ok(verdict) => println!("{point}: {verdict:?}"),
        Err(error) => failures.lock().unwrap().push(format!("{point}: {error}")),
    });
    // And for real, without a replay: at an erase and in the midst of programming.
    thread::scope(|scope| {
        for (event, count) in KILLS {
            let (sweep, failures, own) = (&sweep, &failures, dir.path().join(event));
            scope.spawn(move || match sweep.kill(event, count, &own) {
                Ok((what, verdict)) => println!("killed at {what}: {verdict:?}"),
                Err(error) => failures.lock().unwrap().push(format!("killed at {event} {count}: {error}")),
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn an_update_of_one_slot_survives_a_cut_at_each_kind_of_write() {
    sweep(Layout::Nor16);
}

#[test]
fn an_update_of_two_slots_survives_a_cut_at_each_kind_of_write() {
    sweep(Layout::Nor64);
}

#[test]
fn a_recording_loses_two_seconds_at_most() {
    if no_emulator() {
        return;
    }
    let mut cuts = RecordingCuts::begin();
    for cut in 1..=CUTS {
        let lost = cuts.next_cut().unwrap_or_else(|error| panic!("cut {cut}: {error}"));
        println!("cut {cut}: {} ms lost at worst", lost.as_millis());
        assert!(lost <= MAX_LOSS, "cut {cut}: {lost:?}");
    }
}

#[test]
fn a_disk_keeps_what_it_was_told_to_keep_at_every_flush() {
    if no_emulator() {
        return;
    }
    let dir = tempfile::Builder::new().prefix("flushes-").tempdir_in(tests::target().join("tmp")).unwrap();
    let watch = Stopwatch::start();
    let run = RecordedDisk::record(dir.path(), RECYCLINGS);
    let count = |mark| run.count(mark);
    println!(
        "{} writes and {} flushes in {} s; {} segments begun, {} sealed; the index' log begun or folded in {} times",
        run.log.entries.iter().filter(|entry| entry.is_disk()).count(),
        run.points.len(),
        watch.elapsed().as_secs(),
        count(Mark::SegmentBegun),
        count(Mark::SegmentSealed),
        count(Mark::IndexFolded)
    );
    let points = chosen_flushes(&run.points, FLUSHES);
    let acknowledged = points.iter().filter(|point| !run.acknowledged_by(point.flush).is_empty()).count();
    let told = Mutex::new((Vec::new(), Duration::ZERO, Duration::ZERO));
    sweep_flushes(&run, &points, dir.path(), &|point, verdict| {
        let mut told = told.lock().unwrap();
        match verdict {
            Ok(verdict) => {
                println!("{point}: {verdict:?}");
                let worst = if point.starts { &mut told.2 } else { &mut told.1 };
                *worst = verdict.lost.max(*worst);
            }
            Err(error) => told.0.push(format!("{point}: {error}")),
        }
    });
    let (failures, worst, at_a_start) = told.into_inner().unwrap();
    println!(
        "{} s in all; lost at worst: {worst:?}, and {at_a_start:?} of what came until a recorder had started",
        watch.elapsed().as_secs()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(worst <= MAX_LOSS, "{worst:?} of what the disk was given are lost");
    assert!(acknowledged > FLUSHES / 2, "{acknowledged} of the flushes had footage before them");
}
