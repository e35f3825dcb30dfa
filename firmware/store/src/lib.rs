//! The recording store: segment log, index, recovery, check.
//!
//! A volume is a folder with `volume.toml`, `segments/` of fixed size that are recycled oldest first, and an
//! SQLite index that can be rebuilt from them. [`Store`] is the one writer; [`Reader`]s work beside it, also from
//! other processes, and over several volumes; [`Movie`] is a range of footage as an MP4 that nobody ever writes. docs/storage.md has every
//! byte.
//!
//! Does not belong here: what is recorded and when (crate `recorder`), who may see it (crate `auth`).
//!
//! Invariants
//! - What [`Store::commit`] acknowledged is on the medium; what is not is never reported.
//! - Footage is never rewritten before its turn to be recycled, but for what somebody has deleted.
//! - The index is a convenience: losing it loses nothing.

mod backlog;
mod blocks;
mod builder;
mod calendar;
mod catalog;
mod chain;
mod check;
mod config;
mod coverage;
mod deleted;
mod deleting;
mod deletion;
mod deletion_progress;
mod deletions;
mod direct;
mod disk;
mod erase;
mod error;
pub mod faults;
mod fragments;
mod given;
mod index;
mod inventory;
mod keeping;
mod key_file;
mod keys;
mod lane;
mod layout;
mod live;
mod locks;
mod movie;
mod noise;
mod pins;
mod pool;
mod random;
mod rates;
mod reader;
mod recover;
mod recovery_key;
mod removal;
mod renew;
mod replay;
mod report;
mod retention;
mod reverse;
mod rows;
mod runs;
mod scan;
mod scrub;
mod segment;
mod select;
pub mod simulate;
mod spans;
mod store;
mod stretch;
mod timeline;
mod track;
mod twin;
mod unit;
mod volume;
mod vouched;
mod walk;
mod wipe;
mod witness;
mod writer;

pub use check::{CheckReport, Damage, SegmentInfo, VolumeInfo, check, list, rebuild_index, recover_volume};
pub use config::{Cipher, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, MIN_SEGMENTS, StoreOptions};
pub use coverage::Coverage;
pub use deleting::Deletable;
pub use deletions::{Deletion, MAX_DELETIONS};
pub use disk::{Access, Disk, DiskFile, RealDisk};
pub use erase::{destroy_key, erase, erase_on, identify};
pub use error::{ErrorKind, StoreError};
pub use evidence::SampleFormat;
pub use fragments::{FragmentRequest, Fragments, MIN_LEAD_MICROS};
pub use inventory::{ChunkInfo, chunks};
pub use keys::{DeviceKey, KEY_BYTES, Keys, OwnerKey};
pub use locks::{Lock, MAX_LOCK_TEXT_BYTES, MAX_LOCKS};
pub use movie::{MAX_MOVIE_CHANNELS, Movie, MovieChannel, MovieRequest, MovieTrack};
pub use reader::{MAX_VOLUMES, Reader, Units, Unread};
pub use recover::RecoveryReport;
pub use recovery_key::{RecoveryKey, RecoveryKeyError};
pub use renew::renew_keys;
pub use replay::{Order, Replay, ReplayRequest, ReplayUnit};
pub use report::{ClassStatus, CommitReport, LastUnit, UnwrittenUnit, VolumeStatus};
pub use retention::{Class, Retention};
pub use runs::{Bounds, Run, spanning};
pub use scrub::ScrubReport;
pub use store::Store;
pub use stretch::Cut;
pub use timeline::Piece;
pub use unit::StoredUnit;
pub use witness::{
    DeletedSpan, FootageDeletion, Removal, SegmentSummary, StreamRange, Witness, WitnessError,
};

#[cfg(test)]
mod tests;
