//! The keys that sign an image, and the root document that says so.
//!
//! A developer's keys are made once, below target/; they are worth nothing to anyone else's board. Real ones are given
//! with `--keys`, and whoever keeps several apart signs elsewhere.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hal::WallTime;
use update::{Role, RootDocument, RootType, SigningKey, Timestamp};

use super::source::Source;
use crate::workspace::Failure;

/// How long a root document holds: longer than a recorder does.
const ROOT_YEARS: i64 = 20;
/// On average over 400.
pub(super) const SECONDS_A_YEAR: i64 = 31_556_952;

/// What signs, and what the loader is told to trust.
pub(super) struct Keys {
    /// Signs bundles.
    pub(super) release: SigningKey,
    /// The initial root document, canonical.
    pub(super) root_document: Vec<u8>,
}

/// Reads `root.json` and the keys of `dir`; makes what a new folder lacks.
pub(super) fn open(dir: &Path, source: &Source) -> Result<Keys, Failure> {
    fs::create_dir_all(dir)?;
    let document = dir.join("root.json");
    let release = private_key(&dir.join("release.pk8"), &document)?;
    if !document.exists() {
        let root = private_key(&dir.join("root.pk8"), &document)?;
        let one = |key: &SigningKey| Role { keys: vec![key.public_key()], threshold: 1 };
        let made = RootDocument {
            r#type: RootType::Root,
            version: 1,
            expires: timestamp(source.epoch + ROOT_YEARS * SECONDS_A_YEAR)?,
            root: one(&root),
            release: one(&release),
        };
        fs::write(&document, made.to_json()?)?;
        println!("    development keys are made in {}", dir.display());
    }
    let root_document = fs::read(&document)?;
    let trusted =
        RootDocument::parse(&root_document).map_err(|error| format!("{}: {error}", document.display()))?;
    if !trusted.release.keys.contains(&release.public_key()) {
        return Err(format!("{}: root.json does not name release.pk8", dir.display()).into());
    }
    Ok(Keys { release, root_document })
}

/// A time in a document.
pub(super) fn timestamp(epoch: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_wall(WallTime::from_unix_micros(epoch * 1_000_000))
        .ok_or_else(|| format!("{epoch} is no time").into())
}

/// Reads a key; makes one as long as no root document names keys that it would not be among.
fn private_key(path: &Path, document: &Path) -> Result<SigningKey, Failure> {
    if !path.exists() && !document.exists() {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&SigningKey::generate_pkcs8()?)?;
    }
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(SigningKey::from_pkcs8(&bytes).map_err(|error| format!("{}: {error}", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source { version: "0.1.0".into(), commit: "c".into(), epoch: 1_700_000_000 };
        let first = open(dir.path(), &source).unwrap();
        let again = open(dir.path(), &source).unwrap();
        assert_eq!(first.root_document, again.root_document);
        assert_eq!(first.release.public_key(), again.release.public_key());
        fs::remove_file(dir.path().join("release.pk8")).unwrap();
        assert!(open(dir.path(), &source).is_err());
    }
}
