//! One track of a session: stopped, or read by a task, in a lane or a group.
//!
//! Does not belong here: the client's loop (`client.rs`), how a unit is sent (`outlet.rs`).
//!
//! Invariant: it goes from lane to reader and back without losing or repeating a unit.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{FanoutReader, Item};

use crate::action::Beginning;
use crate::groups::Member;
use crate::lanes::{End, Lane};
use crate::outlet::Outlet;
use crate::packet::Packets;
use crate::payload::TrackId;
use crate::shared::Shared;
use crate::tracks::LiveTrack;
use crate::transport::Delivery;
use crate::wire::Wire;

/// How long PLAY waits for the first packet, to name it in `RTP-Info`. There is one at once unless the stream
/// has just begun.
const FIRST_PACKET_WAIT: Duration = Duration::from_millis(500);

/// Sound sends a unit every 20 to 100 ms, metadata at once.
const FIRST_SOUND_WAIT: Duration = Duration::from_millis(100);

/// One track of a session.
pub(crate) struct Leg {
    pub(crate) track: TrackId,
    pub(crate) ssrc: u32,
    /// `None` of a recording.
    live: Option<Arc<LiveTrack>>,
    delivery: Delivery,
    /// `None` in the lane, which has it, and in a group.
    outlet: Option<Outlet>,
    state: State,
    /// Taken from the reader for `RTP-Info`, or begun in the lane; to be sent before anything else.
    first: Option<Arc<Packets>>,
    /// Raised when the client's report comes by UDP.
    heard: Option<Heard>,
}

/// Where its live units come from.
enum State {
    Stopped,
    Reads(FanoutReader<Packets>),
    /// The stream sends them.
    InLane(Lane),
    /// The group's sender sends them.
    InGroup(Member),
}

struct Heard {
    shared: Arc<Shared>,
    address: SocketAddr,
    flag: Arc<AtomicBool>,
}

impl Leg {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        track: TrackId,
        live: Option<Arc<LiveTrack>>,
        delivery: Delivery,
        ssrc: u32,
        outlet: Option<Outlet>,
    ) -> Self {
        let heard = match delivery {
            Delivery::Interleaved { .. } | Delivery::Multicast(_) => None,
            Delivery::Udp { rtcp, .. } => {
                Some(Heard { shared: Arc::clone(shared), address: rtcp, flag: shared.receivers.expect(rtcp) })
            }
        };
        Self { track, ssrc, live, delivery, outlet, state: State::Stopped, first: None, heard }
    }

    /// `None` while the stream sends by it.
    pub(crate) fn outlet(&mut self) -> Option<&mut Outlet> {
        self.outlet.as_mut()
    }

    pub(crate) fn is_interleaved(&self) -> bool {
        matches!(self.delivery, Delivery::Interleaved { .. })
    }

    pub(crate) fn plays_live(&self) -> bool {
        !matches!(self.state, State::Stopped)
    }

    /// Whether its client has sent a report by UDP since this was last asked.
    pub(crate) fn was_heard(&self) -> bool {
        match &self.state {
            State::InGroup(member) => member.was_heard(),
            _ => self.heard.as_ref().is_some_and(|heard| heard.flag.swap(false, Ordering::Relaxed)),
        }
    }

    /// The track plays from now on.
    pub(crate) fn open(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            outlet.open();
        }
    }

    /// Nothing more is sent.
    pub(crate) fn stop(&mut self) {
        if let State::InLane(lane) = &self.state {
            self.outlet = lane.leave();
        }
        self.state = State::Stopped;
        self.first = None;
    }

    /// Of multicast: the group's sender sends from now on, for this client too.
    pub(crate) fn join_group(&mut self, shared: &Shared, peer: IpAddr) -> io::Result<()> {
        if let (Delivery::Multicast(group), Some(live)) = (self.delivery, &self.live) {
            self.state = State::InGroup(shared.groups.join(group, live, peer, &shared.clock)?);
        }
        Ok(())
    }

    /// Begins at the last keyframe; returns sequence number and time of the first packet when it comes soon.
    async fn start(&mut self) -> Option<(u16, u32)> {
        if let State::InGroup(_) = self.state {
            // It begins wherever the group is.
            return None;
        }
        let live = self.live.as_ref()?;
        let mut reader = live.reader();
        let wait = match self.track {
            TrackId::Video => FIRST_PACKET_WAIT,
            TrackId::Audio | TrackId::Metadata => FIRST_SOUND_WAIT,
        };
        let mut item = reader.try_next();
        if item.is_none() {
            live.request_keyframe();
            item = tokio::time::timeout(wait, reader.next()).await.ok();
        }
        self.state = State::Reads(reader);
        self.open();
        let Some(Item::Item(first)) = item else { return None };
        let beginning = (first.sequence, first.timestamp);
        self.first = Some(first);
        Some(beginning)
    }

    /// Leaves the sending to the stream, once everything that it has was sent. `wire` has nothing left to write.
    pub(crate) fn hand_over(&mut self, wire: &Arc<Wire>) {
        let (State::Reads(reader), Some(live), None) = (&self.state, &self.live, &self.first) else { return };
        if self.outlet.as_ref().is_some_and(Outlet::sends_at_once)
            && let Some(lane) = live.lanes().join(reader, &mut self.outlet, wire)
        {
            self.state = State::InLane(lane);
        }
    }

    /// Goes on by itself where the stream could not.
    pub(crate) fn take_back(&mut self) {
        if let State::InLane(lane) = &self.state
            && let Some(End { outlet, reader, unfinished }) = lane.take_end()
        {
            self.outlet = Some(outlet);
            self.state = State::Reads(reader);
            self.first = unfinished;
        }
    }

    /// The next thing to send; never, while nothing plays, or somebody else sends it.
    async fn next(&mut self) -> Item<Packets> {
        if let Some(first) = self.first.take() {
            return Item::Item(first);
        }
        match &mut self.state {
            State::Reads(reader) => reader.next().await,
            State::InGroup(member) => {
                member.ended().await;
                Item::Closed
            }
            State::Stopped | State::InLane(_) => std::future::pending().await,
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.shared.receivers.forget(self.address);
    }
}

/// The next thing to send on any track; never, while there is none.
pub(crate) async fn next_item(legs: &mut [Leg]) -> (usize, Item<Packets>) {
    let [one, two, three] = each(legs);
    tokio::select! {
        item = next_of(one) => (0, item),
        item = next_of(two) => (1, item),
        item = next_of(three) => (2, item),
    }
}

/// Begins all tracks at once.
pub(crate) async fn start_all(legs: &mut [Leg]) -> Vec<Beginning> {
    let [one, two, three] = each(legs);
    let (one, two, three) = tokio::join!(beginning_of(one), beginning_of(two), beginning_of(three));
    [one, two, three].into_iter().flatten().collect()
}

/// A session has a leg for each [`TrackId`] at most.
fn each(legs: &mut [Leg]) -> [Option<&mut Leg>; 3] {
    let mut legs = legs.iter_mut();
    std::array::from_fn(|_| legs.next())
}

async fn next_of(leg: Option<&mut Leg>) -> Item<Packets> {
    match leg {
        Some(leg) => leg.next().await,
        None => std::future::pending().await,
    }
}

async fn beginning_of(leg: Option<&mut Leg>) -> Option<Beginning> {
    let leg = leg?;
    let first = leg.start().await;
    Some(Beginning { track: leg.track, first })
}
