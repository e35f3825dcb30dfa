//! What can go wrong, and what a power cut leaves.
//!
//! Does not belong here: making it happen (`machine`).

use crate::noise::noise;

/// What an operation does instead of working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes: this and every later operation fails, and unsynced writes are lost as the disk's [`Loss`] says.
    PowerCut,
    /// The device is pulled out. As [`Fault::PowerCut`], but the errors are those of a device that is not there.
    Gone,
    /// The device fails (EIO). A write leaves some of its bytes. A failing sync leaves, as Linux does, what was written
    /// in the cache as if it were clean: reading finds it, no later sync writes it.
    Eio,
    /// As [`Fault::Eio`], but only writes fail.
    WriteEio,
    /// As [`Fault::Eio`], but only syncs fail.
    SyncEio,
    /// No room (ENOSPC).
    Enospc,
    /// The file system is read-only (EROFS).
    ReadOnly,
    /// A write takes only part of the bytes, without an error.
    Short,
    /// A sync says that it is done and has done nothing; writes work.
    Lie,
}

/// How a power cut treats what was not synced. Names go in order: of creations, renames and removals that were not
/// synced, the last ones are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    Everything,
    /// Nothing is lost.
    Nothing,
    /// Each sector of each write by the toss of a coin with this seed: whatever a disk may do with its cache.
    Some(u64),
    /// Each write as a whole by the toss of a coin: the newer may be there and the older not.
    Writes(u64),
    /// The writes up to one are there, the later ones are not, and that one is torn between two of its sectors: its
    /// beginning is there, or its end.
    Torn(u64),
}

impl Loss {
    /// How many of `count` unsynced names stay.
    pub(super) fn kept_names(self, count: usize) -> usize {
        match self {
            Self::Everything => 0,
            Self::Nothing => count,
            Self::Some(seed) | Self::Writes(seed) | Self::Torn(seed) => {
                dice(seed, 1, count as u64) as usize % (count + 1)
            }
        }
    }
}

/// The same number for the same three.
pub(super) fn dice(seed: u64, a: u64, b: u64) -> u64 {
    [a, b].into_iter().fold(seed, |state, number| noise(state ^ number))
}
