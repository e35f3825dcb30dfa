//! Words from outside that are written down: names of users, reasons, versions.
//!
//! Invariant: no longer than [`MAX_TEXT_BYTES`], so that nobody fills the ledger by what they type into a
//! login form.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest text, in bytes. What is longer is cut and ends with `…`.
pub const MAX_TEXT_BYTES: usize = 200;

/// A short text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Text(String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.len() <= MAX_TEXT_BYTES {
            return Self(text.to_owned());
        }
        const MARK: &str = "…";
        let end = text.floor_char_boundary(MAX_TEXT_BYTES - MARK.len());
        Self(format!("{}{MARK}", &text[..end]))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.len() <= MAX_TEXT_BYTES { Self(text) } else { Self::from(text.as_str()) }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(Text::from("anna").as_ref(), "anna");
        let cut = Text::from("ä".repeat(150));
        assert_eq!(cut.as_ref(), format!("{}…", "ä".repeat(98)));
        assert_eq!(Text::from(cut.as_ref()), cut);
    }
}
