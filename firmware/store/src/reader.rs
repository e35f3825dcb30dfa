//! Reading footage, beside the writer or without one.
//!
//! A reader changes nothing and takes no lock, and every chunk is verified before its bytes leave. Does not belong
//! here: what is there (`catalog`), choosing chunks (`select`), MP4 (`movie`).

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use evidence::SampleFormat;
use hal::{Pts90k, StreamId, WallTime};

use crate::catalog::{Catalog, fetch};
use crate::coverage::{Coverage, Question};
use crate::disk::{Disk, RealDisk};
use crate::error::StoreError;
use crate::keys::Keys;
use crate::runs::{Run, join};
use crate::select::{Selected, Selection};

/// One access unit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUnit {
    /// The stream.
    pub stream: StreamId,
    /// When to present it.
    pub pts: Pts90k,
    /// The wall time of that.
    pub wall: WallTime,
    /// Decoding can start here.
    pub keyframe: bool,
    /// The first unit of a new timeline.
    pub discontinuity: bool,
    /// What a decoder must know first; the same `Arc` within a chunk.
    pub format: Arc<SampleFormat>,
    /// Video: NAL units behind 4-byte lengths, without parameter sets. Audio: as it came.
    pub data: Bytes,
}

/// A volume to read from; shared by any number of threads.
pub struct Reader {
    pub(crate) catalog: Catalog,
}

impl Reader {
    /// Opens the volume in `dir`. Works beside the writer, from any process, and without a writer; where the index
    /// cannot be used, what the segments themselves say is taken, as of now. Of an encrypted volume that `keys` do not open
    /// everything is told but the footage: that is `NoKey`.
    ///
    /// # Errors
    /// `NotFound` when there is no volume, `Unsupported`, `Damaged`, `Io`.
    pub fn open(dir: &Path, keys: &Keys) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(RealDisk), dir, keys)
    }

    /// As [`Reader::open`], on another disk.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, keys: &Keys) -> Result<Self, StoreError> {
        Ok(Self { catalog: Catalog::open(disk, dir, keys)? })
    }

    /// The streams with footage, in order.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        self.catalog.streams()
    }

    /// The first and the last moment of a stream's footage; `None` when there is none.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub fn bounds(&self, stream: StreamId) -> Result<Option<(WallTime, WallTime)>, StoreError> {
        self.catalog.bounds(stream)
    }

    /// The runs that touch `from`..`to`, in recording order. A run that began earlier or ends later is told from at
    /// most an hour before `from`.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub fn runs(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Vec<Run>, StoreError> {
        Ok(join(self.catalog.segment_runs(stream, from, to)?).iter().map(Run::from).collect())
    }

    /// When `streams` have footage in `from`..`to`, for a timeline: one answer a stream, in their order, of at most
    /// `at_most` runs. Where there are more, gaps no longer than that part of the asked time are left out. Takes
    /// milliseconds for 16 streams and a year.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub fn coverage(
        &self,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
        at_most: usize,
    ) -> Result<Vec<Coverage>, StoreError> {
        self.catalog.coverage(&Question { streams, from, to, at_most })
    }

    /// The units presented in `from`..`to`, in decoding order. It begins at the last keyframe before `from` when
    /// the footage goes on from there, and ends with the last unit needed for a presentation before `to`.
    ///
    /// # Errors
    /// `Index`, `Io`; the iterator also has `Damaged`, `Recycled` and `NoKey`, and ends after an error.
    pub fn units(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Units<'_>, StoreError> {
        let selection = Selection::new(&self.catalog, stream, from, to)?;
        Ok(Units { reader: self, selection: Some(selection), ready: VecDeque::new() })
    }
}

/// Iterates over stored units; made by [`Reader::units`].
pub struct Units<'a> {
    reader: &'a Reader,
    selection: Option<Selection<'a>>,
    ready: VecDeque<StoredUnit>,
}

impl Units<'_> {
    fn load(&mut self, selected: &Selected) -> Result<(), StoreError> {
        let payload = fetch(&self.reader.catalog.volume, selected.segment, &selected.entry)?;
        let header = &selected.header;
        let format = SampleFormat::decode(&header.entry).map_err(|what| {
            self.reader.catalog.volume.damaged(selected.segment, selected.entry.offset, what)
        })?;
        let format = Arc::new(format);
        let mut at = selected.skip_bytes as usize;
        for frame in &header.frames[selected.first..selected.end] {
            let end = at + frame.size as usize;
            self.ready.push_back(StoredUnit {
                stream: header.stream,
                pts: Pts90k(header.pts.0.wrapping_add(i64::from(frame.pts_offset))),
                wall: header.wall_of(frame.pts_offset),
                keyframe: frame.keyframe,
                discontinuity: frame.discontinuity,
                format: Arc::clone(&format),
                data: payload.slice(at..end),
            });
            at = end;
        }
        Ok(())
    }
}

impl Iterator for Units<'_> {
    type Item = Result<StoredUnit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Some(Ok(unit));
            }
            let next = self.selection.as_mut()?.next();
            match next.and_then(|selected| selected.map(|selected| self.load(&selected)).transpose()) {
                Ok(Some(())) => {}
                Ok(None) => self.selection = None,
                Err(error) => {
                    self.selection = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
