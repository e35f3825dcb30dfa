//! Who may connect to RTSP.
//!
//! Does not belong here: what happens to the others (crate `rtsp`).

use std::net::IpAddr;

use ipnet::IpNet;

/// A network as it is written, such as `192.168.1.0/24`; an address is a network of its own.
pub(super) fn network_of(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Whether `address` is in one of `networks`, or there is none. What is no network has nobody in it.
pub(crate) fn admits(networks: &[String], address: IpAddr) -> bool {
    networks.is_empty()
        || networks.iter().filter_map(|text| network_of(text)).any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_network_or_it_is_not() {
        let admits = |networks: &[&str], address: &str| {
            let networks: Vec<String> = networks.iter().map(|text| (*text).to_owned()).collect();
            admits(&networks, address.parse().unwrap())
        };
        assert!(admits(&[], "198.51.100.1"));
        for (networks, address, admitted) in [
            (&["192.0.2.0/24"][..], "192.0.2.255", true),
            (&["192.0.2.0/24"], "192.0.3.0", false),
            (&["192.0.2.7/24"], "192.0.2.1", true),
            (&["192.0.2.7"], "192.0.2.7", true),
            (&["192.0.2.7"], "192.0.2.8", false),
            (&["2001:db8::/32", "192.0.2.7"], "2001:db8::1", true),
            (&["2001:db8::/32"], "192.0.2.7", false),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["nonsense"], "192.0.2.7", false),
        ] {
            assert_eq!(admits(networks, address), admitted, "{networks:?} {address}");
        }
        for text in ["", "192.0.2.0/33", "192.0.2", "::/129", "192.0.2.0/24 ", "a.example"] {
            assert!(network_of(text).is_none(), "{text}");
        }
    }
}
