//! Passwords: the rules for new ones, how they are stored, how they are verified.
//!
//! Argon2id (RFC 9106) with m = 7 MiB, t = 5, p = 1: what a board with 64 MB bears, and OWASP's figures for
//! that memory. One runs at a time, so that no flood of logins takes the memory from the recorder. A login of
//! a user who does not exist costs the same as a wrong password.
//!
//! Does not belong here: how often one may try (`back_off.rs`), and who waits in line (the caller's).

use std::fmt;
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::error::AuthError;
use crate::name::UserName;
use crate::random;

/// The shortest new password, in characters (NIST SP 800-63B asks for 8 at least, OWASP ASVS for 8 to 15).
pub const MIN_PASSWORD_CHARS: usize = 10;
/// The longest password, in characters: a passphrase, not a file.
pub const MAX_PASSWORD_CHARS: usize = 256;

const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// Stored hashes that would cost more memory than this are not ours, and could stop the recorder.
const MAX_STORED_MEMORY_KIB: u32 = 16 * 1024;
const MAX_STORED_PASSES: u32 = 16;
const MAX_STORED_LEN: usize = 256;

/// Passwords of at least [`MIN_PASSWORD_CHARS`] that people are known to fall back on: rows of keys, counting, the
/// word itself. In lower case. Collected by hand from common knowledge, not taken from a published list, and far from
/// complete: it stops the careless, the back-off stops the guesser.
const COMMON: [&str; 40] = [
    "0000000000",
    "0123456789",
    "0987654321",
    "1111111111",
    "1111122222",
    "1212121212",
    "123123123123",
    "1234512345",
    "123456123456",
    "12345678910",
    "1234567890",
    "123456789a",
    "123456789q",
    "123456abcdef",
    "1234qwerasdf",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "987654321a",
    "abcdefghij",
    "administrator",
    "admin12345",
    "admin123456",
    "aaaaaaaaaa",
    "asdfghjkl;",
    "asdfghjkl1",
    "changeme123",
    "football123",
    "iloveyou123",
    "letmein123",
    "password10",
    "password12",
    "password123",
    "password1234",
    "passwordpassword",
    "q1w2e3r4t5",
    "qwerty12345",
    "qwerty123456",
    "qwertyuiop",
    "zaq12wsxcde3",
];

/// Whether `password` may be the new password of `user`.
///
/// Length counts, not kinds of characters.
///
/// # Errors
/// `Invalid`: too short, too long, or one of those that are tried first.
pub fn check_new_password(user: &UserName, password: &str) -> Result<(), AuthError> {
    let chars = password.chars().count();
    if chars < MIN_PASSWORD_CHARS {
        return Err(AuthError::PasswordTooShort { min: MIN_PASSWORD_CHARS });
    }
    if chars > MAX_PASSWORD_CHARS {
        return Err(AuthError::PasswordTooLong { max: MAX_PASSWORD_CHARS });
    }
    let lower = password.to_lowercase();
    let monotonous = lower.chars().all(|sign| lower.starts_with(sign));
    let named = lower.trim_end_matches(|sign: char| sign.is_ascii_digit() || sign == '!') == user.as_str();
    if monotonous || named || COMMON.contains(&lower.as_str()) {
        return Err(AuthError::PasswordCommon);
    }
    Ok(())
}

/// What is kept of a password: a PHC string. As secret as a password that can be guessed; `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword(String);

impl StoredPassword {
    /// From what [`Self::as_phc`] gave.
    ///
    /// # Errors
    /// `Invalid` unless it is Argon2id at a cost that this machine bears.
    pub fn from_phc(text: &str) -> Result<Self, AuthError> {
        let refused = |why: &str| AuthError::Config(format!("a password's hash {why}"));
        if text.len() > MAX_STORED_LEN {
            return Err(refused("is too long"));
        }
        let hash = PasswordHash::new(text).map_err(|_| refused("is not a PHC string"))?;
        if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
            return Err(refused("is not of Argon2id"));
        }
        let params =
            Params::try_from(&hash).map_err(|_| refused("has parameters that Argon2 does not know"))?;
        if params.m_cost() > MAX_STORED_MEMORY_KIB
            || params.t_cost() > MAX_STORED_PASSES
            || params.p_cost() != LANES
        {
            return Err(refused("costs more than this recorder bears"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The PHC string.
    #[must_use]
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredPassword(..)")
    }
}

/// Hashes and verifies, one at a time. Takes about 0.1 s on a PC and 2 s on a board: not for async threads.
pub struct Verifier {
    /// Held while a password is hashed.
    turn: Mutex<()>,
    argon2: Argon2<'static>,
    /// Of no password that anybody knows.
    dummy: StoredPassword,
}

impl Verifier {
    /// Hashes once, for the dummy.
    ///
    /// # Errors
    /// `Internal` without randomness or memory.
    pub fn new() -> Result<Self, AuthError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(hash_error)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash(&argon2, &random::token()?)?;
        Ok(Self { turn: Mutex::new(()), argon2, dummy })
    }

    /// What to keep of `password`; whether it may be one is [`check_new_password`]'s to say.
    ///
    /// # Errors
    /// `Internal` without randomness or memory.
    pub fn store(&self, password: &str) -> Result<StoredPassword, AuthError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        hash(&self.argon2, password)
    }

