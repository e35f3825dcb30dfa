//! Opening a volume after whatever happened to it.
//!
//! Sealed segments are taken as the index knows them; all others are scanned. Torn tails are cut, what will not be
//! continued is sealed, and the index is made to agree. Does not belong here: writing footage (`store`).
//!
//! Invariants
//! - Running it twice does nothing the second time.
//! - Footage that it cannot read or does not know is left alone and reported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::sync::Arc;

use evidence::ChunkHeader;
use evidence::layout::Hash;
use hal::{StreamId, WallTime};

use crate::deletions::{Deletions, End};
use crate::disk::{Access, DiskFile, write_full};
use crate::error::{ErrorKind, StoreError};
use crate::index::{Index, SegmentRow, State};
use crate::layout::BLOCK_BYTES;
use crate::pool::{Free, Kept};
use crate::retention::Class;
use crate::runs::runs_of;
use crate::scan::{Scan, read_header};
use crate::segment::{Contents, Entry, SegmentHeader, encode_footer};
use crate::volume::{Probe, Volume};

/// So many of the newest sealed segments are looked at although the index has them: a disk that loses what it
/// promised loses the newest.
const VERIFY_NEWEST: usize = 4;

/// Before any segment.
const BEFORE_ALL: WallTime = WallTime::from_unix_micros(i64::MIN);

/// What opening a volume found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments with footage.
    pub segments: u64,
    /// Unsealed segments that were scanned.
    pub scanned: u64,
    /// Of those, sealed because they will not be continued.
    pub sealed: u64,
    /// Bytes of unfinished commits that were cut off, as far as they are known.
    pub torn_bytes: u64,
    /// Index rows dropped because the footage is not there.
    pub dropped_rows: u64,
    /// The index was missing or unusable and made anew.
    pub rebuilt_index: bool,
    /// Damage found on the way, for people; the footage around it is kept.
    pub damages: Vec<String>,
}

/// Where a stream goes on.
pub(crate) struct StreamEnd {
    pub(crate) last_sequence: u64,
    /// The last chunk's header and its hash; `None` when neither it nor its copy in the footer can be read.
    pub(crate) last: Option<(ChunkHeader, Hash)>,
}

/// A volume, ready to be written.
pub(crate) struct Recovered {
    pub(crate) index: Index,
    /// The segments to go on in.
    pub(crate) resume: BTreeMap<Class, Resume>,
    /// Segments with footage, without those to go on in.
    pub(crate) existing: BTreeMap<u64, Kept>,
    /// Files without footage.
    pub(crate) free: Vec<Free>,
    pub(crate) next_segment: u64,
    pub(crate) next_commit: BTreeMap<Class, u64>,
    pub(crate) streams: BTreeMap<StreamId, StreamEnd>,
    pub(crate) unread: Unread,
    /// The latest time of the volume's calendar that is on it.
    pub(crate) calendar: Option<WallTime>,
    pub(crate) report: RecoveryReport,
}

/// The most commits of a class that is not known, and chunks of a stream, that may lie where nothing could be read. They may
/// be read the next time, so what is written until then has other numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unread {
    pub(crate) commits: u64,
    pub(crate) chunks: u64,
}

/// A segment to go on in, and how far it is.
pub(crate) struct Resume {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) header: SegmentHeader,
    pub(crate) scan: Scan,
}

/// Recovers `volume`; the caller holds its lock.
pub(crate) fn recover(volume: &Volume) -> Result<Recovered, StoreError> {
    let path = volume.index_path();
    let fresh = !path.exists();
    match Index::open(&path).and_then(|index| Recovery::new(volume, index, fresh)?.run()) {
        Err(error) if error.kind() == ErrorKind::Index && !fresh => {
            tracing::warn!(%error, "the index is made anew");
            Index::remove_files(&path)?;
            Recovery::new(volume, Index::open(&path)?, true)?.run()
        }
        other => other,
    }
}

/// Each begins on a block of its own.
fn most_commits(bytes: u64) -> u64 {
    bytes / BLOCK_BYTES
}

