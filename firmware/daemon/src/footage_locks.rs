//! Locked footage of all volumes, for whoever asks over the footage socket.
//!
//! A lock has one number on every volume that it is on. Does not belong here: which segments it keeps (crate `store`), who may
//! lock (crate `web`).
//!
//! Invariants
//! - A lock is on all volumes that record, or on none.
//! - A volume that is stuck keeps nobody waiting for longer than [`ANSWER_WITHIN`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::{ChannelId, StreamId, WallTime};
use recorder::{RECORDED_KINDS, StoreDesk};
use serde::{Deserialize, Serialize};
use store::{ErrorKind, Lock, Store, StoreError};

/// A recorder that works looks at its desk four times a second, and between two commits.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A lock begins so long before what was asked for: the first picture needs the keyframe before it.
const LEAD_MICROS: i64 = 10_000_000;

/// A lock as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockView {
    pub(crate) id: u64,
    pub(crate) channels: Vec<ChannelId>,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) at: WallTime,
}

/// What somebody wants locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockWish {
    pub(crate) channels: Vec<ChannelId>,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) reason: String,
    pub(crate) by: String,
}

/// Why nothing was locked or unlocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LockRefusal {
    /// More than half of a volume would be locked; the sum, for people.
    TooMuch(String),
    /// It cannot be, and why, for people.
    Invalid(String),
    /// There is no such lock.
    NotFound,
    /// No volume takes footage.
    NoDisk,
    /// What the disk said, or that it says nothing, for the log.
    Failed(String),
}

/// The volumes that record now; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct FootageLocks {
    desks: Arc<Mutex<Vec<StoreDesk>>>,
    /// How many volumes there are that do not record.
    silent: Arc<AtomicU32>,
    /// Locks are made one by one, so that each has a number of its own.
    turn: Arc<Mutex<()>>,
}

impl FootageLocks {
    pub(crate) fn set(&self, desks: Vec<StoreDesk>, silent: usize) {
        *self.desks() = desks;
        self.silent.store(u32::try_from(silent).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Volumes that were not asked.
    pub(crate) fn silent(&self) -> u32 {
        self.silent.load(Ordering::Relaxed)
    }

    /// One order after the other.
    pub(crate) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn desks(&self) -> MutexGuard<'_, Vec<StoreDesk>> {
        // A list is never half-changed.
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the same done with every store, at the same time; the answers in order.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Store) -> T + Clone + Send + 'static,
    ) -> Result<Vec<Result<T, LockRefusal>>, LockRefusal> {
        let order = |desk: &StoreDesk| -> Option<Receiver<T>> {
            let (answer, answered) = mpsc::sync_channel(1);
            let work = work.clone();
            // Nobody may wait any more.
            let ordered = desk.order(move |store| drop(answer.try_send(work(store))));
            ordered.then_some(answered)
        };
        let waiting: Vec<_> = self.desks().iter().map(order).collect();
        if waiting.is_empty() {
            return Err(LockRefusal::NoDisk);
        }
        let mut patience = ANSWER_WITHIN;
        let answer = |answered: Option<Receiver<T>>| {
            answered.and_then(|answered| answered.recv_timeout(patience).ok()).ok_or_else(|| {
                // All were asked at the same time: the others have had theirs.
                patience = Duration::ZERO;
                LockRefusal::Failed("a volume does not answer".to_owned())
            })
        };
        Ok(waiting.into_iter().map(answer).collect())
    }

    /// Every lock, the oldest first.
    pub(crate) fn all(&self) -> Result<Vec<LockView>, LockRefusal> {
        let mut all: BTreeMap<u64, LockView> = BTreeMap::new();
        for locks in self.ask(|store| store.locks().to_vec())? {
            for lock in locks?.iter().map(view) {
                // Each volume has its own moment.
                let first = all.entry(lock.id).or_insert_with(|| lock.clone());
                first.at = first.at.min(lock.at);
            }
        }
        Ok(all.into_values().collect())
    }

    /// Locks on every volume; the lock, and the bytes that it keeps and no other lock does. Its number is the time `at`, or the
    /// next one.
    pub(crate) fn lock(&self, wish: LockWish, at: WallTime) -> Result<(LockView, u64), LockRefusal> {
        let _turn = self.take_turn();
        let next = self.all()?.last().map_or(1, |last| last.id + 1);
        let id = u64::try_from(at.as_unix_micros()).unwrap_or_default().max(next);
        let LockWish { channels, start, end, reason, by } = wish;
        let channels: BTreeSet<ChannelId> = channels.into_iter().collect();
        let streams: Vec<StreamId> = channels
            .into_iter()
            .flat_map(|channel| RECORDED_KINDS.map(|kind| StreamId::new(channel, kind)))
            .collect();
        let from = start.offset_micros(-LEAD_MICROS);
        let locked = self.ask(move |store| {
            // An end before the beginning is none before the lead is added, too.
            let from = if start < end { from } else { start };
            store.lock_as(id, &streams, from, end, &reason, &by).map_err(|error| refusal(&error))
        })?;
        match locked.into_iter().map(Result::flatten).collect::<Result<Vec<_>, _>>() {
            Ok(locked) => {
                let bytes = locked.iter().map(|(_, cost)| cost.0).sum();
                let first = locked.iter().map(|(lock, _)| lock).min_by_key(|lock| lock.at);
                first.map(|lock| (view(lock), bytes)).ok_or(LockRefusal::NoDisk)
            }
            Err(refusal) => {
                // Also where it was ordered and not answered yet.
                self.ask(move |store| drop(store.unlock(id)))?;
                Err(refusal)
            }
        }
    }

    /// Ends a lock on every volume.
    pub(crate) fn unlock(&self, id: u64) -> Result<LockView, LockRefusal> {
        let unlocked = self.ask(move |store| store.unlock(id).map_err(|error| refusal(&error)))?;
        let unlocked = unlocked.into_iter().map(Result::flatten).collect::<Result<Vec<_>, _>>()?;
        let first = unlocked.iter().flatten().min_by_key(|lock| lock.at);
        first.map(view).ok_or(LockRefusal::NotFound)
    }
}

fn view(lock: &Lock) -> LockView {
    let channels: BTreeSet<ChannelId> = lock.streams.iter().map(|stream| stream.channel).collect();
    LockView {
        id: lock.id,
        channels: channels.into_iter().collect(),
        start: lock.from,
        end: lock.to,
        reason: lock.reason.clone(),
        by: lock.by.clone(),
        at: lock.at,
    }
}

fn refusal(error: &StoreError) -> LockRefusal {
    match error.kind() {
        ErrorKind::Pinned => LockRefusal::TooMuch(error.what()),
        ErrorKind::Invalid => LockRefusal::Invalid(error.what()),
        _ => LockRefusal::Failed(error.to_string()),
    }
}
