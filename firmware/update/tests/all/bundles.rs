//! Bundles as built: the same in each run, and as their page says.

use update::{ErrorKind, Incoming, SigningKey, build, describe_root};

use crate::fixture::*;

#[test]
fn building_is_deterministic() {
    assert_eq!(bundle("2.0.0"), bundle("2.0.0"));
    assert_ne!(bundle("2.0.0"), bundle("2.0.1"));
}

#[test]
fn the_bytes_are_those_of_the_page() {
    let bundle = bundle("2.0.0");
    let (envelope, fields) = envelope_of(&bundle);
    assert_eq!(bundle[..12], *b"CANDORUP\x01\0\0\0");
    assert_eq!(bundle[12..16], (envelope.len() as u32).to_le_bytes());
    assert_eq!(bundle[16 + envelope.len()..], image("2.0.0", 3000));
    let text = String::from_utf8(envelope).unwrap();
    assert!(text.starts_with(r#"{"roots":[],"manifest":"{\"type\":\"bundle\",\"format\":1,"#), "{text}");
    assert_eq!(
        fields.manifest,
        concat!(
            r#"{"type":"bundle","format":1,"board":"virt-a7","version":"2.0.0","minimum_version":"0.5.0","#,
            r#""created":"2026-11-20T12:00:00Z","expires":"2028-01-01T00:00:00Z","commit":"0123456789abcdef","#,
            r#""images":[{"role":"root","bytes":3000,"sha256":""#,
        )
        .to_owned()
            + &describe_root(&image("2.0.0", 3000)[..]).unwrap().sha256_text()
            + r#""}]}"#
    );
}

#[test]
fn a_manifest_of_another_image_is_not_built() {
    let (one, other) = (image("2.0.0", 100), image("2.0.1", 100));
    for given in [&other[..], &one[..99], &[&one[..], b"x"].concat()] {
        let built = build(&manifest("2.0.0", &one), &[], &[&key(RELEASE)], given, &mut Vec::new());
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_manifest_that_breaks_a_rule_is_not_built() {
    let image = image("2.0.0", 100);
    let good = manifest("2.0.0", &image);
    let mut bad = vec![good.clone(); 5];
    bad[0].images.clear();
    bad[1].images.extend(good.images.clone());
    bad[2].minimum_version = version("2.0.1");
    bad[3].board.clear();
    bad[4].format = 2;
    for manifest in bad {
        let built = build(&manifest, &[], &[&key(RELEASE)], &image[..], &mut Vec::new());
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn generated_keys_sign() {
    let pkcs8 = SigningKey::generate_pkcs8().unwrap();
    let key = SigningKey::from_pkcs8(&pkcs8).unwrap();
    let by = key.sign(b"message");
    assert_eq!(by.key, key.public_key().id());
    assert!(key.public_key().verifies(b"message", &by.sig));
    assert!(!key.public_key().verifies(b"massage", &by.sig));
    assert_eq!(SigningKey::from_pkcs8(&pkcs8[1..]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(update::PublicKey::from_hex(&key.public_key().to_string()).unwrap(), key.public_key());
    assert!(update::PublicKey::from_hex(&key.public_key().to_string().to_uppercase()).is_err());
}

#[test]
fn progress_is_known_once_the_manifest_is_believed() {
    let bundle = bundle("2.0.0");
    let head = 16 + envelope_of(&bundle).0.len();
    let mut incoming = Incoming::new(trust(), target());
    incoming.push(&bundle[..head - 1]).unwrap();
    assert_eq!((incoming.received(), incoming.total()), (head as u64 - 1, None));
    incoming.push(&bundle[head - 1..head]).unwrap();
    assert_eq!(incoming.total(), Some(bundle.len() as u64));
    assert_eq!(incoming.manifest().unwrap().version, version("2.0.0"));
}
