//! `candor store`: looks after a volume while the recorder is off.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hal::WallTime;
use jiff::Timestamp;

use crate::args::StoreCommand;
use crate::footage_keys::at_hand;

/// Exit code 1 when there is damage.
pub(crate) fn run(command: &StoreCommand) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    match command {
        StoreCommand::Check { dir, recovery } => {
            let volume = volume_in(dir);
            let report = store::check(&volume, &at_hand(&volume, recovery.recovery_key.as_deref())?)?;
            for damage in &report.damages {
                let offset = damage.offset.map(|offset| format!(", byte {offset}")).unwrap_or_default();
                println!("{}{offset}: {}", damage.file.display(), damage.what);
            }
            for note in &report.notes {
                println!("put right by itself at the next start: {note}");
            }
            if report.locked_chunks > 0 {
                println!(
                    "{} chunks are encrypted and were not decrypted: no key at hand opens them (--recovery-key)",
                    report.locked_chunks
                );
            }
            if report.deleted > 0 {
                println!(
                    "{} more chunks were deleted, and nothing but their headers is there",
                    report.deleted
                );
            }
            println!(
                "{} segments, {} chunks, {} units, {} bytes: {}",
                report.segments,
                report.chunks,
                report.units,
                report.bytes.0,
                match report.damages.len() {
                    0 => "all as it was written".to_owned(),
                    1 => "1 damage".to_owned(),
                    n => format!("{n} damages"),
                }
            );
            Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        StoreCommand::RebuildIndex { dir } => {
            let rows = store::rebuild_index(&volume_in(dir))?;
            println!("the index has {rows} rows");
            Ok(ExitCode::SUCCESS)
        }
        StoreCommand::Recover { dir } => {
            let report = store::recover_volume(&volume_in(dir))?;
            for damage in &report.damages {
                println!("{damage}");
            }
            println!(
                "{} segments, {} scanned, {} sealed, {} torn bytes cut off, {} rows of the index dropped{}",
                report.segments,
                report.scanned,
                report.sealed,
                report.torn_bytes,
                report.dropped_rows,
                if report.rebuilt_index { ", the index made anew" } else { "" }
            );
            Ok(if report.damages.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        StoreCommand::List { chunks: true, dir } => {
            for chunk in store::chunks(&volume_in(dir))? {
                println!(
                    "{:<10} {} segment {}  {} to {}  {} bytes  {}",
                    chunk.stream.to_string(),
                    chunk.sequence,
                    chunk.segment,
                    text(chunk.start),
                    text(chunk.end),
                    chunk.payload.0,
                    chunk.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        StoreCommand::List { chunks: false, dir } => {
            let volume = store::list(&volume_in(dir))?;
            println!(
                "volume {}: {} segments of {} bytes, at most {} bytes",
                volume.id,
                volume.segments.len(),
                volume.segment_bytes.0,
                volume.max_bytes.0
            );
            for run in &volume.runs {
                println!(
                    "{:<10} {} to {}  {} bytes",
                    run.stream.to_string(),
                    text(run.start),
                    text(run.end),
                    run.bytes.0
                );
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn text(time: WallTime) -> String {
    Timestamp::from_microsecond(time.as_unix_micros())
        .map_or_else(|_| "an unknown time".to_owned(), |moment| format!("{moment:.3}"))
}

/// The volume in `dir`: a recorder's data folder holds it, or it is the volume itself.
pub(crate) fn volume_in(dir: &Path) -> PathBuf {
    let inside = dir.join("volume");
    if inside.join("volume.toml").exists() { inside } else { dir.to_owned() }
}
