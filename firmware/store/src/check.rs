//! Checking, listing and re-indexing a volume, without its writer.
//!
//! Does not belong here: repairing footage. There is nothing to repair it from; recovery keeps what is whole.
//!
//! Invariants
//! - [`check`] and [`list`] change nothing.
//! - [`check`] reads every byte that was ever acknowledged and names every one that is not as written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::layout::sha256;
use evidence::{CHUNK_UNHASHED, ChunkHeader};
use hal::{ByteCount, WallTime};

use crate::catalog::index_in_memory;
use crate::chain::{Broken, Chains};
use crate::deleted::is_overwritten;
use crate::disk::{Access, Disk, DiskFile, RealDisk, read_full};
use crate::error::{ErrorKind, StoreError};
use crate::index::{Index, State};
use crate::keys::Keys;
use crate::recover::{RecoveryReport, recover};
use crate::retention::Class;
use crate::runs::{Run, join, runs_of};
use crate::scan::{Scan, read_chunk, unreadable};
use crate::segment::{Contents, Entry, SegmentHeader};
use crate::volume::{Probe, Volume, hex};

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub file: PathBuf,
    /// At which byte.
    pub offset: Option<u64>,
    /// What, for people.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Segments with footage.
    pub segments: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Units in the chunks.
    pub units: u64,
    /// Bytes of their payloads on disk.
    pub bytes: ByteCount,
    /// Encrypted chunks that no key at hand opens: of these everything was verified but the footage's own hash.
    pub locked_chunks: u64,
    /// Chunks that somebody has deleted: their headers are there, and zeros in place of their payloads.
    pub deleted: u64,
    /// Chunks between those that are there whose segments were reused before older ones: of another class of
    /// retention, or not locked. Whether that was so is for the ledger to tell.
    pub removed: u64,
    /// Everything that is wrong.
    pub damages: Vec<Damage>,
    /// What opening the volume for writing will put right by itself, after a crash.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty()
    }
}

/// One segment for [`list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub segment: u64,
    /// The retention class of everything in it.
    pub class: Class,
    /// Whether it has a footer.
    pub sealed: bool,
    /// Bytes up to the end of the last chunk.
    pub used: ByteCount,
    /// Chunks.
    pub chunks: u64,
    /// The first presentation.
    pub start: Option<WallTime>,
    /// The end of the last presentation.
    pub end: Option<WallTime>,
}

/// What [`list`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// The volume's identity, 32 hexadecimal digits.
    pub id: String,
    /// The size of a segment.
    pub segment_bytes: ByteCount,
    /// What all segments may take.
    pub max_bytes: ByteCount,
    /// Segments with footage, in order.
    pub segments: Vec<SegmentInfo>,
    /// The runs of every stream, in order of stream and recording.
    pub runs: Vec<Run>,
}

/// Verifies everything: every header's CRC, every payload's CRC and SHA-256, every stream's hash chain, every footer, and
/// that the index says the same. Of an encrypted volume that `keys` do not open, everything but the SHA-256.
///
/// # Errors
/// When the volume cannot be read at all; single files that cannot are in the report.
pub fn check(dir: &Path, keys: &Keys) -> Result<CheckReport, StoreError> {
    check_on(Arc::new(RealDisk), dir, keys)
}

