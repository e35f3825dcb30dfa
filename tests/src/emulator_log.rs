//! QEMU's log of writes (`blklogwrites`), and storage made from it.
//!
//! The format is the kernel's (Documentation/admin-guide/device-mapper/log-writes.rst): a super block, then entries of
//! one sector, each followed by the data that was written. All of it little-endian.
//!
//! Does not belong here: which moments are worth a look (`emulator_cuts.rs`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::emulator_storage::{NOR_BYTES, Storage};

/// Sectors of the log, and those that its entries count in.
const SECTOR: u64 = 512;
/// `LOG_FLUSH_FLAG`: what was completed before is kept from here on.
const FLUSH: u64 = 1;
/// `LOG_FUA_FLAG`: this write is kept once it is complete.
const FUA: u64 = 2;
/// `LOG_DISCARD_FLAG`: no data follows.
const DISCARD: u64 = 4;

/// One write, or a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where in the storage, bytes.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    flags: u64,
    data: u64,
}

impl Entry {
    /// Whether it went to the chip, which keeps at once what it is given.
    #[must_use]
    pub fn is_nor(&self) -> bool {
        self.bytes > 0 && self.offset < NOR_BYTES
    }

    /// Whether it went to the disk.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        self.bytes > 0 && self.offset >= NOR_BYTES
    }

    /// Whether all disk writes before it are kept from here on.
    #[must_use]
    pub fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }
}

/// A whole log.
pub struct WriteLog {
    file: File,
    /// What was written, in order.
    pub entries: Vec<Entry>,
}

impl WriteLog {
    /// Reads one, also of an emulator that was killed: its super block may be old, so entries are followed to their end.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let length = file.metadata().expect("a log has a length").len();
        let (mut at, mut entries) = (SECTOR, Vec::new());
        while at + SECTOR <= length {
            let mut head = [0; 32];
            file.read_exact_at(&mut head, at).expect("the log can be read");
            let word =
                |index: usize| u64::from_le_bytes(head[index * 8..][..8].try_into().unwrap_or_default());
            let [sector, sectors, flags, data_bytes] = [word(0), word(1), word(2), word(3)];
            if [sector, sectors, flags, data_bytes] == [0; 4] {
                break;
            }
            let data = at + SECTOR;
            let data_sectors = if flags & DISCARD == 0 { sectors } else { 0 };
            if data + data_sectors * SECTOR > length {
                // The one that was being logged when the power went.
                break;
            }
            entries.push(Entry { offset: sector * SECTOR, bytes: sectors * SECTOR, flags, data });
            at = data + data_sectors * SECTOR;
        }
        Self { file, entries }
    }

    /// What an entry wrote.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn data(&self, entry: &Entry) -> Vec<u8> {
        let mut data = vec![0; usize::try_from(entry.bytes).unwrap_or_default()];
        if entry.flags & DISCARD == 0 {
            self.file.read_exact_at(&mut data, entry.data).expect("the log can be read");
        }
        data
    }

    /// For each disk write among the first `count` entries whether a flush made it last.
    #[must_use]
    pub fn kept(&self, count: usize) -> Vec<bool> {
        let mut kept = vec![false; count];
        let mut open = Vec::new();
        for (index, entry) in self.entries[..count].iter().enumerate() {
            if entry.is_flush() {
                open.drain(..).for_each(|index: usize| kept[index] = true);
            }
            if entry.is_disk() {
                if entry.flags & FUA == 0 {
                    open.push(index);
                } else {
                    kept[index] = true;
                }
            }
        }
        kept
    }
}

/// Storage that is brought from one moment of a log to a later one.
pub struct Replay {
    storage: Storage,
    at: usize,
}

impl Replay {
    /// A copy of the storage as it was before the log.
    #[must_use]
    pub fn begin(base: &Storage, path: &Path) -> Self {
        Self { storage: base.copied_to(path), at: 0 }
    }

