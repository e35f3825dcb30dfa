//! Canonical JSON: one text for each document, so that a signature has one meaning.
//!
//! A document is read into its type, which knows all its fields, and written again; it must come out as the same bytes.
//! So there is no white space, no other order, no second spelling of a number or a string, nothing twice and nothing
//! unknown. Does not belong here: what the documents say.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a document; the words say why it is not a canonical one.
pub(crate) fn parse<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, String> {
    let document: T = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if write(&document)? == bytes { Ok(document) } else { Err("it is not in canonical form".to_owned()) }
}

/// The document's one text.
pub(crate) fn write<T: Serialize>(document: &T) -> Result<Vec<u8>, String> {
    serde_json::to_vec(document).map_err(|e| e.to_string())
}
