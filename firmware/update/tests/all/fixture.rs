//! Keys, documents and bundles for the tests; the same in each run.

use hal::WallTime;
use semver::Version;
use update::{
    Envelope, FORMAT, Manifest, ManifestType, PublicKey, Role, RootDocument, RootType, SignedRoot,
    SigningKey, Target, Timestamp, Trust, build, describe_root,
};

pub(crate) const BOARD: &str = "virt-a7";

/// The key number `n`.
pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&[n; 32]).unwrap()
}

/// Roles' keys by number: the root role of the first document is 2 of 1, 2 and 3; releases are signed by 11.
pub(crate) const RELEASE: u8 = 11;
/// The release key after a rotation.
pub(crate) const NEXT_RELEASE: u8 = 12;
/// The owner's.
pub(crate) const OWNER: u8 = 21;
/// Somebody's.
pub(crate) const STRANGER: u8 = 99;

pub(crate) fn public(n: u8) -> PublicKey {
    key(n).public_key()
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn wall(text: &str) -> WallTime {
    time(text).as_wall()
}

fn role(keys: &[u8], threshold: u8) -> Role {
    Role { keys: keys.iter().map(|&n| public(n)).collect(), threshold }
}

pub(crate) fn root(version: u32, root: (&[u8], u8), release: (&[u8], u8)) -> RootDocument {
    RootDocument {
        r#type: RootType::Root,
        version,
        expires: time("2030-01-01T00:00:00Z"),
        root: role(root.0, root.1),
        release: role(release.0, release.1),
    }
}

pub(crate) fn first_root() -> RootDocument {
    root(1, (&[1, 2, 3], 2), (&[RELEASE], 1))
}

pub(crate) fn initial_json() -> Vec<u8> {
    first_root().to_json().unwrap()
}

/// The second root document: the release key is another one.
pub(crate) fn rotated() -> SignedRoot {
    sign_root(&root(2, (&[1, 2, 3], 2), (&[NEXT_RELEASE], 1)), &[1, 2])
}

pub(crate) fn sign_root(document: &RootDocument, signers: &[u8]) -> SignedRoot {
    let keys: Vec<SigningKey> = signers.iter().map(|&n| key(n)).collect();
    document.sign(&keys.iter().collect::<Vec<_>>()).unwrap()
}

pub(crate) fn trust() -> Trust {
    Trust::new(&initial_json()).unwrap()
}

pub(crate) fn target() -> Target {
    Target {
        board: BOARD.to_owned(),
        installed: version("1.0.0"),
        floor: version("0.5.0"),
        now: Some(wall("2027-01-01T00:00:00Z")),
        max_root_bytes: 1 << 20,
        allow_downgrade: false,
    }
}

/// What looks like a root image of that version.
pub(crate) fn image(version: &str, bytes: usize) -> Vec<u8> {
    version.bytes().cycle().zip(0_u32..).map(|(byte, i)| byte ^ (i >> 3) as u8).take(bytes).collect()
}

pub(crate) fn manifest(version: &str, image: &[u8]) -> Manifest {
    Manifest {
        r#type: ManifestType::Bundle,
        format: FORMAT,
        board: BOARD.to_owned(),
        version: version.parse().unwrap(),
        minimum_version: "0.5.0".parse().unwrap(),
        created: time("2026-11-20T12:00:00Z"),
        expires: time("2028-01-01T00:00:00Z"),
        commit: "0123456789abcdef".to_owned(),
        images: vec![describe_root(image).unwrap()],
    }
}

/// A bundle of that manifest.
pub(crate) fn bundle_of(manifest: &Manifest, image: &[u8], roots: &[SignedRoot], signers: &[u8]) -> Vec<u8> {
    let keys: Vec<SigningKey> = signers.iter().map(|&n| key(n)).collect();
    let mut bytes = Vec::new();
    build(manifest, roots, &keys.iter().collect::<Vec<_>>(), image, &mut bytes).unwrap();
    bytes
}

/// A good bundle.
pub(crate) fn bundle(version: &str) -> Vec<u8> {
    let image = image(version, 3000);
    bundle_of(&manifest(version, &image), &image, &[], &[RELEASE])
}

/// A bundle whose envelope is any text, with an image behind it.
pub(crate) fn bundle_around(envelope: &[u8], image: &[u8]) -> Vec<u8> {
    let mut bytes = b"CANDORUP\x01\0\0\0".to_vec();
    bytes.extend((envelope.len() as u32).to_le_bytes());
    bytes.extend(envelope);
    bytes.extend(image);
    bytes
}

/// A bundle's envelope, as its bytes and as fields.
pub(crate) fn envelope_of(bundle: &[u8]) -> (Vec<u8>, Envelope) {
    let length = u32::from_le_bytes(bundle[12..16].try_into().unwrap()) as usize;
    let bytes = bundle[16..16 + length].to_vec();
    let envelope = serde_json::from_slice(&bytes).unwrap();
    (bytes, envelope)
}

/// Bytes around an envelope of those fields.
pub(crate) fn rewrap(envelope: &Envelope, image: &[u8]) -> Vec<u8> {
    bundle_around(&serde_json::to_vec(envelope).unwrap(), image)
}
