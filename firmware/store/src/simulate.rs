//! A volume as years of recording make it, without footage: for measuring.
//!
//! Its segment files are sparse and its index tells of footage that nobody recorded; a [`Store`](crate::Store) opens it and
//! records on. Does not belong here: what is measured (`cargo xtask bench index`), volumes with footage.
//!
//! Invariant: the same simulation makes the same index.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use hal::{ByteCount, StreamId, WallTime};

use crate::config::StoreOptions;
use crate::disk::RealDisk;
use crate::error::StoreError;
use crate::index::{Index, SegmentRow, State};
use crate::keys::Keys;
use crate::layout::BLOCK_BYTES;
use crate::noise::noise;
use crate::retention::Class;
use crate::runs::{DAY_MICROS, MAX_ROW_MICROS, SegmentRun, day_of};
use crate::segment::{Contents, SegmentHeader, encode_footer};
use crate::volume::Volume;

/// Segments that have a header and a footer: more than are looked at when a volume is opened.
const WHOLE_SEGMENTS: u64 = 8;

/// What [`Simulation::year`] seems to fill: 4 TB, and 5 % more, so that segments of 64 MiB are an even number.
const YEAR_BYTES: u64 = 62_500 * (64 << 20);

/// Segments closed in one transaction.
const BATCH_SEGMENTS: u64 = 512;

/// When streams have footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Always, but for so many gaps a day of 20 s to half an hour.
    Continuous {
        /// At most 48.
        gaps_a_day: u32,
    },
    /// So many times a day, for 10 s to 3 minutes.
    Events {
        /// At most 400.
        a_day: u32,
    },
}

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// How many segments, all of them sealed.
    pub segments: u64,
    /// How large each seems to be.
    pub segment_bytes: ByteCount,
    /// How long each lasts, microseconds.
    pub segment_micros: i64,
    /// Whose footage it is.
    pub streams: Vec<StreamId>,
    /// When the first segment begins.
    pub start: WallTime,
    /// When there is footage.
    pub pattern: Pattern,
}

impl Simulation {
    /// A year of `streams` on 4 TB: 15 625 segments of 256 MiB, as [`StoreOptions::with_max_bytes`] makes them, or 62 500 of
    /// 64 MiB. `segment_bytes` is at least 64 KiB and at most 1 GiB.
    #[must_use]
    pub fn year(streams: Vec<StreamId>, start: WallTime, pattern: Pattern, segment_bytes: ByteCount) -> Self {
        let segments = YEAR_BYTES / segment_bytes.0;
        let segment_micros = 365 * DAY_MICROS / segments as i64;
        Self { segments, segment_bytes, segment_micros, streams, start, pattern }
    }

    /// When the last segment ends.
    #[must_use]
    pub const fn end(&self) -> WallTime {
        self.begins(self.segments + 1)
    }

    /// What the volume may take.
    #[must_use]
    pub const fn max_bytes(&self) -> ByteCount {
        ByteCount(self.segments * self.segment_bytes.0)
    }

    const fn begins(&self, segment: u64) -> WallTime {
        self.start.offset_micros(self.segment_micros * (segment - 1) as i64)
    }

    /// Makes the volume in `dir`, full to its last segment; how many runs its index has.
    ///
    /// # Errors
    /// `Io`, `Index`.
    pub fn make(&self, dir: &Path) -> Result<u64, StoreError> {
        let options = StoreOptions {
            segment_bytes: self.segment_bytes,
            ..StoreOptions::with_max_bytes(self.max_bytes())
        };
        let volume = Volume::open_or_create(Arc::new(RealDisk), dir, options, &Keys::default())?;
        let mut index = Index::open(&volume.index_path())?;
        let mut state: Vec<(u64, WallTime)> = vec![(1, self.start); self.streams.len()];
        for first in (1..=self.segments).step_by(BATCH_SEGMENTS as usize) {
            let batch = first..(first + BATCH_SEGMENTS).min(self.segments + 1);
            index.close_all(batch.map(|segment| (self.row(segment), self.runs(segment, &mut state))))?;
        }
        for segment in 1..=self.segments {
            let path = volume.path(segment);
            self.file(&volume, segment, &path)
                .map_err(|error| StoreError::io(&path, None, "cannot be made", error))?;
        }
        index.count()
    }

