//! What forgers do: each is refused, and the report says where.

use hal::{Pts90k, StreamKind};
use ledger::{Event, RemovalReason};

use super::footage::{UNITS, at};
use super::recorder::{Plan, Recorder, VOLUME, checked};
use crate::layout::sha256;
use crate::report::{Finding, Report, Verdict};

/// The honest plan of ten seconds with its proof, changed and written again.
fn forged(change: impl FnOnce(&mut Plan)) -> Report {
    let mut recorder = Recorder::with_ten_seconds();
    let plan = recorder.plan(0.0, 10.0);
    let proof = recorder.prove(&plan);
    let mut forged = plan.clone();
    change(&mut forged);
    let report = checked(&recorder, &forged.file(&proof));
    assert_eq!(report.verdict, Verdict::NotAuthentic, "{report}");
    report
}

#[track_caller]
fn found<'a>(report: &'a Report, what: &str) -> &'a Finding {
    report
        .findings
        .iter()
        .find(|finding| finding.what.contains(what))
        .unwrap_or_else(|| panic!("{what}: {report}"))
}

/// Takes a chunk of a track out of the file, and closes the hole.
fn drop_chunk(plan: &mut Plan, track: usize, number: usize) {
    let dropped = plan.tracks[track].track.chunks.remove(number);
    let samples = dropped.first_sample as usize..(dropped.first_sample + dropped.samples) as usize;
    let bytes: u32 = plan.tracks[track].track.samples[samples.clone()].iter().map(|sample| sample.size).sum();
    plan.tracks[track].track.samples.drain(samples);
    for planned in &mut plan.tracks {
        for chunk in &mut planned.track.chunks {
            if chunk.offset > dropped.offset {
                chunk.offset -= u64::from(bytes);
            }
        }
    }
    for chunk in &mut plan.tracks[track].track.chunks[number..] {
        chunk.first_sample -= dropped.samples;
    }
    let mut offset = 0;
    let piece = plan.pieces.iter().position(|piece| {
        let here = offset == dropped.offset;
        offset += piece.len() as u64;
        here
    });
    plan.pieces.remove(piece.unwrap());
}

#[test]
fn a_chunk_cut_out_of_the_middle() {
    let report = forged(|plan| drop_chunk(plan, 0, 5));
    let finding = found(&report, "not what was recorded");
    assert_eq!((finding.place.track, finding.place.from), (Some(1), Some(at(5.0))), "{report}");
    assert!(finding.place.bytes.is_some());
}

#[test]
fn the_end_cut_off_and_the_file_written_again() {
    let report = forged(|plan| {
        drop_chunk(plan, 0, 9);
        drop_chunk(plan, 1, 9);
        for track in &mut plan.tracks {
            track.track.end = Some(Pts90k(9 * 90_000));
        }
    });
    let finding = found(&report, "samples of this chunk are missing");
    assert_eq!(finding.place.from, Some(at(9.0)), "{report}");
    found(&report, "hides the rest");
}

#[test]
fn another_picture_in_the_same_place() {
    let report = forged(|plan| plan.pieces[6][70] ^= 1);
    let [finding] = &report.findings[..] else { panic!("one: {report}") };
    assert!(finding.what.contains("not what was recorded"));
    assert_eq!(
        (finding.place.track, finding.place.from, finding.place.to),
        (Some(1), Some(at(3.0)), Some(at(4.0)))
    );
    let bytes = finding.place.bytes.clone().unwrap();
    assert_eq!(bytes.end - bytes.start, 5 * 60 + 30);
}

#[test]
fn silence_instead_of_the_sound() {
    let report = forged(|plan| {
        for piece in plan.pieces.iter_mut().skip(1).step_by(2) {
            piece.fill(0xd5);
        }
    });
    let [finding] = &report.findings[..] else { panic!("neighbours are one finding: {report}") };
    assert_eq!(finding.place.stream.map(|stream| stream.kind), Some(StreamKind::Audio));
    assert_eq!((finding.place.from, finding.place.to), (Some(at(0.0)), Some(at(10.0))));
}

#[test]
fn tracks_that_changed_places() {
    let report = forged(|plan| plan.tracks.swap(0, 1));
    found(&report, "not what the recorder signed");
    found(&report, "not those of the chunk");
}

#[test]
fn an_edit_list_that_hides_frames() {
    let report = forged(|plan| plan.tracks[0].track.end = Some(Pts90k(6 * 90_000)));
    assert_eq!(found(&report, "hides the rest").place.track, Some(1), "{report}");
    let report = forged(|plan| plan.tracks[0].track.start = Pts90k(2 * 90_000));
    let finding = found(&report, "sample 1 is shown -2.000 s from when it was recorded");
    assert_eq!(finding.place.from, Some(at(0.0)), "{report}");
}

#[test]
fn times_that_were_altered() {
    let report = forged(|plan| {
        for sample in &mut plan.tracks[0].track.samples[3 * UNITS..] {
            sample.pts = Pts90k(sample.pts.0 + 90_000);
        }
    });
    let finding = found(&report, "is shown +1.000 s from when it was recorded");
    assert_eq!((finding.place.track, finding.place.from), (Some(1), Some(at(3.0))), "{report}");
    // Two frames of one chunk swapped: too little to stray, but not as recorded.
    let report = forged(|plan| {
        let samples = &mut plan.tracks[0].track.samples;
        (samples[16].pts, samples[17].pts) = (samples[17].pts, samples[16].pts);
    });
    assert_eq!(found(&report, "from when it was recorded").place.from, Some(at(3.0)), "{report}");
}

