//! What must be refused: TUF's list, and what is not exactly a bundle.
//!
//! Each test is named for its attack. A refusal is checked at both ways in: pushed piece by piece, and read whole.

use update::{
    Envelope, ErrorKind, Incoming, MAX_ENVELOPE_BYTES, MAX_ROOTS, SignedBy, SignedRoot, Target, Trust,
    UpdateError, VerifiedBundle, verify_bundle,
};

use crate::fixture::*;

fn receive(bundle: &[u8], trust: &Trust, target: &Target) -> Result<VerifiedBundle, UpdateError> {
    let whole = verify_bundle(bundle, trust, target, &mut |_| {});
    let mut incoming = Incoming::new(trust.clone(), target.clone());
    let pushed =
        bundle.chunks(97).try_for_each(|piece| incoming.push(piece)).and_then(|()| incoming.finish());
    let kind = |result: &Result<VerifiedBundle, UpdateError>| result.as_ref().err().map(UpdateError::kind);
    assert_eq!(kind(&whole), kind(&pushed));
    whole
}

fn refused(bundle: &[u8], trust: &Trust, target: &Target) -> ErrorKind {
    receive(bundle, trust, target).expect_err("it was taken").kind()
}

/// The bundle with its envelope changed, signatures left as they are.
fn changed(bundle: &[u8], change: impl FnOnce(&mut Envelope)) -> Vec<u8> {
    let (bytes, mut envelope) = envelope_of(bundle);
    change(&mut envelope);
    rewrap(&envelope, &bundle[16 + bytes.len()..])
}

#[test]
fn a_good_bundle_is_taken() {
    let bundle = bundle("2.0.0");
    let verified = receive(&bundle, &trust(), &target()).unwrap();
    assert_eq!(verified.manifest().version, version("2.0.0"));
    assert_eq!(verified.envelope().signed_by(), SignedBy::Release);
    assert_eq!(verified.total_bytes(), bundle.len() as u64);
    assert_eq!(bundle[verified.image_offset() as usize..], image("2.0.0", 3000));
}

#[test]
fn arbitrary_software() {
    let image = image("2.0.0", 3000);
    let manifest = manifest("2.0.0", &image);
    for signers in [&[][..], &[STRANGER], &[1], &[1, 2, 3], &[OWNER]] {
        let bundle = bundle_of(&manifest, &image, &[], signers);
        assert_eq!(refused(&bundle, &trust(), &target()), ErrorKind::BadSignature, "{signers:?}");
    }
    for other in [&b""[..], b"CANDOR", &[0; 4096], b"\x7FELF and so on, longer than a head", &image] {
        assert_eq!(refused(other, &trust(), &target()), ErrorKind::NotABundle);
    }
}

#[test]
fn rollback_below_the_floor_even_with_consent() {
    let target = Target { allow_downgrade: true, ..target() };
    let image = image("0.4.0", 100);
    let mut manifest = manifest("0.4.0", &image);
    manifest.minimum_version = version("0.1.0");
    let bundle = bundle_of(&manifest, &image, &[], &[RELEASE]);
    assert_eq!(refused(&bundle, &trust(), &target), ErrorKind::TooOld);
    // A pre-release is older than its release.
    let target = Target { floor: version("2.0.0"), ..target };
    assert_eq!(refused(&crate::fixture::bundle("2.0.0-rc.1"), &trust(), &target), ErrorKind::TooOld);
}

#[test]
fn rollback_to_an_older_version_without_consent() {
    let bundle = bundle("0.9.0");
    assert_eq!(refused(&bundle, &trust(), &target()), ErrorKind::Downgrade);
    receive(&bundle, &trust(), &Target { allow_downgrade: true, ..target() }).unwrap();
    receive(&crate::fixture::bundle("1.0.0"), &trust(), &target()).unwrap();
}

