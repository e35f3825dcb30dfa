//! Ed25519 keys and signatures (RFC 8032), by `ring`.
//!
//! A key's id is the SHA-256 of its 32 bytes, so that no two keys share one. Does not belong here: who may sign what
//! (`root_document.rs`), where private keys are kept (whoever builds images).

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::error::UpdateError;
use crate::hexadecimal;

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(#[serde(with = "hexadecimal")] [u8; 32]);

impl PublicKey {
    /// From 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// `Invalid` for any other text.
    pub fn from_hex(text: &str) -> Result<Self, UpdateError> {
        hexadecimal::bytes(text).map(Self).ok_or_else(|| {
            UpdateError::Invalid("A public key is 64 hexadecimal digits, in lower case.".to_owned())
        })
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        KeyId(id)
    }

    /// Whether `signature` is this key's under `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature.0).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal::text(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A key's id: the SHA-256 of the public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(#[serde(with = "hexadecimal")] [u8; 32]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal::text(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(#[serde(with = "hexadecimal")] [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hexadecimal::text(&self.0))
    }
}

/// A signature and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureBy {
    /// The key's id.
    pub key: KeyId,
    /// Its signature.
    pub sig: Signature,
}

/// A private key. Never printed.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new private key as PKCS #8 (RFC 8410), to be kept by the caller.
    ///
    /// # Errors
    /// `Device` when the system gives no random bytes.
    pub fn generate_pkcs8() -> Result<Vec<u8>, UpdateError> {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| UpdateError::File {
            doing: "making a key",
            source: std::io::Error::other("the system gave no random bytes"),
        })?;
        Ok(key.as_ref().to_vec())
    }

    /// From PKCS #8, as [`SigningKey::generate_pkcs8`] made it; keys of OpenSSL have no public part and pass too.
    ///
    /// # Errors
    /// `Invalid` when it is no Ed25519 key.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, UpdateError> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes)
            .map(Self)
            .map_err(|e| UpdateError::Invalid(format!("This is not a private Ed25519 key in PKCS #8: {e}.")))
    }

    /// The key that belongs to a seed of 32 bytes: for tests, where all must come out the same.
    ///
    /// # Errors
    /// `Invalid` never for 32 bytes; the signature follows `ring`'s.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, UpdateError> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map(Self)
            .map_err(|e| UpdateError::Invalid(format!("This seed makes no key: {e}.")))
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(key)
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> SignatureBy {
        let mut sig = [0; 64];
        sig.copy_from_slice(self.0.sign(message).as_ref());
        SignatureBy { key: self.public_key().id(), sig: Signature(sig) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key().id())
    }
}
