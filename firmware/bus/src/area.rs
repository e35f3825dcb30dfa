//! One mapped file of the bus: its words by name, its bell, its format area.
//!
//! Does not belong here: the order in which a publisher writes and a reader checks (writer, reader).
//!
//! Invariant: no value read from shared memory is used as an offset without being reduced to the geometry.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use crate::error::BusError;
use crate::layout::{
    Content, FIXED_BYTES, Geometry, HEADER_BYTES, MAX_FORMAT_BYTES, STATE_RETIRED, header, slot,
};
use crate::mapping::Mapping;

/// Bit 0 of the bell: somebody sleeps.
const SLEEPER: u32 = 1;
/// One ring of the bell.
const RING: u32 = 2;
/// Wake-ups for nothing in a row that are kept from the caller; more of them are somebody's malice.
const WAIT_TRIES: u32 = 16;
/// A format is some 100 bytes: a reader that meets its writer this often meets a dead one.
const FORMAT_TRIES: u32 = 64;

/// A mapped file.
#[derive(Debug)]
pub(crate) struct Area {
    map: Mapping,
    geometry: Geometry,
    path: PathBuf,
    file: File,
    inode: u64,
}

impl Area {
    /// Opens `path` for reading and writing, and says whether it is what `content` asks for. Nothing is mapped
    /// unless header and size are as they must be.
    pub(crate) fn open(path: &Path, content: Content, everything_writable: bool) -> Result<Self, BusError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                BusError::NotFound { path: path.to_owned() }
            } else {
                BusError::Io { action: "open", path: path.to_owned(), source }
            }
        })?;
        Self::from_file(file, path, content, everything_writable)
    }

    pub(crate) fn from_file(
        file: File,
        path: &Path,
        content: Content,
        everything_writable: bool,
    ) -> Result<Self, BusError> {
        let io = |action| move |source| BusError::Io { action, path: path.to_owned(), source };
        let metadata = file.metadata().map_err(io("examine"))?;
        if !metadata.is_file() {
            return Err(BusError::Foreign { path: path.to_owned(), what: "it is not a file".to_owned() });
        }
        let mut fixed = [0; FIXED_BYTES];
        file.read_exact_at(&mut fixed, 0).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => BusError::Damaged {
                path: path.to_owned(),
                what: format!("{} bytes are no header", metadata.len()),
            },
            _ => io("read")(source),
        })?;
        let geometry = Geometry::decode(path, &fixed)?;
        if geometry.content() != content {
            return Err(BusError::Foreign {
                path: path.to_owned(),
                what: format!("it holds {:?}, not {content:?}", geometry.content()),
            });
        }
        let bytes = geometry.file_bytes();
        if metadata.len() != bytes as u64 {
            return Err(BusError::Damaged {
                path: path.to_owned(),
                what: format!("it has {} bytes, its header says {bytes}", metadata.len()),
            });
        }
        let writable = if everything_writable { bytes } else { HEADER_BYTES };
        let map = Mapping::new(&file, bytes, writable).map_err(io("map"))?;
        Ok(Self { map, geometry, path: path.to_owned(), inode: metadata.ino(), file })
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> BusError {
        BusError::Damaged { path: self.path.clone(), what: what.into() }
    }

    /// Fails once the file was shortened by somebody.
    pub(crate) fn check_whole(&self) -> Result<(), BusError> {
        if self.map.lost() { Err(self.damaged("it was shortened while in use")) } else { Ok(()) }
    }

    pub(crate) fn epoch(&self) -> &AtomicU32 {
        self.map.u32(header::EPOCH)
    }

    pub(crate) fn pid(&self) -> &AtomicU32 {
        self.map.u32(header::PID)
    }

    pub(crate) fn state(&self) -> &AtomicU32 {
        self.map.u32(header::STATE)
    }

    pub(crate) fn head(&self) -> &AtomicU64 {
        self.map.u64(header::HEAD)
    }

    pub(crate) fn reserved(&self) -> &AtomicU64 {
        self.map.u64(header::RESERVED)
    }

    pub(crate) fn gops(&self) -> &AtomicU64 {
        self.map.u64(header::GOPS)
    }

    pub(crate) fn discontinuities(&self) -> &AtomicU32 {
        self.map.u32(header::DISCONTINUITIES)
    }

    pub(crate) fn keyframe_request(&self) -> &AtomicU32 {
        self.map.u32(header::KEYFRAME_REQUEST)
    }

    pub(crate) fn slot(&self, sequence: u64) -> Slot<'_> {
        Slot { map: &self.map, base: self.geometry.slot_offset(sequence) }
    }

    /// Writes a unit's bytes at a payload position, around the end where they meet it.
    pub(crate) fn write_payload(&self, position: u64, data: &[u8]) {
        let (start, until_end) = self.payload(position);
        let (first, second) = data.split_at(data.len().min(until_end));
        self.map.write(start, first);
        self.map.write(self.geometry.payload_offset(), second);
    }

    /// Appends a unit's bytes, which may be torn: the caller validates. `len` must be within the payload.
    pub(crate) fn read_payload(&self, position: u64, len: usize, into: &mut Vec<u8>) {
        let (start, until_end) = self.payload(position);
        // Exactly: the buffer often goes on living as a unit's `Bytes`.
        into.reserve_exact(len);
        let first = len.min(until_end);
        self.map.append(start, first, into);
        self.map.append(self.geometry.payload_offset(), len - first, into);
    }

    fn payload(&self, position: u64) -> (usize, usize) {
        // Positions are multiples of the word; a hostile one is rounded, not believed.
        let within = (position % self.geometry.payload_bytes()) as usize & !7;
        (self.geometry.payload_offset() + within, self.geometry.payload_bytes() as usize - within)
    }

    /// How often the bell rang, to be compared only.
    pub(crate) fn bell(&self) -> u32 {
        self.map.u32(header::BELL).load(Ordering::Acquire) & !SLEEPER
    }

    /// Rings the bell: one atomic addition when nobody sleeps, one system call more when somebody does.
    pub(crate) fn ring_bell(&self) {
        let bell = self.map.u32(header::BELL);
        if bell.fetch_add(RING, Ordering::SeqCst) & SLEEPER != 0 {
            // Who falls asleep before this clearing is woken below; who comes after it finds another value in
            // the word than the one it wanted to sleep on.
            bell.fetch_and(!SLEEPER, Ordering::SeqCst);
            self.map.futex_wake(header::BELL);
        }
    }

    /// Sleeps until the bell has rung since `seen`, at most `timeout`. False when it has not: the time is over,
    /// or a signal came.
    pub(crate) fn wait_bell(&self, seen: u32, timeout: Duration) -> bool {
        let bell = self.map.u32(header::BELL);
        for _ in 0..WAIT_TRIES {
            // The sleeper bit lives in the same word as the count, so that setting it fails when the bell rang.
            let set = bell.compare_exchange(seen, seen | SLEEPER, Ordering::SeqCst, Ordering::SeqCst);
            if set.is_err_and(|now| now != seen | SLEEPER) {
                return true;
            }
            let over = timeout.is_zero() || !self.map.futex_wait(header::BELL, seen | SLEEPER, timeout);
            if self.bell() != seen {
                return true;
            }
            if over {
                return false;
            }
            // Woken by a ring that was heard already: whoever rang was still waking the sleepers of that time.
        }
        true
    }

    pub(crate) fn retired(&self) -> bool {
        self.state().load(Ordering::Acquire) == STATE_RETIRED
    }

    /// Marks the file as one to which nothing will be added.
    pub(crate) fn retire(&self) {
        self.state().store(STATE_RETIRED, Ordering::Release);
        self.ring_bell();
    }

    /// The format's generation; odd while it is being written.
    pub(crate) fn format_generation(&self) -> u32 {
        self.map.u32(header::FORMAT_SEQUENCE).load(Ordering::Acquire)
    }

    /// The format and its generation; `None` while it is being written, or was when its writer was killed.
    pub(crate) fn format(&self) -> Option<(u32, Vec<u8>)> {
        let sequence = self.map.u32(header::FORMAT_SEQUENCE);
        for _ in 0..FORMAT_TRIES {
            let before = sequence.load(Ordering::Acquire);
            let len = self.map.u32(header::FORMAT_LEN).load(Ordering::Relaxed) as usize;
            if before.is_multiple_of(2) {
                let mut bytes = vec![0; len.min(MAX_FORMAT_BYTES)];
                self.map.read(header::FORMAT, &mut bytes);
                fence(Ordering::Acquire);
                if sequence.load(Ordering::Relaxed) == before {
                    return Some((before, bytes));
                }
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Replaces the format and returns its generation. Only the publisher may call it.
    pub(crate) fn set_format(&self, format: &[u8]) -> Result<u32, BusError> {
        if format.len() > MAX_FORMAT_BYTES {
            return Err(BusError::Invalid {
                what: format!("a format of {} bytes is over {MAX_FORMAT_BYTES}", format.len()),
            });
        }
        let sequence = self.map.u32(header::FORMAT_SEQUENCE);
        // A killed predecessor may have left it odd.
        let writing = sequence.load(Ordering::Relaxed) | 1;
        sequence.store(writing, Ordering::Relaxed);
        fence(Ordering::Release);
        self.map.u32(header::FORMAT_LEN).store(format.len() as u32, Ordering::Relaxed);
        self.map.write(header::FORMAT, format);
        let done = writing.wrapping_add(1);
        sequence.store(done, Ordering::Release);
        Ok(done)
    }
}

/// One entry of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a> {
    map: &'a Mapping,
    base: usize,
}

/// What a slot says, besides its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotEntry {
    pub(crate) position: u64,
    pub(crate) len: u32,
    pub(crate) flags: u32,
    pub(crate) pts: i64,
    pub(crate) wall: i64,
    pub(crate) gop: u64,
    pub(crate) format: u32,
    pub(crate) discontinuities: u32,
}