fn most_chunks(bytes: u64) -> u64 {
    bytes / evidence::FIXED_BYTES as u64
}

struct Recovery<'a> {
    volume: &'a Volume,
    index: Index,
    numbers: Vec<u64>,
    rows: BTreeMap<u64, SegmentRow>,
    existing: BTreeMap<u64, Kept>,
    /// Of these it is not even known which class they have.
    unreadable: BTreeSet<u64>,
    unread: Unread,
    free: Vec<Free>,
    resume: BTreeMap<Class, Resume>,
    next_commit: BTreeMap<Class, u64>,
    /// The latest time of the volume's calendar that a segment tells of.
    calendar: WallTime,
    report: RecoveryReport,
}

/// A segment that is to be scanned.
struct Unsealed {
    segment: u64,
    file: Arc<dyn DiskFile>,
    header: SegmentHeader,
    /// Its footer is damaged: it is over, even if there seems to be room.
    closed: bool,
}

impl<'a> Recovery<'a> {
    fn new(volume: &'a Volume, index: Index, fresh: bool) -> Result<Self, StoreError> {
        let numbers = volume.numbers()?;
        let rows = index.segments()?.into_iter().map(|row| (row.segment, row)).collect();
        let report =
            RecoveryReport { rebuilt_index: fresh && !numbers.is_empty(), ..RecoveryReport::default() };
        Ok(Self {
            volume,
            index,
            numbers,
            rows,
            existing: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            unread: Unread::default(),
            free: Vec::new(),
            resume: BTreeMap::new(),
            next_commit: BTreeMap::new(),
            calendar: BEFORE_ALL,
            report,
        })
    }

    fn run(mut self) -> Result<Recovered, StoreError> {
        self.drop_missing()?;
        let unsealed = self.probe_all()?;
        // What is void in an older segment is known from the next one of the class.
        let begun: BTreeMap<u64, SegmentHeader> =
            unsealed.iter().map(|unsealed| (unsealed.segment, unsealed.header)).collect();
        for unsealed in unsealed.into_iter().rev() {
            let (void_from, newest) = self.after(&unsealed.header, &begun)?;
            self.scan(unsealed, void_from, newest)?;
        }
        let streams = self.stream_ends()?;
        for (class, next) in &mut self.next_commit {
            if !self.resume.contains_key(class) {
                *next += self.unread.commits;
            }
        }
        self.report.segments = (self.existing.len() + self.resume.len()) as u64;
        Ok(Recovered {
            next_segment: self.numbers.last().map_or(1, |last| last + 1),
            index: self.index,
            resume: self.resume,
            existing: self.existing,
            free: self.free,
            next_commit: self.next_commit,
            streams,
            unread: self.unread,
            calendar: (self.calendar != BEFORE_ALL).then_some(self.calendar),
            report: self.report,
        })
    }

    fn drop_missing(&mut self) -> Result<(), StoreError> {
        let there: BTreeSet<u64> = self.numbers.iter().copied().collect();
        let missing: Vec<u64> =
            self.rows.keys().copied().filter(|segment| !there.contains(segment)).collect();
        self.forget(&missing)
    }

    fn forget(&mut self, segments: &[u64]) -> Result<(), StoreError> {
        let known: Vec<u64> =
            segments.iter().copied().filter(|segment| self.rows.remove(segment).is_some()).collect();
        if !known.is_empty() {
            self.report.dropped_rows += self.index.forget(&known)?;
        }
        Ok(())
    }

    /// Opens a segment so that what is read from it is on the medium: a recorder that was killed left footage that only the
    /// kernel has, and a sync that failed left pages that look written and are not. Neither may be told of as kept.
    fn settled(&self, segment: u64) -> Result<(Arc<dyn DiskFile>, Probe), StoreError> {
        let file = self.volume.open_segment(segment, Access::ReadWrite)?;
        if let Err(error) = file.sync_data() {
            tracing::warn!(%error, segment, "what a former recorder wrote cannot be made durable");
        }
        file.forget_cache();
        let probe = self.volume.probe(segment, &*file)?;
        Ok((file, probe))
    }

