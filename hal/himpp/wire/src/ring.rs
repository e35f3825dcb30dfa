//! The ring of packs in shared memory: the host writes, the client reads.
//!
//! | Offset | What, 32 bits each, little-endian |
//! |---|---|
//! | 0 | `0x5250_504D` ("MPPR") |
//! | 4 | [`crate::VERSION`] |
//! | 8 | capacity in bytes, a power of two |
//! | 64 | written: bytes put in since the start, modulo 2^32; the host's |
//! | 128 | read: bytes taken out; the client's |
//! | 192 | heartbeat: counts the turns of the host's loop |
//! | 196 | lost: packs that found no room |
//! | 256 | waiting: 1 while the client wants to be told of the next pack |
//! | 4096 | the bytes |
//!
//! A pack is a head of 32 bytes and its data, filled up to a multiple of 8; it may run over the end. Head: data bytes,
//! kind (bits 0-7), stream (8-15), flags (16-: 1 keyframe), channel, sequence, time stamp low and high, age, columns and rows.
//!
//! Does not belong here: waking the other side (a message over the socket), and what a pack holds.
//!
//! Invariants: the writer never waits and never overwrites what was not read; the reader believes no number that it finds.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use crate::mapping::Mapping;
use crate::message::VERSION;
use crate::plan::StreamTag;

/// What stands before the bytes: a page, so that the rest is aligned whatever the reader maps.
pub const RING_HEAD_BYTES: usize = 4096;
/// The largest pack, as `hal::MAX_UNIT_BYTES`.
pub const MAX_PACK_BYTES: usize = 4 << 20;
/// The smallest ring: two of the largest packs.
const MIN_CAPACITY: usize = 8 << 20;
/// The largest: positions count modulo 2^32.
const MAX_CAPACITY: usize = 1 << 30;

const MAGIC: u32 = u32::from_le_bytes(*b"MPPR");
const AT_VERSION: usize = 4;
const AT_CAPACITY: usize = 8;
const AT_WRITTEN: usize = 64;
const AT_READ: usize = 128;
const AT_HEARTBEAT: usize = 192;
const AT_LOST: usize = 196;
const AT_WAITING: usize = 256;

const PACK_HEAD_BYTES: usize = 32;
const PACK_ALIGN: usize = 8;
const KEYFRAME: u32 = 1 << 16;

/// The size of a ring's file that holds at least `bytes` of packs.
#[must_use]
pub fn ring_bytes(bytes: usize) -> usize {
    RING_HEAD_BYTES + bytes.clamp(MIN_CAPACITY, MAX_CAPACITY).next_power_of_two()
}

/// What a pack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackKind {
    /// A coded picture of that stream, Annex B.
    Video(StreamTag),
    /// Coded sound.
    Audio,
    /// One JPEG.
    Snapshot,
    /// A motion grid, one byte a cell, row by row: 0 still to 255.
    Motion {
        /// Cells a row.
        columns: u16,
        /// Rows.
        rows: u16,
    },
}

/// What stands before a pack's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackHead {
    /// What it is.
    pub kind: PackKind,
    /// The recorder's number of the channel.
    pub channel: u16,
    /// Decoding can start here.
    pub keyframe: bool,
    /// The library's running number of the stream's pictures: a gap is a picture that it left out.
    pub sequence: u32,
    /// When it was captured, microseconds of the platform's clock.
    pub pts_micros: u64,
    /// How long ago that was when the host took it, microseconds of the platform's clock.
    pub age_micros: u32,
}

/// One pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pack<'a> {
    /// What it is.
    pub head: PackHead,
    /// Its bytes, at most [`MAX_PACK_BYTES`].
    pub data: &'a [u8],
}

/// What is in the ring makes no sense: its writer is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingError(
    /// Which number was wrong.
    pub &'static str,
);

impl std::fmt::Display for RingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the ring of packs is damaged: {}", self.0)
    }
}

impl std::error::Error for RingError {}

