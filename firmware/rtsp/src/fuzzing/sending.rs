//! What a conversation's tracks send, as the client's task would have it sent.
//!
//! Datagrams go the way of interleaved packets here: what is in them is the same, and there are no sockets.
//!
//! Does not belong here: when a track sends (`conversation.rs`).
//!
//! Invariant: what a track sends is all SRTP, or all in clear.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hal::{MonoTime, WallTime};

use crate::framing::{Frame, Framer};
use crate::outlet::{Outlet, Sent, Way};
use crate::packet::{PacketWriter, Stream};
use crate::payload::TrackId;
use crate::srtp::{MasterKey, Sealer};
use crate::transport::Delivery;
use crate::wire::Wire;

/// In every packet of a unit; nobody may find it in what is sealed.
const MARK: &[u8] = b"a secret of sixteen bytes or more";

/// In every report.
const CNAME: &str = "a name that reports have";

/// Packets in a row without which a receiver of SRTP counts wrongly, for the next is 32768 ahead (RFC 3711 section 3.3.1).
const MAX_MISSED: u32 = (1 << 15) - 1;

/// What SRTP puts behind a packet (RFC 3711 section 3.1).
const TAG_BYTES: usize = 10;

/// One track to a client.
pub(super) struct Sending {
    track: TrackId,
    sealed: bool,
    channels: [u8; 2],
    numbers: Stream,
    /// Something was sent.
    begun: bool,
    outlet: Outlet,
    wire: Arc<Wire>,
}

/// What becomes of a track that has sent a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// It was sent.
    Sent,
    /// Its receiver would not follow.
    Ended,
}

impl Sending {
    /// Has sent nothing yet. `None` of multicast, where the group's sender sends.
    pub(super) fn new(track: TrackId, delivery: Delivery, key: Option<&MasterKey>) -> Option<Self> {
        let [rtp, rtcp] = match delivery {
            Delivery::Interleaved { rtp, rtcp } => [rtp, rtcp],
            Delivery::Udp { .. } => [0, 1],
            Delivery::Multicast(_) => return None,
        };
        let ssrc = ssrc(track);
        let wire = Arc::new(Wire::new(None));
        let way = Way::Interleaved { wire: Arc::clone(&wire), rtp, rtcp };
        let mut outlet = Outlet::new(way, ssrc, 90_000, CNAME.into());
        if let Some(key) = key {
            outlet.seal(Sealer::new(key, ssrc));
        }
        let channel = track.usual_channel();
        let numbers = Stream { ssrc, payload_type: 96, channel, next_sequence: 65_530, rollovers: 0 };
        Some(Self {
            track,
            sealed: key.is_some(),
            channels: [rtp, rtcp],
            numbers,
            begun: false,
            outlet,
            wire,
        })
    }

    pub(super) fn track(&self) -> TrackId {
        self.track
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// PLAY.
    pub(super) fn open(&mut self) {
        self.outlet.open();
    }

    /// A unit of so many packets, one at least, comes after so many others that this client did not get.
    pub(super) fn send(&mut self, packets: usize, missed: u32, now: MonoTime) -> Became {
        let count = u32::from(self.numbers.next_sequence) + missed;
        self.numbers.next_sequence = count as u16;
        self.numbers.rollovers += count >> 16;
        let mut writer = PacketWriter::new(&mut self.numbers, 5, packets * MARK.len());
        (0..packets).for_each(|_| writer.push(true, 0, &[MARK]));
        let Some(unit) = writer.finish(WallTime::default(), true) else { return Became::Sent };
        let is_too_far = self.sealed && self.begun && missed >= MAX_MISSED;
        let sent = self.outlet.send(&unit, true, now);
        assert_eq!(sent, if is_too_far { Sent::Never } else { Sent::Left }, "{missed} missed");
        if is_too_far {
            assert!(self.wire.is_empty(), "nothing of what is not understood");
            return Became::Ended;
        }
        self.begun = true;
        let clear: Vec<&[u8]> = unit.datagrams().collect();
        let (reports, sealed): (Vec<_>, Vec<_>) =
            self.written().into_iter().partition(|(channel, _)| *channel == self.channels[1]);
        assert_eq!(sealed.len(), clear.len(), "all of the unit");
        assert!(sealed.iter().all(|(channel, _)| *channel == self.channels[0]), "on its channel");
        for ((_, packet), clear) in sealed.iter().zip(clear) {
            if self.sealed {
                assert_eq!(packet.len(), clear.len() + TAG_BYTES);
                assert!(!has(packet, MARK), "in clear on a track that is SRTP");
            } else {
                assert_eq!(packet, clear);
            }
        }
        for (_, report) in reports {
            assert_ne!(has(&report, CNAME.as_bytes()), self.sealed, "a report in clear where all is SRTP");
        }
        Became::Sent
    }

    /// What the connection's task would write.
    fn written(&self) -> Vec<(u8, Vec<u8>)> {
        let mut bytes = Vec::new();
        while !self.wire.is_empty() {
            let written = pin!(self.wire.write(&mut bytes)).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(written, Poll::Ready(Ok(()))), "memory takes everything");
        }
        let (mut framer, mut packets) = (Framer::default(), Vec::new());
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            rest = &rest[framer.push(rest)..];
            while let Some(frame) = framer.next() {
                let Frame::Interleaved { channel, payload } = frame else { panic!("{frame:?}") };
                packets.push((channel, payload));
            }
        }
        packets
    }
}

/// What the world says of a track.
pub(super) fn ssrc(track: TrackId) -> u32 {
    0xabcd + u32::from(track.number())
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
