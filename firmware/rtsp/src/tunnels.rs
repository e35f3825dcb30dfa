//! Tunnels that are open, and those that wait for their other half.
//!
//! Does not belong here: how their bytes are read (`tunnel.rs`), sockets (`door.rs`).
//!
//! Invariants: a tunnel's two connections come from one address, and both in clear or both over TLS; the half-open ones of
//! an address are bounded; an entry goes with its tunnel.

use std::any::Any;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use crate::tunnel::HttpRefusal;

/// Tunnels of one address without a POST: a player opens it within a round trip.
const MAX_HALF_OPEN_PER_ADDRESS: usize = 8;

/// What both connections of a tunnel have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TunnelId {
    pub(crate) peer: IpAddr,
    pub(crate) secure: bool,
    pub(crate) cookie: String,
}

/// A POST on its way to its GET.
pub(crate) struct Post {
    /// Base64.
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    /// The connection's place, given back with it.
    #[expect(dead_code, reason = "held, not read")]
    pub(crate) place: Box<dyn Any + Send>,
}

/// All tunnels. `P` is a POST on its way to its GET.
#[derive(Debug)]
pub(crate) struct Tunnels<P> {
    open: Mutex<HashMap<TunnelId, Entry<P>>>,
    opened: AtomicU64,
    given_up: AtomicU64,
}

#[derive(Debug)]
struct Entry<P> {
    posts: mpsc::Sender<P>,
    half_open: bool,
}

/// A tunnel's GET.
#[derive(Debug)]
pub(crate) struct Tunnel<P> {
    tunnels: Arc<Tunnels<P>>,
    id: TunnelId,
    posts: mpsc::Receiver<P>,
}

impl<P> Tunnels<P> {
    /// A GET came.
    pub(crate) fn open(self: &Arc<Self>, id: TunnelId) -> Result<Tunnel<P>, HttpRefusal> {
        let mut open = self.lock();
        if open.contains_key(&id) {
            return Err(HttpRefusal::InUse);
        }
        let half_open = open.iter().filter(|(other, entry)| other.peer == id.peer && entry.half_open).count();
        if half_open >= MAX_HALF_OPEN_PER_ADDRESS {
            return Err(HttpRefusal::Full);
        }
        // One in the queue: a player that opens its POST anew may be faster than the end of the last.
        let (sender, posts) = mpsc::channel(1);
        open.insert(id.clone(), Entry { posts: sender, half_open: true });
        Ok(Tunnel { tunnels: Arc::clone(self), id, posts })
    }

    /// A POST came, which its GET will take.
    pub(crate) fn join(&self, id: &TunnelId, post: P) -> Result<(), (HttpRefusal, P)> {
        match self.lock().get(id) {
            None => Err((HttpRefusal::NoSuchTunnel, post)),
            Some(entry) => {
                entry.posts.try_send(post).map_err(|error| (HttpRefusal::InUse, error.into_inner()))
            }
        }
    }

    /// Tunnels now, half-open ones too.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Tunnels that got a POST.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Tunnels that got no POST in time.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TunnelId, Entry<P>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> Default for Tunnels<P> {
    fn default() -> Self {
        Self { open: Mutex::default(), opened: AtomicU64::new(0), given_up: AtomicU64::new(0) }
    }
}

impl<P> Tunnel<P> {
    /// The next POST, for as long as it takes.
    pub(crate) async fn post(&mut self) -> Option<P> {
        self.set_half_open(true);
        let post = self.posts.recv().await;
        self.set_half_open(false);
        post
    }

    /// It has both halves now.
    pub(crate) fn whole(&self) {
        self.tunnels.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// None came in time.
    pub(crate) fn give_up(&self) {
        self.tunnels.given_up.fetch_add(1, Ordering::Relaxed);
    }

    fn set_half_open(&self, half_open: bool) {
        if let Some(entry) = self.tunnels.lock().get_mut(&self.id) {
            entry.half_open = half_open;
        }
    }
}

impl<P> Drop for Tunnel<P> {
    fn drop(&mut self) {
        self.tunnels.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(peer: &str, secure: bool, cookie: &str) -> TunnelId {
        TunnelId { peer: peer.parse().unwrap(), secure, cookie: cookie.into() }
    }

    #[tokio::test]
    async fn a_post_finds_its_get_and_no_other() {
        let tunnels = Arc::new(Tunnels::default());
        let mut tunnel = tunnels.open(id("10.0.0.9", false, "a")).unwrap();
        for other in [id("10.0.0.8", false, "a"), id("10.0.0.9", true, "a"), id("10.0.0.9", false, "b")] {
            assert_eq!(tunnels.join(&other, 1), Err((HttpRefusal::NoSuchTunnel, 1)));
        }
        tunnels.join(&tunnel.id.clone(), 2).unwrap();
        assert_eq!(tunnels.join(&tunnel.id.clone(), 3), Err((HttpRefusal::InUse, 3)));
        assert_eq!(tunnel.post().await, Some(2));
        tunnels.join(&tunnel.id.clone(), 4).unwrap();
        assert_eq!(tunnel.post().await, Some(4), "opened anew");
        assert_eq!(tunnels.open(id("10.0.0.9", false, "a")).unwrap_err(), HttpRefusal::InUse);
        let gone = tunnel.id.clone();
        drop(tunnel);
        assert_eq!((tunnels.join(&gone, 5), tunnels.count()), (Err((HttpRefusal::NoSuchTunnel, 5)), 0));
    }

    #[tokio::test]
    async fn half_open_ones_are_bounded() {
        let tunnels = Arc::new(Tunnels::default());
        let open = |number: usize| tunnels.open(id("10.0.0.9", false, &number.to_string()));
        let mut held: Vec<_> = (0..MAX_HALF_OPEN_PER_ADDRESS).map(|number| open(number).unwrap()).collect();
        assert_eq!(open(100).unwrap_err(), HttpRefusal::Full);
        let another = tunnels.open(id("10.0.0.8", false, "0")).unwrap();
        tunnels.join(&held[0].id.clone(), ()).unwrap();
        held[0].post().await.unwrap();
        held.push(open(100).unwrap());
        assert_eq!(tunnels.count(), MAX_HALF_OPEN_PER_ADDRESS + 2);
        another.give_up();
        assert_eq!(tunnels.given_up(), 1);
    }
}
