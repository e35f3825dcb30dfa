//! The chunk: up to a second of one stream, as it lies on disk.
//!
//! docs/storage.md, "Chunk". Does not belong here: where chunks lie and how they fill (crate `store`).
//!
//! Invariants
//! - The header's CRC covers all of it; the header holds the payload's SHA-256; the next chunk of the stream holds
//!   the SHA-256 of this header. So the last header of a stream vouches for all before it.
//! - A header that decodes has a frame table whose sizes add up to the payload.
//! - The payload's CRC tells whether it is as it was written without a key; its SHA-256 is of the footage itself.

use hal::{ChannelId, Pts90k, StreamId, StreamKind, WallTime};

use crate::layout::{
    CHUNK_ALIGN, CHUNK_VERSION, Fields, Hash, MAX_CHUNK_PAYLOAD_BYTES, MAX_CHUNK_UNITS, PutFields, align_up,
    sha256,
};
use crate::sample::MAX_ENTRY_BYTES;

/// "CCHK".
const MAGIC: [u8; 4] = *b"CCHK";

/// The header up to the sample entry.
pub const FIXED_BYTES: usize = 192;

/// One row of the frame table.
const FRAME_BYTES: usize = 12;

/// The largest header: the fixed part, entry, frame table, padding and CRC.
pub const MAX_HEADER_BYTES: usize = FIXED_BYTES + MAX_ENTRY_BYTES + MAX_CHUNK_UNITS * FRAME_BYTES + 16;

/// The payload is as it is.
const CIPHER_NONE: u8 = 0;
/// The payload is sealed with ChaCha20-Poly1305 (RFC 8439).
const CIPHER_CHACHA20_POLY1305: u8 = 1;

/// What a sealed payload has behind the footage.
pub const TAG_BYTES: usize = 16;

/// Which key sealed a payload.
pub type KeyId = [u8; 16];

const FRAME_KEY: u32 = 1;
const FRAME_DISCONTINUITY: u32 = 2;

/// The first unit begins a new timeline.
pub const CHUNK_DISCONTINUITY: u32 = 1;
/// Decoding can start at some unit.
pub const CHUNK_KEYFRAME: u32 = 2;
/// The payload was not hashed: nobody can vouch for it.
pub const CHUNK_UNHASHED: u32 = 4;

/// One unit of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes.
    pub size: u32,
    /// Ticks from the chunk's pts.
    pub pts_offset: i32,
    /// Decoding can start here.
    pub keyframe: bool,
    /// The first of a new timeline.
    pub discontinuity: bool,
}

/// Which write put it there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The segment's number.
    pub segment: u64,
    /// The commit's number.
    pub commit: u64,
    /// The random number of the writer's life.
    pub writer: u64,
    /// Which of the commit's chunks, from 0.
    pub index: u16,
    /// How many chunks the commit has.
    pub count: u16,
}

/// A chunk's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Where it lies.
    pub placement: Placement,
    /// Whose footage it is.
    pub stream: StreamId,
    /// Consecutive per stream, from 1.
    pub sequence: u64,
    /// Of the first unit in decoding order.
    pub pts: Pts90k,
    /// The wall time of `pts`.
    pub wall: WallTime,
    /// Ticks from `pts` to the first presentation; 0 or less.
    pub start_offset: i32,
    /// Ticks from `pts` to the end of the last presentation.
    pub end_offset: i32,
    /// [`CHUNK_DISCONTINUITY`], [`CHUNK_KEYFRAME`], [`CHUNK_UNHASHED`].
    pub flags: u32,
    /// CRC-32C of the payload as it lies on disk.
    pub payload_crc: u32,
    /// SHA-256 of the footage: the payload before it was sealed. Zero with [`CHUNK_UNHASHED`].
    pub payload_hash: Hash,
    /// SHA-256 of the stream's previous header; zero for the first.
    pub previous: Hash,
    /// The key that sealed the payload; `None` when it is not sealed.
    pub key: Option<KeyId>,
    /// The encoded sample entry.
    pub entry: Vec<u8>,
    /// The units in decoding order.
    pub frames: Vec<Frame>,
    /// The size of the payload on disk; with [`TAG_BYTES`] when it is sealed.
    pub payload_bytes: u32,
}

