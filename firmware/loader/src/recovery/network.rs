//! The network for recovery: DHCP on each interface, else a fixed address.
//!
//! No route to other networks is set: recovery talks to whoever stands near. Does not belong here: DHCP itself (`system`).

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use hal::{Clock, SystemClock};
use hal_linux::NetInterface;
use ring::rand::{SecureRandom, SystemRandom};
use system::{DhcpAct, DhcpClient, DhcpSocket, Link, LinkPlaces};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::console;
use crate::error::LoaderError;

/// The address without a DHCP server: the one that vendors' firmware of these boards has, so that an installer's laptop finds it.
const FIXED: (Ipv4Addr, u8) = (Ipv4Addr::new(192, 168, 1, 168), 24);

/// How long servers have to answer before the fixed address is taken; asking goes on.
const DHCP_PATIENCE: Duration = Duration::from_secs(15);

/// The longest wait for a packet before the time is looked at again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How often an interface is looked for, or tried again after it failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The console is told again: whoever plugs a cable into it now has not seen what it showed before.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What DHCP servers know it as.
const HOST_NAME: &str = "candor-recovery";

/// Keeps every interface up, and tells of each address, and again from time to time. Does not end.
pub(super) async fn keep_up(tell: impl Fn(&str)) {
    let (to, mut addresses) = unbounded_channel();
    thread::spawn(move || bring_up(&to));
    let mut last = None;
    loop {
        match timeout(TELL_AGAIN_AFTER, addresses.recv()).await {
            Ok(Some(address)) => last = Some(address.to_string()),
            // The thread that starts the others holds its end as long as this process lives.
            Ok(None) => return std::future::pending().await,
            Err(_) => {}
        }
        if let Some(address) = &last {
            tell(address);
        }
    }
}

/// Starts a thread for each interface that is there. Drivers are in the kernel: they do not come later.
fn bring_up(to: &UnboundedSender<Ipv4Addr>) {
    let places = LinkPlaces::default();
    let mut interfaces = places.list();
    while interfaces.is_empty() {
        console::say("Recovery: no network interface yet.");
        thread::sleep(AGAIN_AFTER);
        interfaces = places.list();
    }
    for (nth, link) in interfaces.into_iter().enumerate() {
        let to = to.clone();
        thread::spawn(move || {
            loop {
                // Only on the first: two interfaces cannot have it.
                if let Err(error) = keep_one_up(&link, nth == 0, &to) {
                    console::say(format_args!("Recovery: {error}"));
                }
                thread::sleep(AGAIN_AFTER);
            }
        });
    }
}

/// Ends with an error only.
fn keep_one_up(link: &Link, may_be_fixed: bool, to: &UnboundedSender<Ipv4Addr>) -> Result<(), LoaderError> {
    let Link { name, mac } = link;
    let failed = |error: &dyn std::fmt::Display| LoaderError::system(format_args!("network {name}"), error);
    let interface = NetInterface::new(name).map_err(|error| failed(&error))?;
    interface.set_up().map_err(|error| failed(&error))?;
    let clock = SystemClock::new();
    let mut socket = DhcpSocket::open(name).map_err(|error| failed(&error))?;
    let mut client = DhcpClient::new(*mac, HOST_NAME, transaction()?, clock.mono());
    let begun = clock.mono();
    let mut fixed = !may_be_fixed;
    loop {
        while let Some(act) = client.poll(clock.mono()).map_err(|error| failed(&error))? {
            perform(act, &interface, &socket, to).map_err(|error| failed(&error))?;
        }
        if !fixed && client.lease().is_none() && clock.mono().since(begun) >= DHCP_PATIENCE {
            fixed = true;
            interface.set_address(FIXED.0, FIXED.1).map_err(|error| failed(&error))?;
            let _ = to.send(FIXED.0);
        }
        let wait = client.due().since(clock.mono()).min(LONGEST_WAIT);
        let received = socket.receive(wait).map_err(|error| failed(&error))?;
        let act = received.and_then(|packet| client.receive(packet, clock.mono()));
        if let Some(act) = act {
            perform(act, &interface, &socket, to).map_err(|error| failed(&error))?;
        }
    }
}

fn perform(
    act: DhcpAct,
    interface: &NetInterface,
    socket: &DhcpSocket,
    to: &UnboundedSender<Ipv4Addr>,
) -> Result<(), LoaderError> {
    let failed = |error: &dyn std::fmt::Display| LoaderError::system("DHCP", error);
    match act {
        // A packet that is not sent is sent again.
        DhcpAct::Send(packet, server) => drop(socket.send(&packet, server)),
        DhcpAct::Bind(lease) => {
            interface.set_address(lease.address, lease.prefix).map_err(|error| failed(&error))?;
            // Nobody listens any more: recovery ends.
            let _ = to.send(lease.address);
        }
        DhcpAct::Unbind => interface.clear_address().map_err(|error| failed(&error))?,
    }
    Ok(())
}

/// A number that others are unlikely to use.
fn transaction() -> Result<u32, LoaderError> {
    let mut bytes = [0; 4];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| LoaderError::system("DHCP", "the kernel gives no random numbers"))?;
    Ok(u32::from_ne_bytes(bytes))
}
