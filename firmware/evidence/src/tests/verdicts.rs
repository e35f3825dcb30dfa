//! The four verdicts for honest files, and what the report tells.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use ledger::{KeyKind, VerifierKey};

use super::footage::at;
use super::recorder::{Recorder, checked};
use crate::report::{Report, Verdict};
use crate::trust::{Fingerprint, Trusted};
use crate::verify;

fn say(report: &Report) -> String {
    format!("{report}")
}

#[test]
fn an_honest_file_is_authentic_and_complete() {
    let mut recorder = Recorder::with_ten_seconds();
    let file = recorder.export(1.4, 9.2);
    let mut told = Vec::new();
    let report =
        verify(Cursor::new(&file), Some(&recorder.trusted()), |done, of| told.push((done, of))).unwrap();
    assert_eq!(report.verdict, Verdict::AuthenticAndComplete, "{report}");
    assert!(report.recorder.as_ref().unwrap().trusted);
    assert_eq!(report.recorder.as_ref().unwrap().name, "candor/test1");
    let export = report.export.as_ref().unwrap();
    assert_eq!((export.by.as_str(), export.start, export.end), ("anna", at(1.4), at(9.2)));
    assert_eq!((report.witnesses[0].by.as_str(), report.witnesses[0].at), ("phone", at(1001.0)));
    let [video, audio] = &report.tracks[..] else { panic!("two tracks") };
    // From the keyframe before, in whole seconds; the last two of them are in no sealed segment.
    assert_eq!((video.from, video.to), (Some(at(0.0)), Some(at(10.0))));
    assert_eq!((video.chunks, video.sealed_chunks), (10, 8));
    assert_eq!((audio.from, audio.chunks, audio.sealed_chunks), (Some(at(1.0)), 9, 7));
    assert!(told.is_sorted() && told.last() == Some(&(file.len() as u64, file.len() as u64)));
    assert!(say(&report).starts_with("AUTHENTIC AND COMPLETE\n\nRecorder  candor/test1\n"), "{report}");
}

#[test]
fn headers_behind_the_samples_show_that_the_ledger_knew_them() {
    let mut recorder = Recorder::with_ten_seconds();
    let file = recorder.export(4.0, 6.0);
    let report = checked(&recorder, &file);
    assert_eq!(report.verdict, Verdict::AuthenticAndComplete, "{report}");
    assert_eq!((report.tracks[0].chunks, report.tracks[0].sealed_chunks), (2, 2));
}

#[test]
fn without_a_key_the_report_says_that_it_must_be_compared() {
    let mut recorder = Recorder::with_ten_seconds();
    let file = recorder.export(0.0, 10.0);
    let report = verify(Cursor::new(&file), None, |_, _| {}).unwrap();
    assert_eq!(report.verdict, Verdict::AuthenticAndComplete);
    assert!(!report.recorder.as_ref().unwrap().trusted);
    let fingerprint = Fingerprint::of(recorder.signer.verifier());
    let second = say(&report).lines().nth(1).unwrap().to_owned();
    assert!(second.contains(&fingerprint.to_string()) && second.contains("compared"), "{second}");
    let by_fingerprint = Trusted::Fingerprint(fingerprint);
    let report = verify(Cursor::new(&file), Some(&by_fingerprint), |_, _| {}).unwrap();
    assert!(report.verdict == Verdict::AuthenticAndComplete && report.recorder.unwrap().trusted);
}

#[test]
fn another_recorders_key_is_refused() {
    let mut recorder = Recorder::with_ten_seconds();
    let file = recorder.export(0.0, 10.0);
    let same_name = VerifierKey::new("candor/test1", KeyKind::Note, [3; 32]).unwrap();
    let report = verify(Cursor::new(&file), Some(&Trusted::Key(same_name)), |_, _| {}).unwrap();
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    assert!(report.findings[0].what.contains("another recorder's key"), "{report}");
}

#[test]
fn files_without_a_proof_have_none() {
    let recorder = Recorder::with_ten_seconds();
    let plan = recorder.plan(0.0, 10.0);
    let tracks: Vec<_> = plan.tracks.iter().map(|track| track.track.clone()).collect();
    let bytes = plan.pieces.concat();
    let head = media::movie_header(&tracks, bytes.len() as u64).unwrap();
    for file in [[head.to_vec(), bytes].concat(), Vec::new(), b"hello".to_vec(), vec![0; 5000]] {
        let report = checked(&recorder, &file);
        assert_eq!(report.verdict, Verdict::NoProof);
        assert_eq!(say(&report), "NO PROOF\n");
    }
}

#[test]
fn a_report_is_also_json() {
    let mut recorder = Recorder::with_ten_seconds();
    let file = recorder.export(0.0, 12.0);
    let json = serde_json::to_value(checked(&recorder, &file)).unwrap();
    assert_eq!(json["verdict"], "authentic_with_gaps");
    assert_eq!(json["export"]["start"], "2026-11-20T10:00:00.000Z");
    assert_eq!(json["tracks"][0]["stream"]["channel"], 3);
    assert_eq!(json["tracks"][0]["gaps"][0]["kind"], "missing");
}

/// A disk that fails in the middle.
struct Failing(Cursor<Vec<u8>>, u64);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.position() >= self.1 { Err(io::Error::other("gone")) } else { self.0.read(into) }
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_file_that_cannot_be_read_gets_no_verdict() {
    let mut recorder = Recorder::with_ten_seconds();
    let file = recorder.export(0.0, 10.0);
    let error = verify(Failing(Cursor::new(file), 0), None, |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("cannot be read at byte 0: gone"), "{error}");
}
