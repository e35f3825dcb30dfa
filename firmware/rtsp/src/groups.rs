//! Multicast: one sender a stream and network, however many sessions play it.
//!
//! The sender runs while there is a member, and a member is a session that plays. It sends what its stream's fan-out has from the
//! last keyframe on, as one client on UDP would get it; who comes later begins in the middle, so a keyframe is asked for.
//!
//! Does not belong here: which address a stream has (`multicast.rs`), who may have it (`session.rs`).
//!
//! Invariants: a packet goes to a group once; nothing is sent to a group without a member; keyframes are asked for once a
//! second at most.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bus::Item;
use hal::Clock;
use ring::rand::SystemRandom;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::digest::random_hex;
use crate::multicast::Group;
use crate::outlet::{Outlet, Sent, Way};
use crate::packet::Packets;
use crate::rtcp;
use crate::tracks::LiveTrack;
use crate::udp_pair::UdpPair;

/// Sessions may come and go as fast as they like; an encoder, or a camera, is not asked more often than this.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(1);

/// A receiver's report is below this, and what is longer is none.
const MAX_REPORT_BYTES: usize = 1500;

/// All groups that are sent to.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    senders: Mutex<HashMap<Group, Weak<Sender>>>,
    lost_gops: Arc<AtomicU64>,
}

/// A session's part in a group, for as long as it plays.
#[derive(Debug)]
pub(crate) struct Member {
    sender: Arc<Sender>,
    id: u64,
    heard: Arc<AtomicBool>,
}

/// A group's task ends with it.
#[derive(Debug)]
struct Sender {
    live: Arc<LiveTrack>,
    members: Arc<Members>,
    ended: watch::Receiver<()>,
    task: AbortHandle,
}

/// Who plays, so that reports in the group are taken for signs of life of their senders.
#[derive(Debug, Default)]
struct Members {
    list: Mutex<List>,
    /// Somebody came.
    came: Notify,
}

#[derive(Debug, Default)]
struct List {
    next_id: u64,
    by_id: HashMap<u64, (IpAddr, Arc<AtomicBool>)>,
}

impl Groups {
    /// From now on, and until the member is dropped, `live` is sent to `group`; reports from `peer` are the member's.
    ///
    /// # Errors
    /// When the group's sockets cannot be had: the interface is gone, or another program has the RTCP port to itself.
    pub(crate) fn join(
        &self,
        group: Group,
        live: &Arc<LiveTrack>,
        peer: IpAddr,
        clock: &Arc<dyn Clock>,
    ) -> io::Result<Member> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let running = senders.get(&group).and_then(Weak::upgrade);
        // One of a stream that became another ends by itself.
        let sender = match running.filter(|sender| Arc::ptr_eq(&sender.live, live) && sender.is_running()) {
            Some(sender) => sender,
            None => {
                senders.retain(|_, sender| sender.strong_count() > 0);
                let sender = Arc::new(self.start(group, live, clock)?);
                senders.insert(group, Arc::downgrade(&sender));
                sender
            }
        };
        let (id, heard) = sender.members.add(peer.to_canonical());
        Ok(Member { sender, id, heard })
    }

    /// GOPs that were not sent because the network was slower than their stream.
    pub(crate) fn lost_gops(&self) -> u64 {
        self.lost_gops.load(Ordering::Relaxed)
    }

    fn start(&self, group: Group, live: &Arc<LiveTrack>, clock: &Arc<dyn Clock>) -> io::Result<Sender> {
        let members = Arc::new(Members::default());
        let (running, ended) = watch::channel(());
        let pair = Arc::new(sending(group)?);
        let (rtp, rtcp) = (group.rtp.into(), group.rtcp.into());
        let cname = random_hex(&SystemRandom::new()).unwrap_or_default().into();
        let way = Way::Datagrams { pair: Arc::clone(&pair), rtp, rtcp };
        let task = Task {
            group,
            live: Arc::clone(live),
            members: Arc::clone(&members),
            clock: Arc::clone(clock),
            lost_gops: Arc::clone(&self.lost_gops),
            own: pair.rtcp.local_addr()?,
            pair,
            outlet: Outlet::new(way, live.ssrc, live.payload.clock_rate(), cname),
            reports: receiving(group)?,
            _running: running,
        };
        tracing::info!(group = %group.rtp, interface = %group.interface, "multicast begins");
        let task = tokio::spawn(task.run()).abort_handle();
        Ok(Sender { live: Arc::clone(live), members, ended, task })
    }
}

