//! Bytes of a fixed number that people see as lower-case hexadecimal digits.
//!
//! Does not belong here: what the bytes are.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, LedgerError};

/// `N` bytes, as text 2 N lower-case hexadecimal digits. There is no second spelling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const N: usize>(pub [u8; N]);

/// A SHA-256 hash.
pub type Hash = Hex<32>;

/// The random number that a volume got when it was made (docs/storage.md).
pub type VolumeId = Hex<16>;

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        let malformed = || format!("this is not {} lower-case hexadecimal digits", 2 * N);
        bytes.map(Self).ok_or_else(|| LedgerError::new(ErrorKind::Malformed, malformed()))
    }
}

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = LedgerError;

    fn try_from(text: String) -> Result<Self, LedgerError> {
        text.parse()
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(hex: Hex<N>) -> Self {
        hex.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling() {
        let hex = Hex([0x0a, 0xff]);
        assert_eq!(hex.to_string(), "0aff");
        assert_eq!("0aff".parse::<Hex<2>>().unwrap(), hex);
        for other in ["", "0AFF", "0aF", "0aff00", "0x0aff", " 0aff", "0agg"] {
            assert_eq!(other.parse::<Hex<2>>().unwrap_err().kind(), ErrorKind::Malformed, "{other}");
        }
    }
}