/// The host's end.
#[derive(Debug)]
pub struct PackWriter {
    mapping: Mapping,
    capacity: usize,
    written: u32,
}

impl PackWriter {
    /// Opens a ring that a reader made.
    ///
    /// # Errors
    /// `InvalidData` for a file that is no ring of this version, else the kernel's.
    pub fn open(file: &File) -> io::Result<Self> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let capacity = bytes.saturating_sub(RING_HEAD_BYTES);
        let mapping = Mapping::new(file, bytes)?;
        if mapping.word(0).load(Acquire) != MAGIC
            || mapping.word(AT_VERSION).load(Relaxed) != u32::from(VERSION)
        {
            return Err(invalid("the ring is of another version"));
        }
        if !capacity.is_power_of_two() || mapping.word(AT_CAPACITY).load(Relaxed) as usize != capacity {
            return Err(invalid("the ring has another size than it says"));
        }
        let written = mapping.word(AT_WRITTEN).load(Relaxed);
        Ok(Self { mapping, capacity, written })
    }

    /// Puts a pack in; false when there is no room, or when it is too long: it is counted as lost.
    pub fn put(&mut self, head: &PackHead, data: &[u8]) -> bool {
        let room =
            self.capacity - self.written.wrapping_sub(self.mapping.word(AT_READ).load(Acquire)) as usize;
        let needed = PACK_HEAD_BYTES + data.len().next_multiple_of(PACK_ALIGN);
        if data.len() > MAX_PACK_BYTES || needed > room {
            self.mapping.word(AT_LOST).fetch_add(1, Relaxed);
            return false;
        }
        for (number, word) in encode(head, data.len()).into_iter().enumerate() {
            let at = self.place(self.written.wrapping_add(4 * number as u32));
            self.mapping.word(at).store(word, Relaxed);
        }
        let start = self.place(self.written.wrapping_add(PACK_HEAD_BYTES as u32));
        let first = data.len().min(RING_HEAD_BYTES + self.capacity - start);
        self.mapping.write(start, &data[..first]);
        self.mapping.write(RING_HEAD_BYTES, &data[first..]);
        self.written = self.written.wrapping_add(needed as u32);
        self.mapping.word(AT_WRITTEN).store(self.written, SeqCst);
        true
    }

    /// Whether the reader wants to be told now; it is, once.
    #[must_use]
    pub fn take_wish(&self) -> bool {
        self.mapping.word(AT_WAITING).swap(0, SeqCst) == 1
    }

    /// Says that the host's loop is alive.
    pub fn beat(&self) {
        self.mapping.word(AT_HEARTBEAT).fetch_add(1, Relaxed);
    }

    fn place(&self, position: u32) -> usize {
        RING_HEAD_BYTES + position as usize % self.capacity
    }
}

/// The client's end.
#[derive(Debug)]
pub struct PackReader {
    mapping: Mapping,
    capacity: usize,
    read: u32,
    data: Vec<u8>,
}

