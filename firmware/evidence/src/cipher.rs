//! The cipher of chunk payloads: ChaCha20-Poly1305, a key for each writer's life.
//!
//! docs/storage.md, section 4.1. A volume has one key; each writer's life derives its own from it (HKDF-SHA256), so that
//! stream and sequence make a nonce that is used once. Does not belong here: keeping and wrapping keys (crate `store`).
//!
//! Invariants
//! - A chunk is sealed once; wherever its bytes are written again, they are the same bytes.
//! - The tag covers what a header means (volume, stream, times, sample entry, frame table), not where the chunk lies.
//! - Secrets do not print. The volume's is wiped when it is dropped; ring does not wipe what it derived from it.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce};
use ring::hkdf;
use zeroize::Zeroizing;

use crate::chunk::{ChunkHeader, KeyId, TAG_BYTES};

/// A volume's identity.
pub type VolumeId = [u8; 16];

/// A volume key's secret.
pub const SECRET_BYTES: usize = 32;

/// What the key of a writer's life is derived for; another meaning, another text.
const LIFE_INFO: &[u8] = b"candor chunk 1";
/// What a key's name is derived for.
const ID_INFO: &[u8] = b"candor volume key id 1";

/// The key of a volume.
#[derive(Clone)]
pub struct VolumeKey {
    volume: VolumeId,
    id: KeyId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl VolumeKey {
    /// The key of `volume`; its name follows from the secret.
    #[must_use]
    pub fn new(volume: VolumeId, secret: Zeroizing<[u8; SECRET_BYTES]>) -> Self {
        let mut id = KeyId::default();
        derive(&volume, &*secret, ID_INFO, &mut id);
        Self { volume, id, secret }
    }

    /// Names the key in chunk headers, and tells nothing about it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// For whoever wraps it.
    #[must_use]
    pub fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }

    /// The key of the life of `writer`, the random number in its chunks' headers.
    #[must_use]
    pub fn life(&self, writer: u64) -> LifeKey {
        let mut salt = [0; 24];
        salt[..8].copy_from_slice(&writer.to_le_bytes());
        salt[8..].copy_from_slice(&self.volume);
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt);
        let derived = salt.extract(&*self.secret);
        let key =
            derived.expand(&[LIFE_INFO], &CHACHA20_POLY1305).expect("a key is shorter than HKDF's limit");
        LifeKey { volume: self.volume, id: self.id, writer, key: LessSafeKey::new(key.into()) }
    }
}

impl fmt::Debug for VolumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolumeKey")
            .field("volume", &self.volume)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The key under which one writer seals chunks, from opening a volume until closing it.
pub struct LifeKey {
    volume: VolumeId,
    id: KeyId,
    writer: u64,
    key: LessSafeKey,
}

impl fmt::Debug for LifeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifeKey").field("id", &self.id).field("writer", &self.writer).finish_non_exhaustive()
    }
}

/// A payload that was not sealed under this key with this header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAuthentic;

impl LifeKey {
    /// Encrypts a chunk's footage in place and puts the tag behind it. The header is complete but for its place and
    /// its `previous`; it is told of the key, the size and the CRC.
    ///
    /// A stream's sequence numbers are not used twice in a writer's life, and neither is this for one chunk.
    pub fn seal(&self, header: &mut ChunkHeader, payload: &mut Vec<u8>) {
        header.key = Some(self.id);
        header.payload_bytes = (payload.len() + TAG_BYTES) as u32;
        payload.reserve_exact(TAG_BYTES);
        self.key
            .seal_in_place_append_tag(nonce(header), self.associated(header), payload)
            .expect("a chunk is shorter than the cipher's limit of 256 GiB");
        header.payload_crc = crc32c::crc32c(payload);
    }

    /// Decrypts the payload of the chunk with this header in place; returns the footage in it.
    ///
    /// # Errors
    /// [`NotAuthentic`] when it was sealed under another key, is not as it was sealed, or belongs to another header. What
    /// `payload` holds then is undefined.
    pub fn open<'a>(
        &self,
        header: &ChunkHeader,
        payload: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotAuthentic> {
        if header.key != Some(self.id) || header.placement.writer != self.writer {
            return Err(NotAuthentic);
        }
        self.key.open_in_place(nonce(header), self.associated(header), payload).map_err(|_| NotAuthentic)
    }

    fn associated(&self, header: &ChunkHeader) -> Aad<Vec<u8>> {
        let mut bytes = self.volume.to_vec();
        header.put_meaning(&mut bytes);
        header.put_tables(&mut bytes);
        Aad::from(bytes)
    }
}

