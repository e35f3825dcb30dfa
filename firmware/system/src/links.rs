//! Ethernet interfaces as the kernel shows them: names, addresses, cables.

use std::fs;
use std::path::PathBuf;

/// Where the kernel shows its interfaces: `/sys/class/net`.
#[derive(Clone, Debug)]
pub struct LinkPlaces {
    /// The folder.
    pub sys_net: PathBuf,
}

/// An Ethernet interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// `eth0`.
    pub name: String,
    /// The card's address.
    pub mac: [u8; 6],
}

impl Default for LinkPlaces {
    fn default() -> Self {
        Self { sys_net: "/sys/class/net".into() }
    }
}

impl LinkPlaces {
    /// The Ethernet interfaces, by name; the loopback is none.
    #[must_use]
    pub fn list(&self) -> Vec<Link> {
        let Ok(entries) = fs::read_dir(&self.sys_net) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut links: Vec<Link> = names
            // ARPHRD_ETHER (Linux's include/uapi/linux/if_arp.h) is 1.
            .filter(|name| self.read(name, "type").as_deref() == Some("1"))
            .filter_map(|name| Some(Link { mac: mac(&self.read(&name, "address")?)?, name }))
            .collect();
        links.sort_by(|a, b| a.name.cmp(&b.name));
        links
    }

    /// Whether a cable with a living other end is plugged in.
    #[must_use]
    pub fn has_carrier(&self, link: &Link) -> bool {
        // An interface that is off answers with an error.
        self.read(&link.name, "carrier").as_deref() == Some("1")
    }

    fn read(&self, name: &str, file: &str) -> Option<String> {
        let text = fs::read_to_string(self.sys_net.join(name).join(file)).ok()?;
        Some(text.trim().to_owned())
    }
}

/// `52:54:00:12:34:56`.
fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next().filter(|part| part.len() == 2)?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethernet_is_listed_and_a_cable_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        for (name, kind, address, carrier) in [
            ("lo", "772", "00:00:00:00:00:00", "1"),
            ("eth1", "1", "52:54:00:12:34:57", "0"),
            ("eth0", "1", "52:54:00:12:34:56", "1"),
            ("bad0", "1", "52:54:00:12:34", "1"),
        ] {
            let home = dir.path().join(name);
            fs::create_dir(&home).unwrap();
            for (file, text) in [("type", kind), ("address", address), ("carrier", carrier)] {
                fs::write(home.join(file), format!("{text}\n")).unwrap();
            }
        }
        let places = LinkPlaces { sys_net: dir.path().to_owned() };
        let links = places.list();
        assert_eq!(links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["eth0", "eth1"]);
        assert_eq!(links[0].mac, [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert!(places.has_carrier(&links[0]) && !places.has_carrier(&links[1]));
    }
}
