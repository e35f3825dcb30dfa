//! A connection's place among all of them.
//!
//! Does not belong here: what is done on it.
//!
//! Invariant: connections, and those of one address, are bounded, also those that are only told so.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::shared::Shared;

/// Connections beyond the limit that still hear why; more are dropped without a word.
const MAX_TURNED_AWAY: usize = 16;

/// Given back when it is dropped.
pub(crate) struct Place {
    shared: Arc<Shared>,
    pub(crate) peer: SocketAddr,
    /// There was none: say so and close.
    pub(crate) turned_away: bool,
}

impl Place {
    /// `None` where it is not worth an answer.
    pub(crate) fn take(shared: &Arc<Shared>, peer: SocketAddr) -> Option<Self> {
        let options = &shared.options;
        let mut clients = shared.clients();
        let all: usize = clients.values().sum();
        let own = clients.entry(peer.ip()).or_default();
        let turned_away = all >= options.max_clients || *own >= options.max_clients_per_address;
        if all >= options.max_clients + MAX_TURNED_AWAY
            || *own >= options.max_clients_per_address + MAX_TURNED_AWAY
        {
            if *own == 0 {
                clients.remove(&peer.ip());
            }
            return None;
        }
        *own += 1;
        drop(clients);
        Some(Self { shared: Arc::clone(shared), peer, turned_away })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clients = self.shared.clients();
        if let Some(own) = clients.get_mut(&self.peer.ip()) {
            *own -= 1;
            if *own == 0 {
                clients.remove(&self.peer.ip());
            }
        }
    }
}
