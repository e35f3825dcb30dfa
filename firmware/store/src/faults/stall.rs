//! An operation that takes as long as a test wants.
//!
//! Does not belong here: which operation (`machine`).
//!
//! Invariant: dropping a stall lets the operation go, so that a test that fails does not hang.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// An operation that stands still until it is let go; made by [`crate::faults::FaultDisk::stall_at`].
pub struct Stall(pub(super) Arc<Gate>);

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entered: bool,
    open: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is let go.
    pub(super) fn pass(&self) {
        let mut state = self.state();
        state.entered = true;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open));
    }
}

impl Stall {
    /// Waits until the operation has come and stands still.
    pub fn wait(&self) {
        drop(self.0.changed.wait_while(self.0.state(), |state| !state.entered));
    }

    /// Lets the operation go, now or as soon as it comes.
    pub fn release(&self) {
        self.0.state().open = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.release();
    }
}
