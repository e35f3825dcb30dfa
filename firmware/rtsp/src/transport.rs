//! The `Transport` header of SETUP, and which of its offers is taken.
//!
//! RFC 2326 section 12.39, read by hand: `rtsp_types::headers::Transports` panics on `dest_addr` and `mode` values
//! with a lone quote.
//!
//! Does not belong here: sockets.
//!
//! Invariant: packets go to the peer of the TCP connection, or to the stream's own group, and nowhere else, whatever `destination`
//! says.

use std::net::{IpAddr, SocketAddr};

use crate::multicast::Group;

/// How one track reaches its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// In the TCP connection, on these channels.
    Interleaved {
        /// RTP packets.
        rtp: u8,
        /// RTCP packets.
        rtcp: u8,
    },
    /// In UDP datagrams to these addresses.
    Udp {
        /// RTP packets.
        rtp: SocketAddr,
        /// RTCP packets.
        rtcp: SocketAddr,
    },
    /// In UDP datagrams to a group that others may be in.
    Multicast(Group),
}

/// An offer that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) delivery: Delivery,
    /// As SRTP (`RTP/SAVP`, RFC 3711).
    pub(crate) sealed: bool,
}

/// What the server can do on this connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    pub(crate) peer: IpAddr,
    /// RTP and RTCP port of the server; `None` where UDP is off.
    pub(crate) udp_ports: Option<(u16, u16)>,
    /// The track's group; `None` where multicast is off, on TLS, to IPv6, and of a recording.
    pub(crate) group: Option<Group>,
    /// On TLS, whose point datagrams in clear would defeat.
    pub(crate) secure: bool,
    /// The client has the track's key.
    pub(crate) has_key: bool,
}

/// Alternatives looked at in one header; players send one to four.
const MAX_OFFERS: usize = 16;

/// The first offer that can be met. `suggested` is taken when the client leaves the channels to the server, and
/// `taken` says which are in use.
pub(crate) fn choose(
    header: &str,
    abilities: &Abilities,
    suggested: u8,
    taken: &dyn Fn(u8) -> bool,
) -> Option<Chosen> {
    header.split(',').take(MAX_OFFERS).find_map(|offer| meet(offer.trim(), abilities, suggested, taken))
}

/// The header that answers an accepted offer.
pub(crate) fn answer(chosen: &Chosen, abilities: &Abilities, ssrc: u32) -> String {
    let profile = if chosen.sealed { "RTP/SAVP" } else { "RTP/AVP" };
    match (&chosen.delivery, abilities.udp_ports) {
        (Delivery::Udp { rtp, rtcp }, Some((server_rtp, server_rtcp))) => format!(
            "{profile};unicast;client_port={}-{};server_port={server_rtp}-{server_rtcp};ssrc={ssrc:08X}",
            rtp.port(),
            rtcp.port(),
        ),
        (Delivery::Udp { rtp, rtcp }, None) => {
            format!("{profile};unicast;client_port={}-{};ssrc={ssrc:08X}", rtp.port(), rtcp.port())
        }
        (Delivery::Interleaved { rtp, rtcp }, _) => {
            format!("{profile}/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X}")
        }
        (Delivery::Multicast(Group { rtp, rtcp, ttl, .. }), _) => format!(
            "RTP/AVP;multicast;destination={};port={}-{};ttl={ttl};ssrc={ssrc:08X}",
            rtp.ip(),
            rtp.port(),
            rtcp.port(),
        ),
    }
}

/// The same in the words of RTSP 2.0 (RFC 7826 section 18.54), which its clients understand beside those of 1.0.
pub(crate) fn addresses(delivery: &Delivery, abilities: &Abilities) -> String {
    match (delivery, abilities.udp_ports) {
        (Delivery::Udp { rtp, rtcp }, Some((server_rtp, server_rtcp))) => format!(
            ";dest_addr=\":{}\"/\":{}\";src_addr=\":{server_rtp}\"/\":{server_rtcp}\"",
            rtp.port(),
            rtcp.port(),
        ),
        (Delivery::Multicast(Group { rtp, rtcp, .. }), _) => format!(";dest_addr=\"{rtp}\"/\"{rtcp}\""),
        _ => String::new(),
    }
}