/// As [`check`], on another disk.
pub(crate) fn check_on(disk: Arc<dyn Disk>, dir: &Path, keys: &Keys) -> Result<CheckReport, StoreError> {
    let mut volume = Volume::open(disk, dir)?;
    volume.unlock_if_possible(keys)?;
    let numbers = volume.numbers()?;
    let mut check =
        Check { volume: &volume, index: None, chains: Chains::default(), report: CheckReport::default() };
    match Index::open_read_only(&volume.index_path()) {
        Ok(index) => check.index = Some(index),
        Err(error) if error.kind() == ErrorKind::NotFound && numbers.is_empty() => {}
        Err(error) => check.damage(&error),
    }
    check.missing(&numbers);
    // What failed in one segment and is there again in a later one of its class is void (docs/storage.md).
    let mut void_from = BTreeMap::new();
    let mut bounds = BTreeMap::new();
    for &segment in numbers.iter().rev() {
        let header = volume
            .open_segment(segment, Access::Read)
            .and_then(|file| volume.header(segment, &*file))
            .unwrap_or_default();
        let Some(header) = header else { continue };
        if let Some(bound) = void_from.insert(header.class, header.first_commit) {
            bounds.insert(segment, bound);
        }
    }
    for segment in numbers {
        if let Err(error) = check.segment(segment, bounds.get(&segment).copied()) {
            check.damage(&error);
        }
    }
    let (holes, removed) = std::mem::take(&mut check.chains).finish();
    check.report.removed = removed;
    check.broken(holes);
    check.timeline();
    Ok(check.report)
}

struct Check<'a> {
    volume: &'a Volume,
    index: Option<Index>,
    chains: Chains,
    report: CheckReport,
}

