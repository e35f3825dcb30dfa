//! The chunk headers behind a movie, for its proof.
//!
//! docs/evidence.md, sections 4 and 5. A movie of whole chunks knows where the headers of its chunks lie; they are read when
//! somebody reads that part of the file. Does not belong here: the ledger's side of a proof (whoever has the ledger).

use bytes::Bytes;
use evidence::layout::{Hash, sha256};
use evidence::{ProofRun, ProofTrack};
use hal::StreamId;

use crate::error::{ErrorKind, StoreError};
use crate::lane::Selected;
use crate::reader::Reader;

/// Consecutive chunks of one stream in one segment, and those behind them up to the last that was sealed with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vouched {
    volume: usize,
    segment: u64,
    stream: StreamId,
    first_sequence: u64,
    chunks: u32,
    /// Chunks behind these whose headers lead to the one that the ledger knows: none while the segment is written.
    trailing: u32,
    is_sealed: bool,
    /// Of all their headers.
    pub(crate) bytes: u64,
    /// SHA-256 of the last header.
    head: Hash,
}

impl Vouched {
    fn of(chunk: &Selected) -> Self {
        Self {
            volume: chunk.volume,
            segment: chunk.segment,
            stream: chunk.header.stream,
            first_sequence: chunk.entry.sequence,
            chunks: 1,
            trailing: 0,
            is_sealed: false,
            bytes: u64::from(chunk.entry.header_bytes),
            head: chunk.entry.hash,
        }
    }

    fn next_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.chunks) + u64::from(self.trailing)
    }

    /// Whether the chain of headers goes on in `next`.
    fn leads_to(&self, next: &Self) -> bool {
        self.volume == next.volume && self.next_sequence() == next.first_sequence
    }

    fn is_in_segment_of(&self, next: &Self) -> bool {
        (self.volume, self.segment) == (next.volume, next.segment)
    }

    /// Finds out which segments are sealed, and adds what leads from the last chunks to the ends of theirs.
    ///
    /// # Errors
    /// `Recycled` when newer footage has taken a place, `Damaged`, `Io`.
    pub(crate) fn complete(list: &mut [Self], reader: &Reader) -> Result<(), StoreError> {
        for index in 0..list.len() {
            // Behind a hole within a segment other chunks lead to its end.
            let goes_on = list
                .get(index + 1)
                .is_some_and(|next| list[index].leads_to(next) || list[index].is_in_segment_of(next));
            let vouched = &mut list[index];
            let catalog = &reader.volumes[vouched.volume];
            vouched.is_sealed = catalog.is_sealed(vouched.segment)?;
            if goes_on || !vouched.is_sealed {
                continue;
            }
            for (entry, encoded) in catalog.contents(vouched.segment)?.iter() {
                if entry.stream == vouched.stream && entry.sequence == vouched.next_sequence() {
                    vouched.trailing += 1;
                    vouched.bytes += encoded.len() as u64;
                    vouched.head = entry.hash;
                }
            }
        }
        Ok(())
    }

    /// The segment, where it is sealed: its volume's identity and its number.
    pub(crate) fn sealed_segment(&self, reader: &Reader) -> Option<(ledger::VolumeId, u64)> {
        self.is_sealed.then(|| (ledger::Hex(reader.volumes[self.volume].volume.id), self.segment))
    }

    /// Adds a chunk of the same stream to a list of them.
    pub(crate) fn add(list: &mut Vec<Self>, chunk: &Selected) {
        let fresh = Self::of(chunk);
        match list.last_mut() {
            Some(last)
                if (last.volume, last.segment) == (fresh.volume, fresh.segment)
                    && last.next_sequence() == fresh.first_sequence =>
            {
                last.chunks += 1;
                last.bytes += fresh.bytes;
                last.head = fresh.head;
            }
            _ => list.push(fresh),
        }
    }

    /// The headers, one behind the other, as they lie on disk.
    ///
    /// # Errors
    /// `Recycled` when newer footage has taken the place, `Damaged`, `Io`.
    pub(crate) fn headers(&self, reader: &Reader) -> Result<Bytes, StoreError> {
        let catalog = &reader.volumes[self.volume];
        let contents = catalog.contents(self.segment)?;
        let sequences = self.first_sequence..self.next_sequence();
        let mut headers = Vec::with_capacity(self.bytes as usize);
        let mut last: &[u8] = &[];
        for (entry, encoded) in contents.iter() {
            if entry.stream == self.stream && sequences.contains(&entry.sequence) {
                headers.extend_from_slice(encoded);
                last = encoded;
            }
        }
        if headers.len() as u64 != self.bytes || sha256(last) != self.head {
            let what = "other footage has taken the place of what was planned";
            let path = catalog.volume.path(self.segment);
            return Err(StoreError::new(ErrorKind::Recycled, &path, None, what));
        }
        Ok(headers.into())
    }
}

/// What a proof says of a track.
pub(crate) fn proof_track(reader: &Reader, id: u32, stream: StreamId, list: &[Vouched]) -> ProofTrack {
    let mut runs: Vec<ProofRun> = Vec::new();
    for vouched in list {
        let volume = ledger::Hex(reader.volumes[vouched.volume].volume.id);
        match runs.last_mut() {
            Some(run) if run.volume == volume && run.last_sequence() + 1 == vouched.first_sequence => {
                run.chunks += vouched.chunks;
                run.trailing = vouched.trailing;
                run.header_bytes += vouched.bytes;
                run.head = vouched.head;
            }
            _ => runs.push(ProofRun {
                volume,
                first_sequence: vouched.first_sequence,
                chunks: vouched.chunks,
                trailing: vouched.trailing,
                header_bytes: vouched.bytes,
                head: vouched.head,
            }),
        }
    }
    ProofTrack { id, stream, runs }
}
