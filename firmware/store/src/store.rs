//! The one writer of a volume.
//!
//! [`Store::append`] fills chunks in memory; [`Store::commit`] writes all of them with one sequential write and
//! one `fdatasync`. Does not belong here: what is recorded (crate `recorder`), recovery (`recover`).
//!
//! Invariants
//! - A commit is acknowledged when it is durable, and only then do readers hear of it.
//! - What is not acknowledged is kept and tried again, until the caller stops appending.
//! - After a failed write or sync nothing is ever written to that segment again but its seal.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evidence::layout::Hash;
use evidence::{ChunkHeader, SampleFormat};
use hal::{AccessUnit, ByteCount, Clock, MAX_UNIT_BYTES, MonoTime, StreamFormat, StreamId};

use crate::builder::{Builder, Chunking, ClosedChunk, Refused};
use crate::calendar::Calendar;
use crate::config::{Cipher, StoreOptions};
use crate::deletions::Deletions;
use crate::disk::{Disk, RealDisk};
use crate::error::{ErrorKind, StoreError};
use crate::keys::Keys;
use crate::locks::Locks;
use crate::random::random;
use crate::rates::Rates;
use crate::recover::{RecoveryReport, recover};
use crate::report::{CommitReport, LastUnit, UnwrittenUnit, VolumeStatus};
use crate::retention::{Class, DAY_MICROS, Today};
use crate::runs::{Bounds, spanning};
use crate::scrub::ScrubReport;
use crate::volume::Volume;
use crate::writer::{Failure, Writer};

/// A chunk takes at most this part of a segment, so that little is left over at its end.
const CHUNKS_PER_SEGMENT: u64 = 8;

/// How often it is looked whether footage is too old.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(10);

/// How many segments are tried in one commit before the caller hears of the failure.
const MAX_TRIES: u64 = 3;

struct StreamState {
    builder: Builder,
    /// Of the last chunk that is durable.
    chain: Hash,
    last: Option<LastUnit>,
    /// Of the chunks that wait; the next ones may have another.
    class: Class,
}

/// The one writer of a volume. Dropping it loses what was not committed; [`Store::finish`] does not.
pub struct Store {
    pub(crate) writer: Writer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calendar: Calendar,
    pub(crate) rates: Rates,
    /// When the oldest footage is looked at again.
    expiry_at: MonoTime,
    /// When what could not be overwritten is tried again.
    pub(crate) delete_at: MonoTime,
    streams: BTreeMap<StreamId, StreamState>,
    /// What was asked for; streams that are not here are in [`Class::DEFAULT`].
    classes: BTreeMap<StreamId, Class>,
    /// What waits to be written, in order. All chunks of one stream that wait are of one class.
    closed: BTreeMap<Class, Vec<ClosedChunk>>,
    how: Chunking,
    /// What is kept in memory while commits fail: the rings keep what does not fit here.
    max_pending_bytes: usize,
    /// The first chunk of a stream that is new.
    first_sequence: u64,
    recoverable: bool,
    /// Held for the volume's writer.
    _lock: File,
}

impl Store {
    /// Opens the volume in `dir`, or makes it, and recovers it from whatever happened. An encrypted volume opens for the
    /// device and the owner in `keys` from then on.
    ///
    /// # Errors
    /// `NoKey` when `keys` do not open it, `Locked` when another writer has it, `DiskFull`, `Unwritable`, `Io` as the system answers, `Unsupported`
    /// and `Damaged` for a `volume.toml` or footage that this program must not touch.
    pub fn open(
        dir: &Path,
        options: StoreOptions,
        keys: &Keys,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), StoreError> {
        Self::open_on(Arc::new(RealDisk), dir, options, keys, clock)
    }

