//! A DHCP client: gets a lease and keeps it (RFC 2131 section 4.4).
//!
//! Sans-IO: packets go in and out as bytes, and the time is an argument. Packets are read and written by crate
//! dhcproto. Does not belong here: the socket (`socket.rs`), and setting an interface's address.
//!
//! What is left out: INIT-REBOOT (a new start asks anew), DECLINE (no ARP probe; RFC 2131 section 2.2 leaves it to
//! the client), RELEASE (a recorder wants its address back).

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Encodable};
use hal::MonoTime;

use crate::error::{ErrorKind, SystemError};

/// The first question is repeated after this, then after twice as long each time (RFC 2131 section 4.1 begins with
/// 4 s; a recorder that was switched on by hand is waited for).
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// At most.
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// Requests for an offered address before the client begins anew.
const MAX_REQUESTS: u32 = 4;
/// Shorter leases are kept for this long: nobody shall have a client that asks all the time.
const SHORTEST_LEASE: Duration = Duration::from_secs(60);
/// Longer ones are renewed as if they were this long.
const LONGEST_LEASE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Name servers that are taken from an offer: what resolv.conf(5) takes.
const MAX_DNS: usize = 3;

/// What a server lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The interface's address.
    pub address: Ipv4Addr,
    /// Its leading bits that are the network's.
    pub prefix: u8,
    /// Where packets for other networks go.
    pub gateway: Option<Ipv4Addr>,
    /// At most three name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Who lent it.
    pub server: Ipv4Addr,
    /// For how long.
    pub lease: Duration,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhcpAct {
    /// Send this to port 67: to everybody, or to the server alone where one is named.
    Send(Vec<u8>, Option<Ipv4Addr>),
    /// The interface gets this address.
    Bind(Lease),
    /// The interface loses its address: it is no longer lent.
    Unbind,
}

#[derive(Clone, Debug)]
enum State {
    /// No server has answered yet.
    Selecting { wait: Duration },
    /// An offer was taken, its server has not confirmed yet.
    Requesting { offer: Lease, sent: u32, wait: Duration },
    /// Lent until `end`.
    Bound { lease: Lease, rebind: MonoTime, end: MonoTime },
}

/// One interface's client.
#[derive(Debug)]
pub struct DhcpClient {
    mac: [u8; 6],
    host_name: String,
    xid: u32,
    begun: MonoTime,
    state: State,
    /// When something is to be done if nothing comes in.
    due: MonoTime,
}

impl DhcpClient {
    /// A client that asks at once; `xid` is any number that others are unlikely to use.
    #[must_use]
    pub fn new(mac: [u8; 6], host_name: &str, xid: u32, now: MonoTime) -> Self {
        let state = State::Selecting { wait: FIRST_WAIT };
        Self { mac, host_name: host_name.to_owned(), xid, begun: now, state, due: now }
    }

    /// When [`DhcpClient::poll`] is to be called if nothing comes in.
    #[must_use]
    pub fn due(&self) -> MonoTime {
        self.due
    }

