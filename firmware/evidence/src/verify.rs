//! Is this file what the recorder recorded?
//!
//! docs/evidence.md has the rules. Does not belong here: how the answer is shown, files and browsers.
//!
//! Invariants
//! - Nothing that the file says is believed before it is signed; a verdict other than the worst needs every rule to hold.
//! - Memory holds the file's tables, never its samples.

use std::io::{Read, Seek};
use std::ops::Range;

use hal::{StreamId, StreamKind};
use mp4_atom::{Decode, Moov, Trak};

use crate::error::VerifyError;
use crate::file::File;
use crate::outline::{Outline, outline};
use crate::report::{Absent, Findings, Gap, GapKind, Place, Report, TrackReport, Verdict};
use crate::samples::Samples;
use crate::shown::Shown;
use crate::statement::{Outcome, Signatures, Statement, read_statement};
use crate::trust::Trusted;
use crate::walk::{TrackWalk, walk};

/// The largest movie header: 64 tracks of 12 hours at 25 frames a second take 1.4 GB, which nobody plays; 20 of them fit.
const MAX_MOOV_BYTES: u64 = 512 << 20;

/// Verifies a file. `progress` is told now and then how many of how many bytes were read.
///
/// # Errors
/// Only when the file cannot be read; everything else is in the report.
pub fn verify<R: Read + Seek>(
    reader: R,
    trusted: Option<&Trusted>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, VerifyError> {
    let mut file = File::new(reader)?;
    let mut findings = Findings::default();
    let outline = outline(&mut file, &mut findings)?;
    if !outline.claims_proof {
        return Ok(answer(None, None, Vec::new(), Findings::default(), Verdict::NoProof));
    }
    let Some(proof) = outline.proof.clone() else {
        return Ok(answer(None, None, Vec::new(), findings, Verdict::NotAuthentic));
    };
    let (signatures, statement) = match read_statement(&mut file, &proof, trusted, &mut findings)? {
        Outcome::Signed(signatures, statement) => (signatures, statement),
        Outcome::Refused(signatures) => {
            return Ok(answer(signatures, None, Vec::new(), findings, Verdict::NotAuthentic));
        }
        Outcome::Version(version) => {
            let mut findings = Findings::default();
            let what = format!("the proof has version {version}, which this program does not know");
            findings.add(what, Place::bytes(proof));
            return Ok(answer(None, None, Vec::new(), findings, Verdict::NoProof));
        }
    };
    let total = file.len();
    let mut tell = |at| progress(at, total);
    let tracks = check_footage(&mut file, &outline, &statement, &mut findings, &mut tell)?;
    progress(total, total);
    let verdict = if !findings.is_empty() {
        Verdict::NotAuthentic
    } else if !statement.absent.is_empty() || tracks.iter().any(|track| !track.gaps.is_empty()) {
        Verdict::AuthenticWithGaps
    } else {
        Verdict::AuthenticAndComplete
    };
    Ok(answer(Some(signatures), Some(*statement), tracks, findings, verdict))
}

fn answer(
    signatures: Option<Signatures>,
    statement: Option<Statement>,
    tracks: Vec<TrackReport>,
    findings: Findings,
    verdict: Verdict,
) -> Report {
    let (recorder, witnesses) =
        signatures.map(|signatures| (signatures.recorder, signatures.witnesses)).unzip();
    let absent = statement.as_ref().map(absent).unwrap_or_default();
    Report {
        verdict,
        recorder,
        export: statement.map(|statement| statement.export),
        witnesses: witnesses.unwrap_or_default(),
        tracks,
        absent,
        findings: findings.list,
        more_findings: findings.more,
    }
}

/// Channels without a track, each with what the ledger says about all of the time that was asked for.
fn absent(statement: &Statement) -> Vec<Absent> {
    let gap = Gap {
        kind: GapKind::Missing,
        from: statement.export.start,
        to: statement.export.end,
        reasons: Vec::new(),
    };
    let reasons = |channel| statement.causes.of(StreamId::new(channel, StreamKind::Main), &gap);
    statement.absent.iter().map(|&channel| Absent { channel, reasons: reasons(channel) }).collect()
}

/// Rules 4 to 8.
fn check_footage<R: Read + Seek>(
    file: &mut File<R>,
    outline: &Outline,
    statement: &Statement,
    findings: &mut Findings,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<TrackReport>, VerifyError> {
    let manifest = &statement.manifest;
    let (Some(moov_at), Some(samples)) = (&outline.moov, &outline.samples) else {
        findings.add("the file has no moov or no mdat", Place::byte(0));
        return Ok(Vec::new());
    };
    let signed = manifest.head_bytes == samples.start
        && file.hash(0, manifest.head_bytes)? == Some(manifest.head_hash);
    if !signed {
        let what = "what stands before the samples is not what the recorder signed";
        findings.add(what, Place::bytes(0..samples.start));
    }
    let Some(moov) = read_moov(file, moov_at)? else {
        findings.add("the moov cannot be read", Place::bytes(moov_at.clone()));
        return Ok(Vec::new());
    };
    if moov.trak.len() != manifest.tracks.len() {
        let what = format!("there are {} tracks, {} were exported", moov.trak.len(), manifest.tracks.len());
        findings.add(what, Place::bytes(moov_at.clone()));
    }
    let timescale = moov.mvhd.timescale;
    let mut traks: Vec<Option<Trak>> = moov.trak.into_iter().map(Some).collect();
    let mut walks = Vec::with_capacity(manifest.tracks.len());
    let mut headers = statement.headers.start;
    for track in &manifest.tracks {
        let bytes: u64 = track.runs.iter().map(|run| run.header_bytes).fold(0, u64::saturating_add);
        let end = headers.saturating_add(bytes).min(statement.headers.end);
        let range = std::mem::replace(&mut headers, end)..end;
        let has_id =
            |trak: &&mut Option<Trak>| trak.as_ref().is_some_and(|trak| trak.tkhd.track_id == track.id);
        let place = || Place::bytes(moov_at.clone()).in_track(track.id, track.stream);
        let Some(trak) = traks.iter_mut().find(has_id).and_then(Option::take) else {
            findings.add("the track is missing", place());
            continue;
        };
        let shown = (!signed).then(|| Shown::new(&trak, timescale, manifest.start, manifest.end));
        match Samples::new(trak.mdia.minf.stbl) {
            Ok(samples) => walks.push(TrackWalk::new(track, samples, shown, range, statement)),
            Err(what) => findings.add(what, place()),
        }
    }
    if headers != statement.headers.end {
        let what = "the chunk headers are not as many bytes as the manifest says";
        findings.add(what, Place::bytes(statement.headers.clone()));
    }
    walk(file, &mut walks, samples, statement, findings, progress)?;
    Ok(walks.into_iter().map(|walk| walk.finish(statement, findings)).collect())
}

fn read_moov<R: Read + Seek>(file: &mut File<R>, at: &Range<u64>) -> Result<Option<Moov>, VerifyError> {
    let size = at.end - at.start;
    if size > MAX_MOOV_BYTES {
        return Ok(None);
    }
    let bytes = file.bytes(at.start, size as usize)?.unwrap_or_default();
    Ok(Moov::decode(&mut bytes.as_slice()).ok())
}