impl Check<'_> {
    fn damage(&mut self, error: &StoreError) {
        self.report.damages.push(Damage {
            file: error.file().to_owned(),
            offset: error.offset(),
            what: error.what(),
        });
    }

    fn wrong(&mut self, segment: u64, offset: u64, what: &str) {
        let error = self.volume.damaged(segment, offset, what);
        self.damage(&error);
    }

    fn broken(&mut self, chains: Vec<Broken>) {
        for Broken { segment, offset, what } in chains {
            self.wrong(segment, offset, &what);
        }
    }

    /// Rows of segments that are not there: a power cut between forgetting and reusing.
    fn missing(&mut self, numbers: &[u64]) {
        let rows = match self.index.as_ref().map(Index::segments) {
            Some(Ok(rows)) => rows,
            Some(Err(error)) => return self.damage(&error),
            None => return,
        };
        for row in rows.iter().filter(|row| numbers.binary_search(&row.segment).is_err()) {
            self.report.notes.push(format!("the index has segment {}, which is recycled", row.segment));
        }
    }

    /// Spans and days are made of the index's own rows, whether or not those are right.
    fn timeline(&mut self) {
        let what = match self.index.as_ref().map(Index::timeline_agrees) {
            Some(Ok(Err(what))) => what,
            Some(Err(error)) => return self.damage(&error),
            Some(Ok(Ok(()))) | None => return,
        };
        let error = StoreError::new(ErrorKind::Index, &self.volume.index_path(), None, what);
        self.damage(&error);
    }

    fn segment(&mut self, segment: u64, void_from: Option<u64>) -> Result<(), StoreError> {
        let file = self.volume.open_segment(segment, Access::Read)?;
        let path = self.volume.path(segment);
        let len = file.size().map_err(|error| StoreError::io(&path, None, "has no size", error))?;
        let probe = self.volume.probe(segment, &*file)?;
        if len != self.volume.segment_bytes && !matches!(probe, Probe::Unbegun) {
            self.wrong(segment, len, "the segment file is truncated");
        }
        let (header, contents, end, sealed) = match probe {
            Probe::Unbegun => return Ok(()),
            Probe::Foreign => {
                self.wrong(segment, 0, "the segment is of another volume");
                return Ok(());
            }
            Probe::Sealed(header, trailer, contents) => (header, contents, trailer.end, true),
            Probe::Open(header) => {
                let (contents, end) = self.scan(&header, &*file, void_from)?;
                (header, contents, end, false)
            }
            Probe::Footless(header) => {
                let row = self.index.as_ref().map(|index| index.segment(segment)).transpose()?;
                // The index hears of a seal when it is durable.
                if row.is_some_and(|row| row.is_none_or(|row| row.state != State::Sealed)) {
                    self.report.notes.push(format!("segment {segment}: its seal was not finished"));
                } else {
                    self.wrong(segment, self.volume.segment_bytes, "the footer is damaged");
                }
                let (contents, end) = self.scan(&header, &*file, void_from)?;
                (header, contents, end, false)
            }
        };
        self.report.segments += 1;
        self.chains.segment(&header, &contents.entries);
        for (entry, copy) in contents.iter() {
            self.chunk(&header, &*file, entry, copy);
        }
        self.agreement(segment, &contents, end, sealed)
    }

    fn scan(
        &mut self,
        header: &SegmentHeader,
        file: &dyn DiskFile,
        void_from: Option<u64>,
    ) -> Result<(Contents, u64), StoreError> {
        let mut scan = Scan::new(header);
        for at in scan.advance_over_damage(self.volume, file, self.volume.segment_bytes)? {
            self.wrong(header.segment, at, "a commit is damaged; later ones are whole");
        }
        // An unfinished commit is no damage: nobody was ever told of it.
        scan.cut_torn(self.volume, file)?;
        if let Some(bound) = void_from {
            scan.cut_from(bound);
        }
        Ok((scan.contents, scan.end))
    }

    fn chunk(&mut self, header: &SegmentHeader, file: &dyn DiskFile, entry: &Entry, copy: &[u8]) {
        let segment = header.segment;
        if entry.deleted {
            self.deleted_chunk(segment, file, entry);
            return self.chain(header, entry, copy);
        }
        self.report.chunks += 1;
        self.report.units += u64::from(entry.units);
        self.report.bytes.0 += u64::from(entry.payload_bytes);
        match read_chunk(self.volume, segment, file, entry) {
            Ok((chunk, _)) if Entry::of(entry.offset, &chunk, entry.hash) != *entry => {
                self.wrong(segment, entry.offset, "the footer tells something else than the chunk");
            }
            Ok((_, None)) => self.report.locked_chunks += 1,
            // Reading trusts the tag of a sealed chunk for what its hash says.
            Ok((header, Some(footage)))
                if header.key.is_some()
                    && header.flags & CHUNK_UNHASHED == 0
                    && sha256(&footage) != header.payload_hash =>
            {
                self.wrong(segment, entry.offset, "the chunk's payload does not match its SHA-256");
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Recycled => {
                self.report.notes.push(format!("segment {segment}: a deletion is not finished"));
            }
            Err(error) => self.damage(&error),
        }
        self.chain(header, entry, copy);
    }

    fn deleted_chunk(&mut self, segment: u64, file: &dyn DiskFile, entry: &Entry) {
        self.report.deleted += 1;
        let mut bytes = vec![0; entry.stored_bytes()];
        let (got, header_bytes) = (read_full(file, entry.offset, &mut bytes), entry.header_bytes as usize);
        let error = match got {
            Ok(got) if got < bytes.len() => "the chunk is cut short",
            Ok(_) if ChunkHeader::hash_of(&bytes[..header_bytes]) != entry.hash => {
                "the chunk is not the one that the index tells of"
            }
            Ok(_) if !is_overwritten(&bytes[header_bytes..], segment) => {
                "the chunk was deleted, and something of it is there"
            }
            Ok(_) => return,
            Err(error) => return self.damage(&unreadable(self.volume, segment, entry, error)),
        };
        self.wrong(segment, entry.offset, error);
    }

    fn chain(&mut self, header: &SegmentHeader, entry: &Entry, copy: &[u8]) {
        let segment = header.segment;
        // The copy has the same hash as the original, so the chain is known even where the original is damaged.
        let copy_matches = ChunkHeader::hash_of(copy) == entry.hash;
        if !copy_matches {
            self.wrong(segment, entry.offset, "the footer's copy of the header is damaged");
        }
        let previous = ChunkHeader::decode(copy).ok().map(|header| header.previous);
        let broken = self.chains.chunk(header, entry, previous);
        self.broken(broken);
    }

    fn agreement(
        &mut self,
        segment: u64,
        contents: &Contents,
        end: u64,
        sealed: bool,
    ) -> Result<(), StoreError> {
        let Some(index) = &self.index else { return Ok(()) };
        let row = index.segment(segment)?;
        let rows = index.runs_in(segment)?;
        let mut runs = runs_of(segment, &contents.entries);
        runs.sort_by_key(|run| (run.stream, run.first_sequence));
        let note = match row {
            Some(row) if row.committed_bytes > end => {
                let what = format!("the index tells of {} bytes, there are {end}", row.committed_bytes);
                self.wrong(segment, end, &what);
                return Ok(());
            }
            Some(row) if row.state == State::Open => {
                (sealed || row.committed_bytes < end).then_some("is behind")
            }
            Some(_) if rows != runs => {
                self.wrong(segment, 0, "the index tells of other runs than the segment has");
                return Ok(());
            }
            Some(_) => None,
            None if contents.entries.is_empty() => None,
            None => Some("does not know of it"),
        };
        if let Some(note) = note {
            self.report.notes.push(format!("segment {segment}: the index {note}"));
        }
        Ok(())
    }
}

