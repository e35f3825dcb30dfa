//! Storage made again from a log of its writes, at any moment of it, torn or whole.
//!
//! Does not belong here: the log (`write_log.rs`), which moments are worth a look (`board_cuts.rs`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::emulator_storage::Storage;
use crate::write_log::{Entry, WriteLog};

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
