//! QEMU's log of writes (`blklogwrites`), read while it grows or when it is over.
//!
//! The format is the kernel's (Documentation/admin-guide/device-mapper/log-writes.rst): a super block, then entries of
//! one sector, each followed by the data that was written. All of it little-endian. QEMU appends an entry when its
//! write is done and before the guest hears of it; the kernel's AHCI driver lets nothing else be under way during a
//! flush. So all that stands before a flush is on the disk when the flush is done.
//!
//! Does not belong here: what is made of it (`emulator_log.rs`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::emulator_storage::NOR_BYTES;

/// Sectors of the log, and those that its entries count in. QEMU's own size unless it is told otherwise.
const SECTOR: u64 = 512;
/// `WRITE_LOG_MAGIC` and `WRITE_LOG_VERSION`.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// `LOG_FLUSH_FLAG`: what was completed before is kept from here on.
const FLUSH: u64 = 1;
/// `LOG_FUA_FLAG`: this write is kept once it is complete.
const FUA: u64 = 2;
/// `LOG_DISCARD_FLAG`: no data follows.
const DISCARD: u64 = 4;
/// `LOG_MARK_FLAG`: a remark, which QEMU never makes.
const MARK: u64 = 8;

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

    /// Whether this write is kept by itself.
    #[must_use]
    pub fn is_fua(&self) -> bool {
        self.flags & FUA != 0
    }
}

/// A log, as far as it was read.
pub struct WriteLog {
    file: File,
    /// What was written, in order.
    pub entries: Vec<Entry>,
    /// Where the next entry will be.
    end: u64,
}

impl WriteLog {
    /// As [`WriteLog::try_read`], of a log that must be one.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        Self::try_read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Reads one, also of an emulator that was killed: its super block may be old, so entries are followed to their end.
    ///
    /// # Errors
    /// When it cannot be read, or is no such log.
    pub fn try_read(path: &Path) -> io::Result<Self> {
        let mut log = Self { file: File::open(path)?, entries: Vec::new(), end: SECTOR };
        log.read_on()?;
        Ok(log)
    }

    /// Takes what was appended since.
    ///
    /// # Errors
    /// When it cannot be read, or is no such log.
    pub fn read_on(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if self.entries.is_empty() && length >= SECTOR {
            self.check_super_block()?;
        }
        while self.end + SECTOR <= length {
            let mut head = [0; 32];
            self.file.read_exact_at(&mut head, self.end)?;
            let word =
                |index: usize| u64::from_le_bytes(head[index * 8..][..8].try_into().unwrap_or_default());
            let [sector, sectors, flags] = [word(0), word(1), word(2)];
            if head == [0; 32] {
                // Not written yet: entries behind it may be.
                return Ok(());
            }
            if flags & !(FLUSH | FUA | DISCARD | MARK) != 0 {
                return Err(damaged(format!("the entry at byte {} has the flags {flags:#x}", self.end)));
            }
            let data = self.end + SECTOR;
            let follows = if flags & (DISCARD | MARK) == 0 { sectors } else { 0 };
            let end = follows.checked_mul(SECTOR).and_then(|bytes| data.checked_add(bytes));
            // Longer than the log: the one that was being appended when the power went.
            let Some(end) = end.filter(|end| *end <= length) else { return Ok(()) };
            if flags & MARK == 0 {
                self.entries.push(Entry { offset: sector * SECTOR, bytes: sectors * SECTOR, flags, data });
            }
            self.end = end;
        }
        Ok(())
    }

    fn check_super_block(&self) -> io::Result<()> {
        let mut head = [0; 28];
        self.file.read_exact_at(&mut head, 0)?;
        let word = |at: usize| u64::from_le_bytes(head[at..][..8].try_into().unwrap_or_default());
        let sector = u32::from_le_bytes(head[24..].try_into().unwrap_or_default());
        match (word(0), word(8), u64::from(sector)) {
            // QEMU writes it at the first flush.
            (0, 0, 0) | (MAGIC, VERSION, SECTOR) => Ok(()),
            (MAGIC, version, sector) => {
                Err(damaged(format!("a log of version {version} with sectors of {sector} bytes")))
            }
            (magic, ..) => Err(damaged(format!("no log of writes: it begins with {magic:#x}"))),
        }
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
                if entry.is_fua() {
                    kept[index] = true;
                } else {
                    open.push(index);
                }
            }
        }
        kept
    }
}