fn meet(offer: &str, abilities: &Abilities, suggested: u8, taken: &dyn Fn(u8) -> bool) -> Option<Chosen> {
    let mut parts = offer.split(';').map(str::trim);
    let protocol = parts.next()?;
    let mut channels = None;
    let mut ports = None;
    let mut multicast = false;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "multicast" => multicast = true,
            "mode" if !value.eq_ignore_ascii_case("play") => return None,
            "interleaved" => channels = Some(pair::<u8>(value)?),
            "client_port" => ports = Some(pair::<u16>(value)?),
            // Which group it is the server says.
            "dest_addr" if multicast => {}
            "dest_addr" => ports = Some(ports_of(value)?),
            _ => {}
        }
    }
    let (sealed, over_udp) = match protocol.to_ascii_uppercase().as_str() {
        "RTP/AVP" | "RTP/AVP/UDP" => (false, true),
        "RTP/AVP/TCP" => (false, false),
        "RTP/SAVP" | "RTP/SAVP/UDP" => (true, true),
        "RTP/SAVP/TCP" => (true, false),
        _ => return None,
    };
    if sealed && !abilities.has_key {
        return None;
    }
    let delivery = if multicast {
        abilities.group.filter(|_| over_udp && !sealed).map(Delivery::Multicast)?
    } else if over_udp {
        abilities.udp_ports.filter(|_| sealed || !abilities.secure)?;
        let (rtp, rtcp) = ports?;
        // Ports below 1024 belong to services that did not ask for this.
        if rtp < 1024 || rtcp < 1024 || rtp == rtcp {
            return None;
        }
        Delivery::Udp {
            rtp: SocketAddr::new(abilities.peer, rtp),
            rtcp: SocketAddr::new(abilities.peer, rtcp),
        }
    } else {
        let (rtp, rtcp) = channels.unwrap_or((suggested, suggested + 1));
        if rtp == rtcp || taken(rtp) || taken(rtcp) {
            return None;
        }
        Delivery::Interleaved { rtp, rtcp }
    };
    Some(Chosen { delivery, sealed })
}

/// `":5000"/":5001"` (RFC 7826 section 18.54); hosts in it mean nothing.
fn ports_of(text: &str) -> Option<(u16, u16)> {
    let port = |one: &str| one.trim_matches('"').rsplit_once(':')?.1.parse().ok();
    let (rtp, rtcp) = text.split_once('/')?;
    Some((port(rtp)?, port(rtcp)?))
}

