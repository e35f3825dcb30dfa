//! What others want done with the store, which the recording thread has.
//!
//! Does not belong here: what that is (crate `candor`).
//!
//! Invariant: the recording thread never waits here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use store::Store;

/// What waits at most: rules are told again, and people have time.
const MAX_WAITING: usize = 64;

type Work = Box<dyn FnOnce(&mut Store) + Send>;

/// Work for the recording thread; cheap to clone.
#[derive(Clone, Default)]
pub struct StoreDesk(Arc<Mutex<VecDeque<Work>>>);

impl StoreDesk {
    /// Has `work` done with the store between two drains, in order; `false` when too much waits already. A recorder that ends
    /// first drops it.
    pub fn order(&self, work: impl FnOnce(&mut Store) + Send + 'static) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = waiting.len() < MAX_WAITING;
        if room {
            waiting.push_back(Box::new(work));
        }
        room
    }

    /// Does what is there; whether there was anything.
    pub(crate) fn serve(&self, store: &mut Store) -> bool {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let any = !waiting.is_empty();
        for work in waiting {
            work(store);
        }
        any
    }
}
