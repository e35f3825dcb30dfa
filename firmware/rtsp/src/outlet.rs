//! One track's way to one client: in its connection, or in datagrams at their pace.
//!
//! Does not belong here: where the packets come from (`client.rs`, `lanes.rs`).
//!
//! Invariants: a unit is sent once and wholly; a sender report goes before the unit that it is about.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hal::{MonoTime, WallTime};

use crate::outbox::interleaved;
use crate::pace::Pace;
use crate::packet::Packets;
use crate::rtcp::{self, Report};
use crate::srtp::{Sealer, TooFarAhead};
use crate::udp_pair::UdpPair;
use crate::wire::Wire;

/// Sender reports of a track (RFC 3550 section 6.2: five seconds at least, without many senders).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The way.
#[derive(Debug)]
pub(crate) enum Way {
    /// In the connection, on these channels.
    Interleaved { wire: Arc<Wire>, rtp: u8, rtcp: u8 },
    /// In datagrams to these addresses.
    Datagrams { pair: Arc<UdpPair>, rtp: SocketAddr, rtcp: SocketAddr },
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing of it is left.
    Whole,
    /// Its connection has to write the rest.
    Left,
    /// Its datagrams, or the rest of them, can go after this long.
    Wait(Duration),
    /// Its receiver would not understand it, nor what follows.
    Never,
}

/// One track to one client.
#[derive(Debug)]
pub(crate) struct Outlet {
    way: Way,
    reports: Reports,
    flow: Flow,
    /// Of SRTP; elsewhere in memory, for outlets lie beside one another in lanes.
    sealer: Option<Box<Sealer>>,
    /// The unit that has begun, as it is sent.
    sealed: Option<Packets>,
}

/// What the client is told of the track.
#[derive(Debug)]
struct Reports {
    report: Report,
    reported: Option<MonoTime>,
    cname: Arc<str>,
}

/// Datagrams, one after the other.
#[derive(Debug)]
struct Flow {
    pace: Pace,
    /// Those of the current unit that have gone; `None` before it has begun.
    gone: Option<usize>,
}

impl Outlet {
    /// Has sent nothing yet.
    pub(crate) fn new(way: Way, ssrc: u32, clock_rate: u32, cname: Arc<str>) -> Self {
        let report = Report { ssrc, wall: WallTime::default(), timestamp: 0, packets: 0, payload_bytes: 0 };
        let reports = Reports { report, reported: None, cname };
        let flow = Flow { pace: Pace::new(clock_rate), gone: None };
        Self { way, reports, flow, sealer: None, sealed: None }
    }

    /// From now on everything is SRTP.
    pub(crate) fn seal(&mut self, sealer: Sealer) {
        self.sealer = Some(Box::new(sealer));
    }

    /// The track plays from now on.
    pub(crate) fn open(&mut self) {
        (self.flow.gone, self.sealed) = (None, None);
        self.flow.pace.restart();
        self.report_anew();
    }

    /// Whether [`Self::send`] sends, and at once; else its connection's task has to write, or to wait for the cipher.
    pub(crate) fn sends_at_once(&self) -> bool {
        match &self.way {
            _ if self.sealer.is_some() => false,
            Way::Interleaved { wire, .. } => wire.has_socket(),
            Way::Datagrams { .. } => true,
        }
    }

    /// What the last report said of RTP time holds no more: there will be one before the next unit.
    pub(crate) fn report_anew(&mut self) {
        self.reports.reported = None;
    }

    /// Sends a unit, or goes on with it: the same one has to be given again after [`Sent::Wait`]. A live stream's (`is_live`)
    /// come as their source makes them, but for those that a new client catches up with.
    pub(crate) fn send(&mut self, unit: &Packets, is_live: bool, now: MonoTime) -> Sent {
        let Some(sealer) = &mut self.sealer else { return self.send_as_it_is(unit, is_live, now) };
        let sealed = match self.sealed.take().map_or_else(|| sealer.unit(unit), Ok) {
            Ok(sealed) => sealed,
            Err(TooFarAhead) => return Sent::Never,
        };
        let sent = self.send_as_it_is(&sealed, is_live, now);
        if let Sent::Wait(_) = sent {
            self.sealed = Some(sealed);
        }
        sent
    }

    fn send_as_it_is(&mut self, unit: &Packets, is_live: bool, now: MonoTime) -> Sent {
        let Self { way, reports, flow, sealer, .. } = self;
        match way {
            Way::Interleaved { wire, rtp, rtcp } => {
                let report =
                    reports.before(unit, now).map(|report| interleaved(*rtcp, &seal(sealer, report)));
                if wire.send(report, unit.interleaved(*rtp)) { Sent::Whole } else { Sent::Left }
            }
            Way::Datagrams { pair, rtp, rtcp } => {
                if flow.gone.is_none() {
                    let early = flow.pace.before_unit(unit.timestamp, now);
                    if is_live && !early.is_zero() {
                        return Sent::Wait(early);
                    }
                    if let Some(report) = reports.before(unit, now) {
                        let _ = pair.rtcp.try_send_to(&seal(sealer, report), *rtcp);
                    }
                }
                flow.send(pair, unit, *rtp, now)
            }
        }
    }

    /// Nothing more comes of the track.
    pub(crate) fn say_goodbye(&mut self) {
        let goodbye = seal(&mut self.sealer, rtcp::goodbye(&self.reports.report, &self.reports.cname));
        match &self.way {
            Way::Interleaved { wire, rtcp, .. } => wire.push(interleaved(*rtcp, &goodbye)),
            Way::Datagrams { pair, rtcp, .. } => {
                let _ = pair.rtcp.try_send_to(&goodbye, *rtcp);
            }
        }
    }
}

impl Reports {
    /// Counts the unit; the report that has to go before it, which is about the unit's own time.
    fn before(&mut self, unit: &Packets, now: MonoTime) -> Option<Vec<u8>> {
        self.report.wall = unit.wall;
        self.report.timestamp = unit.timestamp;
        let due = self.reported.is_none_or(|last| now.since(last) >= REPORT_INTERVAL);
        let report = due.then(|| rtcp::sender_report(&self.report, &self.cname));
        if due {
            self.reported = Some(now);
        }
        self.report.packets = self.report.packets.wrapping_add(unit.count());
        self.report.payload_bytes = self.report.payload_bytes.wrapping_add(unit.payload_bytes());
        report
    }
}

impl Flow {
    fn send(&mut self, pair: &UdpPair, unit: &Packets, to: SocketAddr, now: MonoTime) -> Sent {
        let mut gone = self.gone.unwrap_or(0);
        let count = unit.count() as usize;
        let mut allowed = self.pace.allow(count - gone, now);
        while gone < count {
            if allowed == 0 {
                self.gone = Some(gone);
                return Sent::Wait(Pace::PAUSE);
            }
            let sent = match pair.send(&unit.datagrams().skip(gone).take(allowed), to) {
                Ok(sent) => sent,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.gone = Some(gone);
                    return Sent::Wait(Pace::PAUSE);
                }
                // What can not be sent is lost, as on any network; the client's silence ends the session.
                Err(_) => allowed,
            };
            gone += sent;
            allowed -= sent;
        }
        self.gone = None;
        Sent::Whole
    }
}

/// A report as it is sent.
fn seal(sealer: &mut Option<Box<Sealer>>, report: Vec<u8>) -> Vec<u8> {
    match sealer {
        Some(sealer) => sealer.rtcp(&report),
        None => report,
    }
}