/// Unique in a writer's life: what numbers the chunk in its stream.
fn nonce(header: &ChunkHeader) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..2].copy_from_slice(&header.stream.channel.get().to_le_bytes());
    bytes[2] = header.stream.kind.code();
    bytes[4..].copy_from_slice(&header.sequence.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// HKDF-SHA256 (RFC 5869): fills `out`, of at most 8160 bytes.
pub fn derive(salt: &[u8], secret: &[u8], info: &[u8], out: &mut [u8]) {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    derived
        .expand(&[info], Len(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("what is derived is shorter than HKDF's limit");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::chunk::{Placement, stream};

    const WRITER: u64 = 11;

    fn key(volume: u8, secret: u8) -> VolumeKey {
        VolumeKey::new([volume; 16], Zeroizing::new([secret; 32]))
    }

    fn header(sizes: &[u32]) -> ChunkHeader {
        crate::chunk::tests::header(sizes, vec![4; 21], None)
    }

    /// A sealed chunk, and its footage.
    fn sealed() -> (ChunkHeader, Vec<u8>, Vec<u8>) {
        let mut header = header(&[300, 41]);
        let footage: Vec<u8> = (0..341).map(|n| (n * 7) as u8).collect();
        let mut payload = footage.clone();
        key(1, 2).life(WRITER).seal(&mut header, &mut payload);
        (header, payload, footage)
    }

    #[test]
    fn headers_know_what_sealing_made() {
        let (header, payload, footage) = sealed();
        assert_eq!(header.key, Some(key(1, 2).id()));
        assert_eq!(header.payload_bytes as usize, payload.len());
        assert_eq!(header.footage_bytes(), footage.len());
        assert_eq!(header.payload_crc, crc32c::crc32c(&payload));
        assert_eq!(ChunkHeader::decode(&header.encode()).unwrap(), header);
        assert!(!payload.windows(8).any(|window| footage.windows(8).any(|clear| clear == window)));
    }

    /// As docs/storage.md has it, put together with nothing of this module: bytes of the encoded header, and RFC 8439.
    #[test]
    fn it_is_what_the_specification_says() {
        let (header, payload, footage) = sealed();
        let encoded = header.encode();
        let salt = [&WRITER.to_le_bytes()[..], &[1; 16]].concat();
        let life = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(&[2; 32]);
        let life = LessSafeKey::new(life.expand(&[b"candor chunk 1"], &CHACHA20_POLY1305).unwrap().into());
        let nonce = [3, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        let tables = 192..192 + 24 + 2 * 12;
        let associated = [&[1; 16][..], &encoded[44..92], &encoded[tables]].concat();
        let mut ours = footage;
        life.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut ours)
            .unwrap();
        assert_eq!(ours, payload);
        let id = hkdf::Salt::new(hkdf::HKDF_SHA256, &[1; 16]).extract(&[2; 32]);
        let id = id.expand(&[b"candor volume key id 1"], hkdf::HKDF_SHA256).unwrap();
        let mut long = [0; 32];
        id.fill(&mut long).unwrap();
        assert_eq!(header.key.unwrap(), long[..16]);
    }

    #[test]
    fn a_chunk_that_moves_still_opens() {
        let (mut header, mut payload, footage) = sealed();
        header.placement = Placement { segment: 8, commit: 10, writer: WRITER, index: 0, count: 1 };
        header.previous = [9; 32];
        assert_eq!(key(1, 2).life(WRITER).open(&header, &mut payload).unwrap(), footage);
    }

    #[test]
    fn every_field_that_means_something_is_covered() {
        type Change = fn(&mut ChunkHeader);
        let changes: [(&str, Change); 17] = [
            ("channel", |header| header.stream = stream(4, 0).unwrap()),
            ("kind", |header| header.stream = stream(3, 1).unwrap()),
            ("sequence", |header| header.sequence += 1),
            ("pts", |header| header.pts.0 += 1),
            ("wall", |header| header.wall = header.wall.offset_micros(1)),
            ("start", |header| header.start_offset += 1),
            ("end", |header| header.end_offset -= 1),
            ("flags", |header| header.flags ^= 1),
            ("writer", |header| header.placement.writer ^= 1),
            ("key", |header| header.key = Some([0; 16])),
            ("no key", |header| header.key = None),
            ("entry", |header| header.entry[20] ^= 1),
            ("entry size", |header| header.entry.push(0)),
            ("frame sizes", |header| {
                header.frames[0].size -= 1;
                header.frames[1].size += 1;
            }),
            ("frame times", |header| header.frames[1].pts_offset += 1),
            ("frame flags", |header| header.frames[1].keyframe = true),
            ("frames", |header| header.frames.truncate(1)),
        ];
        for (what, change) in changes {
            let (mut header, mut payload, _) = sealed();
            change(&mut header);
            let writer = header.placement.writer;
            assert_eq!(key(1, 2).life(writer).open(&header, &mut payload), Err(NotAuthentic), "{what}");
            assert_eq!(key(1, 2).life(WRITER).open(&header, &mut payload), Err(NotAuthentic), "{what}");
        }
    }

    #[test]
    fn other_keys_volumes_and_lives_are_refused() {
        let (mut header, payload, _) = sealed();
        for (key, writer) in [(key(1, 3), WRITER), (key(2, 2), WRITER), (key(1, 2), WRITER + 1)] {
            header.key = Some(key.id());
            assert_eq!(key.life(writer).open(&header, &mut payload.clone()), Err(NotAuthentic));
        }
    }

    #[test]
    fn nonces_differ_wherever_streams_or_sequences_do() {
        let mut header = header(&[1]);
        let mut seen = BTreeSet::new();
        for channel in 1..=64 {
            for kind in 0..3 {
                for sequence in [1, 2, 255, 256, 1 << 32, u64::MAX] {
                    header.stream = stream(channel, kind).unwrap();
                    header.sequence = sequence;
                    assert!(seen.insert(*nonce(&header).as_ref()));
                }
            }
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let key = key(1, 0xab);
        let text = format!("{key:?} {:?}", key.life(WRITER));
        assert!(!text.contains("171, 171") && !text.contains("abab"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_sealed_comes_back_and_every_flipped_bit_is_noticed(
            sizes in proptest::collection::vec(0..400_u32, 1..8),
            fill in any::<u8>(),
            flip in any::<prop::sample::Index>(),
        ) {
            let mut header = header(&sizes);
            let footage = vec![fill; sizes.iter().sum::<u32>() as usize];
            let mut payload = footage.clone();
            let life = key(1, 2).life(WRITER);
            life.seal(&mut header, &mut payload);
            let mut opened = payload.clone();
            prop_assert_eq!(&*life.open(&header, &mut opened).unwrap(), &footage[..]);
            let bit = flip.index(payload.len() * 8);
            payload[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(life.open(&header, &mut payload), Err(NotAuthentic));
        }
    }
}
