//! The recording thread: rings in, commits out.
//!
//! Does not belong here: following one ring (`follow`), figures (`status`).
//!
//! Invariants
//! - It never waits for one ring while another fills: rings are drained without waiting.
//! - While the disk fails, rings are left alone as long as the store has no room: they keep more than memory does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{UnitMeta, ring_path};
use hal::{ByteCount, ChannelId, Clock, MAX_CHANNELS, MonoTime, StreamId, StreamKind, WallTime};
use store::{Bounds, CommitReport, Store, StoreError, UnwrittenUnit};

use crate::assign::Channels;
use crate::desk::StoreDesk;
use crate::follow::{self, Follower};
use crate::loss::{Loss, LossCause, Losses};
use crate::reached::Reached;
use crate::status::{StatusHandle, StopFlag};

/// How often rings are drained: a ring of a few seconds is never more than a fraction full.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);

/// How often footage is made durable; the promise is 2 s at most (docs/architecture.md).
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Over how long rates are measured.
const RATE_INTERVAL: Duration = Duration::from_secs(5);

/// Sealed segments are read back by at least this much between two drains.
const MIN_SCRUB_BYTES: u64 = 256 << 10;

/// No recorder ran before 2025: a clock that shows less was not set, and days are not counted by it.
const NOT_BEFORE: WallTime = WallTime::from_unix_micros(1_735_689_600_000_000);

/// The most damages kept for people to read.
const MAX_DAMAGES: usize = 16;

/// What is recorded of a channel.
pub const RECORDED_KINDS: [StreamKind; 2] = [StreamKind::Main, StreamKind::Audio];

/// The channels that a recorder takes, changed while it runs; cheap to clone.
///
/// One that is given up stays as far as it was drained; one that is taken begins with the oldest unit in its ring, so
/// that a channel that moves from one volume to another has no gap, but some seconds on both.
#[derive(Clone, Debug, Default)]
pub struct ChannelChoice(Arc<Mutex<Channels>>);

