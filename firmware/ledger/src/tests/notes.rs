//! Keys, notes and checkpoints, against published ones.

use data_encoding::BASE64;
use hal::WallTime;
use proptest::prelude::*;

use super::support::{ORIGIN, key, signer};
use crate::{
    Checkpoint, ErrorKind, KeyKind, LedgerError, MAX_SIGNATURES, SignatureLine, SignedCheckpoint, SignedNote,
    Signer, VerifierKey, Witness, leaf_hash,
};

/// The keys in the documentation of Go's golang.org/x/mod/sumdb/note.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SECRET: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn peter() -> Signer {
    let seed = BASE64.decode(PETER_SECRET.as_bytes()).unwrap()[1..].try_into().unwrap();
    Signer::from_seed("PeterNeumann", KeyKind::Note, &seed).unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn a_published_key_is_read_and_no_other_spelling_of_it() {
    let key: VerifierKey = PETER.parse().unwrap();
    assert_eq!((key.name(), key.kind(), key.id()), ("PeterNeumann", KeyKind::Note, 0xc74f_20a3));
    assert_eq!(key.to_string(), PETER);
    assert_eq!(peter().verifier(), &key);
    for from in 0..=PETER.len() {
        for to in from..=PETER.len() {
            if (from, to) != (0, PETER.len()) {
                assert!(PETER[from..to].parse::<VerifierKey>().is_err());
            }
        }
    }
    for at in 0..PETER.len() {
        let mut other = PETER.as_bytes().to_vec();
        other[at] += 1;
        assert!(String::from_utf8(other).unwrap().parse::<VerifierKey>().is_err(), "byte {at}");
    }
    // Of the wrong length, of a type that is not known: both with the right ID.
    for other in [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert_eq!(kind(other.parse::<VerifierKey>()), ErrorKind::Malformed);
    }
}

#[test]
fn names_that_cannot_stand_in_a_signature_line_are_no_names() {
    let long = "x".repeat(256);
    for name in ["", "a b", "a+b", "a\u{2003}b", "a\nb", "a\u{7f}", long.as_str()] {
        assert_eq!(kind(VerifierKey::new(name, KeyKind::Note, [0; 32])), ErrorKind::Malformed, "{name:?}");
    }
}

#[test]
fn a_published_note_is_made_to_the_byte() {
    let peter = peter();
    let signature = peter.sign(TEXT.as_bytes()).to_vec();
    let line = SignatureLine { name: "PeterNeumann".to_owned(), key_id: peter.verifier().id(), signature };
    let note = SignedNote::new(TEXT.to_owned(), line).unwrap();
    assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}"));
}

#[test]
fn notes_are_read_as_go_reads_them() {
    let both = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
    let note: SignedNote = both.parse().unwrap();
    assert_eq!(note.text(), TEXT);
    assert_eq!(note.lines().len(), 2);
    assert_eq!(note.to_string(), both);
    let peter: VerifierKey = PETER.parse().unwrap();
    assert!(note.lines()[0].claims(&peter) && !note.lines()[1].claims(&peter));
    assert!(peter.verifies(note.text().as_bytes(), &note.lines()[0].signature));
    for bad in [
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}\n{}", PETER_LINE.trim_end()),
        format!("\x01{TEXT}\n{PETER_LINE}"),
        format!("{TEXT}\n{}", PETER_LINE.replace("PeterNeumann", "Bad Name")),
        format!("{TEXT}\n{PETER_LINE}Unexpected line.\n"),
        format!("{TEXT}{PETER_LINE}"),
        format!("{TEXT}\n{}", PETER_LINE.repeat(MAX_SIGNATURES + 1)),
        format!("{TEXT}\n— PeterNeumann x08go/==\n"),
        format!("{TEXT}\n— PeterNeumann x08gow==\n"),
        format!("{}\n{PETER_LINE}", "x\n".repeat(70_000)),
    ] {
        assert_eq!(kind(bad.parse::<SignedNote>()), ErrorKind::Malformed, "{bad:.80}");
    }
    // An empty text line: the last empty line divides.
    assert_eq!(
        format!("{TEXT}\n{TEXT}\n{PETER_LINE}").parse::<SignedNote>().unwrap().text(),
        format!("{TEXT}\n{TEXT}")
    );
}

/// A checkpoint of a public log with the co-signatures of public witnesses, as they were on 2026-05-23.
const PUBLIC: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";
const PUBLIC_LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const PUBLIC_WITNESS: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

#[test]
fn a_public_logs_checkpoint_and_its_witness_hold() {
    let (log, witness): (VerifierKey, VerifierKey) =
        (PUBLIC_LOG.parse().unwrap(), PUBLIC_WITNESS.parse().unwrap());
    assert_eq!(witness.kind(), KeyKind::Cosignature);
    let checkpoint: SignedCheckpoint = PUBLIC.parse().unwrap();
    assert_eq!(checkpoint.to_string(), PUBLIC);
    assert_eq!(checkpoint.checkpoint().size, 1_432_088_532);
    assert_eq!(checkpoint.verify(&log, &[]).unwrap(), []);
    let time = WallTime::from_unix_micros(0x6a12_2120 * 1_000_000);
    let seen = checkpoint.verify(&log, std::slice::from_ref(&witness)).unwrap();
    assert_eq!(seen, [Witness { name: "remora.n621.de".to_owned(), time }]);
    // Each line is over the text: another size, and neither holds.
    let other: SignedCheckpoint = PUBLIC.replace("1432088532", "1432088533").parse().unwrap();
    assert_eq!(kind(other.verify(&log, &[])), ErrorKind::Refused);
    // A known witness that does not hold spoils the whole; an unknown one does not matter.
    let other: SignedCheckpoint = PUBLIC.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEh").parse().unwrap();
    assert_eq!(kind(other.verify(&log, &[witness])), ErrorKind::Refused);
    other.verify(&log, &[]).unwrap();
    // Not the log's own key.
    assert_eq!(kind(checkpoint.verify(&PETER.parse().unwrap(), &[])), ErrorKind::Refused);
}

