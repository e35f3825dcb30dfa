//! The DHCP client's socket, on an interface that may have no address yet.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};

use crate::error::SystemError;

/// RFC 2131 section 4.1.
const CLIENT_PORT: u16 = 68;
/// RFC 2131 section 4.1.
const SERVER_PORT: u16 = 67;
/// An Ethernet frame's payload; longer answers were not asked for.
const MAX_PACKET_BYTES: usize = 1500;

/// An open socket.
#[derive(Debug)]
pub struct DhcpSocket {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl DhcpSocket {
    /// Listens on `interface` alone.
    ///
    /// # Errors
    /// `NotFound` without such an interface, `Device` without the right.
    pub fn open(interface: &str) -> Result<Self, SystemError> {
        let failed =
            |error: nix::Error| SystemError::io(format_args!("no DHCP socket on {interface}"), error);
        let fd =
            socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
        setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(failed)?;
        setsockopt(&fd, sockopt::Broadcast, &true).map_err(failed)?;
        // Bound to it, packets to everybody leave there although no route says so.
        setsockopt(&fd, sockopt::BindToDevice, &OsString::from(interface)).map_err(failed)?;
        let any = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT));
        bind(fd.as_raw_fd(), &any).map_err(failed)?;
        Ok(Self { socket: UdpSocket::from(fd), buffer: vec![0; MAX_PACKET_BYTES] })
    }

    /// Sends a packet to `server`, or to everybody.
    ///
    /// # Errors
    /// The system's.
    pub fn send(&self, packet: &[u8], server: Option<Ipv4Addr>) -> Result<(), SystemError> {
        let to = SocketAddrV4::new(server.unwrap_or(Ipv4Addr::BROADCAST), SERVER_PORT);
        let sent = self.socket.send_to(packet, to);
        sent.map(drop).map_err(|error| SystemError::io("a DHCP packet was not sent", error))
    }

    /// The next packet, if one comes within `patience`.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&mut self, patience: Duration) -> Result<Option<&[u8]>, SystemError> {
        let failed = |error| SystemError::io("DHCP packets cannot be received", error);
        // Zero would mean to wait for ever.
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).map_err(failed)?;
        match self.socket.recv_from(&mut self.buffer) {
            Ok((length, _)) => Ok(Some(&self.buffer[..length])),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }
}
