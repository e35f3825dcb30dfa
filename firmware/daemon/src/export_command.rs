//! `candor export`: a range of a channel's footage as an MP4 file.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use hal::{ChannelId, WallTime};
use jiff::Timestamp;
use store::{Movie, Reader};

use crate::args::ExportArgs;
use crate::footage_keys::at_hand;
use crate::record_volume::volume_in;

/// Read and written at once.
const BLOCK_BYTES: usize = 1 << 20;
/// A shorter gap is a clock that was set, or a camera's jitter: no picture is missing.
const MIN_GAP_MICROS: i64 = 200_000;

/// Writes the file; leaves none behind when it fails.
pub(crate) fn run(args: &ExportArgs) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let channel = ChannelId::try_from(args.channel)?;
    if args.start >= args.end {
        return Err("the end must be after the start".into());
    }
    let volume = volume_in(&args.data);
    let keys = at_hand(&volume, args.recovery.recovery_key.as_deref())?;
    let reader = Arc::new(Reader::open(&volume, &keys)?);
    let movie = Movie::plan(&reader, channel, wall(args.start), wall(args.end))?;
    // Not truncated: an export must not replace an older one by a slip of the hand.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.out)
        .map_err(|error| format!("cannot write {}: {error}", args.out.display()))?;
    let copied = copy(&movie, &mut file).and_then(|()| Ok(file.sync_all()?));
    if let Err(error) = copied {
        drop(file);
        let _ = std::fs::remove_file(&args.out);
        return Err(format!("{} was not written: {error}", args.out.display()).into());
    }
    println!("{}: {} bytes", args.out.display(), movie.len());
    let gaps =
        movie.pieces().windows(2).filter(|pair| pair[1].start.micros_since(pair[0].end) >= MIN_GAP_MICROS);
    for pair in gaps {
        println!("no footage from {} to {}", text(pair[0].end), text(pair[1].start));
    }
    Ok(ExitCode::SUCCESS)
}

fn copy(movie: &Movie, file: &mut std::fs::File) -> Result<(), Box<dyn Error + Send + Sync>> {
    let progress = std::io::stderr().is_terminal();
    let mut block = vec![0; BLOCK_BYTES];
    let mut offset = 0;
    while offset < movie.len() {
        let read = movie.read_at(offset, &mut block)?;
        if read == 0 {
            return Err(format!("the footage ends at byte {offset} of {}", movie.len()).into());
        }
        file.write_all(&block[..read])?;
        offset += read as u64;
        if progress {
            eprint!("\r{} %", offset * 100 / movie.len());
        }
    }
    if progress {
        eprintln!();
    }
    Ok(())
}

fn wall(time: Timestamp) -> WallTime {
    WallTime::from_unix_micros(time.as_microsecond())
}

fn text(time: WallTime) -> String {
    Timestamp::from_microsecond(time.as_unix_micros())
        .map_or_else(|_| "?".to_owned(), |moment| format!("{moment:.3}"))
}
