//! The board's Ethernet interface: by DHCP, or with the owner's address.
//!
//! A thread of its own, because the DHCP client's socket is waited for. Does not belong here: the protocol
//! (`system::DhcpClient`), and who may connect where.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hal_linux::NetInterface;
use ring::rand::{SecureRandom, SystemRandom};
use system::{DhcpAct, DhcpClient, DhcpSocket, Lease, Link, LinkPlaces};
use tokio::sync::watch;

use super::desk::Desk;
use crate::files;
use crate::settings::{Network, Settings};

/// Where the root's `/etc/resolv.conf` points to.
const RESOLV_CONF: &str = "/run/resolv.conf";
/// After a failure, and while there is no interface yet.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How often settings and cable are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// With no DHCP server for so long, the board takes [`FALL_BACK`] until one answers.
const FALL_BACK_AFTER: Duration = Duration::from_secs(30);
/// The same as the recovery page's: an address that a laptop on the same cable can be given a neighbour of.
const FALL_BACK: (Ipv4Addr, u8) = (Ipv4Addr::new(192, 168, 1, 168), 24);

/// Why an attempt ended.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Starts the thread; it lives as long as the program.
pub(super) fn start(desk: &Arc<Desk>, say: fn(&str)) -> std::io::Result<()> {
    let mut uplink = Uplink { desk: Arc::clone(desk), settings: desk.watch_settings(), say };
    thread::Builder::new().name("network".to_owned()).spawn(move || {
        if let Err(error) = NetInterface::new("lo").and_then(|lo| lo.set_up()) {
            tracing::error!(%error, "the recorder cannot talk to itself");
        }
        let mut told = String::new();
        loop {
            // It returns when the settings changed, to begin with the new ones.
            if let Err(error) = uplink.run() {
                let error = error.to_string();
                if error != told {
                    tracing::error!(error, "the network does not work; it is tried again");
                    told = error;
                }
                thread::sleep(RETRY_AFTER);
            }
        }
    })?;
    Ok(())
}

struct Uplink {
    desk: Arc<Desk>,
    settings: watch::Receiver<Settings>,
    say: fn(&str),
}

impl Uplink {
    fn run(&mut self) -> Result<(), Failure> {
        let wanted = self.settings.borrow_and_update().network.clone();
        nix::unistd::sethostname(&wanted.host_name)?;
        let link = LinkPlaces::default().list().into_iter().next().ok_or("there is no Ethernet interface")?;
        let interface = NetInterface::new(&link.name)?;
        interface.set_up()?;
        match wanted.address.filter(|_| !wanted.dhcp) {
            Some(address) => {
                self.bind(&interface, address, wanted.prefix, wanted.gateway, &wanted.dns)?;
                while !self.changed(&wanted) {
                    thread::sleep(LOOK_EVERY);
                }
                Ok(())
            }
            None => self.run_dhcp(&interface, &link, &wanted),
        }
    }

    fn run_dhcp(&mut self, interface: &NetInterface, link: &Link, wanted: &Network) -> Result<(), Failure> {
        let mut number = [0; 4];
        SystemRandom::new().fill(&mut number).map_err(|_| "there is no randomness")?;
        let clock = Arc::clone(&self.desk.clock);
        let mut socket = DhcpSocket::open(interface.name())?;
        let mut client =
            DhcpClient::new(link.mac, &wanted.host_name, u32::from_le_bytes(number), clock.mono());
        let began = clock.mono();
        let mut fallen_back = false;
        let mut carrier = false;
        loop {
            if self.changed(wanted) {
                return Ok(());
            }
            let plugged = LinkPlaces::default().has_carrier(link);
            if plugged && !carrier && client.lease().is_none() {
                // What was sent into a cable that was not there yet is lost: begin now, not after the next pause.
                let number = u32::from_le_bytes(number).wrapping_add(0x100);
                client = DhcpClient::new(link.mac, &wanted.host_name, number, clock.mono());
            }
            carrier = plugged;
            while let Some(act) = client.poll(clock.mono())? {
                self.act(interface, &socket, wanted, act)?;
            }
            if client.lease().is_none() && !fallen_back && clock.mono().since(began) >= FALL_BACK_AFTER {
                fallen_back = true;
                tracing::warn!("nobody gives the recorder an address; it takes one until somebody does");
                self.bind(interface, FALL_BACK.0, FALL_BACK.1, None, &[])?;
            }
            let patience = client.due().since(clock.mono()).min(LOOK_EVERY);
            if let Some(packet) = socket.receive(patience)?
                && let Some(act) = client.receive(packet, clock.mono())
            {
                self.act(interface, &socket, wanted, act)?;
            }
        }
    }

    fn act(
        &self,
        interface: &NetInterface,
        socket: &DhcpSocket,
        wanted: &Network,
        act: DhcpAct,
    ) -> Result<(), Failure> {
        match act {
            DhcpAct::Send(packet, server) => {
                // Lost like any packet: the client asks again.
                if let Err(error) = socket.send(&packet, server) {
                    tracing::debug!(%error, "no DHCP packet sent");
                }
                Ok(())
            }
            DhcpAct::Bind(Lease { address, prefix, gateway, dns, server, lease }) => {
                tracing::info!(%server, lease_sec = lease.as_secs(), "the network gave an address");
                let dns = if wanted.dns.is_empty() { dns } else { wanted.dns.clone() };
                self.bind(interface, address, prefix, gateway, &dns)
            }
            DhcpAct::Unbind => {
                tracing::warn!("the network took the address back");
                Ok(interface.clear_address()?)
            }
        }
    }

    fn bind(
        &self,
        interface: &NetInterface,
        address: Ipv4Addr,
        prefix: u8,
        gateway: Option<Ipv4Addr>,
        dns: &[Ipv4Addr],
    ) -> Result<(), Failure> {
        interface.set_address(address, prefix)?;
        if let Some(gateway) = gateway {
            interface.set_default_route(gateway)?;
        }
        files::replace(Path::new(RESOLV_CONF), resolv_conf(dns).as_bytes())?;
        tracing::info!(%address, prefix, ?gateway, ?dns, interface = interface.name(), "the recorder has an address");
        (self.say)(&format!("Address: {address} ({})", interface.name()));
        Ok(())
    }

    fn changed(&mut self, wanted: &Network) -> bool {
        self.settings.has_changed().unwrap_or(false) && self.settings.borrow_and_update().network != *wanted
    }
}

/// resolv.conf(5).
fn resolv_conf(dns: &[Ipv4Addr]) -> String {
    dns.iter().map(|server| format!("nameserver {server}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_written_one_a_line() {
        let text = resolv_conf(&[Ipv4Addr::new(10, 2, 2, 3), Ipv4Addr::new(192, 0, 2, 1)]);
        assert_eq!(text, "nameserver 10.2.2.3\nnameserver 192.0.2.1\n");
        assert_eq!(resolv_conf(&[]), "");
    }
}
