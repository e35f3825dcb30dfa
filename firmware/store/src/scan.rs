//! Walking through a segment chunk by chunk, and reading single chunks.
//!
//! Does not belong here: what to do about damage.
//!
//! Invariants
//! - A scan tells of whole commits only: one torn chunk voids its commit.
//! - It ends before what an earlier life of the file left behind: that has other numbers.

use std::io;

use bytes::Bytes;
use evidence::layout::{align_up, sha256};
use evidence::{CHUNK_UNHASHED, ChunkHeader, FIXED_BYTES, HeaderError, MAX_HEADER_BYTES};

use crate::deleted::{MARK_BYTES, is_marked};
use crate::disk::{DiskFile, read_full};
use crate::error::{ErrorKind, StoreError};
use crate::layout::BLOCK_BYTES;
use crate::segment::{Contents, Entry, SegmentHeader};
use crate::volume::Volume;

/// How much is read for a header at first: those of a second of video and audio fit.
const HEADER_READ_BYTES: usize = 2048;

/// How much is read at once where a commit is looked for: as fast as a disk reads in one go, and little beside what a commit takes.
const SEARCH_BYTES: usize = 1 << 20;

/// How far a segment was walked through.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) segment: u64,
    /// The chunks of whole commits.
    pub(crate) contents: Contents,
    /// Behind the last whole commit.
    pub(crate) end: u64,
    /// The number that the next commit must have.
    pub(crate) next_commit: u64,
}

/// One commit as it lies on disk.
struct Commit {
    contents: Contents,
    number: u64,
    end: u64,
}

impl Scan {
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        Self {
            segment: header.segment,
            contents: Contents::default(),
            end: BLOCK_BYTES,
            next_commit: header.first_commit,
        }
    }

    /// Goes on as far as whole commits lie before `limit`.
    ///
    /// # Errors
    /// `Io`, and `Unsupported` at a chunk of an unknown version or cipher. What was found before is kept.
    pub(crate) fn advance(
        &mut self,
        volume: &Volume,
        file: &dyn DiskFile,
        limit: u64,
    ) -> Result<(), StoreError> {
        while let Some(commit) =
            read_commit(volume, self.segment, file, self.end, limit, |number| number == self.next_commit)?
        {
            self.take(commit);
        }
        Ok(())
    }

    /// As [`Scan::advance`], and over damaged commits to later ones; returns where damage was.
    pub(crate) fn advance_over_damage(
        &mut self,
        volume: &Volume,
        file: &dyn DiskFile,
        limit: u64,
    ) -> Result<Vec<u64>, StoreError> {
        let mut damaged = Vec::new();
        loop {
            self.advance(volume, file, limit)?;
            let end = self.end;
            if end >= limit || !self.skip_damage(volume, file, limit)? {
                return Ok(damaged);
            }
            damaged.push(end);
        }
    }

    /// Looks for a commit behind a damaged one and goes on there; returns whether there was one.
    ///
    /// A power cut never makes such a thing: a commit is only written when the one before is durable.
    fn skip_damage(&mut self, volume: &Volume, file: &dyn DiskFile, limit: u64) -> Result<bool, StoreError> {
        let mut window = vec![0; SEARCH_BYTES];
        let mut at = self.end + BLOCK_BYTES;
        while at < limit {
            let size = window.len().min(usize::try_from(limit - at).unwrap_or(usize::MAX));
            let got = read_full(file, at, &mut window[..size]).map_err(|error| {
                StoreError::io(&volume.path(self.segment), Some(at), "cannot be read", error)
            })?;
            for (offset, block) in
                (at..limit).step_by(BLOCK_BYTES as usize).zip(window[..got].chunks(BLOCK_BYTES as usize))
            {
                // Most of what an earlier life of the file left is passed over by this.
                if !names_segment(block, self.segment) {
                    continue;
                }
                let later = |number| number > self.next_commit;
                if let Some(commit) = read_commit(volume, self.segment, file, offset, limit, later)? {
                    self.take(commit);
                    return Ok(true);
                }
            }
            if got < size {
                break;
            }
            at += size as u64;
        }
        Ok(false)
    }

    fn take(&mut self, commit: Commit) {
        self.contents.append(commit.contents);
        self.end = commit.end;
        self.next_commit = commit.number + 1;
    }

    /// Verifies the payloads of the last commit and drops it when one is torn; returns whether it was.
    ///
    /// Earlier commits were durable before the last one was begun.
    ///
    /// # Errors
    /// `Io`; the commit is dropped then, too.
    pub(crate) fn cut_torn(&mut self, volume: &Volume, file: &dyn DiskFile) -> Result<bool, StoreError> {
        let Some(number) = self.contents.entries.last().map(|entry| entry.commit) else { return Ok(false) };
        let first = self.contents.entries.partition_point(|entry| entry.commit < number);
        // Only what was durable can be deleted.
        for entry in self.contents.entries[first..].iter().filter(|entry| !entry.deleted) {
            if let Err(error) = read_chunk(volume, self.segment, file, entry) {
                self.end = self.contents.entries[first].offset;
                self.next_commit = number;
                self.contents.truncate(first);
                return if error.kind() == ErrorKind::Io { Err(error) } else { Ok(true) };
            }
        }
        Ok(false)
    }

    /// Drops the commits from number `first` on: they failed, and a later segment has them.
    pub(crate) fn cut_from(&mut self, first: u64) {
        let keep = self.contents.entries.partition_point(|entry| entry.commit < first);
        if let Some(entry) = self.contents.entries.get(keep) {
            self.end = entry.offset;
            self.next_commit = first;
        }
        self.contents.truncate(keep);
    }
}

