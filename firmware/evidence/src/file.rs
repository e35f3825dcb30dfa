//! The file that is verified: bytes at a place, and a cursor that reads ahead.
//!
//! Does not belong here: what the bytes mean.
//!
//! Invariant: nothing behind the end is asked for, and no more than a buffer is held.

use std::io::{Read, Seek, SeekFrom};

use crate::error::VerifyError;
use crate::layout::{Hash, Sha256};

/// Read at once: enough for a disk to be busy, little beside what a browser's page takes.
const BUFFER_BYTES: usize = 256 << 10;

/// A file of a known size.
pub(crate) struct File<R> {
    reader: R,
    len: u64,
    buffer: Vec<u8>,
}

impl<R: Read + Seek> File<R> {
    pub(crate) fn new(mut reader: R) -> Result<Self, VerifyError> {
        let len = reader.seek(SeekFrom::End(0)).map_err(|source| VerifyError { offset: 0, source })?;
        let buffer = vec![0; len.min(BUFFER_BYTES as u64) as usize];
        Ok(Self { reader, len, buffer })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `into` from `offset`; `false` when the file ends before.
    pub(crate) fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<bool, VerifyError> {
        if offset.checked_add(into.len() as u64).is_none_or(|end| end > self.len) {
            return Ok(false);
        }
        let because = |source| VerifyError { offset, source };
        self.reader.seek(SeekFrom::Start(offset)).map_err(because)?;
        self.reader.read_exact(into).map_err(because)?;
        Ok(true)
    }

    pub(crate) fn array<const N: usize>(&mut self, offset: u64) -> Result<Option<[u8; N]>, VerifyError> {
        let mut bytes = [0; N];
        Ok(self.read(offset, &mut bytes)?.then_some(bytes))
    }

    /// `count` bytes, which the caller has bounded.
    pub(crate) fn bytes(&mut self, offset: u64, count: usize) -> Result<Option<Vec<u8>>, VerifyError> {
        if offset.checked_add(count as u64).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let mut bytes = vec![0; count];
        Ok(self.read(offset, &mut bytes)?.then_some(bytes))
    }

    /// SHA-256 of `count` bytes from `offset`; `None` when the file ends before.
    pub(crate) fn hash(&mut self, offset: u64, count: u64) -> Result<Option<Hash>, VerifyError> {
        if offset.checked_add(count).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let mut hash = Sha256::default();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut done = 0;
        while done < count {
            let part = usize::try_from(count - done).unwrap_or(usize::MAX).min(buffer.len());
            self.read(offset + done, &mut buffer[..part])?;
            hash.add(&buffer[..part]);
            done += part as u64;
        }
        self.buffer = buffer;
        Ok(Some(hash.finish()))
    }
}

/// Reads a part of the file from front to back, a buffer at a time.
pub(crate) struct Cursor {
    at: u64,
    end: u64,
    ahead: Vec<u8>,
    used: usize,
}

/// What each cursor reads ahead: there is one for each track's headers.
const AHEAD_BYTES: usize = 64 << 10;

impl Cursor {
    /// Over the bytes from `at` to `end`.
    pub(crate) fn new(at: u64, end: u64) -> Self {
        Self { at, end, ahead: Vec::new(), used: 0 }
    }

    /// Where the next byte is.
    pub(crate) fn position(&self) -> u64 {
        self.at - (self.ahead.len() - self.used) as u64
    }

    /// The next `count` bytes without taking them; fewer where the part or the file ends.
    pub(crate) fn peek<R: Read + Seek>(
        &mut self,
        file: &mut File<R>,
        count: usize,
    ) -> Result<&[u8], VerifyError> {
        let held = self.ahead.len() - self.used;
        if held < count {
            self.ahead.drain(..self.used);
            self.used = 0;
            let rest = self.end.min(file.len()).saturating_sub(self.at);
            let more = (count - held).max(AHEAD_BYTES) as u64;
            let more = more.min(rest) as usize;
            self.ahead.resize(held + more, 0);
            file.read(self.at, &mut self.ahead[held..])?;
            self.at += more as u64;
        }
        let end = self.ahead.len().min(self.used + count);
        Ok(&self.ahead[self.used..end])
    }

    /// Passes over bytes that were peeked at.
    pub(crate) fn take(&mut self, count: usize) {
        self.used = (self.used + count).min(self.ahead.len());
    }
}
