//! A client with UDP sockets of its own.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::wire::Wire;

/// Its connection, its sockets, and where the server's are.
pub struct Ears {
    pub wire: Wire,
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub server_rtp: u16,
    pub server_rtcp: u16,
}

impl Ears {
    /// As far as SETUP.
    pub fn prepare(address: SocketAddr, path: &str) -> Self {
        let mut wire = Wire::connect(address, path);
        let [rtp, rtcp] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        rtp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        assert_eq!(wire.request("DESCRIBE", "", "").status, 200);
        let transport = format!("Transport: RTP/AVP;unicast;client_port={}-{}\r\n", port(&rtp), port(&rtcp));
        let setup = wire.request("SETUP", "/trackID=0", &transport);
        let ports = setup.header("Transport").unwrap().split("server_port=").nth(1).unwrap();
        let (even, odd) = ports.split(';').next().unwrap().split_once('-').unwrap();
        let (server_rtp, server_rtcp): (u16, u16) = (even.parse().unwrap(), odd.parse().unwrap());
        assert!(server_rtp % 2 == 0 && server_rtcp == server_rtp + 1);
        Self { wire, rtp, rtcp, server_rtp, server_rtcp }
    }

    pub fn play(&mut self) {
        assert_eq!(self.wire.request("PLAY", "", "").status, 200);
    }

    /// The next RTP packet, which comes from the server's port.
    pub fn packet(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let (length, from) = self.rtp.recv_from(&mut buffer).expect("the stream goes on");
        assert_eq!(from.port(), self.server_rtp);
        buffer[..length].to_vec()
    }
}