impl PackReader {
    /// Makes a ring in a file of [`ring_bytes`] bytes; what was in it is gone.
    ///
    /// # Errors
    /// `InvalidData` for a file of another size, else the kernel's.
    pub fn create(file: &File) -> io::Result<Self> {
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let capacity = bytes.saturating_sub(RING_HEAD_BYTES);
        if ring_bytes(capacity) != bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no size of a ring"));
        }
        let mapping = Mapping::new(file, bytes)?;
        for at in [AT_WRITTEN, AT_READ, AT_HEARTBEAT, AT_LOST, AT_WAITING] {
            mapping.word(at).store(0, Relaxed);
        }
        mapping.word(AT_CAPACITY).store(capacity as u32, Relaxed);
        mapping.word(AT_VERSION).store(VERSION.into(), Relaxed);
        mapping.word(0).store(MAGIC, Release);
        Ok(Self { mapping, capacity, read: 0, data: Vec::new() })
    }

    /// The next pack, `None` when there is none. It is out of the ring then.
    ///
    /// # Errors
    /// A number that cannot be: nothing of this ring is worth reading any more.
    pub fn take(&mut self) -> Result<Option<Pack<'_>>, RingError> {
        let filled = self.mapping.word(AT_WRITTEN).load(SeqCst).wrapping_sub(self.read) as usize;
        if filled == 0 {
            return Ok(None);
        }
        if filled > self.capacity || filled < PACK_HEAD_BYTES {
            return Err(RingError("more is in it than it holds"));
        }
        let words = std::array::from_fn(|number| {
            let at = RING_HEAD_BYTES + self.read.wrapping_add(4 * number as u32) as usize % self.capacity;
            self.mapping.word(at).load(Relaxed)
        });
        let (head, bytes) = decode(words)?;
        let whole = PACK_HEAD_BYTES + bytes.next_multiple_of(PACK_ALIGN);
        if whole > filled {
            return Err(RingError("a pack is longer than what was written"));
        }
        let start = self.read.wrapping_add(PACK_HEAD_BYTES as u32) as usize % self.capacity;
        let first = bytes.min(self.capacity - start);
        self.data.clear();
        self.mapping.read(RING_HEAD_BYTES + start, first, &mut self.data);
        self.mapping.read(RING_HEAD_BYTES, bytes - first, &mut self.data);
        self.read = self.read.wrapping_add(whole as u32);
        self.mapping.word(AT_READ).store(self.read, Release);
        Ok(Some(Pack { head, data: &self.data }))
    }

    /// Asks to be told of the next pack. True when one is there already: then nobody will tell.
    #[must_use]
    pub fn wish(&self) -> bool {
        self.mapping.word(AT_WAITING).store(1, SeqCst);
        self.mapping.word(AT_WRITTEN).load(SeqCst) != self.read
    }

    /// A number that changes while the host's loop is alive.
    #[must_use]
    pub fn heartbeat(&self) -> u32 {
        self.mapping.word(AT_HEARTBEAT).load(Relaxed)
    }

    /// Packs that found no room since the start.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.mapping.word(AT_LOST).load(Relaxed)
    }
}

fn encode(head: &PackHead, bytes: usize) -> [u32; PACK_HEAD_BYTES / 4] {
    let (kind, stream, grid) = match head.kind {
        PackKind::Video(StreamTag::Main) => (0, 0, 0),
        PackKind::Video(StreamTag::Sub) => (0, 1, 0),
        PackKind::Audio => (1, 0, 0),
        PackKind::Snapshot => (2, 0, 0),
        PackKind::Motion { columns, rows } => (3, 0, u32::from(columns) | u32::from(rows) << 16),
    };
    let flags = if head.keyframe { KEYFRAME } else { 0 };
    [
        bytes as u32,
        kind | stream << 8 | flags,
        head.channel.into(),
        head.sequence,
        head.pts_micros as u32,
        (head.pts_micros >> 32) as u32,
        head.age_micros,
        grid,
    ]
}