    /// Applies the chip's writes among the first `count` entries, and the disk's that `keep` names.
    ///
    /// # Panics
    /// When it is already later than that.
    pub fn go_on(&mut self, log: &WriteLog, count: usize, keep: impl Fn(usize, &Entry) -> bool) {
        assert!(self.at <= count, "time goes forward");
        let file = File::options().write(true).open(self.storage.path()).expect("the storage is there");
        for index in self.at..count {
            let entry = &log.entries[index];
            if entry.bytes > 0 && (entry.is_nor() || keep(index, entry)) {
                file.write_all_at(&log.data(entry), entry.offset).expect("the storage can be written");
            }
        }
        self.at = count;
    }

    /// The storage as it is.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// How far it is.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// A copy of it.
    #[must_use]
    pub fn copied_to(&self, path: &Path) -> (Storage, PathBuf) {
        (self.storage.copied_to(path), path.to_owned())
    }
}

/// How an operation of the chip was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// Its first half is done.
    FirstHalf,
    /// Its second half is done.
    SecondHalf,
    /// Each bit that was to change did so or did not.
    Bits,
}

impl Torn {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::FirstHalf, Self::SecondHalf, Self::Bits];

    /// What is left of an operation that was to turn `old` into `new`.
    #[must_use]
    pub fn mix(self, old: &[u8], new: &[u8], seed: u64) -> Vec<u8> {
        let half = old.len() / 2;
        match self {
            Self::FirstHalf => [&new[..half], &old[half..]].concat(),
            Self::SecondHalf => [&old[..half], &new[half..]].concat(),
            Self::Bits => {
                let mut random = Random(seed | 1);
                old.iter()
                    .zip(new)
                    .map(|(old, new)| {
                        let mask = random.byte();
                        (old & !mask) | (new & mask)
                    })
                    .collect()
            }
        }
    }
}

/// Numbers that are the same in every run (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next_number() >> 11) % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        (self.next_number() >> 56) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: u64 = NOR_BYTES;

    /// A log as QEMU writes it: a super block that knows of nothing yet, and entries.
    fn log(entries: &[(u64, &[u8], u64)]) -> (tempfile::TempDir, WriteLog) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut bytes = vec![0; SECTOR as usize];
        for (offset, data, flags) in entries {
            let sectors = data.len() as u64 / SECTOR;
            for word in [offset / SECTOR, sectors, *flags, 0] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.resize(bytes.len() + SECTOR as usize - 32, 0);
            bytes.extend(*data);
        }
        std::fs::write(&path, bytes).unwrap();
        let log = WriteLog::read(&path);
        (dir, log)
    }

    #[test]
    fn entries_are_read_to_their_end_and_one_that_was_cut_off_is_none() {
        let block = [7; 1024];
        let (dir, log) = log(&[(0, &block, 0), (DISK, &block, FUA), (DISK, &[], FLUSH)]);
        assert_eq!(log.entries.len(), 3);
        assert!(log.entries[0].is_nor() && log.entries[1].is_disk() && log.entries[2].is_flush());
        assert_eq!(log.data(&log.entries[0]), block);
        let path = dir.path().join("log");
        let length = std::fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length - 2 * SECTOR).unwrap();
        assert_eq!(WriteLog::read(&path).entries.len(), 1);
    }

    #[test]
    fn only_what_a_flush_followed_is_kept() {
        let block = [7; 512];
        let (_dir, log) = log(&[
            (DISK, &block, 0),
            (DISK, &[], FLUSH),
            (DISK, &block, 0),
            (DISK, &block, FUA),
            (0, &block, 0),
        ]);
        assert_eq!(log.kept(5), [true, false, false, true, false]);
        assert_eq!(log.kept(1), [false]);
    }

    #[test]
    fn a_torn_operation_is_neither_old_nor_new() {
        let (old, new) = (vec![0xffu8; 64], vec![0u8; 64]);
        assert_eq!(Torn::FirstHalf.mix(&old, &new, 1), [vec![0; 32], vec![0xff; 32]].concat());
        assert_eq!(Torn::SecondHalf.mix(&old, &new, 1), [vec![0xff; 32], vec![0; 32]].concat());
        let bits = Torn::Bits.mix(&old, &new, 1);
        assert!(bits != old && bits != new);
        assert_eq!(bits, Torn::Bits.mix(&old, &new, 1), "another run would find something else");
        // What was not to change stays.
        assert_eq!(Torn::Bits.mix(&old, &old, 9), old);
    }
}
