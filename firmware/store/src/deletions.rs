//! Footage that somebody wants gone, in `deletions.toml` until it is.
//!
//! Does not belong here: doing it (`deletion`), who may want it (crate `auth`).
//!
//! Invariants
//! - What was accepted is on the medium before anything is overwritten, and until all of it is: a power cut in between only
//!   interrupts it.
//! - A stream whose last chunk was deleted never gives its number to another one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use evidence::stream;
use hal::{StreamId, WallTime};
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, StoreError};
use crate::locks::MAX_LOCK_TEXT_BYTES;
use crate::runs::SegmentRun;
use crate::segment::Entry;
use crate::volume::{Versioned, Volume};
use crate::wipe;

/// The most deletions that wait: each is a person's order.
pub const MAX_DELETIONS: usize = 64;

/// The version of the file.
const VERSION: u32 = 1;

/// A stretch of footage that goes for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Names it, within this volume.
    pub id: u64,
    /// Whose footage.
    pub streams: Vec<StreamId>,
    /// From when. Every chunk of which a part is shown at this time or later goes as a whole...
    pub from: WallTime,
    /// ...if a part of it is shown before this time.
    pub to: WallTime,
    /// Who wants it.
    pub by: String,
    /// When they said so.
    pub at: WallTime,
    /// Segments from this number on were begun later.
    pub(crate) before: u64,
}

impl Deletion {
    pub(crate) fn takes(&self, of: StreamId, start: WallTime, end: WallTime) -> bool {
        start < self.to && end > self.from && self.streams.contains(&of)
    }

    pub(crate) fn takes_chunk(&self, entry: &Entry) -> bool {
        self.takes(entry.stream, entry.start(), entry.end().max(entry.start()))
    }
}

/// The last chunk of a stream, when some of its footage was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) sequence: u64,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