    fn row(&self, segment: u64) -> SegmentRow {
        let (begun, closed) = (self.begins(segment), self.begins(segment + 1));
        SegmentRow {
            segment,
            state: State::Sealed,
            committed_bytes: BLOCK_BYTES,
            class: Class::default(),
            begun,
            closed,
            newest: closed,
        }
    }

    fn file(&self, volume: &Volume, segment: u64, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(volume.segment_bytes)?;
        if segment + WHOLE_SEGMENTS > self.segments {
            let header = SegmentHeader {
                volume: volume.id,
                segment,
                segment_bytes: volume.segment_bytes,
                first_commit: segment,
                created: self.begins(segment),
                writer: 1,
                class: Class::default(),
            };
            file.write_all_at(&header.encode(), 0)?;
            let footer = encode_footer(segment, BLOCK_BYTES, self.begins(segment + 1), &Contents::default());
            file.write_all_at(&footer, volume.segment_bytes - footer.len() as u64)?;
        }
        Ok(())
    }

    /// What a segment has: of each stream what there is between its beginning and its end.
    fn runs(&self, segment: u64, state: &mut [(u64, WallTime)]) -> Vec<SegmentRun> {
        let (begin, end) = (self.begins(segment), self.begins(segment + 1));
        let mut runs = Vec::new();
        for (number, (stream, state)) in self.streams.iter().zip(state).enumerate() {
            let (sequence, _) = state;
            for (start, end) in self.footage(number as u64, begin, end) {
                // A chunk a second.
                let chunks = (end.micros_since(start) / 1_000_000).max(1) as u64;
                runs.push(SegmentRun {
                    segment,
                    stream: *stream,
                    first_sequence: *sequence,
                    last_sequence: *sequence + chunks - 1,
                    payload_bytes: chunks * 60_000,
                    start,
                    end,
                    format: 0x1234_5678,
                    discontinuity: false,
                    last_offset: (number as u64 + 1) << 20,
                });
                *sequence += chunks;
            }
        }
        runs
    }

    /// The footage of a stream between two moments, broken as rows of the index are.
    fn footage(&self, stream: u64, begin: WallTime, end: WallTime) -> Vec<(WallTime, WallTime)> {
        let mut found = Vec::new();
        for day in day_of(begin)..=day_of(end) {
            for (start, stop) in self.of_day(stream, day) {
                let (mut start, stop) = (start.max(begin), stop.min(end));
                while start < stop {
                    let next = stop.min(start.offset_micros(MAX_ROW_MICROS));
                    found.push((start, next));
                    start = next;
                }
            }
        }
        found
    }

    /// What a stream has on a day: the day is cut into equal parts, with a gap or an event somewhere in each.
    fn of_day(&self, stream: u64, day: i64) -> Vec<(WallTime, WallTime)> {
        let midnight = WallTime::from_unix_micros(day * DAY_MICROS);
        let (parts, shortest, longest) = match self.pattern {
            Pattern::Continuous { gaps_a_day } => (i64::from(gaps_a_day), 20_000_000, 1_800_000_000),
            Pattern::Events { a_day } => (i64::from(a_day), 10_000_000, 180_000_000),
        };
        let places = (0..parts).map(|part| {
            let seed = noise((stream << 48) ^ ((day as u64) << 16) ^ part as u64);
            let length = shortest + (seed % (longest - shortest) as u64) as i64;
            let room = DAY_MICROS / parts - length;
            let at = midnight.offset_micros(DAY_MICROS / parts * part + ((seed >> 32) as i64 % room.max(1)));
            (at, at.offset_micros(length))
        });
        if matches!(self.pattern, Pattern::Events { .. }) {
            return places.collect();
        }
        let mut begin = midnight;
        let mut found: Vec<_> = places.map(|(from, to)| (std::mem::replace(&mut begin, to), from)).collect();
        found.push((begin, midnight.offset_micros(DAY_MICROS)));
        found
    }
}

/// Bytes that the index of the volume in `dir` takes, without its log.
///
/// # Errors
/// `Io`.
pub fn index_bytes(dir: &Path) -> Result<ByteCount, StoreError> {
    let path = dir.join("index.db");
    let metadata = fs::metadata(&path).map_err(|error| StoreError::io(&path, None, "has no size", error))?;
    Ok(ByteCount(metadata.len()))
}