impl Member {
    /// Waits until the stream is gone or became another.
    pub(crate) async fn ended(&self) {
        let mut ended = self.sender.ended.clone();
        // Nothing is ever told but by the other end's going.
        while ended.changed().await.is_ok() {}
    }

    /// Whether a report came since the last look.
    pub(crate) fn was_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.sender.members.list().by_id.remove(&self.id);
    }
}

impl Sender {
    fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Members {
    fn add(&self, peer: IpAddr) -> (u64, Arc<AtomicBool>) {
        let heard = Arc::new(AtomicBool::new(false));
        let mut list = self.list();
        let id = list.next_id;
        list.next_id += 1;
        list.by_id.insert(id, (peer, Arc::clone(&heard)));
        drop(list);
        self.came.notify_one();
        (id, heard)
    }

    /// A report came from there.
    fn heard(&self, from: IpAddr) {
        for (_, heard) in self.list().by_id.values().filter(|(peer, _)| *peer == from) {
            heard.store(true, Ordering::Relaxed);
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task {
    group: Group,
    live: Arc<LiveTrack>,
    members: Arc<Members>,
    clock: Arc<dyn Clock>,
    lost_gops: Arc<AtomicU64>,
    outlet: Outlet,
    /// RTP and RTCP leave here; reports that are sent to where RTCP comes from come here.
    pair: Arc<UdpPair>,
    /// RTCP's address: what we send comes back to the group's other sockets on this machine.
    own: SocketAddr,
    /// Reports that are sent to the group come here.
    reports: UdpSocket,
    /// Closed with the task, which members wait for.
    _running: watch::Sender<()>,
}

impl Task {
    async fn run(mut self) {
        let mut reader = self.live.reader();
        self.outlet.open();
        let (mut to_group, mut to_us) = ([0; MAX_REPORT_BYTES], [0; MAX_REPORT_BYTES]);
        let mut rested = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            tokio::select! {
                item = reader.next() => match item {
                    Item::Item(unit) => self.send(&unit).await,
                    Item::Lost { gops } => {
                        self.lost_gops.fetch_add(gops, Ordering::Relaxed);
                        tracing::debug!(group = %self.group.rtp, gops, "multicast is too slow");
                    }
                    Item::Closed => break,
                },
                received = self.reports.recv_from(&mut to_group) => self.received(received, &to_group).await,
                received = self.pair.rtcp.recv_from(&mut to_us) => self.received(received, &to_us).await,
                () = newcomer(rested.as_mut(), &self.members) => {
                    self.live.request_keyframe();
                    rested.set(tokio::time::sleep(KEYFRAME_INTERVAL));
                }
            }
        }
        self.outlet.say_goodbye();
        tracing::info!(group = %self.group.rtp, "multicast ends with its stream");
    }

    async fn send(&mut self, unit: &Packets) {
        while let Sent::Wait(pause) = self.outlet.send(unit, true, self.clock.mono()) {
            tokio::time::sleep(pause).await;
        }
    }

    async fn received(&self, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        match received {
            Ok((_, from)) if from == self.own => {}
            Ok((length, from)) if rtcp::is_receiver_report(&buffer[..length]) => {
                self.members.heard(from.ip());
            }
            Ok(_) => {}
            // An ICMP answer to something that was sent: it says nothing about the socket.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Waits for somebody who needs a keyframe, and until the last one was asked for long enough ago. Nothing is lost when
/// the future is dropped before it ends.
async fn newcomer(rested: std::pin::Pin<&mut tokio::time::Sleep>, members: &Members) {
    rested.await;
    members.came.notified().await;
}

/// Ports on the interface that the members reached.
fn sending(group: Group) -> io::Result<UdpPair> {
    let pair = UdpPair::bind(group.interface.into(), None).map_err(io::Error::other)?;
    for socket in [&pair.rtp, &pair.rtcp] {
        let socket = SockRef::from(socket);
        socket.set_multicast_if_v4(&group.interface)?;
        socket.set_multicast_ttl_v4(u32::from(group.ttl))?;
        // A player on the recorder itself watches too.
        socket.set_multicast_loop_v4(true)?;
    }
    Ok(pair)
}

/// A socket that gets what comes to the group's RTCP port on that interface.
fn receiving(group: Group) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    // Players on this machine have the same port.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::V4(group.rtcp).into())?;
    socket.join_multicast_v4(group.rtcp.ip(), &group.interface)?;
    UdpSocket::from_std(socket.into())
}