/// Why bytes are no chunk header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// More bytes are needed: the header's size.
    Short(usize),
    /// Not one at all, or damaged.
    Damaged(&'static str),
    /// A chunk of a version or cipher that this program does not know.
    Unknown(&'static str),
}

impl ChunkHeader {
    /// The size of the encoded header; the payload begins there.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        header_bytes(self.entry.len(), self.frames.len())
    }

    /// From this chunk's first byte to the next one's.
    #[must_use]
    pub fn stride(&self) -> u64 {
        stride(self.entry.len(), self.frames.len(), self.payload_bytes as usize)
    }

    /// The bytes of docs/storage.md, "Chunk".
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let size = self.header_bytes();
        let mut out = Vec::with_capacity(size);
        out.put(&MAGIC);
        out.put_u16(CHUNK_VERSION);
        out.put_u16(FIXED_BYTES as u16);
        out.put_u32(size as u32);
        out.put_u32(self.payload_bytes);
        out.put_u64(self.placement.segment);
        out.put_u64(self.placement.commit);
        out.put_u64(self.placement.writer);
        out.put_u16(self.placement.index);
        out.put_u16(self.placement.count);
        self.put_meaning(&mut out);
        out.put_u32(self.payload_crc);
        out.put(&self.payload_hash);
        out.put(&self.previous);
        out.put(&self.key.unwrap_or_default());
        out.put(&[0; 16]);
        debug_assert_eq!(out.len(), FIXED_BYTES);
        self.put_tables(&mut out);
        out.resize(size - 4, 0);
        out.put_u32(crc32c::crc32c(&out));
        out
    }

    /// The fields from `channel` to `flags`: what the chunk is, wherever it lies.
    pub(crate) fn put_meaning(&self, out: &mut Vec<u8>) {
        out.put_u16(self.stream.channel.get());
        out.put_u8(self.stream.kind.code());
        out.put_u8(if self.key.is_some() { CIPHER_CHACHA20_POLY1305 } else { CIPHER_NONE });
        out.put_u64(self.sequence);
        out.put_i64(self.pts.0);
        out.put_i64(self.wall.as_unix_micros());
        out.put_i32(self.start_offset);
        out.put_i32(self.end_offset);
        out.put_u32(self.frames.len() as u32);
        out.put_u32(self.entry.len() as u32);
        out.put_u32(self.flags);
    }

    /// The sample entry and the frame table.
    pub(crate) fn put_tables(&self, out: &mut Vec<u8>) {
        let padding = align_up(self.entry.len() as u64, 4) as usize - self.entry.len();
        out.put(&self.entry);
        out.put(&[0; 4][..padding]);
        for frame in &self.frames {
            out.put_u32(frame.size);
            out.put_i32(frame.pts_offset);
            let key = if frame.keyframe { FRAME_KEY } else { 0 };
            let discontinuity = if frame.discontinuity { FRAME_DISCONTINUITY } else { 0 };
            out.put_u32(key | discontinuity);
        }
    }

    /// Reads the header at the beginning of `bytes`, which may go on behind it.
    ///
    /// # Errors
    /// `Short` when more bytes are needed, `Unknown` for a version or cipher that this program does not know,
    /// `Damaged` for everything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        use HeaderError::{Damaged, Short, Unknown};
        let mut fields = Fields(bytes.get(..FIXED_BYTES).ok_or(Short(FIXED_BYTES))?);
        const ENDED: HeaderError = Damaged("the chunk header is cut short");
        if fields.array() != Some(MAGIC) {
            return Err(Damaged("there is no chunk header"));
        }
        let version = fields.u16();
        let fixed = fields.u16();
        let size = fields.u32().ok_or(ENDED)? as usize;
        if !(FIXED_BYTES + 4..=MAX_HEADER_BYTES).contains(&size) || !size.is_multiple_of(CHUNK_ALIGN as usize)
        {
            return Err(Damaged("the chunk header's size is impossible"));
        }
        let header = bytes.get(..size).ok_or(Short(size))?;
        let (body, crc) = header.split_at(size - 4);
        if Fields(crc).u32() != Some(crc32c::crc32c(body)) {
            return Err(Damaged("the chunk header's CRC does not match"));
        }
        // From here on the bytes are what somebody wrote on purpose.
        if version != Some(CHUNK_VERSION) || fixed != Some(FIXED_BYTES as u16) {
            return Err(Unknown("the chunk has a version that this program does not know"));
        }
        let payload_bytes = fields.u32().ok_or(ENDED)?;
        let placement = Placement {
            segment: fields.u64().ok_or(ENDED)?,
            commit: fields.u64().ok_or(ENDED)?,
            writer: fields.u64().ok_or(ENDED)?,
            index: fields.u16().ok_or(ENDED)?,
            count: fields.u16().ok_or(ENDED)?,
        };
        let stream = stream(fields.u16().ok_or(ENDED)?, fields.u8().ok_or(ENDED)?)
            .ok_or(Unknown("the chunk is of a stream that this program does not know"))?;
        let sealed = match fields.u8() {
            Some(CIPHER_NONE) => false,
            Some(CIPHER_CHACHA20_POLY1305) => true,
            _ => return Err(Unknown("the chunk is encrypted with a cipher that this program does not know")),
        };
        let sequence = fields.u64().ok_or(ENDED)?;
        let pts = Pts90k(fields.i64().ok_or(ENDED)?);
        let wall = WallTime::from_unix_micros(fields.i64().ok_or(ENDED)?);
        let start_offset = fields.i32().ok_or(ENDED)?;
        let end_offset = fields.i32().ok_or(ENDED)?;
        let units = fields.u32().ok_or(ENDED)? as usize;
        let entry_bytes = fields.u32().ok_or(ENDED)? as usize;
        let flags = fields.u32().ok_or(ENDED)?;
        let payload_crc = fields.u32().ok_or(ENDED)?;
        let payload_hash = fields.array().ok_or(ENDED)?;
        let previous = fields.array().ok_or(ENDED)?;
        let key = fields.array().ok_or(ENDED)?;
        if units == 0 || units > MAX_CHUNK_UNITS || entry_bytes > MAX_ENTRY_BYTES {
            return Err(Damaged("the chunk's counts are impossible"));
        }
        let mut rest = Fields(&body[FIXED_BYTES..]);
        let entry = rest.bytes(entry_bytes).ok_or(ENDED)?.to_vec();
        rest.bytes(align_up(entry_bytes as u64, 4) as usize - entry_bytes).ok_or(ENDED)?;
        let mut frames = Vec::with_capacity(units);
        for _ in 0..units {
            let size = rest.u32().ok_or(ENDED)?;
            let pts_offset = rest.i32().ok_or(ENDED)?;
            let flags = rest.u32().ok_or(ENDED)?;
            frames.push(Frame {
                size,
                pts_offset,
                keyframe: flags & FRAME_KEY != 0,
                discontinuity: flags & FRAME_DISCONTINUITY != 0,
            });
        }
        let footage: u64 = frames.iter().map(|frame| u64::from(frame.size)).sum();
        let tag = if sealed { TAG_BYTES } else { 0 };
        if footage > MAX_CHUNK_PAYLOAD_BYTES as u64 || footage + tag as u64 != u64::from(payload_bytes) {
            return Err(Damaged("the frame table does not add up to the payload"));
        }
        Ok(Self {
            placement,
            stream,
            sequence,
            pts,
            wall,
            start_offset,
            end_offset,
            flags,
            payload_crc,
            payload_hash,
            previous,
            key: sealed.then_some(key),
            entry,
            frames,
            payload_bytes,
        })
    }

    /// What the next chunk of the stream holds as `previous`: the SHA-256 of the encoded header.
    #[must_use]
    pub fn hash_of(encoded: &[u8]) -> Hash {
        sha256(encoded)
    }

    /// The size of the footage: the payload without a tag.
    #[must_use]
    pub fn footage_bytes(&self) -> usize {
        self.payload_bytes as usize - if self.key.is_some() { TAG_BYTES } else { 0 }
    }

    /// The wall time of the first presentation.
    #[must_use]
    pub fn start(&self) -> WallTime {
        self.wall_of(self.start_offset)
    }

    /// The wall time of the end of the last presentation.
    #[must_use]
    pub fn end(&self) -> WallTime {
        self.wall_of(self.end_offset)
    }

    /// The wall time of a unit at `pts_offset`.
    #[must_use]
    pub fn wall_of(&self, pts_offset: i32) -> WallTime {
        wall_at(self.wall, pts_offset)
    }
}

