//! The server: listeners, limits, and the reports that come by UDP.
//!
//! Sockets and tasks live in this file, `udp_pair.rs` (the ports), `door.rs` (how a connection begins), `client.rs` (one
//! client) and `tracks.rs` (one stream); the protocol is in `session.rs` and below.
//!
//! Invariants: clients, connections of one address and watchers are bounded; one pair of UDP ports serves all
//! clients, so that the list of open ports is short and known.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::Feeds;
use hal::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::archive::Archive;
use crate::connection::Connection;
use crate::door;
use crate::gate::Gate;
use crate::place::Place;
use crate::rtcp;
use crate::shared::{ServerOptions, Shared};
use crate::socket::Half;
use crate::tracks::Tracks;
use crate::udp_pair::UdpPair;

/// What the kernel may hold for a client on TCP: half a second at 4 Mbit/s and a keyframe. Left alone it takes up
/// to 4 MB a client, and a board has 64.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// A TLS handshake takes two round trips and some arithmetic.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How clients come in at one listener.
#[derive(Clone)]
pub enum Entrance {
    /// RTSP in clear.
    Plain {
        /// Where datagrams leave; `None` for TCP only.
        udp: Option<Arc<UdpPair>>,
    },
    /// RTSPS. Nothing is sent in clear: datagrams are SRTP.
    Tls {
        /// What it is to its clients.
        acceptor: TlsAcceptor,
        /// Where datagrams leave; `None` for TCP only.
        udp: Option<Arc<UdpPair>>,
    },
}

/// What the server has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStats {
    /// Connections now.
    pub clients: usize,
    /// Sessions now.
    pub watchers: usize,
    /// GOPs that slow clients have not got, summed over clients; a multicast group is one.
    pub lost_gops: u64,
    /// Connections from addresses that may not connect.
    pub not_admitted: u64,
    /// Tunnels through HTTP now, each of two connections.
    pub tunnels: usize,
    /// Tunnels that got their other half.
    pub tunnels_opened: u64,
    /// Tunnels whose other half did not come in time.
    pub tunnels_given_up: u64,
}

/// An RTSP server over the streams of one bus, and what was recorded of them.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

impl Server {
    /// Nothing is opened yet. Without an archive live streams alone are served.
    #[must_use]
    pub fn new(
        feeds: Arc<Feeds>,
        archive: Option<Arc<dyn Archive>>,
        gate: Arc<dyn Gate>,
        clock: Arc<dyn Clock>,
        options: ServerOptions,
    ) -> Self {
        Self {
            shared: Arc::new(Shared::new(
                Tracks::new(feeds, Arc::clone(&clock), options.metadata.clone()),
                archive,
                gate,
                clock,
                options,
            )),
        }
    }

    /// Takes connections until the future is dropped, which ends them all. May run several times at once, once for
    /// each entrance.
    pub async fn serve(&self, listener: TcpListener, entrance: Entrance) {
        let mut clients = JoinSet::new();
        let reports = listen_for_reports(&self.shared, &entrance);
        let mut reports = std::pin::pin!(reports);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = clients.join_next() => continue,
                () = &mut reports => continue,
            };
            match accepted {
                Ok((socket, peer)) => {
                    if !admitted(&self.shared, peer.ip()) {
                        continue;
                    }
                    let Some(place) = Place::take(&self.shared, peer) else { continue };
                    clients.spawn(run_client(Arc::clone(&self.shared), socket, entrance.clone(), place));
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
            lost_gops: shared.lost_gops.load(Ordering::Relaxed) + shared.groups.lost_gops(),
            not_admitted: shared.not_admitted.load(Ordering::Relaxed),
            tunnels: shared.tunnels.count(),
            tunnels_opened: shared.tunnels.opened(),
            tunnels_given_up: shared.tunnels.given_up(),
        }
    }
}

/// Whether this address may connect; whoever may not is counted.
fn admitted(shared: &Shared, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    let admitted = shared.gate.admits(peer);
    if !admitted {
        let count = shared.not_admitted.fetch_add(1, Ordering::Relaxed) + 1;
        // Who tries all day shall not fill the log.
        if count.is_power_of_two() {
            tracing::warn!(%peer, count, "RTSP connection from an address that may not connect");
        }
    }
    admitted
}

async fn run_client(shared: Arc<Shared>, socket: TcpStream, entrance: Entrance, place: Place) {
    let peer = place.peer;
    let Ok(local) = socket.local_addr() else { return };
    let _ = socket.set_nodelay(true);
    let _ = socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER_BYTES);
    let (tls, udp) = match entrance {
        Entrance::Plain { udp } => (None, udp),
        Entrance::Tls { acceptor, udp } => (Some(acceptor), udp),
    };
    let mut connection = Connection {
        peer,
        local: local.ip().to_canonical(),
        secure: tls.is_some(),
        socket: None,
        udp,
        turned_away: place.turned_away,
    };
    match tls {
        None => {
            let half = Half(Arc::new(socket));
            connection.socket = Some(Arc::clone(&half.0));
            door::enter(shared, half.clone(), half, connection, place).await;
        }
        Some(acceptor) => {
            let limit = HANDSHAKE_TIMEOUT.min(shared.options.session_timeout);
            match tokio::time::timeout(limit, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => {
                    let (reader, writer) = tokio::io::split(stream);
                    door::enter(shared, reader, writer, connection, place).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "RTSPS handshake failed"),
                Err(_) => tracing::debug!(%peer, "RTSPS handshake took too long"),
            }
        }
    }
}

/// Receiver reports on the shared RTCP port. What comes to the RTP port stays unread: clients send there only to
/// open their own firewalls.
async fn listen_for_reports(shared: &Shared, entrance: &Entrance) {
    let (pair, is_report): (_, fn(&[u8]) -> bool) = match entrance {
        Entrance::Plain { udp: Some(pair) } => (pair, rtcp::is_receiver_report),
        Entrance::Tls { udp: Some(pair), .. } => (pair, rtcp::is_sealed_receiver_report),
        _ => return std::future::pending().await,
    };
    let mut buffer = [0; 1500];
    loop {
        match pair.rtcp.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if is_report(&buffer[..length]) {
                    shared.receivers.heard(from);
                }
            }
            // An ICMP answer to something that was sent: it says nothing about the socket.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
