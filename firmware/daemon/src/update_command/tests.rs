//! Verdicts on bundles, as they are printed.

use std::fs;
use std::path::Path;

use update::{ImageRole, Manifest, ManifestType, SigningKey, build, describe_root};

use super::*;
use crate::update_fixtures::{at, key, root_document};

const ROOT: &[u8] = &[0x5a; 100_000];

fn root_keys(dir: &Path) -> PathBuf {
    let path = dir.join("root-keys.json");
    fs::write(&path, root_document()).unwrap();
    path
}

fn bundle(dir: &Path, signer: &SigningKey, expires: &str) -> PathBuf {
    let manifest = Manifest {
        r#type: ManifestType::Bundle,
        format: update::FORMAT,
        board: "virt-a7".to_owned(),
        version: Version::new(0, 2, 0),
        minimum_version: Version::new(0, 1, 0),
        created: at("2026-11-20T10:00:00Z"),
        expires: at(expires),
        commit: "abc1234".to_owned(),
        images: vec![describe_root(ROOT).unwrap()],
    };
    assert_eq!(manifest.root().role, ImageRole::Root);
    let path = dir.join("candor-virt-a7-0.2.0.bundle");
    build(&manifest, &[], &[signer], ROOT, File::create(&path).unwrap()).unwrap();
    path
}

/// The verdict, and whether the exit code says that it is good.
fn verdict(
    bundle: PathBuf,
    root_keys: PathBuf,
    board: Option<&str>,
    owner_key: Option<String>,
) -> (String, bool) {
    let args = VerifyArgs { bundle, board: board.map(str::to_owned), root_keys: Some(root_keys), owner_key };
    let mut out = Vec::new();
    let code = verify(&args, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), code == ExitCode::SUCCESS)
}

#[test]
fn a_good_bundle_is_described_and_called_good() {
    let dir = tempfile::tempdir().unwrap();
    let (text, good) = verdict(
        bundle(dir.path(), &key(2), "2089-01-01T00:00:00Z"),
        root_keys(dir.path()),
        Some("virt-a7"),
        None,
    );
    assert!(good, "{text}");
    for line in [
        "board           virt-a7",
        "version         0.2.0",
        "then not below  0.1.0",
        "commit          abc1234",
        "created         2026-11-20T10:00:00Z",
        "expires         2089-01-01T00:00:00Z",
        "signed by       the project, 1 of 1 keys",
        &format!("key             {} (release)", key(2).public_key().id()),
        "GOOD: ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains(&format!("100000 bytes, SHA-256 {}", describe_root(ROOT).unwrap().sha256_text())));
}

#[test]
fn what_is_not_good_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let keys = root_keys(dir.path());
    let refused = |path: &Path, board, words: &str| {
        let (text, good) = verdict(path.to_owned(), keys.clone(), board, None);
        assert!(!good && text.contains("REFUSED: ") && !text.contains("GOOD"), "{text}");
        assert!(text.contains(words), "{words}: {text}");
    };
    let path = bundle(dir.path(), &key(2), "2089-01-01T00:00:00Z");
    refused(&path, Some("hi3536d"), "for the board virt-a7, not for hi3536d");
    let bytes = fs::read(&path).unwrap();
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let path = dir.path().join("damaged.bundle");
        fs::write(&path, bytes).unwrap();
        path
    };
    refused(&damaged(&|bytes| *bytes.last_mut().unwrap() ^= 1), None, "not the one that was signed");
    refused(&damaged(&|bytes| bytes.truncate(bytes.len() - 1)), None, "1 bytes are missing");
    refused(&damaged(&|bytes| bytes.push(0)), None, "more follows after its end");
    refused(&damaged(&|bytes| bytes.truncate(40)), None, "ends in its head");
    refused(&damaged(&|bytes| bytes[0] = b'X'), None, "not an update bundle");
    refused(&damaged(&|bytes| bytes.clear()), None, "not an update bundle");
    refused(&bundle(dir.path(), &key(9), "2089-01-01T00:00:00Z"), None, "signature is not valid");
    refused(&bundle(dir.path(), &key(2), "2020-01-01T00:00:00Z"), None, "expired on 2020-01-01");
}

#[test]
fn the_owners_key_counts_where_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (path, keys) = (bundle(dir.path(), &key(7), "2089-01-01T00:00:00Z"), root_keys(dir.path()));
    let owner = key(7).public_key().to_string();
    let (text, good) = verdict(path.clone(), keys.clone(), None, Some(owner));
    assert!(good && text.contains("signed by       the owner") && text.contains("(owner)"), "{text}");
    let other = key(8).public_key().to_string();
    assert!(!verdict(path, keys, None, Some(other)).1);
}
