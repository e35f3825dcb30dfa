//! The owner's recovery key: it opens disks when the recorder is gone.
//!
//! 160 random bits, shown once and kept by nobody but the owner; the recorder keeps what is derived from them
//! ([`OwnerKey`](crate::OwnerKey)). Does not belong here: what it opens (`key_file`).
//!
//! Invariants
//! - Its text is 8 groups of 5 signs of Crockford's base 32 (no I, L, O, U); the last 8 signs tell whether it was
//!   mistyped.
//! - It does not print, and is wiped when it is dropped.

use std::fmt;
use std::path::Path;

use data_encoding::{Encoding, Specification};
use evidence::layout::sha256;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::random::random;

/// What is random of it.
const KEY_BYTES: usize = 20;
/// What is there to notice mistyping; with fewer the text would not end with a whole group.
const CHECK_BYTES: usize = 5;
/// Signs of one group.
const GROUP_SIGNS: usize = 5;
/// The longest text that is looked at: the signs, a separator behind each, and some to spare.
const MAX_TEXT_BYTES: usize = 128;

/// The owner's recovery key.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why a text is no recovery key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// Another number of signs than a recovery key has: how many there are.
    #[error("a recovery key has 40 signs in 8 groups, this has {0}")]
    Length(usize),
    /// A sign that no recovery key has.
    #[error("'{0}' is not in any recovery key")]
    Sign(char),
    /// The last signs do not fit the others.
    #[error("the recovery key is mistyped: at least one sign is wrong, or two are swapped")]
    Mistyped,
}

impl RecoveryKey {
    /// A new one.
    ///
    /// # Errors
    /// `Io` when the system has no random numbers.
    pub fn generate() -> Result<Self, StoreError> {
        random(Path::new("/dev/urandom")).map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// `XXXXX-XXXXX-...`, 8 groups of 5.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES + CHECK_BYTES]);
        bytes[..KEY_BYTES].copy_from_slice(&*self.0);
        bytes[KEY_BYTES..].copy_from_slice(&check_bytes(&self.0));
        let signs = Zeroizing::new(base32().encode(&*bytes));
        let mut text = Zeroizing::new(String::with_capacity(signs.len() * 2));
        for (at, sign) in signs.chars().enumerate() {
            if at > 0 && at % GROUP_SIGNS == 0 {
                text.push('-');
            }
            text.push(sign);
        }
        text
    }

    /// Reads what somebody typed: spaces, line ends and dashes anywhere, either case, O for 0, I and L for 1.
    ///
    /// # Errors
    /// [`RecoveryKeyError`] says what is wrong, for whoever typed it.
    pub fn parse(text: &str) -> Result<Self, RecoveryKeyError> {
        let signs = base32().encode_len(KEY_BYTES + CHECK_BYTES);
        if text.len() > MAX_TEXT_BYTES {
            return Err(RecoveryKeyError::Length(text.chars().count()));
        }
        let typed = || text.chars().filter(|&sign| sign != '-' && !sign.is_whitespace());
        let count = typed().count();
        let typed = Zeroizing::new(typed().collect::<String>());
        if let Some(sign) = typed.chars().find(|sign| !sign.is_ascii_alphanumeric() || "uU".contains(*sign)) {
            return Err(RecoveryKeyError::Sign(sign));
        }
        if count != signs {
            return Err(RecoveryKeyError::Length(count));
        }
        let bytes =
            base32().decode(typed.as_bytes()).map(Zeroizing::new).map_err(|_| RecoveryKeyError::Mistyped)?;
        let (key, check) = bytes.split_first_chunk().ok_or(RecoveryKeyError::Length(count))?;
        if *check != check_bytes(key) {
            return Err(RecoveryKeyError::Mistyped);
        }
        Ok(Self(Zeroizing::new(*key)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &*self.0
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryKey").finish_non_exhaustive()
    }
}

fn check_bytes(key: &[u8; KEY_BYTES]) -> [u8; CHECK_BYTES] {
    let mut text = Zeroizing::new(b"candor recovery key 1".to_vec());
    text.extend_from_slice(key);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&sha256(&text)[..CHECK_BYTES]);
    check
}

/// Crockford's base 32, with what people take its signs for.
fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    specification.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    specification.encoding().expect("32 different signs")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(fill: u8) -> RecoveryKey {
        RecoveryKey(Zeroizing::new([fill; KEY_BYTES]))
    }

    #[test]
    fn its_text_is_grouped_and_comes_back_however_it_is_typed() {
        let key = RecoveryKey::generate().unwrap();
        let text = key.to_text();
        let groups: Vec<&str> = text.split('-').collect();
        assert_eq!(groups.len(), 8);
        assert!(groups.iter().all(|group| group.len() == 5), "{groups:?}");
        assert_eq!(RecoveryKey::parse(&text).unwrap(), key);
        let careless = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(RecoveryKey::parse(&format!("  {careless}\n")).unwrap(), key);
        assert_ne!(RecoveryKey::generate().unwrap(), key);
    }

    #[test]
    fn it_stays_the_same_text_in_every_version() {
        assert_eq!(*key(0).to_text(), "00000-00000-00000-00000-00000-00000-00T17-3GTEZ");
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let text = key(7).to_text();
        assert_eq!(RecoveryKey::parse(&text[..46]), Err(RecoveryKeyError::Length(39)));
        assert_eq!(RecoveryKey::parse(""), Err(RecoveryKeyError::Length(0)));
        assert_eq!(RecoveryKey::parse(&"0".repeat(500)), Err(RecoveryKeyError::Length(500)));
        assert_eq!(RecoveryKey::parse(&text.replacen(&text[..1], "U", 1)), Err(RecoveryKeyError::Sign('U')));
        assert_eq!(RecoveryKey::parse(&text.replacen(&text[..1], "é", 1)), Err(RecoveryKeyError::Sign('é')));
    }

    #[test]
    fn it_does_not_print() {
        assert_eq!(format!("{:?}", key(0xab)), "RecoveryKey { .. }");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_mistyped_sign_and_every_two_swapped_ones_are_noticed(
            bytes in any::<[u8; KEY_BYTES]>(),
            at in 0..40_usize,
            other in 0..31_usize,
        ) {
            let text = RecoveryKey(Zeroizing::new(bytes)).to_text();
            let signs: Vec<u8> = text.bytes().filter(|&sign| sign != b'-').collect();
            let mut wrong = signs.clone();
            wrong[at] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".iter().copied().filter(|&sign| sign != signs[at]).nth(other).unwrap();
            prop_assert_eq!(RecoveryKey::parse(std::str::from_utf8(&wrong).unwrap()), Err(RecoveryKeyError::Mistyped));
            let mut swapped = signs.clone();
            swapped.swap(at, (at + 1) % 40);
            let read = RecoveryKey::parse(std::str::from_utf8(&swapped).unwrap());
            prop_assert!(swapped == signs || read == Err(RecoveryKeyError::Mistyped));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,60}") {
            let _ = RecoveryKey::parse(&text);
        }
    }
}
