//! The manifest: what a bundle holds, for which board, until when.
//!
//! Its canonical JSON is what release keys and the owner's key sign. Does not belong here: whether this device takes it
//! (`target.rs`).

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::hexadecimal;
use crate::timestamp::Timestamp;

/// The one format of manifest and bundle so far.
pub const FORMAT: u16 = 1;

/// The longest board name, version and commit: what a line of a page holds.
pub const MAX_NAME_BYTES: usize = 64;

/// The document's `type`, so that no signature under one kind of document passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestType {
    /// The manifest of a bundle.
    Bundle,
}

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageRole {
    /// The root file system of a slot.
    Root,
}

/// One image of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// What it is for.
    pub role: ImageRole,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    #[serde(with = "hexadecimal")]
    pub sha256: [u8; 32],
}

impl Image {
    /// Its SHA-256 as text.
    #[must_use]
    pub fn sha256_text(&self) -> String {
        hexadecimal::text(&self.sha256)
    }
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always `bundle`.
    pub r#type: ManifestType,
    /// [`FORMAT`].
    pub format: u16,
    /// The board's name, without a variant.
    pub board: String,
    /// The version in it.
    pub version: Version,
    /// Once this version is confirmed, older ones than this are refused for ever.
    pub minimum_version: Version,
    /// When it was made.
    pub created: Timestamp,
    /// After this time a known clock refuses to install it.
    pub expires: Timestamp,
    /// The commit it was built from.
    pub commit: String,
    /// The images in the order of their bytes: in format 1, one root.
    pub images: Vec<Image>,
}

impl Manifest {
    /// Reads a manifest; the words say what is wrong with it.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let manifest: Self = canonical::parse(json.as_bytes())?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Its canonical JSON; the words say what is wrong with it.
    pub(crate) fn to_json(&self) -> Result<String, String> {
        self.check()?;
        String::from_utf8(canonical::write(self)?).map_err(|e| e.to_string())
    }

    /// The root image.
    #[must_use]
    pub fn root(&self) -> &Image {
        // Checked at each way in: there is exactly one.
        &self.images[0]
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its manifest has format {}, and this program knows {FORMAT}", self.format));
        }
        let texts = [&self.board, &self.version.to_string(), &self.minimum_version.to_string(), &self.commit];
        if texts.iter().any(|text| text.len() > MAX_NAME_BYTES) || self.board.is_empty() {
            return Err(format!("a name in its manifest is empty or longer than {MAX_NAME_BYTES} bytes"));
        }
        if self.minimum_version.cmp_precedence(&self.version).is_gt() {
            return Err("its manifest forbids its own version".to_owned());
        }
        if self.images.len() != 1 || self.images[0].bytes == 0 {
            return Err("it does not hold exactly one image".to_owned());
        }
        Ok(())
    }
}
