//! SRTP: packets for one receiver, encrypted and authenticated (RFC 3711).
//!
//! AES_CM_128_HMAC_SHA1_80 alone, which every receiver knows: AES in counter mode, of which the key stream also derives the
//! session keys, and HMAC-SHA1 cut to 80 bits. A packet's index is its stream's own count and not a guess from its number
//! (section 3.3.1): no index is ever used twice with one key, whatever was not sent in between.
//!
//! Does not belong here: how a receiver gets the key (`mikey.rs`), what arrives.
//!
//! Invariants: a key is a connection's and a track's own, is never logged and does not stay in memory; what is sealed twice is
//! the same twice.

use aes::Aes128;
use aes::cipher::{Array, InnerIvInit, KeyInit, StreamCipher};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::packet::Packets;

/// Key and salt (RFC 3711 section 8.2).
pub(crate) const MASTER_BYTES: usize = KEY_BYTES + SALT_BYTES;
const KEY_BYTES: usize = 16;
const SALT_BYTES: usize = 14;
const AUTH_KEY_BYTES: usize = 20;
const TAG_BYTES: usize = 10;

/// Labels of session keys (RFC 3711 section 4.3.1): encryption, authentication, salt.
const RTP_LABELS: [u8; 3] = [0, 1, 2];
const RTCP_LABELS: [u8; 3] = [3, 4, 5];

/// The part of an RTP header that each packet has (RFC 3550 section 5.1), and of RTCP what stays in clear (RFC 3711
/// section 3.4).
const RTP_HEADER_BYTES: usize = 12;
const RTCP_CLEAR_BYTES: usize = 8;

/// The bit that says that RTCP is encrypted (RFC 3711 section 3.4).
const ENCRYPTED: u32 = 1 << 31;

/// How far a packet's number may be ahead of the one before it: receivers count by numbers, and further on they count
/// wrongly (RFC 3711 section 3.3.1).
const MAX_STEP: u64 = 1 << 15;

type KeyStream = ctr::Ctr128BE<Aes128>;

/// Key and salt of one track on one connection.
#[derive(Clone)]
pub(crate) struct MasterKey(Zeroizing<[u8; MASTER_BYTES]>);

/// Seals one track's packets.
pub(crate) struct Sealer {
    ssrc: u32,
    rtp: Keys,
    rtcp: Keys,
    /// Rollovers that the stream had before its first packet here, and the index of the last one, counted from there.
    start: Option<u64>,
    last: Option<u64>,
    /// Of the next RTCP packet; it never comes to 2^31 at one in some seconds.
    rtcp_index: u32,
}

/// Why a unit was not sealed: its receiver would no longer count as the sender does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooFarAhead;

struct Keys {
    cipher: Aes128,
    salt: Zeroizing<[u8; SALT_BYTES]>,
    auth: hmac::Key,
}

impl MasterKey {
    /// `None` without randomness.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; MASTER_BYTES]);
        SystemRandom::new().fill(bytes.as_mut()).ok()?;
        Some(Self(bytes))
    }

    /// The key, and the salt behind it.
    pub(crate) fn bytes(&self) -> &[u8; MASTER_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Keys must not reach a log through `{:?}`.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("ssrc", &self.ssrc).finish_non_exhaustive()
    }
}

impl Sealer {
    pub(crate) fn new(key: &MasterKey, ssrc: u32) -> Self {
        let (rtp, rtcp) = (Keys::derive(key, RTP_LABELS), Keys::derive(key, RTCP_LABELS));
        Self { ssrc, rtp, rtcp, start: None, last: None, rtcp_index: 1 }
    }

    /// A unit, each of whose packets is sealed.
    ///
    /// # Errors
    /// When too many were left out since the last.
    pub(crate) fn unit(&mut self, unit: &Packets) -> Result<Packets, TooFarAhead> {
        let start = *self.start.get_or_insert(unit.index & !0xffff);
        // A stream that is played anew begins where it was before, or later.
        let first = unit.index.checked_sub(start).ok_or(TooFarAhead)?;
        if self.last.is_some_and(|last| first.saturating_sub(last) >= MAX_STEP) {
            return Err(TooFarAhead);
        }
        self.last = Some(first + u64::from(unit.count()) - 1);
        let mut indices = first..;
        Ok(unit.rewritten(TAG_BYTES, |packet, sealed| {
            if let Some(index) = indices.next() {
                self.rtp(packet, index, sealed);
            }
        }))
    }