fn damaged(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
pub(crate) mod tests {
    use tempfile::TempDir;

    use super::*;

    const DISK: u64 = NOR_BYTES;

    /// Of an entry: offset, data, flags.
    type Written<'a> = (u64, &'a [u8], u64);

    fn super_block(magic: u64, version: u64, sector: u32) -> Vec<u8> {
        let mut bytes = [magic, version, 0].map(u64::to_le_bytes).concat();
        bytes.extend(sector.to_le_bytes());
        bytes.resize(SECTOR as usize, 0);
        bytes
    }

    fn with_entries(mut bytes: Vec<u8>, entries: &[Written<'_>]) -> Vec<u8> {
        for (offset, data, flags) in entries {
            let sectors = data.len() as u64 / SECTOR;
            for word in [offset / SECTOR, sectors, *flags, 0] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.resize(bytes.len() + SECTOR as usize - 32, 0);
            if flags & DISCARD == 0 {
                bytes.extend(*data);
            }
        }
        bytes
    }

    fn read(bytes: &[u8]) -> (TempDir, io::Result<WriteLog>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, bytes).unwrap();
        let log = WriteLog::try_read(&path);
        (dir, log)
    }

    /// A log as QEMU writes it.
    pub(crate) fn log(entries: &[Written<'_>]) -> (TempDir, WriteLog) {
        let (dir, log) = read(&with_entries(super_block(MAGIC, VERSION, SECTOR as u32), entries));
        (dir, log.unwrap())
    }

    #[test]
    fn what_was_written_is_read() {
        let (block, zeroes) = ([7; 1024], [0; 512]);
        let (_dir, log) = log(&[
            (0, &block, 0),
            (DISK, &block, FUA),
            (DISK, &[], FLUSH),
            (DISK + 512, &zeroes, 0),
            (DISK, &block, DISCARD),
            (DISK + 1024, &block, 0),
        ]);
        let [nor, fua, flush, zero, discard, last] = log.entries[..] else { panic!("{:?}", log.entries) };
        assert!(nor.is_nor() && !nor.is_disk() && !nor.is_flush());
        assert!(fua.is_disk() && fua.is_fua());
        assert!(flush.is_flush() && !flush.is_disk() && !flush.is_nor());
        assert_eq!((zero.offset, zero.bytes), (DISK + 512, 512));
        assert_eq!((log.data(&nor), log.data(&zero)), (block.to_vec(), zeroes.to_vec()));
        // Nothing is stored of a discard; what is read of it are zeroes.
        assert_eq!((log.data(&discard), log.data(&last)), (vec![0; 1024], block.to_vec()));
    }

    #[test]
    fn an_entry_that_was_cut_off_is_none_until_the_rest_of_it_comes() {
        let block = [7; 1024];
        let written = [(0, &block[..], 0), (DISK, &block[..], FUA), (DISK, &[][..], FLUSH)];
        let bytes = with_entries(super_block(0, 0, 0), &written);
        for length in (0..bytes.len()).step_by(64) {
            let whole = match length as u64 / SECTOR {
                0..4 => 0,
                4..7 => 1,
                _ => 2,
            };
            assert_eq!(read(&bytes[..length]).1.unwrap().entries.len(), whole, "{length} bytes");
        }
        let (dir, log) = read(&bytes[..3000]);
        let mut log = log.unwrap();
        assert_eq!(log.entries.len(), 1);
        std::fs::write(dir.path().join("log"), &bytes).unwrap();
        log.read_on().unwrap();
        assert_eq!(log.entries.len(), 3);
        // A hole is an entry that is still being appended.
        let mut holed = bytes.clone();
        holed[4 * 512..5 * 512].fill(0);
        assert_eq!(read(&holed).1.unwrap().entries.len(), 1);
    }

    #[test]
    fn another_file_is_refused() {
        for (what, bytes) in [
            ("another magic", super_block(MAGIC + 1, VERSION, 512)),
            ("another version", super_block(MAGIC, 2, 512)),
            ("other sectors", super_block(MAGIC, VERSION, 4096)),
            ("unknown flags", with_entries(super_block(MAGIC, VERSION, 512), &[(DISK, &[0; 512], 16)])),
        ] {
            let error = read(&bytes).1.err().unwrap_or_else(|| panic!("{what} was taken"));
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}");
        }
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
}