fn read_commit(
    volume: &Volume,
    segment: u64,
    file: &dyn DiskFile,
    at: u64,
    limit: u64,
    wanted: impl Fn(u64) -> bool,
) -> Result<Option<Commit>, StoreError> {
    let Some(first) = read_header(volume, segment, file, at, limit)? else { return Ok(None) };
    let place = first.header.placement;
    if place.segment != segment || place.index != 0 || place.count == 0 || !wanted(place.commit) {
        return Ok(None);
    }
    let mut contents = Contents::default();
    push(volume, segment, file, &mut contents, at, &first);
    let mut next = at + first.header.stride();
    for index in 1..place.count {
        let Some(found) = read_header(volume, segment, file, next, limit)? else {
            return Ok(None);
        };
        if found.header.placement != (evidence::Placement { index, ..place }) {
            return Ok(None);
        }
        push(volume, segment, file, &mut contents, next, &found);
        next += found.header.stride();
    }
    let end = align_up(next, BLOCK_BYTES);
    Ok((end <= limit).then_some(Commit { contents, number: place.commit, end }))
}

/// A chunk's header as it lies on the medium.
pub(crate) struct Found {
    pub(crate) header: ChunkHeader,
    /// From the header's first one on, as many as were read at once.
    bytes: Vec<u8>,
}

impl Found {
    /// The header's own bytes.
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.bytes[..self.header.header_bytes()]
    }

    /// What was read of the payload with it; often nothing is missing of its beginning.
    fn payload(&self) -> &[u8] {
        &self.bytes[self.header.header_bytes()..]
    }
}

/// Adds a chunk, and whether it was deleted.
fn push(volume: &Volume, segment: u64, file: &dyn DiskFile, contents: &mut Contents, at: u64, found: &Found) {
    contents.push(at, &found.header, found.encoded());
    let Some(entry) = contents.entries.last_mut() else { return };
    if (entry.payload_bytes as usize) < MARK_BYTES {
        return;
    }
    if found.payload().len() >= MARK_BYTES {
        entry.deleted = is_marked(found.payload(), segment);
        return;
    }
    let mut payload = [0; MARK_BYTES];
    let begin = at + u64::from(entry.header_bytes);
    match read_full(file, begin, &mut payload) {
        Ok(got) => entry.deleted = is_marked(&payload[..got], segment),
        // Whoever wants the payload hears of it: what there is is told all the same.
        Err(error) => {
            tracing::warn!(%error, file = %volume.path(segment).display(), begin, "a payload cannot be read");
        }
    }
}

/// The header at `at`; `None` when there is no whole one before `limit`.
pub(crate) fn read_header(
    volume: &Volume,
    segment: u64,
    file: &dyn DiskFile,
    at: u64,
    limit: u64,
) -> Result<Option<Found>, StoreError> {
    let mut want = HEADER_READ_BYTES;
    loop {
        let mut bytes = vec![0; want.min(usize::try_from(limit.saturating_sub(at)).unwrap_or(want))];
        let got = read_full(file, at, &mut bytes)
            .map_err(|error| StoreError::io(&volume.path(segment), Some(at), "cannot be read", error))?;
        match ChunkHeader::decode(&bytes[..got]) {
            Ok(header) => {
                bytes.truncate(got);
                return Ok(Some(Found { header, bytes }));
            }
            Err(HeaderError::Short(size)) if size > want && got == want && size <= MAX_HEADER_BYTES => {
                want = size;
            }
            // A chunk of another segment is what the file held before; whatever it is, it is not ours.
            Err(HeaderError::Unknown(_)) if !names_segment(&bytes, segment) => return Ok(None),
            Err(HeaderError::Unknown(what)) => return Err(volume.unsupported(segment, at, what)),
            Err(HeaderError::Short(_) | HeaderError::Damaged(_)) => return Ok(None),
        }
    }
}

