//! Random secrets, from the system through ring.
//!
//! Does not belong here: what a secret is for.

use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::AuthError;

/// 32 signs that cannot be taken for one another: no I, L, O, U (Crockford's base 32).
pub(crate) const UNAMBIGUOUS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], AuthError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AuthError::Random)?;
    Ok(bytes)
}

/// 256 random bits as 43 characters of base64url.
pub(crate) fn token() -> Result<String, AuthError> {
    Ok(BASE64URL_NOPAD.encode(&bytes::<32>()?))
}

/// `N` random bytes in unambiguous signs, upper case.
pub(crate) fn word<const N: usize>() -> Result<String, AuthError> {
    Ok(unambiguous().encode(&bytes::<N>()?))
}

fn unambiguous() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(UNAMBIGUOUS);
    specification.encoding().expect("32 different signs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_length_and_differ() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
        let word = word::<5>().unwrap();
        assert_eq!(word.len(), 8);
        assert!(word.chars().all(|sign| UNAMBIGUOUS.contains(sign)));
    }
}
