//! Keys of signed notes: Ed25519, with a name.
//!
//! As C2SP signed-note and tlog-cosignature have them. Does not belong here: where a recorder keeps its seed.
//!
//! Invariant: a key's name can stand in a signature line: no white space, no plus, no control characters.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};

use crate::crypto::{self, SigningKey};
use crate::error::{ErrorKind, LedgerError};

/// The longest name of a key, in bytes. Ours have 39.
pub const MAX_NAME_BYTES: usize = 255;

/// What a key's signatures are over: C2SP's signature type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Over the note's text, type 1: whoever keeps the ledger.
    Note,
    /// Over a time and a checkpoint's text, type 4 (`cosignature/v1`): whoever saw the ledger grow.
    Cosignature,
}

impl KeyKind {
    const fn code(self) -> u8 {
        match self {
            Self::Note => 1,
            Self::Cosignature => 4,
        }
    }
}

/// A public key, as text a C2SP *vkey*: `name+8 hexadecimal digits of the key's ID+base64 of type and key`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    public: [u8; 32],
}

impl VerifierKey {
    /// A key with a name.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when that cannot be a name.
    pub fn new(name: &str, kind: KeyKind, public: [u8; 32]) -> Result<Self, LedgerError> {
        if !is_name(name) {
            return Err(malformed("this cannot be the name of a key"));
        }
        Ok(Self { name: name.to_owned(), kind, public })
    }

    /// The key's name: for a ledger, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures are over.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The number that, with the name, says in a signature line whose it is. No secret and no proof.
    #[must_use]
    pub fn id(&self) -> u32 {
        let hash = crypto::sha256(&[self.name.as_bytes(), b"\n", &self.material()]);
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }

    /// Type and key: what its text has in base64.
    #[must_use]
    pub fn material(&self) -> [u8; 33] {
        let mut material = [self.kind.code(); 33];
        material[1..].copy_from_slice(&self.public);
        material
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        crypto::verifies(&self.public, message, signature)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.id(), BASE64.encode(&self.material()))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        // Base64 may contain a plus, a name may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("this is not a public key: name+id+key"));
        };
        let material = BASE64.decode(material.as_bytes()).unwrap_or_default();
        let Some((&code, public)) = material.split_first() else {
            return Err(malformed("the public key's third part is not base64"));
        };
        let kind = [KeyKind::Note, KeyKind::Cosignature].into_iter().find(|kind| kind.code() == code);
        let (Some(kind), Ok(public)) = (kind, public.try_into()) else {
            return Err(malformed("the public key is of a type that is not known here"));
        };
        let key = Self::new(name, kind, public)?;
        if HEXLOWER.encode(&key.id().to_be_bytes()) != id {
            return Err(malformed("the public key's parts do not belong together: mistyped?"));
        }
        Ok(key)
    }
}

/// A key that signs. Its secret is neither shown nor given out.
pub struct Signer {
    key: VerifierKey,
    secret: SigningKey,
}

impl Signer {
    /// The key of `seed`, 32 bytes that must be random and secret.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when `name` cannot be a name.
    pub fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, LedgerError> {
        let secret = SigningKey::from_seed(seed)
            .ok_or_else(|| LedgerError::new(ErrorKind::Invalid, "these bytes are not the seed of a key"))?;
        Ok(Self { key: VerifierKey::new(name, kind, secret.public())?, secret })
    }

    /// The public part.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.key)
    }
}

/// Whether a text can name a key in a signature line.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(fits)
}

fn malformed(what: &str) -> LedgerError {
    LedgerError::new(ErrorKind::Malformed, what)
}