    /// The lease, while there is one.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Bound { lease, .. } => Some(lease),
            _ => None,
        }
    }

    /// What the time makes necessary; call it until there is nothing.
    ///
    /// # Errors
    /// `Malformed` when a packet cannot be written, which no state leads to.
    pub fn poll(&mut self, now: MonoTime) -> Result<Option<DhcpAct>, SystemError> {
        if is_before(now, self.due) {
            return Ok(None);
        }
        match self.state.clone() {
            State::Selecting { wait } => {
                self.due = now + wait;
                self.state = State::Selecting { wait: (wait * 2).min(LONGEST_WAIT) };
                self.xid = self.xid.wrapping_add(1);
                self.send(MessageType::Discover, now, |_| {}).map(Some)
            }
            State::Requesting { sent, .. } if sent >= MAX_REQUESTS => {
                self.begin_anew(now);
                self.poll(now)
            }
            State::Requesting { offer, sent, wait } => {
                self.due = now + wait;
                let (address, server) = (offer.address, offer.server);
                self.state = State::Requesting { offer, sent: sent + 1, wait: (wait * 2).min(LONGEST_WAIT) };
                self.send(MessageType::Request, now, |message| {
                    message.opts_mut().insert(DhcpOption::RequestedIpAddress(address));
                    message.opts_mut().insert(DhcpOption::ServerIdentifier(server));
                })
                .map(Some)
            }
            State::Bound { end, .. } if !is_before(now, end) => {
                self.begin_anew(now);
                Ok(Some(DhcpAct::Unbind))
            }
            State::Bound { lease, rebind, end } => {
                // RFC 2131 section 4.4.5: half of what is left, but not less than a minute.
                let (to, next) =
                    if is_before(now, rebind) { (Some(lease.server), rebind) } else { (None, end) };
                let pause = (next.since(now) / 2).max(SHORTEST_LEASE);
                self.due = if is_before(now + pause, next) { now + pause } else { next };
                self.xid = self.xid.wrapping_add(1);
                let request = self.send(MessageType::Request, now, |message| {
                    message.set_ciaddr(lease.address);
                    if to.is_some() {
                        message.set_flags(Flags::default());
                    }
                })?;
                Ok(Some(match request {
                    DhcpAct::Send(packet, _) => DhcpAct::Send(packet, to),
                    other => other,
                }))
            }
        }
    }

    /// Takes a packet from port 67; one that is not for this client changes nothing.
    pub fn receive(&mut self, packet: &[u8], now: MonoTime) -> Option<DhcpAct> {
        let message = Message::from_bytes(packet).ok()?;
        let is_ours = message.opcode() == dhcproto::v4::Opcode::BootReply
            && message.xid() == self.xid
            && message.chaddr() == self.mac;
        if !is_ours {
            return None;
        }
        let kind = message.opts().msg_type()?;
        match (&self.state, kind) {
            (State::Selecting { .. }, MessageType::Offer) => {
                let offer = lease(&message)?;
                self.state = State::Requesting { offer, sent: 0, wait: FIRST_WAIT };
                self.due = now;
                None
            }
            (State::Requesting { offer, .. }, MessageType::Ack) => {
                let lease = lease(&message).filter(|lease| lease.server == offer.server)?;
                Some(self.bind(lease, now))
            }
            (State::Requesting { offer, .. }, MessageType::Nak) => {
                if server(&message) == Some(offer.server) {
                    self.begin_anew(now);
                }
                None
            }
            (State::Bound { .. }, MessageType::Ack) => {
                let lease = lease(&message)?;
                Some(self.bind(lease, now))
            }
            (State::Bound { lease, rebind, .. }, MessageType::Nak) => {
                // While renewing only the lender may take it back, afterwards anybody who knows better.
                let may = !is_before(now, *rebind) || server(&message) == Some(lease.server);
                may.then(|| {
                    self.begin_anew(now);
                    DhcpAct::Unbind
                })
            }
            _ => None,
        }
    }

    fn bind(&mut self, lease: Lease, now: MonoTime) -> DhcpAct {
        // RFC 2131 section 4.4.5: T1 is half of the lease, T2 seven eighths.
        let renew = now + lease.lease / 2;
        let rebind = now + lease.lease * 7 / 8;
        self.due = renew;
        self.state = State::Bound { lease: lease.clone(), rebind, end: now + lease.lease };
        DhcpAct::Bind(lease)
    }

    fn begin_anew(&mut self, now: MonoTime) {
        self.state = State::Selecting { wait: FIRST_WAIT };
        self.begun = now;
        self.due = now;
    }

    fn send(
        &self,
        kind: MessageType,
        now: MonoTime,
        fill: impl FnOnce(&mut Message),
    ) -> Result<DhcpAct, SystemError> {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(self.xid, none, none, none, none, &self.mac);
        // Without an address the answer can only come to everybody.
        message.set_flags(Flags::default().set_broadcast());
        message.set_secs(u16::try_from(now.since(self.begun).as_secs()).unwrap_or(u16::MAX));
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        let mut id = vec![1];
        id.extend(self.mac);
        options.insert(DhcpOption::ClientIdentifier(id));
        options.insert(DhcpOption::Hostname(self.host_name.clone()));
        options.insert(DhcpOption::ParameterRequestList(vec![
            OptionCode::SubnetMask,
            OptionCode::Router,
            OptionCode::DomainNameServer,
            OptionCode::AddressLeaseTime,
        ]));
        fill(&mut message);
        let packet = message.to_vec();
        packet.map(|packet| DhcpAct::Send(packet, None)).map_err(|error| {
            SystemError::new(ErrorKind::Malformed, format!("a DHCP packet cannot be written: {error}"))
        })
    }
}

fn is_before(now: MonoTime, then: MonoTime) -> bool {
    now < then
}

fn server(message: &Message) -> Option<Ipv4Addr> {
    match message.opts().get(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => Some(*server),
        _ => None,
    }
}

/// What a message lends; `None` when a host cannot live with it.
fn lease(message: &Message) -> Option<Lease> {
    let options = message.opts();
    let address = message.yiaddr();
    let usable = !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast());
    let prefix = match options.get(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => prefix(*mask)?,
        _ => return None,
    };
    let lease = match options.get(OptionCode::AddressLeaseTime) {
        Some(DhcpOption::AddressLeaseTime(seconds)) => Duration::from_secs(u64::from(*seconds)),
        _ => return None,
    };
    let network = |ip: Ipv4Addr| u32::from(ip) >> (32 - u32::from(prefix));
    let gateway = match options.get(OptionCode::Router) {
        Some(DhcpOption::Router(routers)) => {
            routers.first().copied().filter(|router| network(*router) == network(address))
        }
        _ => None,
    };
    let dns = match options.get(OptionCode::DomainNameServer) {
        Some(DhcpOption::DomainNameServer(servers)) => servers.iter().copied().take(MAX_DNS).collect(),
        _ => Vec::new(),
    };
    let server = server(message)?;
    usable.then_some(Lease {
        address,
        prefix,
        gateway,
        dns,
        server,
        lease: lease.clamp(SHORTEST_LEASE, LONGEST_LEASE),
    })
}

/// `None` unless ones are followed by zeros, and there is room for a host.
fn prefix(mask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(mask);
    let ones = bits.leading_ones();
    ((1..=30).contains(&ones) && ones + bits.trailing_zeros() == 32).then_some(ones as u8)
}

#[cfg(test)]
mod tests;
