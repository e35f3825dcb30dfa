//! The server: listeners, limits, and the UDP ports that all clients share.
//!
//! Sockets and tasks live in this file, `client.rs` (one connection) and `tracks.rs` (one stream); the protocol is
//! in `session.rs` and below.
//!
//! Invariants: clients, connections of one address and watchers are bounded; one pair of UDP ports serves all
//! clients, so that the list of open ports is short and known.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::Feeds;
use hal::Clock;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::client::{self, Connection};
use crate::error::RtspError;
use crate::gate::Gate;
use crate::rtcp;
use crate::session::SESSION_TIMEOUT;
use crate::tracks::Tracks;

/// Connections beyond the limit that still hear why; more are dropped without a word.
const MAX_TURNED_AWAY: usize = 16;

/// What the kernel may hold for a client on TCP: half a second at 4 Mbit/s and a keyframe. Left alone it takes up
/// to 4 MB a client, and a board has 64.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Room for the packets of a keyframe on their way out.
const UDP_SEND_BUFFER_BYTES: usize = 1 << 20;

/// A TLS handshake takes two round trips and some arithmetic.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pairs tried when the caller leaves the ports open.
const PORT_ATTEMPTS: usize = 64;

/// What the caller decides.
#[derive(Debug)]
pub struct ServerOptions {
    /// How long a silent client keeps its session; 60 s unless in tests.
    pub session_timeout: Duration,
    /// Connections at once. Each takes some 30 KB, and a thread of nothing.
    pub max_clients: usize,
    /// Connections at once from one address; a video management system opens one a stream.
    pub max_clients_per_address: usize,
    /// Sessions at once, over all connections.
    pub max_watchers: usize,
    /// RTP and RTCP port; `None` for TCP only.
    pub udp: Option<UdpPair>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            session_timeout: SESSION_TIMEOUT,
            max_clients: 128,
            max_clients_per_address: 64,
            max_watchers: 64,
            udp: None,
        }
    }
}

/// An even UDP port for RTP and the odd one above it for RTCP (RFC 3550 section 11).
#[derive(Debug)]
pub struct UdpPair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    ports: (u16, u16),
    ipv4: bool,
}

impl UdpPair {
    /// Binds `port` and the next; without a port, any free pair. Call it inside the runtime.
    ///
    /// # Errors
    /// `NoPorts` when there is no free pair, `Io` when the sockets cannot be made.
    pub fn bind(address: IpAddr, port: Option<u16>) -> Result<Self, RtspError> {
        let attempts = if port.is_some() { 1 } else { PORT_ATTEMPTS };
        for _ in 0..attempts {
            let Ok(rtp) = udp_socket(address, port.unwrap_or(0)) else { continue };
            let at = rtp.local_addr().map_err(io("ask for a UDP port"))?.port();
            if at % 2 == 1 && port.is_none() {
                continue;
            }
            let Some(above) = at.checked_add(1) else { continue };
            if let Ok(rtcp) = udp_socket(address, above) {
                return Ok(Self { rtp, rtcp, ports: (at, above), ipv4: address.is_ipv4() });
            }
        }
        Err(RtspError::NoPorts { address })
    }

    /// `peer` in the sockets' own address family; `None` where they can not reach it: an IPv6 peer from IPv4, or
    /// a link-local one, whose interface a bare address does not name.
    pub(crate) fn reach(&self, peer: IpAddr) -> Option<IpAddr> {
        match (self.ipv4, peer.to_canonical()) {
            (true, IpAddr::V4(peer)) => Some(peer.into()),
            (true, IpAddr::V6(_)) => None,
            (false, IpAddr::V4(peer)) => Some(peer.to_ipv6_mapped().into()),
            (false, IpAddr::V6(peer)) => (!peer.is_unicast_link_local()).then_some(peer.into()),
        }
    }

    /// RTP and RTCP port.
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        self.ports
    }
}

/// What the server has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStats {
    /// Connections now.
    pub clients: usize,
    /// Sessions now.
    pub watchers: usize,
    /// GOPs that slow clients have not got, summed over clients.
    pub lost_gops: u64,
}

/// An RTSP server over the streams of one bus.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) tracks: Tracks,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: ServerOptions,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) receivers: Receivers,
    pub(crate) lost_gops: AtomicU64,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// Who is expected to send reports by UDP, and whether they did since the last look.
#[derive(Debug, Default)]
pub(crate) struct Receivers(Mutex<HashMap<SocketAddr, Arc<AtomicBool>>>);