/// `a-b`, or `a` alone, which means the next for RTCP.
fn pair<N: std::str::FromStr + Copy + TryFrom<u32> + Into<u32>>(text: &str) -> Option<(N, N)> {
    match text.split_once('-') {
        Some((first, second)) => Some((first.trim().parse().ok()?, second.trim().parse().ok()?)),
        None => {
            let first: N = text.parse().ok()?;
            Some((first, N::try_from(first.into() + 1).ok()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abilities(udp: bool) -> Abilities {
        Abilities {
            peer: "192.0.2.7".parse().unwrap(),
            udp_ports: udp.then_some((8000, 8001)),
            group: None,
            secure: false,
            has_key: false,
        }
    }

    fn in_a_group() -> Abilities {
        let stream = hal::StreamId::new(hal::ChannelId::new(1).unwrap(), hal::StreamKind::Sub);
        let multicast = crate::Multicast::new("239.192.0.0".parse().unwrap(), 3).unwrap();
        Abilities { group: Some(multicast.group(stream, "192.0.2.1".parse().unwrap())), ..abilities(true) }
    }

    fn pick(header: &str) -> Option<Delivery> {
        chosen(header, &abilities(true))
    }

    /// In clear.
    fn chosen(header: &str, abilities: &Abilities) -> Option<Delivery> {
        choose(header, abilities, 0, &|_| false).map(|chosen| {
            assert!(!chosen.sealed);
            chosen.delivery
        })
    }

    fn udp(rtp: u16, rtcp: u16) -> Delivery {
        let peer = abilities(true).peer;
        Delivery::Udp { rtp: SocketAddr::new(peer, rtp), rtcp: SocketAddr::new(peer, rtcp) }
    }

    #[test]
    fn what_players_send() {
        assert_eq!(pick("RTP/AVP/UDP;unicast;client_port=5000-5001"), Some(udp(5000, 5001)));
        assert_eq!(pick("RTP/AVP;unicast;client_port=5000"), Some(udp(5000, 5001)));
        assert_eq!(pick("RTP/AVP;unicast;dest_addr=\":5000\"/\":5001\""), Some(udp(5000, 5001)));
        let elsewhere = "RTP/AVP;unicast;dest_addr=\"198.51.100.9:5000\"/\"[2001:db8::1]:5001\"";
        assert_eq!(pick(elsewhere), Some(udp(5000, 5001)), "to the peer");
        let tcp = Some(Delivery::Interleaved { rtp: 2, rtcp: 3 });
        assert_eq!(pick("RTP/AVP/TCP;unicast;interleaved=2-3"), tcp);
        assert_eq!(pick("RTP/AVP/TCP;unicast;mode=\"PLAY\";interleaved=2-3"), tcp);
        assert_eq!(pick("RTP/SAVPF;unicast, RTP/AVP;multicast, RTP/AVP/TCP;interleaved=2"), tcp);
        assert_eq!(
            choose("RTP/AVP/TCP", &abilities(false), 2, &|_| false).map(|chosen| chosen.delivery),
            tcp
        );
    }

    #[test]
    fn the_destination_is_the_peer_always() {
        let header = "RTP/AVP;unicast;destination=198.51.100.9;client_port=5000-5001";
        assert_eq!(pick(header), Some(udp(5000, 5001)));
    }

    #[test]
    fn a_group_is_the_streams_own_whatever_is_asked_for() {
        let abilities = in_a_group();
        let group = Delivery::Multicast(abilities.group.unwrap());
        for header in [
            "RTP/AVP/UDP;multicast",
            "RTP/AVP;multicast;mode=\"PLAY\"",
            "RTP/AVP;multicast;destination=224.2.0.1;port=53-54;ttl=127",
            "RTP/AVP;multicast;dest_addr=\"224.2.0.1:53\"/\"224.2.0.1:54\"",
            "RTP/AVP;multicast,RTP/AVP;unicast;client_port=5000-5001",
        ] {
            assert_eq!(chosen(header, &abilities), Some(group), "{header}");
        }
        for header in
            ["RTP/AVP/TCP;multicast;interleaved=0-1", "RTP/SAVP;multicast", "RTP/AVP;multicast;mode=RECORD"]
        {
            assert_eq!(chosen(header, &abilities), None, "{header}");
        }
        let unicast = chosen("RTP/AVP;unicast;client_port=5000-5001", &abilities);
        assert_eq!(unicast, Some(udp(5000, 5001)));
        let said = answer(&Chosen { delivery: group, sealed: false }, &abilities, 0xabcd);
        assert_eq!(said, "RTP/AVP;multicast;destination=239.192.0.1;port=16386-16387;ttl=3;ssrc=0000ABCD");
        let said = addresses(&group, &abilities);
        assert_eq!(said, ";dest_addr=\"239.192.0.1:16386\"/\"239.192.0.1:16387\"");
    }

    #[test]
    fn sealed_for_those_who_have_the_key_and_nothing_in_clear_beside_tls() {
        let tls = Abilities { secure: true, ..in_a_group() };
        let with_key = Abilities { has_key: true, ..tls };
        let datagrams = "RTP/SAVP;unicast;client_port=5000-5001";
        let taken = choose(datagrams, &with_key, 0, &|_| false).unwrap();
        assert_eq!(taken, Chosen { delivery: udp(5000, 5001), sealed: true });
        assert_eq!(
            answer(&taken, &with_key, 0xabcd),
            "RTP/SAVP;unicast;client_port=5000-5001;server_port=8000-8001;ssrc=0000ABCD"
        );
        let taken = choose("RTP/SAVP/TCP;unicast;interleaved=0-1", &with_key, 0, &|_| false).unwrap();
        assert_eq!(taken, Chosen { delivery: Delivery::Interleaved { rtp: 0, rtcp: 1 }, sealed: true });
        assert_eq!(answer(&taken, &with_key, 1), "RTP/SAVP/TCP;unicast;interleaved=0-1;ssrc=00000001");
        for header in
            ["RTP/AVP;unicast;client_port=5000-5001", "RTP/SAVP;multicast", "RTP/SAVPF;client_port=5000"]
        {
            assert_eq!(choose(header, &with_key, 0, &|_| false), None, "{header}");
        }
        for header in [datagrams, "RTP/SAVP/TCP;unicast;interleaved=0-1"] {
            assert_eq!(choose(header, &tls, 0, &|_| false), None, "without a key");
        }
    }

    #[test]
    fn what_is_refused() {
        for header in [
            "",
            "RTP/AVP;multicast;port=5000-5001",
            "RTP/AVP;unicast",
            "RTP/AVP;unicast;client_port=53-5001",
            "RTP/AVP;unicast;dest_addr=\":53\"/\":54\"",
            "RTP/AVP;unicast;dest_addr=\":5000\"",
            "RTP/AVP;unicast;dest_addr=\"/\"",
            "RTP/AVP;unicast;client_port=70000-70001",
            "RTP/AVP;unicast;client_port=65535",
            "RTP/AVP;unicast;client_port=5000-5000",
            "RTP/AVP;unicast;client_port=5000-5001;mode=RECORD",
            "RTP/AVP/TCP;interleaved=255",
            "RTP/AVP/TCP;interleaved=0-0",
            "RTP/AVP/TCP;interleaved=0-256",
            "RTP/AVP/TCP;mode=\"",
            "RAW/RAW/UDP;unicast;client_port=5000-5001",
        ] {
            assert_eq!(pick(header), None, "{header}");
        }
        assert_eq!(choose("RTP/AVP;client_port=5000-5001", &abilities(false), 0, &|_| false), None);
        let in_use = |channel| channel == 1;
        assert_eq!(choose("RTP/AVP/TCP;interleaved=0-1", &abilities(true), 0, &in_use), None);
    }
}
