//! Addresses and sizes: `0x84000000`, `"64M"`.
//!
//! Sizes are written as Linux writes them in `mem=` and `mtdparts=`: K, M and G are powers of 1024.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A physical address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(transparent)]
pub struct Address(pub u64);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A size in bytes, more than 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads `64M`; `None` for 0, for anything else than a number with K, M, G or nothing behind it, and for more
    /// than 64 bits hold.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = match text.char_indices().next_back()? {
            (at, 'K' | 'k') => (&text[..at], 1 << 10),
            (at, 'M' | 'm') => (&text[..at], 1 << 20),
            (at, 'G' | 'g') => (&text[..at], 1 << 30),
            _ => (text, 1),
        };
        // u64's own parser would take a sign.
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        let bytes = digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(unit)?;
        (bytes > 0).then_some(Self(bytes))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, letter) = match self.0 {
            n if n.is_multiple_of(1 << 30) => (1 << 30, "G"),
            n if n.is_multiple_of(1 << 20) => (1 << 20, "M"),
            n if n.is_multiple_of(1 << 10) => (1 << 10, "K"),
            _ => (1, ""),
        };
        write!(f, "{}{letter}", self.0 / unit)
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;

        impl Visitor<'_> for Size {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size in quotes, such as \"320K\", \"64M\" or \"1G\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn sizes_are_read_as_they_are_written(bytes in 1u64..) {
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).to_string()), Some(ByteSize(bytes)));
        }
    }

    #[test]
    fn other_texts_are_no_size() {
        for text in ["", "0", "0K", "K", "+1K", "-1", "1.5M", "64 M", "64MB", "18446744073709551615K"] {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
        assert_eq!(ByteSize::parse("320k").unwrap().bytes(), 320 << 10);
    }
}
