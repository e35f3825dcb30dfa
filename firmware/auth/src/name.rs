//! Names of users and stream keys.
//!
//! One rule for both: a name goes into RTSP Digest, logs and addresses, so it has no character that any of them
//! would have to quote. Upper case is taken as lower case, because phones begin with a capital.
//!
//! Does not belong here: whether a name is taken (`accounts.rs`).

use std::fmt;
use std::str::FromStr;

use crate::error::AuthError;

/// The longest name; it stands in one line of the page on a phone.
pub const MAX_NAME_LEN: usize = 32;

/// A name that keeps the rules: 1 to [`MAX_NAME_LEN`] of `a-z`, `0-9`, `.`, `-`, `_`, beginning with a letter
/// or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        let name = text.to_ascii_lowercase();
        let right = (1..=MAX_NAME_LEN).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        if right { Ok(Self(name)) } else { Err(AuthError::Name) }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_plain() {
        assert_eq!("Anna".parse::<UserName>().unwrap().as_str(), "anna");
        assert!("a.b-c_9".parse::<UserName>().is_ok());
        assert!("x".repeat(MAX_NAME_LEN).parse::<UserName>().is_ok());
        for text in ["", " ", "anna ", ".anna", "-a", "a b", "a:b", "zoë", "a\"b", "a/b", "a\n"] {
            assert_eq!(text.parse::<UserName>(), Err(AuthError::Name), "{text:?}");
        }
        assert_eq!("x".repeat(MAX_NAME_LEN + 1).parse::<UserName>(), Err(AuthError::Name));
    }
}
