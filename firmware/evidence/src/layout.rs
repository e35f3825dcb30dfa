//! Bytes as docs/storage.md has them: cursors, hashes, and the limits of a chunk.
//!
//! Everything is little-endian. Does not belong here: what a structure means (`chunk`, `sample`).
//!
//! Invariant: readers never panic and never read outside of what they were given.

/// Chunks begin at multiples of this.
pub const CHUNK_ALIGN: u64 = 8;

/// The version of chunks.
pub(crate) const CHUNK_VERSION: u16 = 1;

/// The most units in a chunk: a second of 20 ms audio has 50, of 240 fps video 240.
pub const MAX_CHUNK_UNITS: usize = 1024;

/// A chunk is closed when its payload reaches this: a second at 64 Mbit/s.
pub const CLOSE_CHUNK_BYTES: usize = 8 << 20;

/// The largest payload: a chunk about to be closed, and one more unit of [`hal::MAX_UNIT_BYTES`].
pub(crate) const MAX_CHUNK_PAYLOAD_BYTES: usize = CLOSE_CHUNK_BYTES + hal::MAX_UNIT_BYTES;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// `n` rounded up to a multiple of `to`, a power of two.
#[must_use]
pub const fn align_up(n: u64, to: u64) -> u64 {
    n.saturating_add(to - 1) & !(to - 1)
}

/// The SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = Sha256::default();
    hash.add(bytes);
    hash.finish()
}

/// SHA-256 of bytes that come in pieces.
#[derive(Clone)]
pub struct Sha256(ring::digest::Context);

impl Default for Sha256 {
    /// Of nothing yet.
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl Sha256 {
    /// Goes on with `bytes`.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all that was added.
    #[must_use]
    pub fn finish(self) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

/// Reads fields one after the other; after the end every field is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next 2 bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next 4 bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 4 bytes, signed.
    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// The next 8 bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next 8 bytes, signed.
    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
}

/// Appends fields.
pub trait PutFields {
    /// Bytes as they are.
    fn put(&mut self, bytes: &[u8]);
    /// One byte.
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    /// 2 bytes.
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    /// 4 bytes.
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    /// 4 bytes, signed.
    fn put_i32(&mut self, value: i32) {
        self.put(&value.to_le_bytes());
    }
    /// 8 bytes.
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    /// 8 bytes, signed.
    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }
}

impl PutFields for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}