#[test]
fn sync_samples_that_were_altered() {
    let report = forged(|plan| plan.tracks[0].track.samples[1].keyframe = true);
    assert_eq!(found(&report, "decoding can start at sample 2").place.from, Some(at(0.0)));
}

#[test]
fn other_parameter_sets() {
    let report = forged(|plan| {
        let media::SampleEntry::Video(params) = &mut plan.tracks[0].track.entries[0] else { panic!() };
        params.sets.pps[0] = bytes::Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc1]);
    });
    found(&report, "parameter sets");
}

#[test]
fn a_proof_of_another_export() {
    let mut recorder = Recorder::with_ten_seconds();
    let (whole, part) = (recorder.plan(0.0, 10.0), recorder.plan(2.0, 6.0));
    let proof = recorder.prove(&part);
    let report = checked(&recorder, &whole.file(&proof));
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    found(&report, "not what the recorder signed");
}

#[test]
fn a_proof_by_a_recorder_of_the_same_name() {
    let mut recorder = Recorder::with_ten_seconds();
    let mut other = Recorder::with_ten_seconds();
    other.signer = ledger::Signer::from_seed("candor/test1", ledger::KeyKind::Note, &[66; 32]).unwrap();
    let file = other.export(0.0, 10.0);
    assert_eq!(checked(&other, &file).verdict, Verdict::AuthenticAndComplete);
    let report = checked(&recorder, &file);
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    found(&report, "another recorder's key");
    // The same chunks, the same ledger: the signature makes the difference.
    assert_eq!(recorder.export(0.0, 10.0).len(), file.len());
}

#[test]
fn headers_made_to_fit_other_footage() {
    // The forger records anew with his own pictures, and has everything but the key.
    let mut recorder = Recorder::with_ten_seconds();
    let plan = recorder.plan(0.0, 10.0);
    let proof = recorder.prove(&plan);
    let mut forger = Recorder::new(1);
    forger.cameras[0].previous = [1; 32];
    forger.record(0..10);
    let forged = forger.plan(0.0, 10.0);
    let mut bytes = proof.clone();
    let end = bytes.len() - 24;
    let headers: Vec<u8> = forged.tracks.iter().flat_map(|track| track.headers.clone()).collect();
    bytes[end - headers.len()..end].copy_from_slice(&headers);
    let report = checked(&recorder, &forged.file(&bytes));
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    found(&report, "the chunk headers end with another");
    found(&report, "the ledger has another chunk as the last one");
}

#[test]
fn one_header_made_to_fit_another_picture() {
    let mut recorder = Recorder::with_ten_seconds();
    let plan = recorder.plan(0.0, 10.0);
    let honest = recorder.prove(&plan);
    let mut forged = plan.clone();
    forged.pieces[6][70] ^= 1;
    let mut chunk = recorder.chunks[6].clone();
    chunk.header.payload_hash = sha256(&forged.pieces[6]);
    let encoded = chunk.header.encode();
    let at = honest.windows(encoded.len()).position(|bytes| bytes == chunk.encoded).unwrap();
    let bytes = [&honest[..at], &encoded, &honest[at + encoded.len()..]].concat();
    let report = checked(&recorder, &forged.file(&bytes));
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    let finding = found(&report, "the chain is broken");
    assert_eq!(finding.place.from, Some(super::footage::at(4.0)), "the chunk behind it: {report}");
}

#[test]
fn history_written_anew_after_it_was_sealed() {
    // Whoever has the recorder, too, cannot change what its ledger already has.
    let mut recorder = Recorder::with_ten_seconds();
    let mut other = Recorder::with_ten_seconds();
    other.cameras.iter_mut().for_each(|camera| camera.previous = [1; 32]);
    other.cameras.iter_mut().for_each(|camera| camera.sequence = 1);
    other.chunks.clear();
    other.segment = 1;
    other.record(0..4);
    let forged: Vec<_> = other.chunks.drain(..).collect();
    recorder.chunks.splice(..8, forged);
    let file = recorder.export(0.0, 4.0);
    let report = checked(&recorder, &file);
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    let [video, audio] = &report.findings[..] else { panic!("one a stream: {report}") };
    assert!(video.what.contains("another chunk as the last one of this segment") && audio.what == video.what);
}

#[test]
fn a_reason_taken_out_of_the_proof() {
    let mut recorder = Recorder::with_ten_seconds();
    let streams = recorder.ranges(1);
    let removed =
        Event::SegmentRemoved { volume: VOLUME, segment: 1, reason: RemovalReason::Expired, streams };
    recorder.log(11.0, removed);
    let plan = recorder.plan(0.0, 10.0);
    let mut manifest = recorder.manifest(&plan);
    let export = recorder.log_export(&plan, &manifest);
    let honest = plan.file(&recorder.assemble(&plan, &manifest, export));
    assert_eq!(checked(&recorder, &honest).verdict, Verdict::AuthenticAndComplete);
    // The manifest names the leaves: with one less it is another manifest.
    manifest.leaves.pop();
    let report = checked(&recorder, &plan.file(&recorder.assemble(&plan, &manifest, export)));
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    found(&report, "another manifest");
}

#[test]
fn footage_that_nobody_hashed() {
    let mut recorder = Recorder::with_ten_seconds();
    for chunk in &mut recorder.chunks {
        chunk.header.flags |= crate::chunk::CHUNK_UNHASHED;
        chunk.header.payload_hash = [0; 32];
        chunk.encoded = chunk.header.encode();
    }
    let file = recorder.export(8.0, 10.0);
    let report = checked(&recorder, &file);
    assert_eq!(report.verdict, Verdict::NotAuthentic);
    found(&report, "without a hash");
}