fn decode(words: [u32; PACK_HEAD_BYTES / 4]) -> Result<(PackHead, usize), RingError> {
    let [bytes, kind, channel, sequence, low, high, age_micros, grid] = words;
    let bytes = bytes as usize;
    if bytes > MAX_PACK_BYTES {
        return Err(RingError("a pack is too long"));
    }
    let (columns, rows) = (grid as u16, (grid >> 16) as u16);
    let pack_kind = match (kind & 0xFF, kind >> 8 & 0xFF) {
        (0, 0) => PackKind::Video(StreamTag::Main),
        (0, 1) => PackKind::Video(StreamTag::Sub),
        (1, 0) => PackKind::Audio,
        (2, 0) => PackKind::Snapshot,
        (3, 0) if usize::from(columns) * usize::from(rows) == bytes => PackKind::Motion { columns, rows },
        _ => return Err(RingError("a pack is of no known kind")),
    };
    let head = PackHead {
        kind: pack_kind,
        channel: u16::try_from(channel).map_err(|_| RingError("a channel's number is too large"))?,
        keyframe: kind & KEYFRAME != 0,
        sequence,
        pts_micros: u64::from(low) | u64::from(high) << 32,
        age_micros,
    };
    Ok((head, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring() -> (PackReader, PackWriter, File) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(ring_bytes(0) as u64).unwrap();
        let reader = PackReader::create(&file).unwrap();
        let writer = PackWriter::open(&file).unwrap();
        (reader, writer, file)
    }

    fn head(sequence: u32) -> PackHead {
        PackHead {
            kind: PackKind::Video(StreamTag::Sub),
            channel: 3,
            keyframe: sequence.is_multiple_of(2),
            sequence,
            pts_micros: u64::from(u32::MAX) + u64::from(sequence),
            age_micros: 40_000,
        }
    }

    #[test]
    fn packs_come_out_as_they_went_in_over_many_turns_of_the_ring() {
        let (mut reader, mut writer, _file) = ring();
        let data: Vec<u8> = (0..1_000_003_u32).map(|n| n as u8).collect();
        for sequence in 0..40 {
            let cut = &data[sequence as usize..];
            assert!(writer.put(&head(sequence), cut));
            assert_eq!(reader.take().unwrap(), Some(Pack { head: head(sequence), data: cut }));
            assert_eq!(reader.take().unwrap(), None);
        }
        assert_eq!(reader.lost(), 0);
    }

    #[test]
    fn a_full_ring_keeps_what_it_has_and_counts_what_is_lost() {
        let (mut reader, mut writer, _file) = ring();
        let data = vec![7; 3 << 20];
        assert!(writer.put(&head(1), &data));
        assert!(writer.put(&head(2), &data));
        assert!(!writer.put(&head(3), &data), "no room for a third");
        assert!(!writer.put(&head(4), &vec![0; MAX_PACK_BYTES + 1]), "longer than any");
        assert!(writer.put(&head(5), b"small"));
        assert_eq!(reader.lost(), 2);
        let mut left = Vec::new();
        while let Some(pack) = reader.take().unwrap() {
            left.push(pack.head.sequence);
        }
        assert_eq!(left, [1, 2, 5]);
    }

    #[test]
    fn a_wish_is_granted_once_and_not_missed() {
        let (mut reader, mut writer, _file) = ring();
        assert!(!writer.take_wish());
        assert!(!reader.wish(), "nothing is there");
        assert!(writer.put(&head(1), b"x"));
        assert!(writer.take_wish());
        assert!(!writer.take_wish());
        assert!(reader.wish(), "it is there already");
        reader.take().unwrap().unwrap();
        writer.beat();
        assert_eq!(reader.heartbeat(), 1);
    }

    #[test]
    fn files_that_are_no_rings_are_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(PackReader::create(&file).is_err());
        file.set_len(ring_bytes(0) as u64).unwrap();
        assert!(PackWriter::open(&file).is_err(), "nobody made it");
        PackReader::create(&file).unwrap();
        file.set_len(ring_bytes(0) as u64 - 1).unwrap();
        assert!(PackWriter::open(&file).is_err());
    }

    proptest! {
        /// Whatever a broken writer leaves, the reader stays inside the ring and comes to an end.
        #[test]
        fn a_reader_survives_any_bytes(words in prop::collection::vec(any::<u32>(), 8..64), written: u32) {
            use std::os::unix::fs::FileExt;
            let (mut reader, _writer, file) = ring();
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            file.write_all_at(&bytes, RING_HEAD_BYTES as u64).unwrap();
            file.write_all_at(&(written % 4096).to_ne_bytes(), AT_WRITTEN as u64).unwrap();
            for _ in 0..64 {
                match reader.take() {
                    Ok(Some(pack)) => prop_assert!(pack.data.len() <= MAX_PACK_BYTES),
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }
}
