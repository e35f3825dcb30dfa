//! MIKEY: how a receiver gets a track's key, inside TLS (RFC 3830, RFC 4567).
//!
//! A pre-shared-key message without encryption or MAC of its own, which RFC 7826 appendix C.1.4.1 allows inside TLS. The key has
//! its salt behind it in one TEK, without a salt field: GStreamer's and libsrtp's habit, where RFC 3830 section 6.13 has two fields.
//!
//! Does not belong here: what the key is for (`srtp.rs`); messages of others.
//!
//! Invariant: it is only ever put where TLS is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::srtp::{MASTER_BYTES, MasterKey};

/// Payload types (RFC 3830 section 6.1).
const LAST: u8 = 0;
const KEMAC: u8 = 1;
const TIMESTAMP: u8 = 5;
const POLICY: u8 = 10;
const RANDOM: u8 = 11;

/// The name of a bundle of sessions, and the random value of a message.
pub(crate) const RANDOM_BYTES: usize = 4 + 16;

/// The policy of SRTP (RFC 3830 section 6.10.1): type, length and value of each parameter. AES-CM with a key of 16 bytes, HMAC-SHA1
/// with one of 20, a salt of 14, all of it in use, and a tag of 10.
const PARAMETERS: [[u8; 3]; 9] =
    [[0, 1, 1], [1, 1, 16], [2, 1, 1], [3, 1, 20], [4, 1, 14], [7, 1, 1], [8, 1, 1], [10, 1, 1], [11, 1, 10]];

/// The value of `a=key-mgmt` for a track that is sealed with `key` (RFC 4567 section 3.1). `random` names the bundle, and makes
/// the message another each time.
pub(crate) fn attribute(key: &MasterKey, ssrc: u32, random: [u8; RANDOM_BYTES]) -> Zeroizing<String> {
    let (bundle, salt) = random.split_at(4);
    let mut bytes = Zeroizing::new(Vec::with_capacity(160));
    // The common header (section 6.1): version 1, pre-shared key, no answer wanted, MIKEY-1; one session of policy 0, which has
    // not rolled over.
    bytes.extend_from_slice(&[1, 0, TIMESTAMP, 0]);
    bytes.extend_from_slice(bundle);
    bytes.extend_from_slice(&[1, 0, 0]);
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    // A counter in place of the time (section 6.6): a key is told once.
    bytes.extend_from_slice(&[RANDOM, 2]);
    bytes.extend_from_slice(&[0, 0, 0, 1]);
    bytes.extend_from_slice(&[POLICY, salt.len() as u8]);
    bytes.extend_from_slice(salt);
    let parameters = PARAMETERS.as_flattened();
    bytes.extend_from_slice(&[KEMAC, 0, 0, 0, parameters.len() as u8]);
    bytes.extend_from_slice(parameters);
    // KEMAC (section 6.2) without encryption, of one TEK without validity (section 6.13), and without a MAC.
    bytes.extend_from_slice(&[LAST, 0, 0, 4 + MASTER_BYTES as u8]);
    bytes.extend_from_slice(&[LAST, 2 << 4, 0, MASTER_BYTES as u8]);
    bytes.extend_from_slice(key.bytes());
    bytes.push(0);
    let mut text = Zeroizing::new("mikey ".to_owned());
    BASE64.encode_string(bytes.as_slice(), &mut text);
    text
}
