//! The segments being written, one for each class of retention in use.
//!
//! Does not belong here: filling chunks (`builder`), when to commit (`store`), where files come from (`pool`).
//!
//! Invariants
//! - One batch is one sequential write and one `fdatasync`; it begins on a block of its own.
//! - Each class is a log of its own: its commits are numbered without gaps, whatever the others do.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::Arc;

use evidence::layout::{Hash, align_up};
use evidence::{ChunkHeader, Placement};
use hal::{StreamId, WallTime};

use crate::backlog::Backlog;
use crate::builder::ClosedChunk;
use crate::deletions::Deletions;
use crate::disk::{DiskFile, write_full};
use crate::error::{ErrorKind, StoreError};
use crate::index::SegmentRow;
use crate::layout::BLOCK_BYTES;
use crate::live::Live;
use crate::locks::Locks;
use crate::pool::{Pool, Taken};
use crate::recover::{Recovered, Resume};
use crate::retention::Class;
use crate::segment::{Contents, Entry, SegmentHeader, encode_footer, footer_bytes};
use crate::volume::Volume;

/// The most chunks in one batch; the count is 16 bits on disk.
const MAX_BATCH_CHUNKS: usize = 4096;

/// A commit is not divided for the sake of a rest of the segment that is less than this part of it: dividing costs a wait for
/// the medium more, not dividing half of such a rest.
const REST_PART: u64 = 16;

/// What failed.
pub(crate) enum Failure {
    /// The segment: nothing more may be written to it.
    Segment(StoreError),
    /// Not the segment's fault; trying again later is right.
    Volume(StoreError),
}

struct Current {
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
    /// Behind the last durable commit; 0 while not even the header is written.
    end: u64,
    /// The index knows of `end`.
    indexed: bool,
}

pub(crate) struct Writer {
    pub(crate) pool: Pool,
    nonce: u64,
    /// At most one a class.
    open: BTreeMap<Class, Current>,
    /// For each class that has or had segments.
    next_commit: BTreeMap<Class, u64>,
    /// A class that has nothing may have had so many.
    unread_commits: u64,
    /// The contents of what is open.
    live: Arc<Live>,
}

impl Writer {
    pub(crate) fn new(
        volume: Volume,
        kept: (Locks, Deletions),
        nonce: u64,
        recovered: Recovered,
    ) -> Result<Self, StoreError> {
        let live = Arc::new(Live::default());
        let open: BTreeMap<Class, Current> = recovered
            .resume
            .into_iter()
            .map(|(class, Resume { file, header, scan })| {
                live.append(header.segment, scan.contents, scan.end);
                (class, Current { header, file, end: scan.end, indexed: true })
            })
            .collect();
        let backlog = Backlog::new(recovered.index);
        let unread_commits = recovered.unread.commits;
        let Recovered { existing, free, next_segment, next_commit, .. } = recovered;
        let mut pool = Pool::new(volume, backlog, kept, existing, free, next_segment);
        pool.restore_locks()?;
        Ok(Self { pool, nonce, open, next_commit, unread_commits, live })
    }

    pub(crate) fn volume(&self) -> &Volume {
        &self.pool.volume
    }