#[test]
fn freeze_with_an_expired_manifest_or_root_document() {
    let bundle = bundle("2.0.0");
    let at = |time| Target { now: Some(wall(time)), ..target() };
    receive(&bundle, &trust(), &at("2027-12-31T23:59:59Z")).unwrap();
    assert_eq!(refused(&bundle, &trust(), &at("2028-01-01T00:00:00Z")), ErrorKind::Expired);
    let image = image("2.0.0", 100);
    let mut manifest = manifest("2.0.0", &image);
    manifest.expires = time("2040-01-01T00:00:00Z");
    let late = bundle_of(&manifest, &image, &[], &[RELEASE]);
    assert_eq!(refused(&late, &trust(), &at("2030-01-01T00:00:00Z")), ErrorKind::Expired);
    // Without a clock that is known to be true, time is no argument.
    receive(&late, &trust(), &Target { now: None, ..target() }).unwrap();
    // An expired root document is followed when its successor is not expired.
    let mut second = root(2, (&[1, 2, 3], 2), (&[RELEASE], 1));
    second.expires = time("2035-01-01T00:00:00Z");
    let late = bundle_of(&manifest, &image, &[sign_root(&second, &[1, 2])], &[RELEASE]);
    receive(&late, &trust(), &at("2034-01-01T00:00:00Z")).unwrap();
}

#[test]
fn fast_forward_by_skipping_root_versions() {
    for skipped in [3, 4, u32::MAX] {
        let document = sign_root(&root(skipped, (&[1, 2, 3], 2), (&[RELEASE], 1)), &[1, 2, 3]);
        let bundle = changed(&bundle("2.0.0"), |envelope| envelope.roots = vec![document]);
        assert_eq!(refused(&bundle, &trust(), &target()), ErrorKind::BadSignature, "{skipped}");
    }
    let third = sign_root(&root(3, (&[1, 2, 3], 2), (&[NEXT_RELEASE], 1)), &[1, 2]);
    let image = image("2.0.0", 100);
    let in_order = |roots: &[SignedRoot]| {
        let bundle = bundle_of(&manifest("2.0.0", &image), &image, roots, &[NEXT_RELEASE]);
        receive(&bundle, &trust(), &target()).map(|_| ())
    };
    in_order(&[rotated(), third.clone()]).unwrap();
    assert_eq!(in_order(&[third, rotated()]).unwrap_err().kind(), ErrorKind::BadSignature);
}

