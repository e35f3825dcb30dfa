//! Which key the caller trusts.
//!
//! Does not belong here: where it comes from.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use ledger::VerifierKey;

use crate::layout::sha256;

/// A key's fingerprint: 128 bits of SHA-256, which nobody finds a second key for. Of the key alone: a recorder keeps its key
/// for life, but a new disk begins another ledger, whose name is the key's name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

/// What the caller knows of the recorder's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// All of it.
    Key(VerifierKey),
    /// What people compare.
    Fingerprint(Fingerprint),
}

/// Why a text names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is neither a public key (name+id+key) nor a fingerprint (eight groups of four hexadecimal digits)"
)]
pub struct NoKey;

impl Fingerprint {
    /// Of a key.
    #[must_use]
    pub fn of(key: &VerifierKey) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&sha256(&key.material())[..16]);
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> = self.0.chunks(2).map(|group| HEXLOWER.encode(group)).collect();
        f.write_str(&groups.join("-"))
    }
}

impl FromStr for Fingerprint {
    type Err = NoKey;

    /// As people copy it: hyphens, colons and spaces do not matter, nor does case.
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':') && !c.is_whitespace()).collect();
        let bytes = HEXLOWER.decode(digits.to_ascii_lowercase().as_bytes()).map_err(|_| NoKey)?;
        bytes.try_into().map(Self).map_err(|_| NoKey)
    }
}

impl FromStr for Trusted {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let text = text.trim();
        text.parse().map(Self::Key).or_else(|_| text.parse().map(Self::Fingerprint))
    }
}

impl Trusted {
    pub(crate) fn is(&self, key: &VerifierKey) -> bool {
        match self {
            Self::Key(trusted) => trusted.material() == key.material(),
            Self::Fingerprint(trusted) => *trusted == Fingerprint::of(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::KeyKind;

    use super::*;

    #[test]
    fn a_fingerprint_is_read_however_it_was_copied() {
        let key = VerifierKey::new("candor/test", KeyKind::Note, [7; 32]).unwrap();
        let print = Fingerprint::of(&key);
        let text = print.to_string();
        assert_eq!(text.len(), 39);
        for copy in [text.clone(), text.to_uppercase(), text.replace('-', " "), text.replace('-', "")] {
            assert_eq!(copy.parse::<Trusted>().unwrap(), Trusted::Fingerprint(print), "{copy}");
        }
        assert!(key.to_string().parse::<Trusted>().unwrap().is(&key));
        let next_ledger = VerifierKey::new("candor/test/2", KeyKind::Note, [7; 32]).unwrap();
        assert!(Trusted::Fingerprint(print).is(&next_ledger) && Trusted::Key(key.clone()).is(&next_ledger));
        let other = VerifierKey::new("candor/test", KeyKind::Note, [8; 32]).unwrap();
        assert!(!Trusted::Fingerprint(print).is(&other) && !Trusted::Key(key).is(&other));
        for wrong in ["", "candor", &text[1..], &format!("{text}00")] {
            assert!(wrong.parse::<Trusted>().is_err(), "{wrong}");
        }
    }
}
