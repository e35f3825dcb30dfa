//! Bundles for the emulated board: another version, another root.
//!
//! Signed with the development keys of this checkout, whose root document is in the test image.

use std::fs::{self, File};
use std::path::Path;

use serde_json::Value;
use update::{Manifest, SigningKey, build, describe_root};

use crate::board_image::{BoardImage, target};

/// In front of a bundle's envelope (docs/update-format.md).
const HEAD_BYTES: usize = 16;

/// A bundle of `root` that calls itself `version`.
///
/// # Panics
/// When the image has no bundle to start from, or there are no keys.
#[must_use]
pub fn bundle(version: &str, root: &Path) -> Vec<u8> {
    let mut manifest = made_manifest();
    manifest.version = version.parse().expect("a version");
    manifest.images = vec![describe_root(File::open(root).expect("a root")).expect("a root can be read")];
    let key = fs::read(target().join("keys/release.pk8")).expect("the development keys");
    let key = SigningKey::from_pkcs8(&key).expect("a key");
    let mut bytes = Vec::new();
    build(&manifest, &[], &[&key], File::open(root).expect("a root"), &mut bytes).expect("a bundle");
    bytes
}

/// The version that the test image has.
#[must_use]
pub fn image_version() -> String {
    made_manifest().version.to_string()
}

/// The bundle that belongs to the test image.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn made_bundle() -> Vec<u8> {
    let image = BoardImage::find();
    let dir = image.file("");
    let mut names: Vec<_> =
        fs::read_dir(&dir).expect("the image's folder").flatten().map(|e| e.path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "bundle"));
    let [path] = names.as_slice() else { panic!("{}: one bundle is expected: {names:?}", dir.display()) };
    fs::read(path).expect("the image's bundle")
}

fn made_manifest() -> Manifest {
    let bytes = made_bundle();
    let length = u32::from_le_bytes(bytes[12..HEAD_BYTES].try_into().expect("four bytes")) as usize;
    let envelope: Value =
        serde_json::from_slice(&bytes[HEAD_BYTES..HEAD_BYTES + length]).expect("an envelope");
    serde_json::from_str(envelope["manifest"].as_str().expect("a manifest")).expect("a manifest")
}
