//! Deleting footage on all volumes, for whoever asks over the footage socket.
//!
//! Does not belong here: overwriting it (crate `store`), who may (crate `web`).
//!
//! Invariants
//! - It is tried nowhere before all volumes that record have said that it can be.
//! - What a volume accepted, it does, whatever the others say.

use std::collections::{BTreeMap, BTreeSet};

use hal::{ChannelId, StreamId, StreamKind, WallTime};
use serde::{Deserialize, Serialize};
use store::{Deletable, Deletion, ErrorKind, StoreError};

use crate::footage_locks::{FootageLocks, LockRefusal};

/// What is this new may be on its way to a disk.
const SETTLED_MICROS: i64 = 10_000_000;
/// Footage is this far in the future because a clock was wrong, and not because clocks differ.
const AHEAD_MICROS: i64 = 60_000_000;

/// What somebody wants deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletionWish {
    pub(crate) channels: Vec<ChannelId>,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
}

/// What goes, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletionScope {
    pub(crate) channels: BTreeSet<ChannelId>,
    /// The first moment that is recorded, and the last one.
    pub(crate) span: Option<(WallTime, WallTime)>,
    pub(crate) bytes: u64,
    /// Volumes that do not record now.
    pub(crate) silent: u32,
}

/// A deletion as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletionView {
    pub(crate) id: u64,
    pub(crate) channels: Vec<ChannelId>,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) by: String,
    pub(crate) at: WallTime,
}

/// Why nothing was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeletionRefusal {
    /// Some of it is locked, and by whom; for people.
    Locked(String),
    /// It cannot be, and why, for people.
    Invalid(String),
    /// No volume takes footage.
    NoDisk,
    /// What a disk or the ledger said, for the log. Other disks may do it.
    Failed(String),
}

impl FootageLocks {
    /// Deletions that some volume has not done, the oldest first.
    pub(crate) fn deletions(&self) -> Result<Vec<DeletionView>, DeletionRefusal> {
        let mut all: BTreeMap<u64, DeletionView> = BTreeMap::new();
        for pending in self.ask(|store| store.deletions().to_vec())? {
            for deletion in &pending? {
                all.entry(deletion.id).or_insert_with(|| view(deletion));
            }
        }
        Ok(all.into_values().collect())
    }

    /// What [`FootageLocks::delete`] would delete.
    pub(crate) fn deletable(
        &self,
        wish: &DeletionWish,
        now: WallTime,
    ) -> Result<DeletionScope, DeletionRefusal> {
        let streams = streams(wish, now)?;
        let DeletionWish { start, end, .. } = *wish;
        let found = self.ask(move |store| store.deletable(&streams, start, end))?;
        let mut scope = DeletionScope { silent: self.silent(), ..DeletionScope::default() };
        for found in found {
            scope.add(&found?.map_err(|error| refusal(&error))?);
        }
        Ok(scope)
    }

    /// Has it deleted on every volume. Its number is the time `now`, or the next one.
    pub(crate) fn delete(
        &self,
        wish: &DeletionWish,
        by: &str,
        now: WallTime,
    ) -> Result<DeletionScope, DeletionRefusal> {
        let _turn = self.take_turn();
        self.deletable(wish, now)?;
        let next = self.deletions()?.last().map_or(1, |last| last.id + 1);
        let id = u64::try_from(now.as_unix_micros()).unwrap_or_default().max(next);
        let streams = streams(wish, now)?;
        let DeletionWish { start, end, .. } = *wish;
        let by = by.to_owned();
        let accepted = self.ask(move |store| store.delete(id, &streams, start, end, &by))?;
        let mut scope = DeletionScope { silent: self.silent(), ..DeletionScope::default() };
        for accepted in accepted {
            scope.add(&accepted?.map_err(|error| refusal(&error))?);
        }
        Ok(scope)
    }
}

impl DeletionScope {
    fn add(&mut self, found: &Deletable) {
        self.bytes += found.bytes.0;
        for span in &found.spans {
            self.channels.insert(span.stream.channel);
            let bounds = (span.start, span.end);
            self.span = Some(self.span.map_or(bounds, |known| store::spanning(known, bounds)));
        }
    }
}

fn streams(wish: &DeletionWish, now: WallTime) -> Result<Vec<StreamId>, DeletionRefusal> {
    if wish.end.micros_since(now) > -SETTLED_MICROS && wish.start.micros_since(now) < AHEAD_MICROS {
        let what = "the last 10 seconds are still being recorded: choose an earlier end, or wait a moment";
        return Err(DeletionRefusal::Invalid(what.to_owned()));
    }
    let channels: BTreeSet<ChannelId> = wish.channels.iter().copied().collect();
    let of = |channel| StreamKind::ALL.map(|kind| StreamId::new(channel, kind));
    Ok(channels.into_iter().flat_map(of).collect())
}

fn view(deletion: &Deletion) -> DeletionView {
    let channels: BTreeSet<ChannelId> = deletion.streams.iter().map(|stream| stream.channel).collect();
    DeletionView {
        id: deletion.id,
        channels: channels.into_iter().collect(),
        start: deletion.from,
        end: deletion.to,
        by: deletion.by.clone(),
        at: deletion.at,
    }
}

fn refusal(error: &StoreError) -> DeletionRefusal {
    match error.kind() {
        ErrorKind::Pinned => DeletionRefusal::Locked(error.what()),
        ErrorKind::Invalid => DeletionRefusal::Invalid(error.what()),
        _ => DeletionRefusal::Failed(error.to_string()),
    }
}

impl From<LockRefusal> for DeletionRefusal {
    fn from(refusal: LockRefusal) -> Self {
        match refusal {
            LockRefusal::NoDisk => Self::NoDisk,
            LockRefusal::Failed(what) => Self::Failed(what),
            other => Self::Failed(format!("{other:?}")),
        }
    }
}
