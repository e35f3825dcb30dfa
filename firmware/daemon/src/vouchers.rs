//! The proof of an exported file: what the ledger has to say of it.
//!
//! docs/evidence.md. Does not belong here: the proof's bytes (crate `evidence`), the ledger's own work (`record_ledger`).

use std::io;
use std::net::IpAddr;

use evidence::Proof;
use ledger::{Event, Hex, StreamHead};
use store::Movie;

use crate::footage::FileOf;
use crate::record_ledger::RecordLedger;

/// Something that explains a gap is written down this long before or after it at most, microseconds: two checkpoints.
const AROUND_MICROS: i64 = 120_000_000;

/// Who saves footage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub(crate) user: &'a str,
    /// Nowhere when at the recorder itself.
    pub(crate) from: Option<IpAddr>,
}

/// Writes the export down and gives the file with its proof.
///
/// # Errors
/// The ledger's; `NotFound` while there is no disk for it.
pub(crate) fn prove(movie: Movie, file: &FileOf, by: &By<'_>, ledger: &RecordLedger) -> io::Result<Movie> {
    let mut manifest = movie.manifest().ok_or_else(|| io::Error::other("the file is not of whole chunks"))?;
    let around = (file.start.offset_micros(-AROUND_MICROS), file.end.offset_micros(AROUND_MICROS));
    let vouchers = ledger.vouch(around, explains, movie.sealed_segments(), |leaves| {
        manifest.leaves = leaves;
        let heads = manifest.tracks.iter().filter_map(|track| {
            let last = track.runs.last()?;
            let (channel, stream) = (track.stream.channel, track.stream.kind);
            Some(StreamHead { channel, stream, sequence: last.last_sequence(), head: Hex(last.head) })
        });
        Event::Export {
            by: by.user.into(),
            from: by.from,
            channels: file.channels.iter().map(|(channel, _)| *channel).collect(),
            start: file.start,
            end: file.end,
            heads: heads.collect(),
            manifest: Some(Hex(manifest.hash())),
        }
    })?;
    let leaf_bytes = vouchers.leaves.len() as u64;
    let proof = Proof::new(&vouchers.key, &vouchers.checkpoint, &[], &manifest, leaf_bytes);
    Ok(movie.with_proof(&proof, &vouchers.leaves))
}

/// Whether it can be the reason of a gap.
fn explains(event: &Event) -> bool {
    matches!(
        event,
        Event::FootageLost { .. }
            | Event::SegmentRemoved { .. }
            | Event::ClockStep { .. }
            | Event::RecorderStarted { .. }
            | Event::RecorderStopped
            | Event::VolumeFailed { .. }
            | Event::VolumeOpened { .. }
            | Event::VolumeClosed { .. }
    )
}