    /// Whether `password` is the stored one. With none stored it takes as long and is never right.
    #[must_use]
    pub fn verify(&self, stored: Option<&StoredPassword>, password: &str) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // What is too long for a password is cut for the work and refused for the result.
        let fits = password.chars().count() <= MAX_PASSWORD_CHARS;
        let tried = if fits { password } else { "" };
        let against = stored.unwrap_or(&self.dummy);
        let same = PasswordHash::new(against.as_phc())
            .is_ok_and(|hash| self.argon2.verify_password(tried.as_bytes(), &hash).is_ok());
        same && fits && stored.is_some()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<StoredPassword, AuthError> {
    let salt = random::bytes::<SALT_BYTES>()?;
    let hash: PasswordHash =
        argon2.hash_password_with_salt(password.as_bytes(), &salt).map_err(hash_error)?;
    Ok(StoredPassword(hash.to_string()))
}

fn hash_error(error: impl fmt::Display) -> AuthError {
    AuthError::Hash(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), AuthError> {
        check_new_password(&"margarethe".parse().unwrap(), password)
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(check("ninechars"), Err(AuthError::PasswordTooShort { min: 10 }));
        assert_eq!(check("größer als"), Ok(()));
        assert_eq!(check(&"ab".repeat(128)), Ok(()));
        assert_eq!(check(&"ab".repeat(129)), Err(AuthError::PasswordTooLong { max: 256 }));
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for password in ["Password123", "QWERTYUIOP", "xxxxxxxxxxxx", "Margarethe", "margarethe2026!"] {
            assert_eq!(check(password), Err(AuthError::PasswordCommon), "{password}");
        }
        assert_eq!(check("correct horse battery"), Ok(()));
        assert!(COMMON.iter().all(|common| common.chars().count() >= MIN_PASSWORD_CHARS));
    }

    #[test]
    fn only_the_stored_password_is_right() {
        let verifier = Verifier::new().unwrap();
        let stored = verifier.store("correct horse battery").unwrap();
        assert!(stored.as_phc().starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{}", stored.as_phc());
        assert!(verifier.verify(Some(&stored), "correct horse battery"));
        assert!(!verifier.verify(Some(&stored), "correct horse batterY"));
        assert!(!verifier.verify(Some(&stored), ""));
        assert!(!verifier.verify(None, "correct horse battery"));
        assert!(!verifier.verify(Some(&stored), &"x".repeat(MAX_PASSWORD_CHARS + 1)));
        // A stored hash is not a password (a published weakness of recorders).
        assert!(!verifier.verify(Some(&stored), stored.as_phc()));
        assert_ne!(stored, verifier.store("correct horse battery").unwrap());
        assert_eq!(StoredPassword::from_phc(stored.as_phc()).unwrap(), stored);
        assert_eq!(format!("{stored:?}"), "StoredPassword(..)");
    }

    #[test]
    fn hashes_of_another_kind_or_cost_are_not_taken() {
        let tail = "$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
        assert!(StoredPassword::from_phc(&format!("$argon2id$v=19$m=7168,t=5,p=1{tail}")).is_ok());
        for head in [
            "$argon2i$v=19$m=7168,t=5,p=1",
            "$argon2id$v=19$m=4194304,t=5,p=1",
            "$argon2id$v=19$m=7168,t=4000000,p=1",
            "$argon2id$v=19$m=7168,t=5,p=4",
            "$2b$12",
        ] {
            assert!(StoredPassword::from_phc(&format!("{head}{tail}")).is_err(), "{head}");
        }
        for text in ["", "secret", "$argon2id$v=19$m=7168,t=5,p=1", &"$argon2id".repeat(50)] {
            assert!(StoredPassword::from_phc(text).is_err(), "{text}");
        }
    }
}
