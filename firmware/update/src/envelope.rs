//! The envelope: a manifest, its signatures and root documents.
//!
//! It stands at the head of a bundle and, the same bytes, in a slot's header. Does not belong here: whom to believe
//! (`trust.rs`).

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::keys::SignatureBy;
use crate::root_document::SignedRoot;

/// The longest envelope: it fits the smallest usual erase block of 64 KiB together with a slot header. One with a root
/// document of 3 keys has about 3 KiB.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024 - 64;

/// The most root documents of a chain: a rotation a year for longer than a board lasts.
pub const MAX_ROOTS: usize = 32;

/// A signed manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Root documents in ascending order, so that a device that missed some can follow.
    pub roots: Vec<SignedRoot>,
    /// The manifest's canonical JSON.
    pub manifest: String,
    /// Under the manifest's text.
    pub signatures: Vec<SignatureBy>,
}

impl Envelope {
    /// Reads an envelope; the words say what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(format!(
                "its head has {} bytes, and at most {MAX_ENVELOPE_BYTES} are read",
                bytes.len()
            ));
        }
        let envelope: Self = canonical::parse(bytes)?;
        if envelope.roots.len() > MAX_ROOTS {
            return Err(format!("it has more than {MAX_ROOTS} root documents"));
        }
        Ok(envelope)
    }

    /// Its canonical JSON; the words say what is wrong with it.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, String> {
        let bytes = canonical::write(self)?;
        Self::parse(&bytes)?;
        Ok(bytes)
    }
}
