//! Every byte of a file counts.
//!
//! Invariant under test: no file but the exported one is authentic.

use proptest::prelude::*;

use super::recorder::{Recorder, checked};
use crate::proof::BOX_HEADER_BYTES;
use crate::report::Verdict;

/// Two bytes say of which version the proof is, and no reader can judge a version that it does not know.
fn expected(file: &[u8], at: usize) -> Verdict {
    let proof = proof_at(file) + BOX_HEADER_BYTES as usize;
    if (proof + 4..proof + 6).contains(&at) { Verdict::NoProof } else { Verdict::NotAuthentic }
}

fn proof_at(file: &[u8]) -> usize {
    let trailer = file.len() - 24;
    file.len() - u64::from_le_bytes(file[trailer..trailer + 8].try_into().unwrap()) as usize
}

fn small() -> (Recorder, Vec<u8>) {
    let mut recorder = Recorder::new(1);
    recorder.record(0..2);
    recorder.seal(2.0);
    recorder.record(2..4);
    let file = recorder.export(0.2, 3.8);
    assert_eq!(checked(&recorder, &file).verdict, Verdict::AuthenticAndComplete);
    (recorder, file)
}

#[test]
fn no_byte_can_be_changed() {
    let (recorder, mut file) = small();
    for at in 0..file.len() {
        let expected = expected(&file, at);
        for change in [1 << (at % 8), 0xff] {
            file[at] ^= change;
            let report = checked(&recorder, &file);
            assert_eq!(report.verdict, expected, "byte {at} changed by {change:#x}: {report}");
            assert!(!report.findings.is_empty());
            file[at] ^= change;
        }
    }
}

#[test]
fn no_bit_of_what_holds_the_proof_together_can_be_changed() {
    let (recorder, mut file) = small();
    let proof = proof_at(&file);
    let ends = (0..64).chain(proof..proof + 2000).chain(file.len() - 24..file.len());
    for (at, bit) in ends.flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let expected = expected(&file, at);
        file[at] ^= 1 << bit;
        let report = checked(&recorder, &file);
        assert_eq!(report.verdict, expected, "byte {at}, bit {bit}: {report}");
        file[at] ^= 1 << bit;
    }
}

#[test]
fn no_end_can_be_cut_off_and_nothing_appended() {
    let (recorder, file) = small();
    for len in (0..file.len()).rev().step_by(13).chain(0..64) {
        let report = checked(&recorder, &file[..len]);
        // The first box says that there is a proof.
        let expected = if len < 36 { Verdict::NoProof } else { Verdict::NotAuthentic };
        assert_eq!(report.verdict, expected, "{len} of {} bytes: {report}", file.len());
    }
    for tail in [&b"x"[..], &[0; 8], &[0, 0, 0, 8, b'f', b'r', b'e', b'e'], &[0; 5000]] {
        let report = checked(&recorder, &[&file, tail].concat());
        assert_eq!(report.verdict, Verdict::NotAuthentic, "{report}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_is_authentic(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..20),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        moved in proptest::option::of(any::<[prop::sample::Index; 3]>()),
    ) {
        let (recorder, honest) = small();
        let mut file = honest.clone();
        for (at, change) in flips {
            let at = at.index(file.len());
            file[at] ^= change;
        }
        if let Some([from, to, size]) = moved {
            let size = 1 + size.index(300);
            let (from, to) = (from.index(file.len() - size), to.index(file.len() - size));
            file.copy_within(from..from + size, to);
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        prop_assume!(file != honest);
        let report = checked(&recorder, &file);
        prop_assert!(matches!(report.verdict, Verdict::NotAuthentic | Verdict::NoProof), "{}", report);
    }
}