    /// Sorts the segments into sealed, free and those to be scanned.
    fn probe_all(&mut self) -> Result<Vec<Unsealed>, StoreError> {
        let trusted: BTreeSet<u64> = {
            let newest = self.numbers.len().saturating_sub(VERIFY_NEWEST);
            // In a class that is written rarely the newest may be old; it tells how far the commits are.
            let sealed = || self.rows.values().filter(|row| row.state == State::Sealed);
            let newest_of: BTreeMap<Class, u64> = sealed().map(|row| (row.class, row.segment)).collect();
            let known: BTreeSet<u64> = sealed()
                .filter(|row| newest_of.get(&row.class) != Some(&row.segment))
                .map(|row| row.segment)
                .collect();
            self.numbers[..newest].iter().filter(|segment| known.contains(segment)).copied().collect()
        };
        for row in self.rows.values() {
            self.calendar = self.calendar.max(row.closed);
        }
        let mut unsealed = Vec::new();
        for segment in self.numbers.clone() {
            if let Some(row) = self.rows.get(&segment).filter(|_| trusted.contains(&segment)) {
                self.existing.insert(segment, Kept::from(row));
                continue;
            }
            let (file, probe) = match self.settled(segment) {
                // A place that cannot be read must not keep the rest from being recorded.
                Err(error) if error.kind() == ErrorKind::Io => {
                    self.report.damages.push(error.to_string());
                    self.unreadable.insert(segment);
                    self.unread.commits += most_commits(self.volume.segment_bytes);
                    self.unread.chunks += most_chunks(self.volume.segment_bytes);
                    let kept = self.rows.get(&segment).map_or(Kept::UNKNOWN, Kept::from);
                    self.existing.insert(segment, kept);
                    continue;
                }
                other => other?,
            };
            match probe {
                Probe::Unbegun => self.take_free(segment, true, &*file)?,
                Probe::Foreign => {
                    let error = self.volume.damaged(segment, 0, "the segment is of another volume");
                    self.report.damages.push(error.to_string());
                }
                Probe::Open(header) => {
                    self.calendar = self.calendar.max(header.created);
                    unsealed.push(Unsealed { segment, file, header, closed: false });
                }
                Probe::Footless(header) => {
                    // The index hears of a seal when it is durable. Before that a power cut may leave any part of it.
                    if self.rows.get(&segment).is_some_and(|row| row.state == State::Sealed) {
                        let end = self.volume.segment_bytes;
                        let error = self.volume.damaged(segment, end, "the footer is damaged");
                        self.report.damages.push(error.to_string());
                    }
                    self.calendar = self.calendar.max(header.created);
                    unsealed.push(Unsealed { segment, file, header, closed: true });
                }
                Probe::Sealed(header, trailer, contents) => {
                    self.calendar = self.calendar.max(trailer.closed);
                    self.count_commits(&header, &contents.entries);
                    let row =
                        SegmentRow::closed(&header, trailer.end, Some(trailer.closed), &contents.entries);
                    self.existing.insert(segment, Kept::from(&row));
                    self.note(row, &contents.entries)?;
                }
            }
        }
        Ok(unsealed)
    }

    /// A file with nothing in it is used for the next segment, if it has the size.
    fn take_free(&mut self, segment: u64, blank: bool, file: &dyn DiskFile) -> Result<(), StoreError> {
        self.forget(&[segment])?;
        let path = self.volume.path(segment);
        let len = file.size().map_err(|error| StoreError::io(&path, None, "has no size", error))?;
        if len == self.volume.segment_bytes {
            self.free.push(Free { segment, blank });
        } else if let Err(error) = self.volume.disk.remove(&path) {
            return Err(StoreError::io(&path, None, "an unfinished segment cannot be removed", error));
        }
        Ok(())
    }

    fn count_commits(&mut self, header: &SegmentHeader, entries: &[Entry]) {
        let next = entries.last().map_or(header.first_commit, |entry| entry.commit + 1);
        let known = self.next_commit.entry(header.class).or_insert(1);
        *known = next.max(header.first_commit).max(*known);
    }

