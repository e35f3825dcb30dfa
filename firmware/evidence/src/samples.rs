//! The samples of a track, one after the other, from its sample tables.
//!
//! ISO/IEC 14496-12 section 8.6.1 and 8.7. mp4-atom has parsed the tables; they come from outside and need not fit together.
//! Does not belong here: what samples should be.
//!
//! Invariant: no table is expanded: a sample is worked out when it is its turn.

use media::MAX_TRACK_SAMPLES;
use mp4_atom::{Stbl, StszSamples};

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// From 1.
    pub(crate) number: u32,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    pub(crate) size: u32,
    /// Composition time in the track's ticks.
    pub(crate) time: i64,
    /// Decoding can start here.
    pub(crate) sync: bool,
}

/// A position in a list of runs.
#[derive(Debug, Default)]
struct Runs {
    entry: usize,
    used: u32,
}

/// Walks through a track's samples.
#[derive(Debug)]
pub(crate) struct Samples {
    tables: Stbl,
    count: u32,
    next: Option<Sample>,
    /// Samples that were worked out, the next one among them.
    made: u32,
    decode_time: i64,
    times: Runs,
    compositions: Runs,
    syncs: usize,
    /// Index of the current chunk, and of its row of stsc.
    chunk: usize,
    chunk_row: usize,
    /// Samples of the current chunk that are still to come, and where the next one begins.
    left_in_chunk: u32,
    offset: u64,
}

/// The tables contradict each other, or say what cannot be.
pub(crate) const BAD_TABLES: &str = "the track's sample tables do not fit together";

impl Samples {
    /// # Errors
    /// [`BAD_TABLES`].
    pub(crate) fn new(tables: Stbl) -> Result<Self, &'static str> {
        let count = match &tables.stsz.samples {
            StszSamples::Identical { count, .. } => *count as usize,
            StszSamples::Different { sizes } => sizes.len(),
        };
        if count > MAX_TRACK_SAMPLES || tables.stsc.entries.first().is_some_and(|row| row.first_chunk != 1) {
            return Err(BAD_TABLES);
        }
        let mut samples = Self {
            tables,
            count: count as u32,
            next: None,
            made: 0,
            decode_time: 0,
            times: Runs::default(),
            compositions: Runs::default(),
            syncs: 0,
            chunk: 0,
            chunk_row: 0,
            left_in_chunk: 0,
            offset: 0,
        };
        samples.advance()?;
        Ok(samples)
    }

    /// The next sample, without taking it.
    pub(crate) fn peek(&self) -> Option<&Sample> {
        self.next.as_ref()
    }

    /// Takes a sample.
    ///
    /// # Errors
    /// [`BAD_TABLES`] when the one behind it cannot be worked out.
    pub(crate) fn take(&mut self) -> Result<Option<Sample>, &'static str> {
        let sample = self.next.take();
        if sample.is_some() {
            self.advance()?;
        }
        Ok(sample)
    }

    /// Samples that were not taken yet.
    pub(crate) fn left(&self) -> u32 {
        self.count - self.made + u32::from(self.next.is_some())
    }

    /// Takes all that is left.
    pub(crate) fn abandon(&mut self) {
        self.next = None;
        self.made = self.count;
    }

    fn advance(&mut self) -> Result<(), &'static str> {
        if self.made == self.count {
            return Ok(());
        }
        self.next = Some(self.work_out().ok_or(BAD_TABLES)?);
        self.made += 1;
        Ok(())
    }

    fn work_out(&mut self) -> Option<Sample> {
        if self.left_in_chunk == 0 {
            self.next_chunk()?;
        }
        let number = self.made + 1;
        let size = match &self.tables.stsz.samples {
            StszSamples::Identical { size, .. } => *size,
            StszSamples::Different { sizes } => *sizes.get(self.made as usize)?,
        };
        let offset = self.offset;
        self.offset = offset.checked_add(u64::from(size))?;
        self.left_in_chunk -= 1;

        let stts = &self.tables.stts.entries;
        let delta =
            self.times.next(stts.len(), |at| (stts[at].sample_count, stts[at].sample_delta.into()))?;
        let composition = match &self.tables.ctts {
            None => 0,
            Some(ctts) => {
                let rows = &ctts.entries;
                self.compositions.next(rows.len(), |at| (rows[at].sample_count, rows[at].sample_offset))?
            }
        };
        let time = self.decode_time.checked_add(composition)?;
        self.decode_time = self.decode_time.checked_add(delta)?;

        let sync = match &self.tables.stss {
            // 8.6.2: without the table every sample is one.
            None => true,
            Some(stss) if stss.entries.get(self.syncs) == Some(&number) => {
                self.syncs += 1;
                true
            }
            Some(_) => false,
        };
        Some(Sample { number, offset, size, time, sync })
    }

    fn next_chunk(&mut self) -> Option<()> {
        self.offset = match (&self.tables.stco, &self.tables.co64) {
            (Some(stco), None) => u64::from(*stco.entries.get(self.chunk)?),
            (None, Some(co64)) => *co64.entries.get(self.chunk)?,
            _ => return None,
        };
        self.chunk += 1;
        let rows = &self.tables.stsc.entries;
        if rows.get(self.chunk_row + 1).is_some_and(|row| row.first_chunk as usize <= self.chunk) {
            self.chunk_row += 1;
        }
        self.left_in_chunk = rows.get(self.chunk_row)?.samples_per_chunk;
        (self.left_in_chunk > 0).then_some(())
    }
}

impl Runs {
    /// The next value of `len` runs.
    fn next(&mut self, len: usize, run: impl Fn(usize) -> (u32, i64)) -> Option<i64> {
        while self.entry < len {
            let (count, value) = run(self.entry);
            if self.used < count {
                self.used += 1;
                return Some(value);
            }
            self.entry += 1;
            self.used = 0;
        }
        None
    }
}