impl From<&SegmentRun> for End {
    fn from(run: &SegmentRun) -> Self {
        Self { sequence: run.last_sequence, segment: run.segment, offset: run.last_offset }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletionsFile {
    version: u32,
    #[serde(default, rename = "deletion")]
    deletions: Vec<DeletionEntry>,
    #[serde(default, rename = "end")]
    ends: Vec<EndEntry>,
}

impl Versioned for DeletionsFile {
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletionEntry {
    id: u64,
    from_us: i64,
    to_us: i64,
    at_us: i64,
    by: String,
    before: u64,
    /// Channel, and main 0, sub 1, audio 2.
    streams: Vec<(u16, u8)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndEntry {
    stream: (u16, u8),
    sequence: u64,
    segment: u64,
    offset: u64,
}

/// All deletions of a volume that are not done.
pub(crate) struct Deletions {
    volume: Volume,
    pending: Vec<Deletion>,
    ends: BTreeMap<StreamId, End>,
}

impl Deletions {
    /// Reads the file; none is no deletions.
    ///
    /// # Errors
    /// `Damaged`, `Unsupported`, `Io`.
    pub(crate) fn load(volume: &Volume) -> Result<Self, StoreError> {
        let mut all = Self::none(volume);
        let path = all.path();
        let Some(file) = volume.read_small::<DeletionsFile>(&path)? else { return Ok(all) };
        let damaged = |what: &str| StoreError::new(ErrorKind::Damaged, &path, None, what);
        let unknown = || damaged("names a stream that cannot be");
        for entry in file.deletions {
            all.pending.push(entry.deletion().ok_or_else(unknown)?);
        }
        for EndEntry { stream: (channel, kind), sequence, segment, offset } in file.ends {
            let of = stream(channel, kind).ok_or_else(unknown)?;
            all.ends.insert(of, End { sequence, segment, offset });
        }
        Ok(all)
    }

    /// What is used when the file cannot be: recording matters more, and the damaged file stays until the next deletion.
    pub(crate) fn none(volume: &Volume) -> Self {
        Self { volume: volume.clone(), pending: Vec::new(), ends: BTreeMap::new() }
    }

    /// Makes a volume forget who wanted what deleted: all of it is gone.
    ///
    /// # Errors
    /// `Unwritable`, `Io`.
    pub(crate) fn erase(volume: &Volume) -> Result<(), StoreError> {
        let path = Self::none(volume).path();
        wipe::remove(&*volume.disk, &path)
            .map_err(|error| StoreError::io(&path, None, "cannot be erased", error))
    }

    fn path(&self) -> PathBuf {
        self.volume.dir.join("deletions.toml")
    }

    pub(crate) fn all(&self) -> &[Deletion] {
        &self.pending
    }

    /// The last chunks of streams of which something was deleted; there may be later ones.
    pub(crate) fn ends(&self) -> &BTreeMap<StreamId, End> {
        &self.ends
    }

    /// Whether some of this is to go.
    pub(crate) fn take_of(&self, streams: &[StreamId], from: WallTime, to: WallTime) -> bool {
        self.pending.iter().any(|deletion| streams.iter().any(|stream| deletion.takes(*stream, from, to)))
    }

    /// Whether `deletion` can be added.
    pub(crate) fn check(&self, deletion: &Deletion) -> Result<(), StoreError> {
        let refuse = |what: String| Err(StoreError::new(ErrorKind::Invalid, &self.path(), None, what));
        if deletion.by.len() > MAX_LOCK_TEXT_BYTES {
            return refuse(format!("a name of more than {MAX_LOCK_TEXT_BYTES} bytes"));
        }
        if self.pending.iter().any(|other| other.id == deletion.id) {
            return refuse(format!("{} is no number for a new deletion", deletion.id));
        }
        if self.pending.len() >= MAX_DELETIONS {
            return refuse(format!("{MAX_DELETIONS} deletions wait already, which is the most"));
        }
        Ok(())
    }

    /// Adds a deletion, durably, and where its streams end.
    pub(crate) fn add(
        &mut self,
        deletion: Deletion,
        ends: impl IntoIterator<Item = (StreamId, End)>,
    ) -> Result<(), StoreError> {
        let before = self.ends.clone();
        for (of, end) in ends {
            let known = self.ends.entry(of).or_insert(end);
            if known.sequence < end.sequence {
                *known = end;
            }
        }
        self.pending.push(deletion);
        self.save().inspect_err(|_| {
            self.pending.pop();
            self.ends = before;
        })
    }

    /// It is done, durably.
    pub(crate) fn finish(&mut self, id: u64) -> Result<(), StoreError> {
        let Some(at) = self.pending.iter().position(|deletion| deletion.id == id) else { return Ok(()) };
        let deletion = self.pending.remove(at);
        self.save().inspect_err(|_| self.pending.insert(at, deletion))
    }

    fn save(&self) -> Result<(), StoreError> {
        let end = |(of, end): (&StreamId, &End)| EndEntry {
            stream: (of.channel.get(), of.kind.code()),
            sequence: end.sequence,
            segment: end.segment,
            offset: end.offset,
        };
        let file = DeletionsFile {
            version: VERSION,
            deletions: self.pending.iter().map(DeletionEntry::of).collect(),
            ends: self.ends.iter().map(end).collect(),
        };
        self.volume.replace_small(&self.path(), &file)
    }
}

impl DeletionEntry {
    fn of(deletion: &Deletion) -> Self {
        Self {
            id: deletion.id,
            from_us: deletion.from.as_unix_micros(),
            to_us: deletion.to.as_unix_micros(),
            at_us: deletion.at.as_unix_micros(),
            by: deletion.by.clone(),
            before: deletion.before,
            streams: deletion.streams.iter().map(|of| (of.channel.get(), of.kind.code())).collect(),
        }
    }

    fn deletion(self) -> Option<Deletion> {
        let streams: Option<Vec<StreamId>> =
            self.streams.iter().map(|&(channel, kind)| stream(channel, kind)).collect();
        Some(Deletion {
            id: self.id,
            streams: streams?,
            from: WallTime::from_unix_micros(self.from_us),
            to: WallTime::from_unix_micros(self.to_us),
            by: self.by,
            at: WallTime::from_unix_micros(self.at_us),
            before: self.before,
        })
    }
}