    /// Appends an RTP packet with its index of 48 bits (RFC 3711 section 3.1).
    fn rtp(&self, packet: &[u8], index: u64, sealed: &mut Vec<u8>) {
        let begin = sealed.len();
        sealed.extend_from_slice(packet);
        let header = header_bytes(packet).min(packet.len());
        self.rtp.encrypt(self.ssrc, index, &mut sealed[begin + header..]);
        let rollovers = ((index >> 16) as u32).to_be_bytes();
        let tag = self.rtp.tag(&[&sealed[begin..], &rollovers]);
        sealed.extend_from_slice(&tag);
    }

    /// A compound RTCP packet (RFC 3711 section 3.4).
    pub(crate) fn rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        let index = self.rtcp_index;
        self.rtcp_index = index.wrapping_add(1) & !ENCRYPTED;
        let mut sealed = packet.to_vec();
        let clear = RTCP_CLEAR_BYTES.min(packet.len());
        self.rtcp.encrypt(self.ssrc, u64::from(index), &mut sealed[clear..]);
        sealed.extend_from_slice(&(index | ENCRYPTED).to_be_bytes());
        let tag = self.rtcp.tag(&[&sealed]);
        sealed.extend_from_slice(&tag);
        sealed
    }
}

impl Keys {
    fn derive(master: &MasterKey, [encryption, authentication, salting]: [u8; 3]) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let mut auth = Zeroizing::new([0; AUTH_KEY_BYTES]);
        let mut salt = Zeroizing::new([0; SALT_BYTES]);
        derive(master, encryption, key.as_mut());
        derive(master, authentication, auth.as_mut());
        derive(master, salting, salt.as_mut());
        Self {
            cipher: Aes128::new(&Array::from(*key)),
            salt,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth.as_ref()),
        }
    }

    /// RFC 3711 section 4.1.1.
    fn encrypt(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..SALT_BYTES].copy_from_slice(self.salt.as_ref());
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        key_stream(self.cipher.clone(), iv).apply_keystream(data);
    }

    /// RFC 3711 section 4.2.1.
    fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.auth);
        parts.iter().for_each(|part| context.update(part));
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

/// A session key (RFC 3711 section 4.3); it is derived once, so `r` is 0.
fn derive(master: &MasterKey, label: u8, into: &mut [u8]) {
    let (key, salt) = master.0.split_at(KEY_BYTES);
    let mut iv = [0; 16];
    iv[..SALT_BYTES].copy_from_slice(salt);
    iv[7] ^= label;
    into.fill(0);
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    bytes.copy_from_slice(key);
    key_stream(Aes128::new(&Array::from(*bytes)), iv).apply_keystream(into);
}

fn key_stream(cipher: Aes128, iv: [u8; 16]) -> KeyStream {
    KeyStream::from_core(ctr::CtrCore::inner_iv_init(cipher, &Array::from(iv)))
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    bytes.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}