    /// Brings the index in line with a closed segment.
    fn note(&mut self, row: SegmentRow, entries: &[Entry]) -> Result<(), StoreError> {
        // What was deleted is not in the row, and the index may have missed it.
        if self.rows.get(&row.segment) == Some(&row) && !entries.iter().any(|entry| entry.deleted) {
            return Ok(());
        }
        self.index.close(row, &runs_of(row.segment, entries))?;
        self.rows.insert(row.segment, row);
        Ok(())
    }

    /// The first commit of the next segment of the class that was begun, and whether there is none.
    fn after(
        &self,
        header: &SegmentHeader,
        begun: &BTreeMap<u64, SegmentHeader>,
    ) -> Result<(Option<u64>, bool), StoreError> {
        let mut newest = true;
        for &later in self.numbers.iter().filter(|&&number| number > header.segment) {
            let of_class = match (begun.get(&later), self.existing.get(&later)) {
                (Some(begun), _) => begun.class == header.class,
                (None, Some(_)) if self.unreadable.contains(&later) => {
                    // It may be: nothing is continued before it, and what it would make void is kept.
                    newest = false;
                    false
                }
                (None, Some(kept)) => kept.class == header.class,
                (None, None) => false,
            };
            if !of_class {
                continue;
            }
            let next = match begun.get(&later) {
                Some(begun) => Some(*begun),
                None => {
                    let file = self.volume.open_segment(later, Access::Read)?;
                    self.volume.header(later, &*file)?
                }
            };
            if let Some(next) = next {
                return Ok((Some(next.first_commit), false));
            }
        }
        Ok((None, newest))
    }

    fn scan(&mut self, unsealed: Unsealed, void_from: Option<u64>, newest: bool) -> Result<(), StoreError> {
        let Unsealed { segment, file, header, closed } = unsealed;
        self.report.scanned += 1;
        let limit = self.volume.segment_bytes;
        let mut scan = Scan::new(&header);
        let (mut damaged, mut unread) = (closed, false);
        let walked = (|| {
            for at in scan.advance_over_damage(self.volume, &*file, limit)? {
                damaged = true;
                let error = self.volume.damaged(segment, at, "a commit is damaged; later ones are whole");
                self.report.damages.push(error.to_string());
            }
            if scan.cut_torn(self.volume, &*file)? {
                // At least its first block was begun.
                self.report.torn_bytes += BLOCK_BYTES;
            }
            Ok(())
        })();
        match walked {
            Err(error) if matches!(&error, error if StoreError::kind(error) == ErrorKind::Io) => {
                (damaged, unread) = (true, true);
                self.report.damages.push(error.to_string());
            }
            other => other?,
        }
        if let Some(bound) = void_from {
            scan.cut_from(bound);
        }
        self.count_commits(&header, &scan.contents.entries);
        if unread {
            let bytes = limit.saturating_sub(scan.end);
            self.unread.chunks += most_chunks(bytes);
            if let (None, Some(next)) = (void_from, self.next_commit.get_mut(&header.class)) {
                *next += most_commits(bytes);
            }
        }
        if let Some(row) = self.rows.get(&segment).filter(|row| row.committed_bytes > scan.end) {
            let what = format!("{} bytes were durable, {} are whole", row.committed_bytes, scan.end);
            self.report.damages.push(self.volume.damaged(segment, scan.end, &what).to_string());
        }
        if unread {
            // A footer would hide what the next reading may find.
            return self.keep(SegmentRow::closed(&header, scan.end, None, &scan.contents.entries), &scan);
        }
        let whole = file.size().ok() == Some(limit);
        if newest && !damaged && whole && self.next_commit.get(&header.class) == Some(&scan.next_commit) {
            self.index.close(SegmentRow::open(&header, scan.end), &[])?;
            self.rows.remove(&segment);
            self.resume.insert(header.class, Resume { file, header, scan });
            return Ok(());
        }
        if scan.contents.entries.is_empty() && !damaged {
            return self.take_free(segment, false, &*file);
        }
        self.seal(&header, &*file, &scan, whole)
    }