/// Whether the header's segment field, which every version has at the same place, says `segment`.
fn names_segment(bytes: &[u8], segment: u64) -> bool {
    bytes.len() >= FIXED_BYTES && bytes[16..24] == segment.to_le_bytes()
}

/// Verifies the chunk that `entry` tells of, `bytes` as they lie on the medium: its header by the hash that the entry has and its
/// payload by the CRC in there, which tells of a medium that changes bits, and costs little.
///
/// # Errors
/// `Damaged`, `Unsupported`; `Recycled` where somebody has deleted it.
pub(crate) fn verify_stored(
    volume: &Volume,
    segment: u64,
    entry: &Entry,
    bytes: &[u8],
) -> Result<ChunkHeader, StoreError> {
    let damaged = |what| Err(volume.damaged(segment, entry.offset, what));
    if bytes.len() < entry.stored_bytes() {
        return damaged("the chunk is cut short");
    }
    let header = match ChunkHeader::decode(bytes) {
        Ok(header) => header,
        Err(HeaderError::Unknown(what)) => return Err(volume.unsupported(segment, entry.offset, what)),
        Err(HeaderError::Damaged(what)) => return damaged(what),
        Err(HeaderError::Short(_)) => return damaged("the chunk's header is longer than the index says"),
    };
    let header_bytes = header.header_bytes();
    if header_bytes != entry.header_bytes as usize
        || header.placement.segment != segment
        || ChunkHeader::hash_of(&bytes[..header_bytes]) != entry.hash
    {
        return damaged("the chunk is not the one that the index tells of");
    }
    if is_marked(&bytes[header_bytes..], segment) {
        let what = "the chunk was deleted";
        return Err(StoreError::new(ErrorKind::Recycled, &volume.path(segment), Some(entry.offset), what));
    }
    if crc32c::crc32c(&bytes[header_bytes..]) != header.payload_crc {
        return damaged("the chunk's payload does not match its CRC");
    }
    Ok(header)
}

/// Reads the chunk that `entry` tells of, and verifies all of it; the footage is `None` where it is sealed and the volume's key is not at hand.
///
/// # Errors
/// `Damaged`, `Unsupported`, `Io`; `Recycled` where somebody has deleted it.
pub(crate) fn read_chunk(
    volume: &Volume,
    segment: u64,
    file: &dyn DiskFile,
    entry: &Entry,
) -> Result<(ChunkHeader, Option<Bytes>), StoreError> {
    let damaged = |what| Err(volume.damaged(segment, entry.offset, what));
    let mut bytes = vec![0; entry.stored_bytes()];
    let got = read_full(file, entry.offset, &mut bytes)
        .map_err(|error| unreadable(volume, segment, entry, error))?;
    let header = verify_stored(volume, segment, entry, &bytes[..got])?;
    let header_bytes = header.header_bytes();
    let payload = &mut bytes[header_bytes..];
    let hashed = header.flags & CHUNK_UNHASHED == 0;
    match header.key {
        None if hashed && sha256(payload) != header.payload_hash => {
            return damaged("the chunk's payload does not match its SHA-256");
        }
        None => {}
        Some(id) => {
            let Some(key) = volume.life_key(id, header.placement.writer) else { return Ok((header, None)) };
            // In place. Whoever sealed it hashed it: the tag vouches for what the SHA-256 does, and for the header.
            if key.open(&header, payload).is_err() {
                return damaged("the chunk's payload and header are not as they were sealed");
            }
        }
    }
    let footage = header_bytes..header_bytes + header.footage_bytes();
    Ok((header, Some(Bytes::from(bytes).slice(footage))))
}

/// That a chunk cannot be read.
pub(crate) fn unreadable(volume: &Volume, segment: u64, entry: &Entry, error: io::Error) -> StoreError {
    StoreError::io(&volume.path(segment), Some(entry.offset), "cannot be read", error)
}
