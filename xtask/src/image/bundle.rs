//! The signed bundle: what a recorder is updated with.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::PathBuf;

use update::{
    FORMAT, Manifest, ManifestType, Target, Trust, VerifiedBundle, build, describe_root, verify_bundle,
};

use super::cache::{self, Inputs};
use super::keys::{Keys, SECONDS_A_YEAR, timestamp};
use super::places::Places;
use super::source::Source;
use crate::workspace::Failure;

/// The oldest version that a recorder takes once it runs this one. Raised when an older one is known to be unsafe.
const MINIMUM_VERSION: &str = "0.1.0";
/// How long a bundle may be installed: long enough for a recorder's stick to lie in a drawer, not for ever.
const YEARS: i64 = 2;

/// A bundle that was written and read back.
pub(super) struct Sealed {
    /// The file.
    pub(super) path: PathBuf,
    /// Verified as a recorder does it.
    pub(super) bundle: VerifiedBundle,
}

/// Writes the bundle of the root, and reads it as a recorder that trusts these keys would.
pub(super) fn write(places: &Places, source: &Source, board: &str, keys: &Keys) -> Result<Sealed, Failure> {
    let path = places.out.join(format!("candor-{board}-{}.bundle", source.version));
    let image = describe_root(open(&places.root())?)?;
    let manifest = Manifest {
        r#type: ManifestType::Bundle,
        format: FORMAT,
        board: board.to_owned(),
        version: source.version.parse()?,
        minimum_version: MINIMUM_VERSION.parse()?,
        created: timestamp(source.epoch)?,
        expires: timestamp(source.epoch + YEARS * SECONDS_A_YEAR)?,
        commit: source.commit.clone(),
        images: vec![image],
    };
    // The same as in the bundle, for those who look.
    fs::write(places.out.join("manifest.json"), serde_json::to_string_pretty(&manifest)? + "\n")?;
    let inputs = Inputs::of("bundle 1").text(&format!("{manifest:?}")).bytes(&keys.root_document);
    cache::make(&path, inputs, || {
        let file = BufWriter::new(File::create(&path)?);
        Ok(build(&manifest, &[], &[&keys.release], open(&places.root())?, file)?)
    })?;
    let target = Target {
        board: board.to_owned(),
        installed: manifest.version.clone(),
        floor: manifest.minimum_version.clone(),
        now: None,
        max_root_bytes: u64::MAX,
        allow_downgrade: false,
    };
    let trust = Trust::new(&keys.root_document)?;
    let bundle = verify_bundle(open(&path)?, &trust, &target, &mut |_| ())?;
    Ok(Sealed { path, bundle })
}

fn open(path: &PathBuf) -> Result<BufReader<File>, Failure> {
    Ok(BufReader::new(File::open(path).map_err(|error| format!("{}: {error}", path.display()))?))
}