fn checkpoint(size: u64) -> SignedCheckpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size, root: leaf_hash(b"root") }.sign(&signer()).unwrap()
}

fn phone() -> Signer {
    Signer::from_seed("phone/1", KeyKind::Cosignature, &[9; 32]).unwrap()
}

#[test]
fn a_checkpoint_is_signed_and_co_signed() {
    let mut signed = checkpoint(17);
    let text = signed.to_string();
    assert!(text.starts_with(&format!("{ORIGIN}\n17\n")), "{text}");
    assert_eq!(text.parse::<SignedCheckpoint>().unwrap(), signed);
    signed.verify(&key(), &[]).unwrap();

    let time = WallTime::from_unix_micros(1_700_000_000_999_999);
    let line = signed.cosign(&phone(), time).unwrap();
    let line: SignatureLine = line.to_string().parse().unwrap();
    signed.add_cosignature(line.clone(), phone().verifier()).unwrap();
    let later = signed.cosign(&phone(), time.offset_micros(1_000_000)).unwrap();
    signed.add_cosignature(later, phone().verifier()).unwrap();
    assert_eq!(signed.note().lines().len(), 2, "a key has one line");
    let witness =
        Witness { name: "phone/1".to_owned(), time: WallTime::from_unix_micros(1_700_000_001_000_000) };
    assert_eq!(signed.verify(&key(), &[phone().verifier().clone()]).unwrap(), [witness]);

    // A line of another checkpoint, and one by another key.
    assert_eq!(kind(checkpoint(18).add_cosignature(line.clone(), phone().verifier())), ErrorKind::Refused);
    assert_eq!(kind(signed.add_cosignature(line, &key())), ErrorKind::Refused);
}

#[test]
fn keys_sign_only_what_they_are_for() {
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root: leaf_hash(b"root") };
    let other = Signer::from_seed("candor/other", KeyKind::Note, &[7; 32]).unwrap();
    assert_eq!(kind(checkpoint.clone().sign(&other)), ErrorKind::Invalid);
    let cosigner = Signer::from_seed(ORIGIN, KeyKind::Cosignature, &[7; 32]).unwrap();
    assert_eq!(kind(checkpoint.clone().sign(&cosigner)), ErrorKind::Invalid);
    let signed = checkpoint.sign(&signer()).unwrap();
    assert_eq!(kind(signed.cosign(&signer(), WallTime::default())), ErrorKind::Invalid);
    assert_eq!(kind(signed.cosign(&phone(), WallTime::from_unix_micros(-1))), ErrorKind::Invalid);
    // A co-signer's key is no ledger's, whatever its name.
    assert_eq!(kind(signed.verify(cosigner.verifier(), &[])), ErrorKind::Refused);
}

#[test]
fn a_note_that_is_no_checkpoint_is_refused() {
    let root = "U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=";
    let good = format!("candor/1\n5\n{root}\n");
    let read = |text: &str| format!("{text}\n{PETER_LINE}").parse::<SignedCheckpoint>();
    read(&good).unwrap();
    read(&format!("{good}an extension\n")).unwrap();
    for bad in [
        TEXT.to_owned(),
        good.replace("\n5\n", "\n05\n"),
        good.replace("\n5\n", "\n+5\n"),
        good.replace("\n5\n", "\n-5\n"),
        good.replace("\n5\n", "\n\n"),
        good.replace("\n5\n", "\n18446744073709551615\n"),
        good.replace("candor/1", "candor 1"),
        good.replace("candor/1", ""),
        good.replace("4Ro=", "4Rp="),
        good.replace("4Ro=", "4Ro"),
        good.replace(root, "U7WM"),
        format!("{good}\nbehind an empty line\n"),
    ] {
        assert_eq!(kind(read(&bad)), ErrorKind::Malformed, "{bad:?}");
    }
}

#[test]
fn every_bit_of_a_signed_checkpoint_counts() {
    let phone = [phone().verifier().clone()];
    let mut signed = checkpoint(1000);
    let line = signed.cosign(&self::phone(), WallTime::from_unix_micros(1_700_000_000_000_000)).unwrap();
    signed.add_cosignature(line, &phone[0]).unwrap();
    let text = signed.to_string();
    let names = [(text.find("\u{2014} phone").unwrap(), text.len())];
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut other = text.clone().into_bytes();
            other[at] ^= 1 << bit;
            let Ok(other) = String::from_utf8(other) else { continue };
            let Ok(parsed) = other.parse::<SignedCheckpoint>() else { continue };
            match parsed.verify(&key(), &phone) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Refused),
                // A co-signer's line with another name or ID is an unknown one's: then nobody saw it.
                Ok(seen) => {
                    assert!(
                        names.iter().any(|(from, to)| (*from..*to).contains(&at)),
                        "bit {bit} of byte {at}"
                    );
                    assert_eq!(seen, []);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_again_byte_for_byte(text in "(\u{2014} [a-z]{1,3} [A-Za-z0-9+/]{8}\n|[a-z]{0,3}\n){0,8}") {
        if let Ok(note) = text.parse::<SignedNote>() {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn no_text_from_outside_is_worse_than_an_error(text in ".{0,200}") {
        let _ = text.parse::<SignedCheckpoint>();
        let _ = text.parse::<VerifierKey>();
        let _ = text.parse::<SignatureLine>();
    }
}
