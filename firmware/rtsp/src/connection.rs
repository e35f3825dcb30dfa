//! Who connected, and how.
//!
//! Does not belong here: what is done on the connection (`client.rs`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::transport::Abilities;
use crate::udp_pair::UdpPair;

/// A connection that was taken.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    /// The address that the client reached.
    pub(crate) local: IpAddr,
    pub(crate) secure: bool,
    /// What it writes to, where that is no TLS.
    pub(crate) socket: Option<Arc<TcpStream>>,
    /// Where its datagrams would leave; `None` for TCP only.
    pub(crate) udp: Option<Arc<UdpPair>>,
    pub(crate) turned_away: bool,
}

impl Connection {
    /// The client's end; an IPv4 address is never in its IPv6 form here.
    pub(crate) fn from(&self) -> SocketAddr {
        SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port())
    }

    /// What can be done on it for any track.
    pub(crate) fn abilities(&self) -> Abilities {
        let peer = self.peer.ip();
        let reached = self.udp.as_ref().and_then(|pair| Some((pair.ports(), pair.reach(peer)?)));
        Abilities {
            peer: reached.map_or(peer, |(_, peer)| peer),
            udp_ports: reached.map(|(ports, _)| ports),
            group: None,
            secure: self.secure,
            has_key: false,
        }
    }

    /// Where multicast would leave for it.
    pub(crate) fn interface(&self) -> Option<Ipv4Addr> {
        match self.local {
            IpAddr::V4(local) if self.udp.is_some() && !self.secure => Some(local),
            _ => None,
        }
    }
}
