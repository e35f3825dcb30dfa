//! What a crash costs the store: footage lost, and the time until it records again.
//!
//! A power cut is one of a disk that forgets whatever was not synced (`store::faults`), at a random moment between two
//! commits; a kill loses what was in memory only. Sixteen streams; the commit of each second is made when it is over.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hal::{ByteCount, ChannelId, Clock, StreamId, StreamKind, SystemClock};
use serde::Serialize;
use store::faults::{FaultDisk, Loss};
use store::{Cipher, Reader, Store, StoreOptions};

use crate::bench_store_case::{START, append_second, gop, keys};
use crate::workspace::Failure;

const STREAMS: u16 = 16;

/// In seconds, the worst of all tries.
#[derive(Debug, Serialize)]
pub(crate) struct CrashFigures {
    tries: u32,
    /// Footage lost of each stream when only the process dies.
    lost_at_kill_sec: f64,
    /// Footage lost of each stream when the power goes.
    lost_at_power_cut_sec: f64,
    /// From opening to the volume's readiness for the next commit.
    recovery_sec: f64,
}

pub(crate) fn run(root: &Path, tries: u32) -> Result<CrashFigures, Failure> {
    let mut figures =
        CrashFigures { tries, lost_at_kill_sec: 0.0, lost_at_power_cut_sec: 0.0, recovery_sec: 0.0 };
    for number in 0..tries {
        for loss in [Loss::Nothing, Loss::Some(u64::from(number) + 1)] {
            let (lost, recovery) = one(&root.join("crash"), number, loss)?;
            let worst = match loss {
                Loss::Nothing => &mut figures.lost_at_kill_sec,
                _ => &mut figures.lost_at_power_cut_sec,
            };
            *worst = worst.max(lost);
            figures.recovery_sec = figures.recovery_sec.max(recovery);
        }
    }
    println!(
        "\ncrashes, the worst of {tries} each: a kill loses {:.2} s a stream, a power cut {:.2} s; recovered in {:.3} s",
        figures.lost_at_kill_sec, figures.lost_at_power_cut_sec, figures.recovery_sec
    );
    Ok(figures)
}

/// Records some seconds, crashes just before the next commit, and opens again.
fn one(dir: &Path, number: u32, loss: Loss) -> Result<(f64, f64), Failure> {
    let _ = fs::remove_dir_all(dir);
    let options = StoreOptions {
        max_bytes: ByteCount(1 << 30),
        segment_bytes: ByteCount(64 << 20),
        cipher: Cipher::ChaCha20Poly1305,
        ..StoreOptions::with_max_bytes(ByteCount(1 << 30))
    };
    let (disk, clock) = (FaultDisk::new(loss), Arc::new(SystemClock::new()));
    let (mut store, _) = Store::open_on(Arc::new(disk.clone()), dir, options, &keys(), clock.clone())?;
    let gop = gop()?;
    let seconds = 8 + number;
    for second in 0..seconds {
        append_second(&mut store, &gop, STREAMS, second)?;
        // The last second is in memory when it happens: the worst moment.
        if second + 1 < seconds {
            store.commit()?;
        }
    }
    disk.cut_power();
    drop(store);
    let begun = clock.mono();
    let (store, _) = Store::open(dir, options, &keys(), clock.clone())?;
    let recovery = clock.mono().since(begun).as_secs_f64();
    drop(store);
    let reader = Reader::open(dir, &keys())?;
    let end = START.offset_micros(i64::from(seconds) * 1_000_000);
    let mut lost: f64 = 0.0;
    for channel in (1..=STREAMS).filter_map(ChannelId::new) {
        let bounds = reader.bounds(StreamId::new(channel, StreamKind::Main))?;
        let last = bounds.map_or(START, |(_, last)| last);
        lost = lost.max(end.micros_since(last) as f64 / 1e6);
    }
    fs::remove_dir_all(dir)?;
    Ok((lost, recovery))
}