    /// What is open, for readers.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.pool.files(self.open.len()) * self.volume().segment_bytes
    }

    /// How many segments are being written.
    pub(crate) fn open_files(&self) -> usize {
        self.open.len()
    }

    /// A new commit: what failed in the last one may be tried again.
    pub(crate) fn begin(&mut self) {
        self.pool.begin();
    }

    /// Makes sure that there is a segment of `class` to write to; `true` when the file system was full and the oldest
    /// footage had to make room.
    pub(crate) fn ensure_segment(&mut self, class: Class, now: WallTime) -> Result<bool, StoreError> {
        if self.open.contains_key(&class) {
            return Ok(false);
        }
        let Taken { segment, file, early } = self.pool.take(self.open.len())?;
        let header = SegmentHeader {
            volume: self.volume().id,
            segment,
            segment_bytes: self.volume().segment_bytes,
            // A class that has nothing begins at a number that it cannot have had before: its segment's.
            first_commit: *self.next_commit.entry(class).or_insert(segment + self.unread_commits),
            created: now,
            writer: self.nonce,
            class,
        };
        self.open.insert(class, Current { header, file, end: 0, indexed: true });
        Ok(early)
    }

    /// Whether nothing was written to the class's segment yet.
    pub(crate) fn is_fresh(&self, class: Class) -> bool {
        self.open.get(&class).is_some_and(|current| current.end == 0)
    }

    /// How many of the first `chunks` are to go into the class's segment, as they fit; 0 when it is to be sealed.
    pub(crate) fn fitting(&self, class: Class, chunks: &[ClosedChunk]) -> usize {
        let Some(current) = self.open.get(&class) else { return 0 };
        let segment_bytes = self.pool.volume.segment_bytes;
        let contents = self.live.of(current.header.segment);
        let mut end = current.end.max(BLOCK_BYTES);
        let mut headers = contents.headers.len();
        let mut count = 0;
        for chunk in chunks.iter().take(MAX_BATCH_CHUNKS) {
            end += chunk.header.stride();
            headers += chunk.header.header_bytes();
            let footer = footer_bytes(contents.entries.len() + count + 1, headers);
            if align_up(end, BLOCK_BYTES) + footer > segment_bytes {
                let small = current.end > 0 && segment_bytes - current.end < segment_bytes / REST_PART;
                return if small { 0 } else { count };
            }
            count += 1;
        }
        count
    }

    /// Writes `chunks` as one commit of the class; the bytes written and the new end of each stream's hash chain.
    pub(crate) fn write(
        &mut self,
        class: Class,
        chunks: &[ClosedChunk],
        chain: impl Fn(StreamId) -> Hash,
    ) -> Result<(u64, BTreeMap<StreamId, Hash>), Failure> {
        let Some(current) = self.open.get_mut(&class) else { return Ok((0, BTreeMap::new())) };
        let next_commit = self.next_commit.entry(class).or_insert(current.header.first_commit);
        let path = self.pool.volume.path(current.header.segment);
        let begin = current.end;
        let mut parts: Vec<Vec<u8>> = Vec::with_capacity(chunks.len() + 1);
        if begin == 0 {
            parts.push(current.header.encode());
        }
        let mut at = begin.max(BLOCK_BYTES);
        let mut chains: BTreeMap<StreamId, Hash> = BTreeMap::new();
        let mut contents = Contents::default();
        for (index, chunk) in chunks.iter().enumerate() {
            let mut header = chunk.header.clone();
            header.placement = Placement {
                segment: current.header.segment,
                commit: *next_commit,
                writer: self.nonce,
                index: index as u16,
                count: chunks.len() as u16,
            };
            header.previous = chains.get(&header.stream).copied().unwrap_or_else(|| chain(header.stream));
            let encoded = header.encode();
            contents.push(at, &header, &encoded);
            chains.insert(header.stream, ChunkHeader::hash_of(&encoded));
            at += header.stride();
            parts.push(encoded);
        }
        let end = align_up(at, BLOCK_BYTES);

        static ZEROS: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];
        let mut slices = Vec::with_capacity(3 * chunks.len() + 2);
        let mut headers = parts.iter();
        if begin == 0 {
            slices.extend(headers.next().map(|header| IoSlice::new(header)));
        }
        let mut filled = begin.max(BLOCK_BYTES);
        for (header, chunk) in headers.zip(chunks) {
            let bytes = (header.len() + chunk.payload.len()) as u64;
            let padding = chunk.header.stride() - bytes;
            slices.push(IoSlice::new(header));
            slices.push(IoSlice::new(&chunk.payload));
            slices.push(IoSlice::new(&ZEROS[..padding as usize]));
            filled += bytes + padding;
        }
        slices.push(IoSlice::new(&ZEROS[..(end - filled) as usize]));

        write_full(&*current.file, begin, &mut slices).map_err(|error| {
            let error = StoreError::io(&path, Some(begin), "cannot be written", error);
            match error.kind() {
                // Full or read-only: nothing is known to be wrong with what is there.
                ErrorKind::DiskFull | ErrorKind::Unwritable => Failure::Volume(error),
                _ => Failure::Segment(error),
            }
        })?;
        // After a failed sync the kernel may have dropped the dirty pages: no second try on this file can tell.
        current.file.sync_data().map_err(|error| {
            Failure::Segment(StoreError::io(&path, Some(begin), "cannot be made durable", error))
        })?;
        current.end = end;
        self.live.append(current.header.segment, contents, end);
        current.indexed = false;
        *next_commit += 1;
        Ok((end - begin, chains))
    }

    /// Classes that have a segment open, and when it was begun.
    pub(crate) fn open_classes(&self) -> Vec<(Class, WallTime)> {
        self.open.iter().map(|(class, current)| (*class, current.header.created)).collect()
    }

    /// Classes whose open segment has durable footage of which `wanted` says so.
    pub(crate) fn open_with(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Class> {
        let has = |current: &Current| self.live.of(current.header.segment).entries.iter().any(&wanted);
        self.open.iter().filter(|(_, current)| has(current)).map(|(class, _)| *class).collect()
    }

    /// The durable chunks of the segments that are being written.
    pub(crate) fn open_contents(&self) -> impl Iterator<Item = (u64, Arc<Contents>)> {
        let of = |current: &Current| (current.header.segment, self.live.of(current.header.segment));
        self.open.values().map(of)
    }

    /// Seals the class's segment, if anything is in it; the bytes written for that.
    ///
    /// # Errors
    /// The segment is then closed without a footer; what was committed to it stays.
    pub(crate) fn seal(&mut self, class: Class, now: WallTime) -> Result<Option<u64>, StoreError> {
        let Some(current) = self.open.remove(&class) else { return Ok(None) };
        if current.end == 0 {
            self.pool.give_back(current.header.segment);
            return Ok(None);
        }
        self.close(&current, now).map(Some)
    }

    /// Leaves the class's segment after an error; tries to seal what was committed to it.
    pub(crate) fn give_up(&mut self, class: Class, now: WallTime) {
        let Some(current) = self.open.remove(&class) else { return };
        if current.end == 0 {
            // Nothing in it was ever acknowledged.
            self.pool.rest(current.header.segment);
            return;
        }
        if let Err(error) = self.close(&current, now) {
            tracing::error!(%error, "the failed segment stays without a footer");
        }
    }

    fn close(&mut self, current: &Current, now: WallTime) -> Result<u64, StoreError> {
        let segment = current.header.segment;
        let contents = self.live.of(segment);
        let footer = encode_footer(segment, current.end, now, &contents);
        let at = self.volume().segment_bytes - footer.len() as u64;
        let written = write_full(&*current.file, at, &mut [IoSlice::new(&footer)])
            .and_then(|()| current.file.sync_data())
            .map_err(|error| {
                StoreError::io(&self.volume().path(segment), Some(at), "cannot be sealed", error)
            });
        let entries = &contents.entries;
        let row = SegmentRow::closed(&current.header, current.end, written.is_ok().then_some(now), entries);
        self.pool.closed(row, entries);
        written.map(|()| footer.len() as u64)
    }

    /// Tells the index what became durable.
    pub(crate) fn update_index(&mut self) -> Result<(), StoreError> {
        let behind = self.open.values().filter(|current| !current.indexed);
        let rows: Vec<SegmentRow> =
            behind.map(|current| SegmentRow::open(&current.header, current.end)).collect();
        let updated = self.pool.backlog.update(&rows);
        // Not before: until then the index says of what was sealed that it is open. Where it cannot be told, readers scan.
        let open = &self.open;
        self.live.retain(|segment| open.values().any(|current| current.header.segment == segment));
        updated?;
        self.open.values_mut().for_each(|current| current.indexed = true);
        Ok(())
    }
}