/// The length of an RTP packet's header, with contributing sources and extension (RFC 3550 sections 5.1 and 5.3.1).
fn header_bytes(packet: &[u8]) -> usize {
    let Some(first) = packet.first() else { return 0 };
    let sources = RTP_HEADER_BYTES + usize::from(first & 0x0f) * 4;
    let words = match packet.get(sources + 2..sources + 4) {
        Some(&[high, low]) if first & 0x10 != 0 => 1 + usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    sources + words * 4
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER_PERMISSIVE as HEX;

    use super::*;
    use crate::packet::{PacketWriter, Stream};

    fn hex(text: &str) -> Vec<u8> {
        HEX.decode(text.replace([' ', '\n'], "").as_bytes()).unwrap()
    }

    fn master(text: &str) -> MasterKey {
        MasterKey(Zeroizing::new(hex(text).try_into().unwrap()))
    }

    /// RFC 3711 appendix B.2.
    #[test]
    fn the_key_stream_is_that_of_the_standard() {
        let cipher = Aes128::new(&Array::try_from(&hex("2B7E151628AED2A6ABF7158809CF4F3C")[..]).unwrap());
        let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[]);
        let keys = Keys { cipher, salt: Zeroizing::new(salt), auth };
        let mut stream = vec![0; 16 * 0xff02];
        keys.encrypt(0, 0, &mut stream);
        let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream[..48], hex(expected));
        let expected = "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(stream[16 * 0xfeff..], hex(expected));
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn session_keys_are_those_of_the_standard() {
        let master = master("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        for (label, expected) in [
            (0, "C61E7A93744F39EE10734AFE3FF7A087"),
            (2, "30CBBC08863D8C85D49DB34A9AE1"),
            (1, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"),
        ] {
            let expected = hex(expected);
            let mut key = vec![1; expected.len()];
            derive(&master, label, &mut key);
            assert_eq!(key, expected, "label {label}");
        }
    }

    /// libsrtp's own, test/srtp_driver.c: `srtp_validate`.
    #[test]
    fn a_packet_is_as_libsrtp_seals_it() {
        let master = master("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
        let mut sealer = Sealer::new(&master, 0xcafe_babe);
        let packet = hex("800f1234decafbadcafebabe abababababababababababababababab");
        let expected = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
        let mut sealed = Vec::new();
        sealer.rtp(&packet, 0x1234, &mut sealed);
        assert_eq!(sealed, expected);
        let report = hex("81c8000bcafebabe abababababababababababababababab");
        let expected = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
        assert_eq!(sealer.rtcp(&report), expected);
        assert_ne!(sealer.rtcp(&report), expected, "each has an index of its own");
    }

    #[test]
    fn rollovers_are_the_streams_and_a_receiver_is_not_left_behind() {
        let mut stream =
            Stream { ssrc: 9, payload_type: 96, channel: 0, next_sequence: 65_535, rollovers: 3 };
        let mut unit = |packets: usize| {
            let mut writer = PacketWriter::new(&mut stream, 5, 10);
            (0..packets).for_each(|_| writer.push(true, 0, &[b"abcd"]));
            writer.finish(hal::WallTime::default(), true).unwrap()
        };
        let master = master(&"ab".repeat(MASTER_BYTES));
        let mut sealer = Sealer::new(&master, 9);
        let first = unit(2);
        let sealed = sealer.unit(&first).unwrap();
        let mut expected = [Vec::new(), Vec::new()];
        let plain: Vec<&[u8]> = first.datagrams().collect();
        // The receiver begins without a rollover, and then there is one.
        sealer.rtp(plain[0], 65_535, &mut expected[0]);
        sealer.rtp(plain[1], 65_536, &mut expected[1]);
        assert!(sealed.datagrams().eq(expected.iter().map(Vec::as_slice)));
        assert_eq!(sealed.interleaved(4).len(), first.interleaved(4).len() + 2 * TAG_BYTES);
        assert!(sealer.unit(&first).unwrap().datagrams().eq(sealed.datagrams()), "the same again");
        unit(32_766);
        assert!(sealer.unit(&unit(1)).is_ok());
        unit(32_767);
        assert_eq!(sealer.unit(&unit(1)).err(), Some(TooFarAhead));
    }

    #[test]
    fn a_key_shows_nothing() {
        assert_eq!(format!("{:?}", master(&"ab".repeat(MASTER_BYTES))), "MasterKey");
    }

    #[test]
    fn headers_are_as_long_as_they_say() {
        assert_eq!(header_bytes(&hex("800f1234decafbadcafebabe00")), 12);
        assert_eq!(header_bytes(&hex("910f1234decafbadcafebabe 01020304 abac0001 00000000 ff")), 24);
        assert_eq!(header_bytes(&[]), 0);
        assert_eq!(header_bytes(&hex("90")), 12);
    }
}