    /// As [`Store::open`], on another disk.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: StoreOptions,
        keys: &Keys,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), StoreError> {
        let volume = Volume::open_or_create(disk, dir, options, keys)?;
        let lock = volume.lock()?;
        let recoverable = renew_keys(&volume, keys);
        let mut recovered = recover(&volume)?;
        for damage in &recovered.report.damages {
            tracing::warn!(%damage, "found while opening the volume");
        }
        let nonce = u64::from_le_bytes(random(dir)?);
        let how = Chunking {
            close_bytes: usize::try_from(volume.segment_bytes / CHUNKS_PER_SEGMENT).unwrap_or(usize::MAX),
            key: volume.key.as_ref().map(|key| Arc::new(key.life(nonce))),
            hash: options.hash,
        };
        let streams = std::mem::take(&mut recovered.streams)
            .into_iter()
            .map(|(stream, end)| {
                let format = end.last.as_ref().and_then(|(last, _)| SampleFormat::decode(&last.entry).ok());
                let state = StreamState {
                    builder: Builder::new(stream, format, end.last_sequence + 1, how.clone()),
                    chain: end.last.as_ref().map_or([0; 32], |(_, hash)| *hash),
                    last: end.last.as_ref().and_then(|(last, _)| LastUnit::of(last)),
                    class: Class::DEFAULT,
                };
                (stream, state)
            })
            .collect();
        let mut report = recovered.report.clone();
        let first_sequence = 1 + recovered.unread.chunks;
        let locks = Locks::load(&volume).unwrap_or_else(|error| {
            tracing::error!(%error, "locked footage is not known and may be overwritten");
            report.damages.push(error.to_string());
            Locks::none(&volume)
        });
        let deletions = Deletions::load(&volume).unwrap_or_else(|error| {
            tracing::error!(%error, "it is not known what is to be deleted");
            report.damages.push(error.to_string());
            Deletions::none(&volume)
        });
        let calendar = Calendar::new(recovered.calendar, clock.wall(), clock.mono());
        let closed = recovered.existing.values().map(|kept| (kept.class, kept.closed));
        let rates = Rates::new(clock.mono(), volume.segment_bytes, closed);
        let writer = Writer::new(volume, (locks, deletions), nonce, recovered)?;
        let mut store = Self {
            writer,
            expiry_at: clock.mono(),
            delete_at: clock.mono(),
            clock,
            calendar,
            rates,
            streams,
            classes: BTreeMap::new(),
            closed: BTreeMap::new(),
            how,
            max_pending_bytes: usize::try_from(options.pending_bytes.0).unwrap_or(usize::MAX),
            first_sequence,
            recoverable,
            _lock: lock,
        };
        store.close_for_deletion();
        Ok((store, report))
    }

    /// What is appended to `stream` from now on is kept by the rule of `class`. Settings are told again after each
    /// opening: the volume does not remember them. While chunks of the stream wait to be written, those that come
    /// go with them.
    pub fn set_class(&mut self, stream: StreamId, class: Class) {
        self.classes.insert(stream, class);
        self.settle_classes();
    }

    /// The class that what is appended to `stream` now goes to: until a commit succeeds that may be the former one.
    #[must_use]
    pub fn class(&self, stream: StreamId) -> Class {
        let asked = || self.classes.get(&stream).copied().unwrap_or_default();
        self.streams.get(&stream).map_or_else(asked, |state| state.class)
    }

    /// Whether a stream stays in its former class until a commit succeeds.
    #[must_use]
    pub fn class_awaits_commit(&self) -> bool {
        let asked = |stream| self.classes.get(stream).copied().unwrap_or_default();
        self.streams.iter().any(|(stream, state)| state.class != asked(stream))
    }

    /// A stream whose chunks wait in one class cannot go on in another: that one may become durable first, and the
    /// chain would have a hole after a crash.
    fn settle_classes(&mut self) {
        for (stream, state) in &mut self.streams {
            let wanted = self.classes.get(stream).copied().unwrap_or_default();
            let waits = || {
                let waiting = self.closed.get(&state.class);
                waiting.is_some_and(|chunks| chunks.iter().any(|chunk| chunk.header.stream == *stream))
            };
            if state.class != wanted && state.builder.open_bytes() == 0 && !waits() {
                state.class = wanted;
            }
        }
    }

    /// Takes a unit into memory. Units of one stream come in decoding order. A video stream begins at its first
    /// unit with parameter sets; what comes before it is silently left out.
    ///
    /// # Errors
    /// `Invalid` for a unit that cannot be stored (too large, too many NAL units, not of `format`'s kind),
    /// `DiskFull` when commits have failed for so long that there is no room to keep more.
    pub fn append(&mut self, format: &StreamFormat, unit: &AccessUnit<'_>) -> Result<(), StoreError> {
        let invalid = |what: String| {
            let dir = &self.writer.volume().dir;
            Err(StoreError::new(ErrorKind::Invalid, dir, None, format!("{}: {what}", unit.stream)))
        };
        let limit = MAX_UNIT_BYTES.min(self.how.close_bytes);
        if unit.data.is_empty() || unit.data.len() > limit {
            return invalid(format!("a unit of {} bytes, the limit is {limit}", unit.data.len()));
        }
        let audio = unit.stream.kind == hal::StreamKind::Audio;
        if audio != matches!(format, StreamFormat::Audio(_)) {
            return invalid("the format is of another kind than the stream".into());
        }
        if self.pending_bytes() > self.max_pending_bytes.saturating_mul(2) {
            let what = format!("{}: {} bytes wait to be written", unit.stream, self.pending_bytes());
            return Err(StoreError::new(ErrorKind::DiskFull, &self.writer.volume().dir, None, what));
        }
        let (how, first) = (&self.how, self.first_sequence);
        let class = self.classes.get(&unit.stream).copied().unwrap_or_default();
        let state = self.streams.entry(unit.stream).or_insert_with(|| StreamState {
            builder: Builder::new(unit.stream, None, first, how.clone()),
            chain: [0; 32],
            last: None,
            class,
        });
        match state.builder.push(format, unit, self.closed.entry(state.class).or_default()) {
            Ok(()) => {
                state.last = Some(LastUnit { pts: unit.pts, wall: unit.wall });
                Ok(())
            }
            Err(Refused::NoParameterSets) => Ok(()),
            Err(Refused::Invalid(what)) => invalid(what),
        }
    }

    /// Whether there is room to append; when not, commit first.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.pending_bytes() < self.max_pending_bytes
    }

    /// Makes everything appended durable: one write and one sync for each class that has something.
    ///
    /// # Errors
    /// `DiskFull`, `Unwritable`, `Io`: what was appended and did not become durable is kept, and the next commit tries
    /// again.
    pub fn commit(&mut self) -> Result<CommitReport, StoreError> {
        let begun = self.clock.mono();
        for state in self.streams.values_mut() {
            state.builder.close(self.closed.entry(state.class).or_default());
        }
        self.calendar.advance(self.clock.wall(), begun);
        self.writer.begin();
        let mut report = CommitReport::default();
        self.seal_old(&mut report);
        let written = self.write_closed(&mut report);
        self.settle_classes();
        if written.is_ok() {
            self.keep_rules(&mut report);
        }
        report.index_error = self.writer.update_index().err().map(|error| error.to_string());
        report.unwitnessed = std::mem::take(&mut self.writer.pool.witnesses.unwitnessed);
        written?;
        report.latency = self.clock.mono().since(begun);
        Ok(report)
    }

    /// Footage goes by segments: one that is filled slowly would keep its first day for too long, and one of a class that
    /// nobody has a share of any more would never be filled, and so never be overwritten.
    fn seal_old(&mut self, report: &mut CommitReport) {
        for (class, begun) in self.writer.open_classes() {
            let rule = self.writer.pool.rules.of(class);
            let old = rule.max_days.is_some() && self.calendar.now().micros_since(begun) > DAY_MICROS;
            let left = rule.share == 0 && self.closed.get(&class).is_none_or(Vec::is_empty);
            if old || left {
                self.seal(class, report);
            }
        }
    }

    /// Forgets what is to be forgotten, and tells of what was sealed. Whatever fails is tried again by the next commit.
    fn keep_rules(&mut self, report: &mut CommitReport) {
        let open = self.writer.open_files();
        let now = self.clock.mono();
        let pool = &mut self.writer.pool;
        let mut done = pool.shrink(open).and(pool.tell_seals());
        if now >= self.expiry_at {
            let wall = self.calendar.is_trusted().then(|| self.clock.wall());
            match pool.expire(Today { calendar: self.calendar.now(), wall }) {
                Ok(0) => self.expiry_at = now + EXPIRY_INTERVAL,
                Ok(expired) => report.expired = expired,
                Err(error) => done = done.and(Err(error)),
            }
        }
        if now >= self.delete_at
            && let Err(error) = pool.delete_some()
        {
            self.delete_at = now + EXPIRY_INTERVAL;
            done = done.and(Err(error));
        }
        if let Err(error) = done {
            tracing::error!(%error, "footage is not forgotten as it should be");
            report.retention_error = Some(error.to_string());
        }
    }

    /// Every class has its try, also when another one failed.
    fn write_closed(&mut self, report: &mut CommitReport) -> Result<(), StoreError> {
        let mut tries = 0;
        let mut done = Ok(());
        for class in Class::all() {
            let Some(mut waiting) = self.closed.remove(&class) else { continue };
            let written = self.write_class(class, &mut waiting, &mut tries, report);
            done = done.and(written);
            if !waiting.is_empty() {
                self.closed.insert(class, waiting);
            }
        }
        done
    }

    fn write_class(
        &mut self,
        class: Class,
        waiting: &mut Vec<ClosedChunk>,
        tries: &mut u64,
        report: &mut CommitReport,
    ) -> Result<(), StoreError> {
        while !waiting.is_empty() {
            let now = self.calendar.now();
            report.recycled_early |= self.writer.ensure_segment(class, now)?;
            let count = self.writer.fitting(class, waiting);
            if count == 0 && self.writer.is_fresh(class) {
                // Only a volume with tiny segments gets here: parameter sets larger than a segment.
                let chunk = waiting.remove(0);
                let what =
                    format!("{}: a chunk is larger than a segment and is left out", chunk.header.stream);
                return Err(StoreError::new(ErrorKind::Invalid, &self.writer.volume().dir, None, what));
            }
            if count == 0 {
                self.seal(class, report);
                continue;
            }
            let streams = &self.streams;
            let chain = |stream: StreamId| streams.get(&stream).map_or([0; 32], |state| state.chain);
            match self.writer.write(class, &waiting[..count], chain) {
                Ok((written, chains)) => {
                    for (stream, hash) in chains {
                        if let Some(state) = self.streams.get_mut(&stream) {
                            state.chain = hash;
                        }
                    }
                    report.written.0 += written;
                    self.rates.add(self.clock.mono(), class, written);
                    for chunk in waiting.drain(..count) {
                        report.chunks += 1;
                        report.units += chunk.header.frames.len() as u64;
                        report.payload.0 += chunk.header.footage_bytes() as u64;
                        if let Some(state) = self.streams.get_mut(&chunk.header.stream) {
                            state.builder.take_back(chunk.payload);
                        }
                    }
                }
                Err(Failure::Segment(error)) => {
                    tracing::error!(%error, "the segment is given up");
                    report.failed += 1;
                    self.writer.give_up(class, now);
                    *tries += 1;
                    if *tries >= MAX_TRIES {
                        return Err(error);
                    }
                }
                Err(Failure::Volume(error)) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn seal(&mut self, class: Class, report: &mut CommitReport) {
        match self.writer.seal(class, self.calendar.now()) {
            Ok(Some(written)) => {
                report.written.0 += written;
                report.sealed += 1;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "the segment stays without a footer");
                report.failed += 1;
            }
        }
    }

    /// The headers of the chunks that are not durable yet; units that are in none yet came later.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &ChunkHeader> {
        self.closed.values().flatten().map(|chunk| &chunk.header)
    }

    /// The last unit of a stream that was appended, now or before the volume was opened.
    #[must_use]
    pub fn last(&self, stream: StreamId) -> Option<LastUnit> {
        self.streams.get(&stream)?.last
    }

    /// The first and the last moment of all durable footage; `None` when there is none. It reads nothing but the index.
    ///
    /// # Errors
    /// `Index`.
    pub fn bounds(&self) -> Result<Option<Bounds>, StoreError> {
        let known = self.writer.pool.backlog.bounds()?;
        Ok(known.into_iter().chain(self.writer.live().bounds()).reduce(spanning))
    }

    /// Units in memory that did not become durable, in the order of each stream.
    #[must_use]
    pub fn unwritten(&self) -> BTreeMap<StreamId, Vec<UnwrittenUnit>> {
        let mut units: BTreeMap<StreamId, Vec<UnwrittenUnit>> = BTreeMap::new();
        for chunk in self.closed.values().flatten() {
            units.entry(chunk.header.stream).or_default().extend(UnwrittenUnit::all_of(&chunk.header));
        }
        units
    }

    /// Streams that the volume has, or that were appended since.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.streams.keys().copied()
    }

    /// Reads back up to `budget` bytes of the segments sealed since the volume was opened, from the medium.
    ///
    /// Kernels before 4.13 can lose a write error; this notices. Call it between commits.
    pub fn scrub(&mut self, budget: ByteCount) -> ScrubReport {
        self.writer.pool.scrubber.run(budget.0)
    }

    /// How full the volume is.
    #[must_use]
    pub fn status(&self) -> VolumeStatus {
        VolumeStatus {
            max_bytes: ByteCount(self.writer.volume().max_bytes),
            used_bytes: ByteCount(self.writer.used_bytes()),
            pending_bytes: ByteCount(self.pending_bytes() as u64),
            locked_bytes: ByteCount(self.writer.pool.locked * self.writer.volume().segment_bytes),
            calendar: self.calendar.now(),
            cipher: self.writer.volume().cipher,
            recoverable: self.recoverable,
        }
    }

    fn pending_bytes(&self) -> usize {
        let open: usize = self.streams.values().map(|state| state.builder.open_bytes()).sum();
        open + self.closed.values().flatten().map(|chunk| chunk.payload.len()).sum::<usize>()
    }

    /// Commits, and seals what is open, so that the next start has nothing to scan.
    ///
    /// # Errors
    /// As [`Store::commit`]; what was committed before is safe.
    pub fn finish(mut self) -> Result<CommitReport, StoreError> {
        let mut report = self.commit()?;
        for (class, _) in self.writer.open_classes() {
            self.seal(class, &mut report);
        }
        report.index_error = self.writer.update_index().err().map(|error| error.to_string());
        // A refusal is no loss: the next opening tells of these seals again.
        let _ = self.writer.pool.tell_seals();
        Ok(report)
    }
}

/// Lets the device and the owner into an encrypted volume; whether the owner's recovery key opens it.
fn renew_keys(volume: &Volume, keys: &Keys) -> bool {
    if volume.cipher == Cipher::None {
        return false;
    }
    // Footage matters more: it is recorded, and the status says what does not open.
    if let Err(error) = volume.key_file().renew(keys) {
        tracing::error!(%error, "the volume's key file stays as it was");
    }
    volume.key_file().opens_for_owner(keys)
}
