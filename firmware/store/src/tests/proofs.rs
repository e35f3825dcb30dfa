//! Files with a proof: `evidence::verify` reads what a movie serves.

use std::io::Cursor;

use evidence::{Proof, Report, Verdict, leaf_record, verify};
use hal::{StreamKind, WallTime};
use ledger::{Checkpoint, Event, Hex, KeyKind, Leaf, Signer, StreamHead, leaf_hash};

use super::support::{Made, Source, keys, open, scratch, stream};
use crate::{Cut, Movie, MovieChannel, MovieRequest, Reader};

/// A camera with sound, 30 s long, in segments of a few seconds.
fn footage(dir: &std::path::Path) -> Vec<Made> {
    let mut pictures = Source::new(stream(1, StreamKind::Main), 10, 600);
    let mut sound = Source::new(stream(1, StreamKind::Audio), 10, 100);
    let mut store = open(dir, 60);
    let mut made = Vec::new();
    for _ in 0..30 {
        for _ in 0..10 {
            for source in [&mut pictures, &mut sound] {
                let unit = source.make();
                store.append(&source.format(), &unit.unit()).unwrap();
                if unit.stream.kind == StreamKind::Main {
                    made.push(unit);
                }
            }
        }
        store.commit().unwrap();
    }
    store.finish().unwrap();
    made
}

/// The file from `start` to `end` with the proof of a ledger of one leaf.
fn proven(reader: &Reader, start: WallTime, end: WallTime) -> (Vec<u8>, ledger::VerifierKey) {
    let channel = stream(1, StreamKind::Main).channel;
    let channels = vec![MovieChannel { channel, name: "Yard".into() }];
    let movie = Movie::plan_all(reader, &MovieRequest { channels, start, end, cut: Cut::Chunks }).unwrap();
    let manifest = movie.manifest().unwrap();
    let heads = manifest.tracks.iter().map(|track| {
        let last = track.runs.last().unwrap();
        let (channel, stream) = (track.stream.channel, track.stream.kind);
        StreamHead { channel, stream, sequence: last.last_sequence(), head: Hex(last.head) }
    });
    let event = Event::Export {
        by: "ann".into(),
        from: None,
        channels: vec![channel],
        start,
        end,
        heads: heads.collect(),
        manifest: Some(Hex(manifest.hash())),
    };
    let leaf = Leaf { time: end, event }.encode().unwrap();
    let signer = Signer::from_seed("candor/test", KeyKind::Note, &[7; 32]).unwrap();
    let checkpoint = Checkpoint { origin: "candor/test".into(), size: 1, root: leaf_hash(&leaf) };
    let checkpoint = checkpoint.sign(&signer).unwrap().to_string();
    let record = leaf_record(0, &leaf, &[]);
    let proof = Proof::new(signer.verifier(), &checkpoint, &[], &manifest, record.len() as u64);
    let movie = movie.with_proof(&proof, &record);
    let mut bytes = vec![0; movie.len() as usize];
    assert_eq!(movie.read_at(0, &mut bytes).unwrap(), bytes.len());
    // In any pieces the same.
    let mut again = vec![0; bytes.len()];
    for (number, piece) in again.chunks_mut(7_777).enumerate() {
        assert_eq!(movie.read_at(number as u64 * 7_777, piece).unwrap(), piece.len());
    }
    assert!(bytes == again);
    (bytes, signer.verifier().clone())
}

fn verdict(bytes: &[u8], key: &ledger::VerifierKey) -> Report {
    verify(Cursor::new(bytes), Some(&evidence::Trusted::Key(key.clone())), |_, _| ()).unwrap()
}

#[test]
fn a_movie_of_whole_chunks_can_be_proven() {
    let dir = scratch();
    let made = footage(dir.path());
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    // Beginning and ending between keyframes and within chunks, over several segments.
    let (bytes, key) = proven(&reader, made[33].wall, made[257].wall);
    let report = verdict(&bytes, &key);
    assert_eq!(report.verdict, Verdict::AuthenticAndComplete, "{report}");
    assert_eq!(report.tracks.len(), 2);
    // Headers lead on to the end of the last segment, which a ledger would vouch for.
    let channels = vec![MovieChannel { channel: stream(1, StreamKind::Main).channel, name: String::new() }];
    let request = MovieRequest { channels, start: made[33].wall, end: made[257].wall, cut: Cut::Chunks };
    let movie = Movie::plan_all(&reader, &request).unwrap();
    let manifest = movie.manifest().unwrap();
    assert!(manifest.tracks.iter().any(|track| track.runs.last().unwrap().trailing > 0), "{manifest:?}");
    assert!(movie.sealed_segments().len() > 1, "{:?}", movie.sealed_segments());

    // A bit anywhere, every 4099 bytes and in each of the last, is noticed.
    let far = (0..bytes.len()).step_by(4_099);
    for at in far.chain(bytes.len() - 64..bytes.len()) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let report = verdict(&changed, &key);
        assert!(
            !matches!(report.verdict, Verdict::AuthenticAndComplete | Verdict::AuthenticWithGaps),
            "byte {at}: {report}"
        );
    }
}

#[test]
fn a_deleted_stretch_is_a_gap_and_what_is_around_it_stays_authentic() {
    let dir = scratch();
    let made = footage(dir.path());
    let at = |second: i64| made[0].wall.offset_micros(second * 1_000_000);
    let of = [StreamKind::Main, StreamKind::Audio].map(|kind| stream(1, kind));
    let mut store = open(dir.path(), 60);
    // Less than a segment, and more.
    for (id, from, to) in [(1, 6, 7), (2, 14, 22)] {
        store.delete(id, &of, at(from), at(to), "ann").unwrap();
    }
    store.commit().unwrap();
    assert_eq!(store.deletions(), []);
    drop(store);
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let (bytes, key) = proven(&reader, at(2), at(28));
    let report = verdict(&bytes, &key);
    assert_eq!(report.verdict, Verdict::AuthenticWithGaps, "{report}");
    for track in &report.tracks {
        let gaps: Vec<_> = track.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(gaps, [(at(6), at(7)), (at(14), at(22))], "{report}");
    }
}

#[test]
fn a_gap_is_told_and_a_file_of_units_has_no_proof() {
    let dir = scratch();
    let mut made = Vec::new();
    {
        let mut source = Source::new(stream(1, StreamKind::Main), 10, 600);
        let mut store = open(dir.path(), 60);
        for number in 0..200 {
            let unit = source.make();
            // From 8 s to 12 s nothing was recorded.
            if !(80..120).contains(&number) {
                store.append(&source.format(), &unit.unit()).unwrap();
            }
            made.push(unit);
            if number % 10 == 9 {
                store.commit().unwrap();
            }
        }
        store.finish().unwrap();
    }
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let (bytes, key) = proven(&reader, made[0].wall, made[190].wall);
    let report = verdict(&bytes, &key);
    assert_eq!(report.verdict, Verdict::AuthenticWithGaps, "{report}");
    let gaps: usize = report.tracks.iter().map(|track| track.gaps.len()).sum();
    assert_eq!(gaps, 1, "{report}");

    let units =
        Movie::plan(&reader, stream(1, StreamKind::Main).channel, made[0].wall, made[190].wall).unwrap();
    assert!(units.manifest().is_none());
}
