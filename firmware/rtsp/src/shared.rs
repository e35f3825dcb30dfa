//! What all clients share: what the caller decided, the tracks, and the counts.
//!
//! Does not belong here: listeners (`server.rs`), connections (`client.rs`).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::{Clock, MonoTime};
use tokio::sync::Semaphore;
use tokio::time::{Interval, interval};

use crate::archive::Archive;
use crate::facts::Metadata;
use crate::gate::Gate;
use crate::groups::Groups;
use crate::session::SESSION_TIMEOUT;
use crate::tracks::Tracks;
use crate::tunnels::{Post, Tunnels};

/// How often clients look at their time-outs.
const TICK: Duration = Duration::from_secs(1);

/// What the caller decides.
#[derive(Debug)]
pub struct ServerOptions {
    /// How long a silent client keeps its session; 60 s unless in tests.
    pub session_timeout: Duration,
    /// Connections at once. Each takes some 30 KB, and no thread.
    pub max_clients: usize,
    /// Connections at once from one address; a video management system opens one a stream.
    pub max_clients_per_address: usize,
    /// Sessions at once, over all connections.
    pub max_watchers: usize,
    /// What live streams' metadata track tells of; without it there is no such track.
    pub metadata: Option<Arc<Metadata>>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            session_timeout: SESSION_TIMEOUT,
            max_clients: 128,
            max_clients_per_address: 64,
            max_watchers: 64,
            metadata: None,
        }
    }
}

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) tracks: Tracks,
    /// `None` where nothing is recorded.
    pub(crate) archive: Option<Arc<dyn Archive>>,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: ServerOptions,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) receivers: Receivers,
    pub(crate) groups: Groups,
    pub(crate) lost_gops: AtomicU64,
    pub(crate) tunnels: Arc<Tunnels<Post>>,
    /// Connections from addresses that may not connect.
    pub(crate) not_admitted: AtomicU64,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// Who is expected to send reports by UDP, and whether they did since the last look.
#[derive(Debug, Default)]
pub(crate) struct Receivers(Mutex<HashMap<SocketAddr, Arc<AtomicBool>>>);

impl Shared {
    pub(crate) fn new(
        tracks: Tracks,
        archive: Option<Arc<dyn Archive>>,
        gate: Arc<dyn Gate>,
        clock: Arc<dyn Clock>,
        options: ServerOptions,
    ) -> Self {
        Self {
            tracks,
            archive,
            gate,
            clock,
            watchers: Arc::new(Semaphore::new(options.max_watchers)),
            options,
            receivers: Receivers::default(),
            groups: Groups::default(),
            lost_gops: AtomicU64::new(0),
            tunnels: Arc::default(),
            not_admitted: AtomicU64::new(0),
            clients: Mutex::default(),
        }
    }

    /// When a client looks at its time-outs: all do at the same moments, so that a crowd wakes the processor once a second.
    pub(crate) fn ticks(&self) -> Interval {
        let period = TICK.min(self.options.session_timeout / 2).max(Duration::from_millis(1));
        let since = self.clock.mono().since(MonoTime::default());
        let passed = Duration::from_nanos((since.as_nanos() % period.as_nanos()) as u64);
        let mut ticks = interval(period);
        ticks.reset_after(period - passed);
        ticks
    }

    /// Connections by address.
    pub(crate) fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receivers {
    /// The flag is raised when a report comes from `address`.
    pub(crate) fn expect(&self, address: SocketAddr) -> Arc<AtomicBool> {
        Arc::clone(self.lock().entry(address).or_default())
    }

    pub(crate) fn forget(&self, address: SocketAddr) {
        self.lock().remove(&address);
    }

    pub(crate) fn heard(&self, from: SocketAddr) {
        if let Some(flag) = self.lock().get(&from) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
