//! Trust: root documents, the owner's key, the verdict on an envelope.
//!
//! The initial root document is part of the stage and never replaced; what follows it is kept in the state log with its
//! signatures, and checked again at each loading. Root documents that an envelope brings count for that envelope at
//! once, and for all others only when its version was confirmed ([`Trust::adopt`]): else an update that rotates keys
//! could take the trust from the version that it fails back to.
//!
//! Does not belong here: boards, versions and time (`target.rs`).

use hal::NorFlash;
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::config::{OWNER_KEY, ROOT_KEYS};
use crate::envelope::{Envelope, MAX_ROOTS};
use crate::error::UpdateError;
use crate::keys::{KeyId, PublicKey};
use crate::manifest::Manifest;
use crate::root_document::{RootDocument, SignedRoot, check_signatures};
use crate::state_log::StateLog;

/// Whose signature an envelope was believed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignedBy {
    /// Enough release keys.
    Release,
    /// The owner's key.
    Owner,
}

/// Whom this device believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    chain: Vec<SignedRoot>,
    newest: RootDocument,
    owner: Option<PublicKey>,
}

/// An envelope whose signatures were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEnvelope {
    bytes: Vec<u8>,
    manifest: Manifest,
    signed_by: SignedBy,
    trust: Trust,
}

impl Trust {
    /// Trust in the initial root document, canonical JSON, and nothing else.
    ///
    /// # Errors
    /// `BadSignature` when it is not a root document.
    pub fn new(initial_json: &[u8]) -> Result<Self, UpdateError> {
        let newest = RootDocument::parse(initial_json)?;
        Ok(Self { chain: Vec::new(), newest, owner: None })
    }

    /// Trust in the initial root document, what was adopted since, and the owner's key. What the log holds and is not
    /// valid is left out and told in words: a device with a damaged log still starts.
    ///
    /// # Errors
    /// `BadSignature` when the initial document is not a root document.
    pub fn load<F: NorFlash>(
        initial_json: &[u8],
        log: &StateLog<F>,
    ) -> Result<(Self, Option<String>), UpdateError> {
        let mut trust = Self::new(initial_json)?;
        let mut warning = None;
        if let Some(bytes) = log.get(ROOT_KEYS) {
            let extended = canonical::parse::<Vec<SignedRoot>>(bytes)
                .map_err(UpdateError::BadSignature)
                .and_then(|chain| trust.extended(&chain));
            match extended {
                Ok(extended) => trust = extended,
                Err(e) => warning = Some(format!("The stored root documents were left out. {e}")),
            }
        }
        if let Some(bytes) = log.get(OWNER_KEY) {
            match str::from_utf8(bytes).ok().and_then(|text| PublicKey::from_hex(text).ok()) {
                Some(key) => trust.owner = Some(key),
                None => warning = Some("The stored owner's key was left out: it is not a key.".to_owned()),
            }
        }
        Ok((trust, warning))
    }

    /// The same with an owner's key.
    #[must_use]
    pub fn with_owner(self, owner: Option<PublicKey>) -> Self {
        Self { owner, ..self }
    }

    /// The newest root document.
    #[must_use]
    pub fn root(&self) -> &RootDocument {
        &self.newest
    }

    /// The keys that may sign a bundle.
    #[must_use]
    pub fn signers(&self) -> Vec<(KeyId, SignedBy)> {
        let release = self.newest.release.keys.iter().map(|key| (key.id(), SignedBy::Release));
        release.chain(self.owner.iter().map(|key| (key.id(), SignedBy::Owner))).collect()
    }

    /// Checks an envelope's form, its root documents and its signatures; nothing of its manifest is believed before.
    ///
    /// # Errors
    /// `NotABundle` for a wrong form, `BadSignature` for a broken chain or too few signatures.
    pub fn verify(&self, bytes: &[u8]) -> Result<VerifiedEnvelope, UpdateError> {
        let envelope = Envelope::parse(bytes).map_err(UpdateError::NotABundle)?;
        let trust = self.extended(&envelope.roots)?;
        check_signatures(&envelope.signatures).map_err(UpdateError::BadSignature)?;
        let signed_by = trust.signed_by(&envelope).map_err(UpdateError::BadSignature)?;
        let manifest = Manifest::parse(&envelope.manifest).map_err(UpdateError::NotABundle)?;
        Ok(VerifiedEnvelope { bytes: bytes.to_vec(), manifest, signed_by, trust })
    }

