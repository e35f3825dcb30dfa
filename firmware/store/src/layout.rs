//! Bytes on disk: the numbers of docs/storage.md, and cursors over them.
//!
//! Everything is little-endian. Does not belong here: what a structure means (`chunk`, `segment`, `sample`).
//!
//! Invariant: readers never panic and never read outside of what they were given.

/// Commits, footers and the first chunk begin at multiples of this: one page and one physical sector, so that no
/// later write ever touches a sector with committed footage.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// Chunks begin at multiples of this.
pub(crate) const CHUNK_ALIGN: u64 = 8;

/// The version of the segment, chunk and footer structures.
pub(crate) const FORMAT_VERSION: u16 = 1;

/// The most units in a chunk: a second of 20 ms audio has 50, of 240 fps video 240.
pub(crate) const MAX_CHUNK_UNITS: usize = 1024;

/// A chunk is closed when its payload reaches this: a second at 64 Mbit/s.
pub(crate) const CLOSE_CHUNK_BYTES: usize = 8 << 20;

/// The largest payload: a chunk about to be closed, and one more unit of [`hal::MAX_UNIT_BYTES`].
pub(crate) const MAX_CHUNK_PAYLOAD_BYTES: usize = CLOSE_CHUNK_BYTES + hal::MAX_UNIT_BYTES;

/// A SHA-256 digest.
pub(crate) type Hash = [u8; 32];

/// `n` rounded up to a multiple of `to`, a power of two.
pub(crate) const fn align_up(n: u64, to: u64) -> u64 {
    n.saturating_add(to - 1) & !(to - 1)
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// Reads fields one after the other; after the end every field is `None`.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
}

/// Appends fields.
pub(crate) trait PutFields {
    fn put(&mut self, bytes: &[u8]);
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn put_i32(&mut self, value: i32) {
        self.put(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }
}

impl PutFields for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}
