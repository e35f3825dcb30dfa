//! What others read of the supervisor's thread: counters, motion grids.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hal::{ChannelId, MotionGrid};

use crate::counters::Counters;

#[derive(Debug, Default)]
pub(crate) struct Shared {
    counters: Mutex<Counters>,
    /// Channels whose detector is on; `None` once the newest grid was read.
    grids: Mutex<BTreeMap<ChannelId, Option<MotionGrid>>>,
}

impl Shared {
    pub(crate) fn counters(&self) -> MutexGuard<'_, Counters> {
        lock(&self.counters)
    }

    pub(crate) fn grids(&self) -> MutexGuard<'_, BTreeMap<ChannelId, Option<MotionGrid>>> {
        lock(&self.grids)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