    /// Keeps the root documents that a confirmed version's envelope brought.
    ///
    /// # Errors
    /// `TooLarge` or `Device` when the log cannot take them.
    pub fn adopt<F: NorFlash>(
        &mut self,
        envelope: &VerifiedEnvelope,
        log: &mut StateLog<F>,
    ) -> Result<(), UpdateError> {
        if envelope.trust.newest.version > self.newest.version {
            let chain = canonical::write(&envelope.trust.chain).map_err(UpdateError::Invalid)?;
            log.set(ROOT_KEYS, &chain)?;
            self.chain.clone_from(&envelope.trust.chain);
            self.newest.clone_from(&envelope.trust.newest);
        }
        Ok(())
    }

    fn signed_by(&self, envelope: &Envelope) -> Result<SignedBy, String> {
        let message = envelope.manifest.as_bytes();
        let release = self.newest.release.require(message, &envelope.signatures);
        let by_owner = self.owner.and_then(|owner| {
            let id = owner.id();
            let signature = envelope.signatures.iter().find(|signature| signature.key == id)?;
            Some(owner.verifies(message, &signature.sig))
        });
        match (release, by_owner) {
            (_, Some(false)) => Err("the signature of the owner's key is wrong".to_owned()),
            (Ok(()), _) => Ok(SignedBy::Release),
            (Err(_), Some(true)) => Ok(SignedBy::Owner),
            (Err(why), None) => Err(why),
        }
    }

    /// This trust, moved on by those of `roots` that are newer than its newest.
    fn extended(&self, roots: &[SignedRoot]) -> Result<Self, UpdateError> {
        let mut trust = self.clone();
        for signed in roots {
            if RootDocument::parse(signed.root.as_bytes())?.version <= trust.newest.version {
                continue;
            }
            trust.newest = trust.newest.followed_by(signed)?;
            trust.chain.push(signed.clone());
        }
        if trust.chain.len() > MAX_ROOTS {
            return Err(UpdateError::BadSignature(format!("there are more than {MAX_ROOTS} root documents")));
        }
        Ok(trust)
    }
}

impl VerifiedEnvelope {
    /// Its exact bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was signed.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// By whom.
    #[must_use]
    pub fn signed_by(&self) -> SignedBy {
        self.signed_by
    }

    /// The root document that it was checked under.
    #[must_use]
    pub fn root(&self) -> &RootDocument {
        &self.trust.newest
    }
}

/// Enrols the owner's key. Physical presence is the caller's to ask for. `in_use`: whether an image that this device
/// may start is signed by the owner's key of now.
///
/// # Errors
/// `NotSupported` while the old key is in use: without it the device would not start. `Device` when the log fails.
pub fn set_owner_key<F: NorFlash>(
    log: &mut StateLog<F>,
    key: &PublicKey,
    in_use: bool,
) -> Result<(), UpdateError> {
    let text = key.to_string();
    if in_use && log.get(OWNER_KEY).is_some_and(|old| old != text.as_bytes()) {
        return Err(owner_key_in_use());
    }
    log.set(OWNER_KEY, text.as_bytes())
}

/// Forgets the owner's key.
///
/// # Errors
/// As [`set_owner_key`].
pub fn remove_owner_key<F: NorFlash>(log: &mut StateLog<F>, in_use: bool) -> Result<(), UpdateError> {
    if in_use { Err(owner_key_in_use()) } else { log.remove(OWNER_KEY) }
}

fn owner_key_in_use() -> UpdateError {
    UpdateError::NotSupported(
        "The installed version is signed with your key and would not start without it. The key was kept. Install a \
         version signed by the project first."
            .to_owned(),
    )
}
