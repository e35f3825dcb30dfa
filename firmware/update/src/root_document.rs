//! The root document: which keys may sign, and how many of them it takes.
//!
//! Modelled on TUF's root role: a document is replaced only by the next version, signed by enough root keys of both. Does
//! not belong here: the chain as a whole and the owner's key (`trust.rs`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::error::UpdateError;
use crate::keys::{PublicKey, SignatureBy, SigningKey};
use crate::timestamp::Timestamp;

/// The most keys of a role: more than any project has people, and a bound on the work of checking.
pub const MAX_KEYS: usize = 16;

/// The most signatures under one document: all keys of an old and a new root document.
pub const MAX_SIGNATURES: usize = 2 * MAX_KEYS;

/// Keys, and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The keys, each once.
    pub keys: Vec<PublicKey>,
    /// How many must sign, 1 to all.
    pub threshold: u8,
}

/// The document's `type`, so that no signature under one kind of document passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootType {
    /// A root document.
    Root,
}

/// Who may sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootDocument {
    /// Always `root`.
    pub r#type: RootType,
    /// Counts from 1, by 1.
    pub version: u32,
    /// After this time a known clock refuses updates under it.
    pub expires: Timestamp,
    /// May sign the next root document.
    pub root: Role,
    /// May sign bundles.
    pub release: Role,
}

/// A root document as its exact text, with signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRoot {
    /// The canonical JSON of a [`RootDocument`].
    pub root: String,
    /// By the root keys of the version before and of this one.
    pub signatures: Vec<SignatureBy>,
}

impl Role {
    /// Counts the keys of this role that signed `message`. A signature of one of its keys that is wrong fails all;
    /// those of other keys do not count.
    pub(crate) fn count(&self, message: &[u8], signatures: &[SignatureBy]) -> Result<usize, String> {
        let mut signers = BTreeSet::new();
        for signature in signatures {
            let Some(key) = self.keys.iter().find(|key| key.id() == signature.key) else { continue };
            if !key.verifies(message, &signature.sig) {
                return Err(format!("the signature of key {} is wrong", signature.key));
            }
            signers.insert(signature.key);
        }
        Ok(signers.len())
    }

    /// Fails unless enough keys of this role signed `message`.
    pub(crate) fn require(&self, message: &[u8], signatures: &[SignatureBy]) -> Result<(), String> {
        let count = self.count(message, signatures)?;
        if count < usize::from(self.threshold) {
            return Err(format!("{count} of the trusted keys signed it, and it takes {}", self.threshold));
        }
        Ok(())
    }

    fn check(&self, name: &str) -> Result<(), String> {
        if self.keys.iter().collect::<BTreeSet<_>>().len() != self.keys.len() {
            return Err(format!("a key stands twice among the {name} keys"));
        }
        if self.keys.len() > MAX_KEYS || !(1..=self.keys.len()).contains(&usize::from(self.threshold)) {
            return Err(format!("{} of {} {name} keys cannot sign", self.threshold, self.keys.len()));
        }
        Ok(())
    }
}

impl RootDocument {
    /// Reads a document from its canonical JSON.
    ///
    /// # Errors
    /// `BadSignature` when it is not canonical or its roles are impossible: nothing can be trusted through it.
    pub fn parse(bytes: &[u8]) -> Result<Self, UpdateError> {
        let refuse = |why| UpdateError::BadSignature(format!("in a root document, {why}"));
        let document: Self = canonical::parse(bytes).map_err(refuse)?;
        document.check().map_err(refuse)?;
        Ok(document)
    }

    /// Its canonical JSON.
    ///
    /// # Errors
    /// `Invalid` when its roles are impossible.
    pub fn to_json(&self) -> Result<Vec<u8>, UpdateError> {
        self.check().and_then(|()| canonical::write(self)).map_err(UpdateError::Invalid)
    }

    /// Signs it.
    ///
    /// # Errors
    /// `Invalid` when its roles are impossible.
    pub fn sign(&self, signers: &[&SigningKey]) -> Result<SignedRoot, UpdateError> {
        let json = self.to_json()?;
        let signatures = signers.iter().map(|signer| signer.sign(&json)).collect();
        let root = String::from_utf8(json).map_err(|e| UpdateError::Invalid(e.to_string()))?;
        Ok(SignedRoot { root, signatures })
    }

    /// The document that follows this one, if `next` is it.
    pub(crate) fn followed_by(&self, next: &SignedRoot) -> Result<Self, UpdateError> {
        let refuse = |why| UpdateError::BadSignature(format!("after root document {}, {why}", self.version));
        let document = Self::parse(next.root.as_bytes())?;
        if self.version.checked_add(1) != Some(document.version) {
            return Err(refuse(format!("version {} cannot follow", document.version)));
        }
        check_signatures(&next.signatures).map_err(refuse)?;
        self.root.require(next.root.as_bytes(), &next.signatures).map_err(refuse)?;
        document.root.require(next.root.as_bytes(), &next.signatures).map_err(refuse)?;
        Ok(document)
    }

    fn check(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("versions count from 1".to_owned());
        }
        self.root.check("root")?;
        self.release.check("release")
    }
}

/// Fails for too many signatures and for two of one key.
pub(crate) fn check_signatures(signatures: &[SignatureBy]) -> Result<(), String> {
    if signatures.len() > MAX_SIGNATURES {
        return Err(format!("there are more than {MAX_SIGNATURES} signatures"));
    }
    let keys: BTreeSet<_> = signatures.iter().map(|signature| signature.key).collect();
    if keys.len() == signatures.len() { Ok(()) } else { Err("a key signed twice".to_owned()) }
}