#[test]
fn endless_data_in_head_envelope_and_image() {
    for length in [0, MAX_ENVELOPE_BYTES as u32 + 1, u32::MAX] {
        let mut head = b"CANDORUP\x01\0\0\0".to_vec();
        head.extend(length.to_le_bytes());
        let mut incoming = Incoming::new(trust(), target());
        assert_eq!(incoming.push(&head).unwrap_err().kind(), ErrorKind::NotABundle);
        assert!(incoming.push(b"more").is_err(), "nothing is taken after a refusal");
    }
    // An envelope that never ends is read to its announced length and no further.
    let mut incoming = Incoming::new(trust(), target());
    incoming.push(&bundle_around(&vec![b'['; MAX_ENVELOPE_BYTES], b"")[..1000]).unwrap();
    assert_eq!(incoming.push(&vec![b'['; MAX_ENVELOPE_BYTES]).unwrap_err().kind(), ErrorKind::NotABundle);
    // An image that never ends.
    let mut incoming = Incoming::new(trust(), target());
    incoming.push(&bundle("2.0.0")).unwrap();
    assert_eq!(incoming.push(b"x").unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(incoming.received(), bundle("2.0.0").len() as u64);
    // One that says it is larger than a slot is refused before its first byte.
    let small = Target { max_root_bytes: 2999, ..target() };
    let bundle = bundle("2.0.0");
    let (envelope, _) = envelope_of(&bundle);
    let mut incoming = Incoming::new(trust(), small);
    assert_eq!(incoming.push(&bundle[..16 + envelope.len()]).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn trailing_data() {
    let bundle = bundle("2.0.0");
    for extra in [&b"\0"[..], b"\n", &[0xFF; 70_000], &bundle] {
        let longer = [&bundle, extra].concat();
        assert_eq!(refused(&longer, &trust(), &target()), ErrorKind::Damaged);
    }
}

#[test]
fn mix_and_match() {
    let (good, other) = (bundle("2.0.0"), bundle("3.0.0"));
    let (envelope, _) = envelope_of(&good);
    // The image of another bundle, of the same length.
    let mixed = bundle_around(&envelope, &image("3.0.0", 3000));
    assert_eq!(refused(&mixed, &trust(), &target()), ErrorKind::Damaged);
    // The manifest of one with the signature of another.
    let (_, of_other) = envelope_of(&other);
    let mixed = changed(&good, |envelope| envelope.signatures = of_other.signatures);
    assert_eq!(refused(&mixed, &trust(), &target()), ErrorKind::BadSignature);
    // A signature over another kind of document.
    let (_, root) = (0, sign_root(&first_root(), &[1, 2]));
    let mixed = changed(&good, |envelope| envelope.manifest = root.root);
    assert_eq!(refused(&mixed, &trust(), &target()), ErrorKind::BadSignature);
}

#[test]
fn a_bundle_for_another_board() {
    let image = image("2.0.0", 100);
    for board in ["virt-a72", "virt-a", "Virt-a7", "hi3521a"] {
        let mut manifest = manifest("2.0.0", &image);
        manifest.board = board.to_owned();
        let bundle = bundle_of(&manifest, &image, &[], &[RELEASE]);
        assert_eq!(refused(&bundle, &trust(), &target()), ErrorKind::WrongBoard);
    }
}

#[test]
fn fewer_signatures_than_the_threshold() {
    let trust = Trust::new(&root(1, (&[1], 1), (&[11, 12, 13], 2)).to_json().unwrap()).unwrap();
    let image = image("2.0.0", 100);
    let with = |signers: &[u8]| bundle_of(&manifest("2.0.0", &image), &image, &[], signers);
    for too_few in [&[11][..], &[12], &[11, STRANGER], &[11, 1], &[STRANGER, 1]] {
        assert_eq!(refused(&with(too_few), &trust, &target()), ErrorKind::BadSignature, "{too_few:?}");
    }
    for enough in [&[11, 12][..], &[13, 12], &[11, 12, 13], &[11, 12, STRANGER]] {
        receive(&with(enough), &trust, &target()).unwrap();
    }
}

#[test]
fn one_key_counted_twice() {
    let trust = Trust::new(&root(1, (&[1], 1), (&[11, 12], 2)).to_json().unwrap()).unwrap();
    let image = image("2.0.0", 100);
    let bundle = bundle_of(&manifest("2.0.0", &image), &image, &[], &[11, 11]);
    assert_eq!(refused(&bundle, &trust, &target()), ErrorKind::BadSignature);
    // In a document: one key twice in a role, to make it sign twice.
    let twice = root(1, (&[1], 1), (&[11, 11], 2));
    assert_eq!(twice.to_json().unwrap_err().kind(), ErrorKind::Invalid);
    let json = serde_json::to_vec(&twice).unwrap();
    assert_eq!(Trust::new(&json).unwrap_err().kind(), ErrorKind::BadSignature);
}

#[test]
fn impossible_roles() {
    for release in [(&[11][..], 0), (&[11], 2), (&[], 0), (&[], 1)] {
        let document = root(1, (&[1], 1), release);
        assert!(Trust::new(&serde_json::to_vec(&document).unwrap()).is_err(), "{release:?}");
    }
    let many: Vec<u8> = (1..=17).collect();
    assert!(Trust::new(&serde_json::to_vec(&root(1, (&many, 1), (&[11], 1))).unwrap()).is_err());
    assert!(Trust::new(&serde_json::to_vec(&root(0, (&[1], 1), (&[11], 1))).unwrap()).is_err());
}

#[test]
fn a_rotation_that_old_or_new_keys_did_not_agree_to() {
    let image = image("2.0.0", 100);
    let next = |keys: &[u8], threshold, signers: &[u8]| {
        let document = sign_root(&root(2, (keys, threshold), (&[NEXT_RELEASE], 1)), signers);
        let bundle = bundle_of(&manifest("2.0.0", &image), &image, &[document], &[NEXT_RELEASE]);
        receive(&bundle, &trust(), &target()).map(|_| ()).map_err(|e| e.kind())
    };
    let refused = Err(ErrorKind::BadSignature);
    assert_eq!(next(&[4, 5], 2, &[4, 5]), refused, "only the new keys");
    assert_eq!(next(&[4, 5], 2, &[1, 2]), refused, "only the old keys");
    assert_eq!(next(&[4, 5], 2, &[1, 4, 5]), refused, "one of the old keys");
    assert_eq!(next(&[4, 5], 2, &[1, 2, 4]), refused, "one of the new keys");
    assert_eq!(next(&[4, 5], 2, &[RELEASE, 4, 5]), refused, "a release key");
    assert_eq!(next(&[1, 2, 3], 1, &[1]), refused, "a lower threshold, under the lower one");
    assert_eq!(next(&[4, 5], 2, &[1, 2, 4, 5]), Ok(()));
    assert_eq!(next(&[2, 3, 4], 2, &[2, 3]), Ok(()), "keys in both");
}

#[test]
fn a_revoked_key_signs_no_more_and_a_stolen_one_is_replaced() {
    let image = image("2.0.0", 100);
    let manifest = manifest("2.0.0", &image);
    // The thief's bundle with the document that revokes the stolen key, and without.
    let with = bundle_of(&manifest, &image, &[rotated()], &[RELEASE]);
    let without = bundle_of(&manifest, &image, &[], &[RELEASE]);
    let recovered = bundle_of(&manifest, &image, &[rotated()], &[NEXT_RELEASE]);
    assert_eq!(refused(&with, &trust(), &target()), ErrorKind::BadSignature);
    let verified = receive(&recovered, &trust(), &target()).unwrap();
    // Once the rotation is adopted, the old key is worth nothing.
    let flash = crate::partition::Partition::whole(8192, 4096, 1);
    let (mut log, _) = update::StateLog::open(flash, 0, 8192).unwrap();
    let mut adopted = trust();
    adopted.adopt(verified.envelope(), &mut log).unwrap();
    assert_eq!(refused(&without, &adopted, &target()), ErrorKind::BadSignature);
    let (loaded, warning) = Trust::load(&initial_json(), &log).unwrap();
    assert_eq!((&loaded, warning), (&adopted, None));
    assert_eq!(refused(&without, &loaded, &target()), ErrorKind::BadSignature);
    // The chain in a bundle may begin with what is known, and may be left out by now.
    receive(&recovered, &loaded, &target()).unwrap();
    receive(&bundle_of(&manifest, &image, &[], &[NEXT_RELEASE]), &loaded, &target()).unwrap();
}

#[test]
fn stored_root_documents_that_were_tampered_with() {
    let flash = crate::partition::Partition::whole(8192, 4096, 1);
    let (mut log, _) = update::StateLog::open(flash, 0, 8192).unwrap();
    let forged = sign_root(&root(2, (&[STRANGER], 1), (&[STRANGER], 1)), &[STRANGER]);
    for stored in [serde_json::to_vec(&[forged]).unwrap(), b"[".to_vec(), b"[ ]".to_vec()] {
        log.set(update::ROOT_KEYS, &stored).unwrap();
        let (loaded, warning) = Trust::load(&initial_json(), &log).unwrap();
        assert_eq!(loaded, trust(), "the initial document still counts");
        assert!(warning.unwrap().contains("left out"));
    }
}

#[test]
fn the_owners_key_signs_only_where_it_is_enrolled() {
    let image = image("2.0.0", 100);
    let bundle = bundle_of(&manifest("2.0.0", &image), &image, &[], &[OWNER]);
    assert_eq!(refused(&bundle, &trust(), &target()), ErrorKind::BadSignature);
    let owned = trust().with_owner(Some(public(OWNER)));
    let verified = receive(&bundle, &owned, &target()).unwrap();
    assert_eq!(verified.envelope().signed_by(), SignedBy::Owner);
    // It moves neither floor nor root documents' rules.
    assert_eq!(refused(&bundle, &owned, &Target { floor: version("2.0.1"), ..target() }), ErrorKind::TooOld);
    let forged = sign_root(&root(2, (&[OWNER], 1), (&[OWNER], 1)), &[OWNER]);
    let bundle = bundle_of(&manifest("2.0.0", &image), &image, &[forged], &[OWNER]);
    assert_eq!(refused(&bundle, &owned, &target()), ErrorKind::BadSignature);
}

#[test]
fn other_spellings_of_the_same_json() {
    let bundle = bundle("2.0.0");
    let (bytes, envelope) = envelope_of(&bundle);
    let image = image("2.0.0", 3000);
    let text = String::from_utf8(bytes).unwrap();
    let spellings = [
        format!(" {text}"),
        format!("{text}\n"),
        text.replacen(':', ": ", 1),
        text.replacen("\"roots\"", "\"\\u0072oots\"", 1),
        text.replacen("{\"roots\":[],", "{\"roots\":[],\"more\":1,", 1),
        text.replacen("{\"roots\":[],", "{\"roots\":[],\"roots\":[],", 1),
        text.replacen("{\"roots\":[],", "{", 1).replacen("]}", "],\"roots\":[]}", 1),
        text.to_uppercase(),
    ];
    for spelling in spellings {
        assert_ne!(spelling, text);
        let other = bundle_around(spelling.as_bytes(), &image);
        assert_eq!(refused(&other, &trust(), &target()), ErrorKind::NotABundle, "{spelling}");
    }
    // Signed, but not canonical: the signature is good, the form is not.
    let manifest = &envelope.manifest;
    for spelling in [
        format!("{manifest} "),
        manifest.replacen(":1,", ":1.0,", 1),
        manifest.replacen("\"format\":1", "\"format\":01", 1),
        manifest.replacen("\"format\":1,", "\"format\":1,\"note\":\"\",", 1),
        manifest.replacen("12:00:00Z", "13:00:00+01:00", 1),
        manifest.replacen("\"0.5.0\"", "\"00.5.0\"", 1),
        manifest.replacen("\"format\":1", "\"format\":2", 1),
        manifest.replacen("\"type\":\"bundle\"", "\"type\":\"root\"", 1),
        manifest.replacen("\"bytes\":3000", "\"bytes\":-1", 1),
        manifest.replacen("\"bytes\":3000", "\"bytes\":0", 1),
        manifest.replacen("\"role\":\"root\"", "\"role\":\"kernel\"", 1),
        manifest.replacen("\"minimum_version\":\"0.5.0\"", "\"minimum_version\":\"2.0.1\"", 1),
        manifest.replacen("0123456789abcdef", &"c".repeat(65), 1),
    ] {
        assert_ne!(spelling, *manifest);
        let signatures = vec![key(RELEASE).sign(spelling.as_bytes())];
        let other = rewrap(&Envelope { roots: vec![], manifest: spelling.clone(), signatures }, &image);
        assert_eq!(refused(&other, &trust(), &target()), ErrorKind::NotABundle, "{spelling}");
    }
}

#[test]
fn too_many_of_anything() {
    let bundle = bundle("2.0.0");
    let many = changed(&bundle, |envelope| {
        envelope.signatures = (0..33).map(|n| key(n + 100).sign(envelope.manifest.as_bytes())).collect();
    });
    assert_eq!(refused(&many, &trust(), &target()), ErrorKind::BadSignature);
    let many = changed(&bundle, |envelope| envelope.roots = vec![rotated(); MAX_ROOTS + 1]);
    assert_eq!(refused(&many, &trust(), &target()), ErrorKind::NotABundle);
}

#[test]
fn cut_at_every_byte() {
    let bundle = bundle("2.0.0");
    let mut incoming = Incoming::new(trust(), target());
    for (length, byte) in bundle.iter().enumerate() {
        let cut = verify_bundle(&bundle[..length], &trust(), &target(), &mut |_| {}).unwrap_err();
        let expected = if length < 16 { ErrorKind::NotABundle } else { ErrorKind::Damaged };
        assert_eq!(cut.kind(), expected, "{length} bytes");
        incoming.push(&[*byte]).unwrap();
    }
    incoming.finish().unwrap();
}

#[test]
fn every_bit_flipped() {
    let mut bundle = bundle("2.0.0");
    let (envelope, _) = envelope_of(&bundle);
    let signed = 16 + envelope.len();
    for bit in 0..bundle.len() * 8 {
        // All of head and envelope; of the image, which one hash covers, a bit of each byte.
        if bit / 8 >= signed && bit % 8 != bit / 8 % 8 {
            continue;
        }
        bundle[bit / 8] ^= 1 << (bit % 8);
        let kind = verify_bundle(&bundle[..], &trust(), &target(), &mut |_| {}).unwrap_err().kind();
        let expected: &[ErrorKind] = match bit / 8 {
            // A shorter length makes a cut JSON, a longer one eats the image or waits for more.
            0..16 => &[ErrorKind::NotABundle, ErrorKind::Damaged],
            at if at < signed => &[ErrorKind::NotABundle, ErrorKind::BadSignature],
            _ => &[ErrorKind::Damaged],
        };
        assert!(expected.contains(&kind), "bit {bit}: {kind:?}");
        bundle[bit / 8] ^= 1 << (bit % 8);
    }
    receive(&bundle, &trust(), &target()).unwrap();
}
