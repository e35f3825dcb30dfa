//! The proof of an exported file: what the ledger has to say of it.
//!
//! docs/evidence.md. Does not belong here: the proof's bytes (crate `evidence`), the ledger's own work (`record_ledger`).

use std::io;
use std::net::IpAddr;

use evidence::{Manifest, NEW_TIMELINE_MICROS, Proof};
use ledger::{Event, Hex, StreamHead};
use store::Movie;

use crate::footage::FileOf;
use crate::leaf_search::Wanted;
use crate::record_ledger::RecordLedger;

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
    let gaps = has_gaps(&manifest, file);
    let wanted = Wanted { start: file.start, end: file.end, sealed: movie.sealed_segments(), gaps };
    let vouchers = ledger.vouch(wanted, |leaves| {
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

/// Whether anything of what was asked for is not in the file, as a reader counts gaps (docs/evidence.md, section 6).
fn has_gaps(manifest: &Manifest, file: &FileOf) -> bool {
    let is_short = manifest.start.micros_since(file.start) > NEW_TIMELINE_MICROS
        || file.end.micros_since(manifest.end) > NEW_TIMELINE_MICROS;
    let has_track = |channel| manifest.tracks.iter().any(|track| track.stream.channel == channel);
    is_short
        || manifest.tracks.iter().any(|track| track.runs.len() > 1)
        || !file.channels.iter().all(|(channel, _)| has_track(*channel))
}