/// Makes the index anew from the segments; returns how many runs it has.
///
/// # Errors
/// `Locked` while a writer has the volume; else as [`crate::Store::open`].
pub fn rebuild_index(dir: &Path) -> Result<u64, StoreError> {
    rebuild_index_on(Arc::new(RealDisk), dir)
}

/// As [`rebuild_index`], on another disk.
pub(crate) fn rebuild_index_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<u64, StoreError> {
    let volume = Volume::open(disk, dir)?;
    let _lock = volume.lock()?;
    Index::remove_files(&volume.index_path())?;
    recover(&volume)?.index.count()
}

/// Puts right what a crash left, as opening the volume for writing does: torn tails are cut, what will not be continued
/// is sealed, the index is made to agree. Needs no key, and running it twice does nothing the second time.
///
/// # Errors
/// `Locked` while a writer has the volume; else as [`crate::Store::open`].
pub fn recover_volume(dir: &Path) -> Result<RecoveryReport, StoreError> {
    let volume = Volume::open(Arc::new(RealDisk), dir)?;
    let _lock = volume.lock()?;
    Ok(recover(&volume)?.report)
}

/// What is in the volume, by its segments alone.
///
/// # Errors
/// When something cannot be read; [`check`] goes on.
pub fn list(dir: &Path) -> Result<VolumeInfo, StoreError> {
    let volume = Volume::open(Arc::new(RealDisk), dir)?;
    let index = index_in_memory(&volume)?;
    let mut segments = Vec::new();
    for row in index.segments()? {
        let file = volume.open_segment(row.segment, Access::Read)?;
        let (sealed, contents) = match volume.probe(row.segment, &*file)? {
            Probe::Sealed(_, _, contents) => (true, contents),
            Probe::Open(header) | Probe::Footless(header) => {
                let mut scan = Scan::new(&header);
                scan.advance_over_damage(&volume, &*file, row.committed_bytes)?;
                (false, scan.contents)
            }
            Probe::Unbegun | Probe::Foreign => continue,
        };
        segments.push(SegmentInfo {
            segment: row.segment,
            class: row.class,
            sealed,
            used: ByteCount(row.committed_bytes),
            chunks: contents.entries.len() as u64,
            start: contents.entries.iter().map(Entry::start).min(),
            end: contents.entries.iter().map(Entry::end).max(),
        });
    }
    let everything = (WallTime::from_unix_micros(i64::MIN), WallTime::from_unix_micros(i64::MAX));
    let mut runs = Vec::new();
    for stream in index.streams()? {
        runs.extend(join(index.runs(stream, everything.0, everything.1)?).iter().map(Run::from));
    }
    Ok(VolumeInfo {
        id: hex(&volume.id),
        segment_bytes: ByteCount(volume.segment_bytes),
        max_bytes: ByteCount(volume.max_bytes),
        segments,
        runs,
    })
}
