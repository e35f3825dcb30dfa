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

/// Consecutive chunks of one stream in one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vouched {
    volume: usize,
    segment: u64,
    stream: StreamId,
    first_sequence: u64,
    chunks: u32,
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
            bytes: u64::from(chunk.entry.header_bytes),
            head: chunk.entry.hash,
        }
    }

    fn next_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.chunks)
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
                run.header_bytes += vouched.bytes;
                run.head = vouched.head;
            }
            _ => runs.push(ProofRun {
                volume,
                first_sequence: vouched.first_sequence,
                chunks: vouched.chunks,
                trailing: 0,
                header_bytes: vouched.bytes,
                head: vouched.head,
            }),
        }
    }
    ProofTrack { id, stream, runs }
}
