//! Multicast groups: each live stream has one of its own, and ports of its own.
//!
//! A stream's number, four of them a channel, is added to the first address and, twice, to the first port. A firewall's
//! rule is so one range of addresses and one of ports, and receivers that listen on every address of a port still get
//! one stream alone.
//!
//! Does not belong here: who asks for it (`session.rs`), sockets (`groups.rs`).
//!
//! Invariants: administratively scoped addresses alone (RFC 2365); IPv4 alone; a stream's group is the same after
//! every start.

use std::net::{Ipv4Addr, SocketAddrV4};

use hal::{MAX_CHANNELS, StreamId};

/// Groups of a recorder: four a channel, main, sub, sound and one to spare.
const GROUPS: u32 = MAX_CHANNELS as u32 * GROUPS_A_CHANNEL;
const GROUPS_A_CHANNEL: u32 = 4;

/// The RTP port of the first group; its RTCP port is the next (RFC 3550 section 11). Below the ports that Linux gives
/// to whoever asks for any, and all of them unassigned but for what players use for RTP.
const FIRST_PORT: u16 = 16_384;

/// What live streams are multicast to, where the owner wants that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multicast {
    first: Ipv4Addr,
    ttl: u8,
}

/// Where one stream is sent for all who watch it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) rtp: SocketAddrV4,
    pub(crate) rtcp: SocketAddrV4,
    /// Routers that its packets may pass, and one.
    pub(crate) ttl: u8,
    /// The recorder's address on the network that it is sent to.
    pub(crate) interface: Ipv4Addr,
}

impl Multicast {
    /// `first` is the first of 256 addresses and ends in `.0`; `ttl` is 1 for the recorder's own network, and one more for each
    /// router between.
    ///
    /// # Errors
    /// A sentence for whoever wrote it, when `first` is not administratively scoped (239.0.0.0/8, RFC 2365), does not end in
    /// `.0`, or shares its Ethernet addresses with 224.0.0.0/24, which switches send to every port (RFC 4541 section 2.1.2).
    pub fn new(first: Ipv4Addr, ttl: u8) -> Result<Self, &'static str> {
        let [net, second, third, last] = first.octets();
        if net != 239 {
            return Err("a group is an address that begins with 239., such as 239.192.0.0");
        }
        if last != 0 {
            return Err(
                "the first group ends in .0, such as 239.192.0.0; each stream has one of the 256 from there on",
            );
        }
        if second & 0x7f == 0 && third == 0 {
            return Err("switches send this one everywhere; take another, such as 239.192.0.0");
        }
        if ttl == 0 {
            return Err("1 to 255; 1 stays in the recorder's own network");
        }
        Ok(Self { first, ttl })
    }

    /// Where `stream` goes, on the network in which the recorder has the address `interface`.
    pub(crate) fn group(&self, stream: StreamId, interface: Ipv4Addr) -> Group {
        let channel = u32::from(stream.channel.get()) - 1;
        let number = (channel * GROUPS_A_CHANNEL + u32::from(stream.kind.code())) % GROUPS;
        let address = Ipv4Addr::from(u32::from(self.first) + number);
        let port = FIRST_PORT + 2 * number as u16;
        Group {
            rtp: SocketAddrV4::new(address, port),
            rtcp: SocketAddrV4::new(address, port + 1),
            ttl: self.ttl,
            interface,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use hal::{ChannelId, StreamKind};

    use super::*;

    #[test]
    fn no_two_streams_share_an_address_or_a_port() {
        let multicast = Multicast::new(Ipv4Addr::new(239, 192, 7, 0), 1).unwrap();
        let (mut addresses, mut ports) = (HashSet::new(), HashSet::new());
        for channel in 1..=MAX_CHANNELS {
            for kind in StreamKind::ALL {
                let stream = StreamId::new(ChannelId::new(channel).unwrap(), kind);
                let group = multicast.group(stream, Ipv4Addr::LOCALHOST);
                assert!(group.rtp.ip().octets().starts_with(&[239, 192, 7]));
                assert_eq!((group.rtp.ip(), group.rtp.port() + 1), (group.rtcp.ip(), group.rtcp.port()));
                assert!(group.rtp.port().is_multiple_of(2) && group.rtp.port() >= FIRST_PORT);
                assert!(group.rtcp.port() < 32_768, "below the ephemeral ports");
                assert!(addresses.insert(*group.rtp.ip()) && ports.insert(group.rtp.port()));
            }
        }
        let third = StreamId::new(ChannelId::new(3).unwrap(), StreamKind::Sub);
        let group = multicast.group(third, Ipv4Addr::LOCALHOST);
        assert_eq!(group.rtp.to_string(), "239.192.7.9:16402");
    }

    #[test]
    fn groups_that_would_flood_a_network_are_refused() {
        for (first, ttl, words) in [
            ([224, 0, 1, 0], 1, "begins with 239."),
            ([192, 168, 1, 0], 1, "begins with 239."),
            ([239, 192, 0, 1], 1, "ends in .0"),
            ([239, 0, 0, 0], 1, "switches"),
            ([239, 128, 0, 0], 1, "switches"),
            ([239, 192, 0, 0], 0, "1 to 255"),
        ] {
            let refused = Multicast::new(Ipv4Addr::from(first), ttl).unwrap_err();
            assert!(refused.contains(words), "{first:?}: {refused}");
        }
        assert!(Multicast::new(Ipv4Addr::new(239, 255, 255, 0), 255).is_ok());
    }
}
