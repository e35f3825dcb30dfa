//! The pair of UDP ports that all clients share.
//!
//! Does not belong here: what is sent and received on them (`outlet.rs`, `server.rs`).

use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::datagrams::Kernel;
use crate::error::RtspError;

/// Room for the packets of a keyframe on their way out.
const UDP_SEND_BUFFER_BYTES: usize = 1 << 20;

/// Pairs tried when the caller leaves the ports open.
const PORT_ATTEMPTS: usize = 64;

/// An even UDP port for RTP and the odd one above it for RTCP (RFC 3550 section 11).
#[derive(Debug)]
pub struct UdpPair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    ports: (u16, u16),
    ipv4: bool,
    kernel: Kernel,
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
                return Ok(Self {
                    rtp,
                    rtcp,
                    ports: (at, above),
                    ipv4: address.is_ipv4(),
                    kernel: Kernel::default(),
                });
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

    /// Sends RTP packets in one system call, or at least the first of them; returns how many.
    ///
    /// # Errors
    /// `WouldBlock` while the socket is full; else those of the socket, and none was sent.
    pub(crate) fn send<'a, P>(&self, packets: &P, to: SocketAddr) -> std::io::Result<usize>
    where
        P: Iterator<Item = &'a [u8]> + Clone,
    {
        self.rtp.try_io(Interest::WRITABLE, || self.kernel.send(&self.rtp, packets.clone(), to))
    }

    /// RTP and RTCP port.
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        self.ports
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