    fn seal(
        &mut self,
        header: &SegmentHeader,
        file: &dyn DiskFile,
        scan: &Scan,
        whole: bool,
    ) -> Result<(), StoreError> {
        let segment = header.segment;
        let footer = encode_footer(segment, scan.end, self.calendar, &scan.contents);
        let at = self.volume.segment_bytes - footer.len() as u64;
        // A truncated file keeps what it has; a footer behind the hole would only hide that.
        let sealed = whole
            && write_full(file, at, &mut [IoSlice::new(&footer)])
                .and_then(|()| file.sync_data())
                .inspect_err(|error| {
                    let error = self.volume.damaged(segment, at, &format!("cannot be sealed: {error}"));
                    self.report.damages.push(error.to_string());
                })
                .is_ok();
        if !whole {
            let error = self.volume.damaged(segment, scan.end, "the segment file is truncated");
            self.report.damages.push(error.to_string());
        }
        self.report.sealed += u64::from(sealed);
        let closed = sealed.then_some(self.calendar);
        self.keep(SegmentRow::closed(header, scan.end, closed, &scan.contents.entries), scan)
    }

    /// A segment that nothing more is written to.
    fn keep(&mut self, row: SegmentRow, scan: &Scan) -> Result<(), StoreError> {
        self.existing.insert(row.segment, Kept::from(&row));
        self.note(row, &scan.contents.entries)
    }

    fn stream_ends(&mut self) -> Result<BTreeMap<StreamId, StreamEnd>, StoreError> {
        let mut runs = Vec::new();
        for stream in self.index.streams()? {
            runs.extend(self.index.last(stream)?);
        }
        for Resume { scan, .. } in self.resume.values() {
            runs.extend(runs_of(scan.segment, &scan.contents.entries));
        }
        let mut last: BTreeMap<StreamId, End> = BTreeMap::new();
        // The last chunk may be deleted. That the file cannot be read is told by whoever opens the volume.
        let deleted =
            Deletions::load(self.volume).map(|deletions| deletions.ends().clone()).unwrap_or_default();
        for (stream, end) in runs.iter().map(|run| (run.stream, End::from(run))).chain(deleted) {
            if last.get(&stream).is_none_or(|last| last.sequence < end.sequence) {
                last.insert(stream, end);
            }
        }
        let ends = last.into_iter().map(|(stream, end)| {
            let last = self.last_header(stream, &end);
            // What was deleted goes with its segment at some time; its number stays.
            let there = self.existing.contains_key(&end.segment);
            if last.is_none() && there {
                // It goes on with the next number, at its next keyframe, and with a hash chain of its own.
                let what = format!("{stream}: the last chunk, {}, cannot be read", end.sequence);
                let error = self.volume.damaged(end.segment, end.offset, &what);
                self.report.damages.push(error.to_string());
            }
            (stream, StreamEnd { last_sequence: end.sequence + self.unread.chunks, last })
        });
        Ok(ends.collect())
    }

    /// The header of a stream's last chunk: as it was scanned, where it lies, or from the footer.
    fn last_header(&self, stream: StreamId, end: &End) -> Option<(ChunkHeader, Hash)> {
        let is_it = |header: &ChunkHeader| header.stream == stream && header.sequence == end.sequence;
        let copied = |contents: &Contents| {
            contents.iter().find_map(|(_, copy)| {
                let header = ChunkHeader::decode(copy).ok().filter(is_it)?;
                Some((header, ChunkHeader::hash_of(copy)))
            })
        };
        if let Some(Resume { scan, .. }) = self.resume.values().find(|open| open.scan.segment == end.segment)
        {
            return copied(&scan.contents);
        }
        let file = self.volume.open_segment(end.segment, Access::Read).ok()?;
        let limit = self.volume.segment_bytes;
        let there = read_header(self.volume, end.segment, &*file, end.offset, limit).ok().flatten();
        if let Some(found) = there.filter(|found| is_it(&found.header)) {
            let hash = ChunkHeader::hash_of(found.encoded());
            return Some((found.header, hash));
        }
        let Probe::Sealed(_, _, contents) = self.volume.probe(end.segment, &*file).ok()? else { return None };
        copied(&contents)
    }
}