/// The size of an encoded header.
#[must_use]
pub fn header_bytes(entry: usize, frames: usize) -> usize {
    let body = FIXED_BYTES + align_up(entry as u64, 4) as usize + frames * FRAME_BYTES;
    align_up(body as u64 + 4, CHUNK_ALIGN) as usize
}

/// What a chunk of these sizes takes.
#[must_use]
pub fn stride(entry: usize, frames: usize, payload: usize) -> u64 {
    align_up((header_bytes(entry, frames) + payload) as u64, CHUNK_ALIGN)
}

/// The wall time `offset` ticks after `anchor`.
#[must_use]
pub fn wall_at(anchor: WallTime, offset: i32) -> WallTime {
    anchor.offset_micros(Pts90k(i64::from(offset)).as_micros())
}

/// The stream of a stored channel number and kind.
#[must_use]
pub fn stream(channel: u16, kind: u8) -> Option<StreamId> {
    Some(StreamId::new(ChannelId::new(channel)?, StreamKind::from_code(kind)?))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A chunk of channel 3 by writer 11.
    pub(crate) fn header(sizes: &[u32], entry: Vec<u8>, key: Option<KeyId>) -> ChunkHeader {
        ChunkHeader {
            placement: Placement { segment: 7, commit: 9, writer: 11, index: 1, count: 3 },
            stream: stream(3, 0).unwrap(),
            sequence: 5,
            pts: Pts90k(-90_000),
            wall: WallTime::from_unix_micros(1_700_000_000_000_000),
            start_offset: -3600,
            end_offset: 90_000,
            flags: CHUNK_KEYFRAME,
            payload_crc: 3,
            payload_hash: [1; 32],
            previous: [2; 32],
            key,
            entry,
            frames: sizes
                .iter()
                .enumerate()
                .map(|(n, &size)| Frame {
                    size,
                    pts_offset: n as i32 * 3600,
                    keyframe: n == 0,
                    discontinuity: false,
                })
                .collect(),
            payload_bytes: sizes.iter().sum::<u32>() + if key.is_some() { 16 } else { 0 },
        }
    }

    #[test]
    fn unknown_versions_and_ciphers_are_refused_not_called_damaged() {
        for (offset, value) in [(4, 2_u8), (47, 2)] {
            let mut bytes = header(&[1, 2], vec![1], None).encode();
            bytes[offset] = value;
            let end = bytes.len() - 4;
            let crc = crc32c::crc32c(&bytes[..end]).to_le_bytes();
            bytes[end..].copy_from_slice(&crc);
            assert!(matches!(ChunkHeader::decode(&bytes), Err(HeaderError::Unknown(_))));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn headers_come_back_and_every_flipped_bit_is_noticed(
            sizes in proptest::collection::vec(1..5_000_u32, 1..40),
            entry in proptest::collection::vec(any::<u8>(), 0..90),
            key in proptest::option::of(any::<KeyId>()),
            flip in any::<prop::sample::Index>(),
        ) {
            let header = header(&sizes, entry, key);
            let mut bytes = header.encode();
            prop_assert_eq!(bytes.len(), header.header_bytes());
            prop_assert_eq!(ChunkHeader::decode(&bytes).unwrap(), header);
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(ChunkHeader::decode(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = ChunkHeader::decode(&bytes);
            for (at, byte) in MAGIC.into_iter().enumerate().take(bytes.len()) {
                bytes[at] = byte;
            }
            let _ = ChunkHeader::decode(&bytes);
        }
    }
}
