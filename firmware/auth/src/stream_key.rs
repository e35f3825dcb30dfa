//! Stream-key verifiers: what is stored so that RTSP Digest can be checked.
//!
//! A stream key is a long random word for one viewer; the login password never goes over RTSP. Digest
//! (RFC 7616 section 3.4.2) needs only H(user:realm:key), so the key itself is not kept.
//!
//! Does not belong here: nonces and the challenge (crate `rtsp`), and making or listing keys.
//!
//! Invariant: a verifier lets its holder answer a challenge for its realm, so it is as secret as the key; its
//! `Debug` shows nothing.

use std::fmt;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// H(user:realm:key) for both algorithms that clients speak (RFC 7616 section 3.3).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamKeyVerifier {
    /// For `algorithm=MD5`, the only one that FFmpeg and VLC know.
    pub ha1_md5: [u8; 16],
    /// For `algorithm=SHA-256`.
    pub ha1_sha256: [u8; 32],
}

impl StreamKeyVerifier {
    /// The verifier of `key` for `user` in `realm`.
    #[must_use]
    pub fn derive(user: &str, realm: &str, key: &str) -> Self {
        let mut md5 = Md5::new();
        let mut sha256 = ring::digest::Context::new(&ring::digest::SHA256);
        for part in [user, ":", realm, ":", key] {
            md5.update(part.as_bytes());
            sha256.update(part.as_bytes());
        }
        let mut ha1_sha256 = [0; 32];
        ha1_sha256.copy_from_slice(sha256.finish().as_ref());
        Self { ha1_md5: md5.finalize().into(), ha1_sha256 }
    }
}

impl fmt::Debug for StreamKeyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKeyVerifier(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 2617 section 3.5; RFC 7616 section 3.9.1 has the same user with another realm.
    #[test]
    fn matches_the_rfc_examples() {
        let old = StreamKeyVerifier::derive("Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(hex(&old.ha1_md5), "939e7578ed9e3c518a452acee763bce9");
        let new = StreamKeyVerifier::derive("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(hex(&new.ha1_md5), "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(hex(&new.ha1_sha256), "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232");
    }

    #[test]
    fn debug_shows_nothing() {
        let verifier = StreamKeyVerifier::derive("anna", "Candor", "key");
        assert_eq!(format!("{verifier:?}"), "StreamKeyVerifier(..)");
    }
}
