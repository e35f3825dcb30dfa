//! Bytes of fixed length as lower-case hexadecimal text.
//!
//! Upper case is refused: each value has one spelling.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// The text of `bytes`.
pub(crate) fn text(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes of a text.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// For `serde(with)`.
pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(bytes))
}

/// For `serde(with)`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(from)?;
    bytes(&text).ok_or_else(|| D::Error::custom(format!("expected {} lower-case hexadecimal digits", 2 * N)))
}