impl<'a> Slot<'a> {
    pub(crate) fn stamp(self) -> &'a AtomicU64 {
        self.map.u64(self.base + slot::STAMP)
    }

    pub(crate) fn store(self, entry: &SlotEntry) {
        let map = self.map;
        map.u64(self.base + slot::POSITION).store(entry.position, Ordering::Relaxed);
        map.u32(self.base + slot::LEN).store(entry.len, Ordering::Relaxed);
        map.u32(self.base + slot::FLAGS).store(entry.flags, Ordering::Relaxed);
        map.u64(self.base + slot::PTS).store(entry.pts.cast_unsigned(), Ordering::Relaxed);
        map.u64(self.base + slot::WALL).store(entry.wall.cast_unsigned(), Ordering::Relaxed);
        map.u64(self.base + slot::GOP).store(entry.gop, Ordering::Relaxed);
        map.u32(self.base + slot::FORMAT).store(entry.format, Ordering::Relaxed);
        map.u32(self.base + slot::DISCONTINUITIES).store(entry.discontinuities, Ordering::Relaxed);
    }

    /// May be torn: the caller validates by the stamp.
    pub(crate) fn load(self) -> SlotEntry {
        let map = self.map;
        SlotEntry {
            position: map.u64(self.base + slot::POSITION).load(Ordering::Relaxed),
            len: map.u32(self.base + slot::LEN).load(Ordering::Relaxed),
            flags: map.u32(self.base + slot::FLAGS).load(Ordering::Relaxed),
            pts: map.u64(self.base + slot::PTS).load(Ordering::Relaxed).cast_signed(),
            wall: map.u64(self.base + slot::WALL).load(Ordering::Relaxed).cast_signed(),
            gop: map.u64(self.base + slot::GOP).load(Ordering::Relaxed),
            format: map.u32(self.base + slot::FORMAT).load(Ordering::Relaxed),
            discontinuities: map.u32(self.base + slot::DISCONTINUITIES).load(Ordering::Relaxed),
        }
    }
}