impl ChannelChoice {
    /// These and no others.
    pub fn set(&self, channels: Channels) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = channels;
    }

    /// What was last set; none at first.
    #[must_use]
    pub fn get(&self) -> Channels {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Drains the rings of its channels into a store.
pub struct Recorder {
    bus_dir: PathBuf,
    /// `None`: every channel there is.
    choice: Option<ChannelChoice>,
    store: Store,
    clock: Arc<dyn Clock>,
    status: StatusHandle,
    followers: BTreeMap<StreamId, Follower>,
    /// Written since the last reading back, so that it keeps pace.
    to_scrub: u64,
    rates: Rates,
    desk: StoreDesk,
    losses: Losses,
    reached: Reached,
}

struct Rates {
    since: MonoTime,
    written: u64,
    streams: BTreeMap<StreamId, u64>,
}

impl Recorder {
    /// Records main streams and audio of every channel that appears in `bus_dir`, unless [`Recorder::choose`] says
    /// otherwise.
    #[must_use]
    pub fn new(bus_dir: &Path, store: Store, clock: Arc<dyn Clock>) -> Self {
        let status = StatusHandle::default();
        let volume = store.status();
        {
            let mut status = status.lock();
            status.volume_max = volume.max_bytes;
            status.volume_used = volume.used_bytes;
            status.bounds = known_bounds(&store);
        }
        let rates = Rates { since: clock.mono(), written: 0, streams: BTreeMap::new() };
        Self {
            bus_dir: bus_dir.to_owned(),
            choice: None,
            store,
            clock,
            status,
            followers: BTreeMap::new(),
            to_scrub: 0,
            rates,
            desk: StoreDesk::default(),
            losses: Losses::default(),
            reached: Reached::default(),
        }
    }

    /// Records the channels of `choice` alone.
    #[must_use]
    pub fn choose(mut self, choice: ChannelChoice) -> Self {
        self.choice = Some(choice);
        self
    }

    /// Tells also of what nobody took before it, of all that know of each other by `reached`.
    #[must_use]
    pub fn after(mut self, reached: Reached) -> Self {
        self.reached = reached;
        self
    }

    /// The figures, for other threads.
    #[must_use]
    pub fn status(&self) -> StatusHandle {
        self.status.clone()
    }

    /// Where others have something done with the store.
    #[must_use]
    pub fn desk(&self) -> StoreDesk {
        self.desk.clone()
    }

    /// What it did not get, for other threads.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.losses.clone()
    }

    /// Records until `stop` is raised, then drains what is in the rings, commits and seals. Call it on a thread of
    /// its own.
    ///
    /// # Errors
    /// When the last commit failed; everything before it was retried for as long as it took.
    pub fn run(mut self, stop: &StopFlag) -> Result<(), StoreError> {
        let mut next_drain = self.clock.mono();
        // Rings have kept what came before: it has waited long enough.
        let mut next_commit = next_drain;
        while !stop.is_raised() {
            if self.desk.serve(&mut self.store) && self.store.class_awaits_commit() {
                // What is still in the rings belongs to the new class, and the rest of a second is not waited for.
                let _ = self.commit();
            }
            self.drain();
            let now = self.clock.mono();
            if now >= next_commit || !self.store.has_room() {
                // A failure is in the status; the footage is kept and tried again.
                let _ = self.commit();
                next_commit = later(next_commit, COMMIT_INTERVAL, self.clock.mono());
            }
            self.scrub();
            self.measure();
            next_drain = later(next_drain, DRAIN_INTERVAL, self.clock.mono());
            stop.wait(next_drain.since(self.clock.mono()));
        }
        let _ = self.desk.serve(&mut self.store);
        self.drain();
        if let Err(error) = self.commit() {
            self.give_up();
            return Err(error);
        }
        let report = self.store.finish()?;
        let mut status = self.status.lock();
        status.written.0 += report.written.0;
        Ok(())
    }

    /// Takes what is in the rings.
    fn drain(&mut self) {
        let rings = self.rings();
        if let Some(choice) = self.choice.as_ref().map(ChannelChoice::get) {
            let mut status = self.status.lock();
            // One whose ring is gone stays: it knows since when nothing comes.
            self.followers.retain(|stream, follower| {
                if !rings.contains(stream) {
                    follower.let_go();
                    if let Some(figures) = status.streams.get_mut(stream) {
                        figures.present = false;
                    }
                }
                choice.contains(&stream.channel)
            });
        }
        for stream in rings {
            if self.followers.get(&stream).is_none_or(|follower| !follower.is_open()) {
                self.follow(stream);
            }
        }
        let mut again = true;
        while again {
            again = false;
            let now = self.clock.mono();
            for follower in self.followers.values_mut() {
                again |= follower.drain(now, &mut self.store, &self.status, &self.losses);
            }
            // More came in than memory takes: after a restart every ring is full.
            if !self.store.has_room() && self.commit().is_err() {
                return;
            }
        }
    }

    /// The streams that have a ring now.
    fn rings(&self) -> Vec<StreamId> {
        // No folder yet: nobody has published anything.
        let Ok(entries) = std::fs::read_dir(&self.bus_dir) else { return Vec::new() };
        let there: BTreeSet<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        let choice = self.choice.as_ref().map(ChannelChoice::get);
        (1..=MAX_CHANNELS)
            .filter_map(ChannelId::new)
            .filter(|channel| choice.as_ref().is_none_or(|choice| choice.contains(channel)))
            .flat_map(|channel| RECORDED_KINDS.map(|kind| StreamId::new(channel, kind)))
            .filter(|stream| there.contains(&ring_path(&self.bus_dir, *stream)))
            .collect()
    }

    fn follow(&mut self, stream: StreamId) {
        let last = self.store.last(stream);
        let opened = Follower::open(&self.bus_dir, stream, last, &self.reached);
        match opened {
            Ok(Some(mut follower)) => {
                if let Some(former) = self.followers.get(&stream) {
                    follower.take_over(former);
                }
                let mut status = self.status.lock();
                let figures = status.streams.entry(stream).or_default();
                figures.present = true;
                figures.last_error = None;
                self.followers.insert(stream, follower);
            }
            Ok(None) => {}
            Err(error) => {
                let mut status = self.status.lock();
                status.streams.entry(stream).or_default().last_error = Some(error.to_string());
            }
        }
    }

    fn commit(&mut self) -> Result<CommitReport, StoreError> {
        self.status.lock().committing_since = Some(self.clock.mono());
        self.store.set_clock_trusted(self.clock.wall() >= NOT_BEFORE);
        let done = self.store.commit();
        let bounds = done.is_ok().then(|| known_bounds(&self.store));
        let mut status = self.status.lock();
        status.committing_since = None;
        if let Some(bounds) = bounds {
            status.bounds = bounds;
        }
        let volume = self.store.status();
        status.volume_max = volume.max_bytes;
        status.volume_used = volume.used_bytes;
        status.volume_locked = volume.locked_bytes;
        match &done {
            Ok(report) => {
                self.to_scrub += report.written.0;
                self.rates.written += report.written.0;
                status.commits += 1;
                status.committed.0 += report.payload.0;
                status.written.0 += report.written.0;
                status.last_commit = report.latency;
                status.slowest_commit = status.slowest_commit.max(report.latency);
                if report.units > 0 {
                    status.last_durable = Some(self.clock.wall());
                }
                status.failing_since = None;
                status.retention_error.clone_from(&report.retention_error);
                status.unwitnessed += report.unwitnessed;
                status.last_error = report.index_error.clone();
                status.last_error_kind = report.index_error.as_ref().map(|_| store::ErrorKind::Index);
            }
            Err(error) => {
                tracing::error!(%error, "footage cannot be made durable; trying again");
                self.followers.values_mut().for_each(Follower::hold_up);
                status.failed_commits += 1;
                status.failing_since.get_or_insert(self.clock.mono());
                status.last_error = Some(error.to_string());
                status.last_error_kind = Some(error.kind());
            }
        }
        done
    }

    /// What is in memory goes with this recorder: it tells of what nobody can take from the rings any more.
    fn give_up(&self) {
        let choice = self.choice.as_ref().map(ChannelChoice::get);
        for (stream, units) in self.store.unwritten() {
            let is_one = |meta: &UnitMeta| units.iter().any(|unit| follow::is_same(meta, unit.unit));
            let is_given_up = choice.as_ref().is_some_and(|choice| !choice.contains(&stream.channel));
            // A channel that was given up was taken by another recorder, as far back as its ring reached.
            let next = if is_given_up {
                self.reached.first(stream)
            } else {
                let next = follow::find(&self.bus_dir, stream, is_one).unwrap_or_default();
                next.inspect(|next| self.reached.left(stream, *next))
            };
            let kept = next.and_then(|next| kept_from(&units, next));
            let (gone, end) = match kept {
                Some(kept) => (&units[..kept], units[kept].unit.wall),
                None => (&units[..], units.last().map_or(WallTime::default(), |last| last.unit.wall)),
            };
            let Some(first) = gone.first() else { continue };
            {
                let mut status = self.status.lock();
                let figures = status.streams.entry(stream).or_default();
                figures.lost_units += gone.len() as u64;
                figures.lost_gops += gone.iter().filter(|unit| unit.keyframe).count() as u64;
            }
            let (units, cause) = (gone.len() as u64, LossCause::DiskFailed);
            let start = first.unit.wall;
            self.losses.add(Loss { stream, start, end, units, cause, elsewhere: false });
        }
    }

    /// Reads back as fast as is written.
    fn scrub(&mut self) {
        let budget = self.to_scrub.max(MIN_SCRUB_BYTES);
        let report = self.store.scrub(ByteCount(budget));
        self.to_scrub = 0;
        if report.damages.is_empty() {
            return;
        }
        let mut status = self.status.lock();
        for damage in report.damages {
            tracing::error!(%damage, "footage reads back wrong");
            status.damages.push(damage);
        }
        let surplus = status.damages.len().saturating_sub(MAX_DAMAGES);
        status.damages.drain(..surplus);
    }

    fn measure(&mut self) {
        let now = self.clock.mono();
        let micros = u64::try_from(now.since(self.rates.since).as_micros()).unwrap_or(u64::MAX);
        if micros < RATE_INTERVAL.as_micros() as u64 {
            return;
        }
        let per_second = |bytes: u64| bytes.saturating_mul(1_000_000) / micros;
        let classes = self.store.classes();
        let mut status = self.status.lock();
        status.classes = classes;
        status.write_bytes_per_sec = per_second(self.rates.written);
        for (stream, figures) in &mut status.streams {
            let before = self.rates.streams.insert(*stream, figures.bytes.0).unwrap_or(0);
            let bits = per_second(figures.bytes.0.saturating_sub(before)).saturating_mul(8);
            figures.bit_rate = hal::BitsPerSecond(u32::try_from(bits).unwrap_or(u32::MAX));
        }
        self.rates.written = 0;
        self.rates.since = now;
    }
}

/// The first of `units` that somebody has who has all from `first` on; `None` for none of them.
fn kept_from(units: &[UnwrittenUnit], first: UnitMeta) -> Option<usize> {
    let is_later = units.first().is_some_and(|unit| unit.unit.wall.micros_since(first.wall) > 0);
    let at = units.iter().position(|unit| follow::is_same(&first, unit.unit));
    at.or(is_later.then_some(0))
}

/// Told without an error: people see that the index cannot be read by what the commit says of it.
fn known_bounds(store: &Store) -> Option<Bounds> {
    store.bounds().unwrap_or_default()
}

/// The next time after `now` on the grid of `interval`; what was missed is not made up for.
fn later(last: MonoTime, interval: Duration, now: MonoTime) -> MonoTime {
    let next = last + interval;
    if now.since(next) > Duration::ZERO { now + interval } else { next }
}