impl Server {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(
        feeds: Arc<Feeds>,
        gate: Arc<dyn Gate>,
        clock: Arc<dyn Clock>,
        options: ServerOptions,
    ) -> Self {
        let shared = Shared {
            tracks: Tracks::new(feeds),
            gate,
            clock,
            watchers: Arc::new(Semaphore::new(options.max_watchers)),
            options,
            receivers: Receivers::default(),
            lost_gops: AtomicU64::new(0),
            clients: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes connections until the future is dropped, which ends them all. May run several times at once: for
    /// RTSP, and with `tls` for RTSPS.
    pub async fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let mut clients = JoinSet::new();
        let reports = listen_for_reports(&self.shared, tls.is_none());
        let mut reports = std::pin::pin!(reports);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = clients.join_next() => continue,
                () = &mut reports => continue,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let Some(place) = Place::take(&self.shared, peer) else { continue };
                    clients.spawn(run_client(Arc::clone(&self.shared), socket, tls.clone(), place));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others will give some back.
                    tracing::warn!(%error, "cannot take an RTSP connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// What the server has done so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let shared = &self.shared;
        ServerStats {
            clients: shared.clients().values().sum(),
            watchers: shared.options.max_watchers - shared.watchers.available_permits(),
            lost_gops: shared.lost_gops.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
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

    fn heard(&self, from: SocketAddr) {
        if let Some(flag) = self.lock().get(&from) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place among all; given back when it is dropped.
struct Place {
    shared: Arc<Shared>,
    peer: SocketAddr,
    /// There was none: say so and close.
    turned_away: bool,
}

impl Place {
    fn take(shared: &Arc<Shared>, peer: SocketAddr) -> Option<Self> {
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

async fn run_client(shared: Arc<Shared>, socket: TcpStream, tls: Option<TlsAcceptor>, place: Place) {
    let peer = place.peer;
    let Ok(local) = socket.local_addr() else { return };
    let _ = socket.set_nodelay(true);
    let _ = socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER_BYTES);
    let connection = Connection {
        peer,
        local: local.ip().to_canonical(),
        secure: tls.is_some(),
        turned_away: place.turned_away,
    };
    match tls {
        None => client::run(shared, socket, connection).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => client::run(shared, stream, connection).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "RTSPS handshake failed"),
            Err(_) => tracing::debug!(%peer, "RTSPS handshake took too long"),
        },
    }
}

/// Receiver reports on the shared RTCP port. What comes to the RTP port stays unread: clients send there only to
/// open their own firewalls.
async fn listen_for_reports(shared: &Shared, plain: bool) {
    let Some(pair) = shared.options.udp.as_ref().filter(|_| plain) else {
        return std::future::pending().await;
    };
    let mut buffer = [0; 1500];
    loop {
        match pair.rtcp.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if rtcp::is_receiver_report(&buffer[..length]) {
                    shared.receivers.heard(from);
                }
            }
            // An ICMP answer to something that was sent: it says nothing about the socket.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn udp_socket(address: IpAddr, port: u16) -> Result<UdpSocket, RtspError> {
    let make = || -> std::io::Result<UdpSocket> {
        let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if address == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) {
            socket.set_only_v6(false)?;
        }
        socket.set_send_buffer_size(UDP_SEND_BUFFER_BYTES)?;
        socket.bind(&SocketAddr::new(address, port).into())?;
        UdpSocket::from_std(socket.into())
    };
    make().map_err(io("bind a UDP port"))
}

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> RtspError {
    move |source| RtspError::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_come_in_pairs_and_a_taken_one_is_named() {
        let address: IpAddr = "127.0.0.1".parse().unwrap();
        let pair = UdpPair::bind(address, None).unwrap();
        let (rtp, rtcp) = pair.ports();
        assert!(rtp % 2 == 0 && rtcp == rtp + 1);
        let error = UdpPair::bind(address, Some(rtp)).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::NoPorts);
    }

    #[tokio::test]
    async fn peers_are_reached_in_the_family_of_the_sockets() {
        let reach = |own: &str, peer: &str| {
            let pair = UdpPair::bind(own.parse().unwrap(), None).unwrap();
            pair.reach(peer.parse().unwrap()).map(|address| address.to_string())
        };
        assert_eq!(reach("127.0.0.1", "::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(reach("127.0.0.1", "2001:db8::1"), None);
        // A machine may have no IPv6 at all.
        if UdpPair::bind("::".parse().unwrap(), None).is_ok() {
            assert_eq!(reach("::", "192.0.2.1").as_deref(), Some("::ffff:192.0.2.1"));
            assert_eq!(reach("::", "2001:db8::1").as_deref(), Some("2001:db8::1"));
            assert_eq!(reach("::", "fe80::1"), None);
        }
    }
}
