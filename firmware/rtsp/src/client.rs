//! One connection: its socket, its session, and the tracks that it plays.
//!
//! Does not belong here: what RTSP means (`session.rs`), how packets are made (`tracks.rs`).
//!
//! Invariants: a client that does not read holds up nobody; what it holds is one access unit and a few responses,
//! the rest waits in its stream's fan-out, which drops whole GOPs; nothing is sent to any address but its own.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{FanoutReader, Item};
use bytes::{Buf, Bytes};
use hal::{Clock, MonoTime, StreamId, StreamKind};
use ring::rand::SystemRandom;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::OwnedSemaphorePermit;

use crate::digest::random_hex;
use crate::gate::{Via, Watch, WatchGuard};
use crate::pace::Pace;
use crate::packet::Packets;
use crate::payload::TrackId;
use crate::rtcp::{self, Report};
use crate::sdp::{Presentation, TrackDescription};
use crate::session::{Action, Beginning, Options, Refusal, Session};
use crate::shared::Shared;
use crate::tracks::LiveTrack;
use crate::transport::{Abilities, Delivery};
use crate::udp_pair::UdpPair;

/// How often time-outs are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Sender reports of a track (RFC 3550 section 6.2: five seconds at least, without many senders).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// How long PLAY waits for the first packet, to name it in `RTP-Info`. There is one at once unless the stream
/// has just begun.
const FIRST_PACKET_WAIT: Duration = Duration::from_millis(500);

/// Sound sends a unit every 20 to 100 ms.
const FIRST_SOUND_WAIT: Duration = Duration::from_millis(100);

/// Responses and units queued for a client before no more requests are read from it.
const MAX_QUEUED: usize = 32;

/// Buffers given to one write.
const MAX_SLICES: usize = 16;

/// How long the last response may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who connected, and how.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    /// The address that the client reached.
    pub(crate) local: IpAddr,
    pub(crate) secure: bool,
    /// Where its datagrams would leave; `None` for TCP only.
    pub(crate) udp: Option<Arc<UdpPair>>,
    pub(crate) turned_away: bool,
}

/// Serves one client until it leaves or has to.
pub(crate) async fn run<S: AsyncRead + AsyncWrite>(shared: Arc<Shared>, stream: S, connection: Connection) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut client = Client::new(shared, connection);
    let mut tick = tokio::time::interval(TICK.min(client.shared.options.session_timeout / 2));
    let mut buffer = vec![0; 4096];
    loop {
        client.act().await;
        if client.closing {
            break;
        }
        let room = client.session.room().min(buffer.len());
        let reads = room > 0 && client.outbox.queue.len() < MAX_QUEUED;
        let writes = !client.outbox.is_empty();
        tokio::select! {
            read = reader.read(&mut buffer[..room]), if reads => match read {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    let now = client.now();
                    client.session.receive(now, &buffer[..length]);
                }
            },
            written = client.outbox.write(&mut writer), if writes => match written {
                Ok(()) => client.progress(),
                Err(_) => break,
            },
            (index, item) = next_item(&mut client.legs), if !writes => client.deliver(index, item).await,
            _ = tick.tick() => client.tick(),
        }
    }
    let farewell = async {
        while !client.outbox.is_empty() {
            client.outbox.write(&mut writer).await?;
        }
        writer.shutdown().await
    };
    if client.closing {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

struct Client {
    shared: Arc<Shared>,
    connection: Connection,
    session: Session,
    legs: Vec<Leg>,
    /// Streams that were described are kept, so that the SETUP that follows finds them running.
    described: Vec<Arc<LiveTrack>>,
    stream: Option<StreamId>,
    outbox: Outbox,
    closing: bool,
    /// When a write last got on, or there was nothing to write.
    progress: MonoTime,
    cname: String,
    place: Option<OwnedSemaphorePermit>,
    watching: Option<WatchGuard>,
}

/// One track of a session.
struct Leg {
    track: TrackId,
    live: Arc<LiveTrack>,
    delivery: Delivery,
    /// `None` unless playing.
    reader: Option<FanoutReader<Packets>>,
    /// Taken from the reader for `RTP-Info`, not sent yet.
    first: Option<Arc<Packets>>,
    report: Report,
    reported: Option<MonoTime>,
    /// Raised when the client's report comes by UDP.
    heard: Option<Heard>,
    pace: Pace,
}

struct Heard {
    shared: Arc<Shared>,
    address: SocketAddr,
    flag: Arc<AtomicBool>,
}

impl Client {
    fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let now = shared.clock.mono();
        let peer = connection.peer;
        let reached = connection.udp.as_ref().and_then(|pair| Some((pair.ports(), pair.reach(peer.ip())?)));
        let options = Options {
            gate: Arc::clone(&shared.gate),
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            local: connection.local,
            abilities: Abilities {
                peer: reached.map_or(peer.ip(), |(_, peer)| peer),
                udp_ports: reached.map(|(ports, _)| ports),
            },
            timeout: shared.options.session_timeout,
            turned_away: connection.turned_away,
        };
        let outbox = Outbox { flushes: connection.secure, ..Outbox::default() };
        Self {
            session: Session::new(options, now),
            connection,
            legs: Vec::new(),
            described: Vec::new(),
            stream: None,
            outbox,
            closing: false,
            progress: now,
            cname: random_hex(&SystemRandom::new()).unwrap_or_default(),
            place: None,
            watching: None,
            shared,
        }
    }

    fn now(&self) -> MonoTime {
        self.shared.clock.mono()
    }

    async fn act(&mut self) {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Send(bytes) => self.outbox.queue.push_back(bytes),
                Action::Describe(stream) => self.describe(stream).await,
                Action::Setup { stream, track, delivery } => self.set_up(stream, track, delivery).await,
                Action::Play => self.play().await,
                Action::Pause => self.stop(),
                Action::End => {
                    self.stop();
                    self.legs.clear();
                    self.place = None;
                }
                Action::Close => self.closing = true,
            }
        }
    }

    async fn describe(&mut self, stream: StreamId) {
        let sound = StreamId::new(stream.channel, StreamKind::Audio);
        let (video, audio) = tokio::join!(
            self.shared.tracks.open(stream, TrackId::Video),
            self.shared.tracks.open(sound, TrackId::Audio),
        );
        let Some(video) = video else { return self.session.described(self.now(), Err(Refusal::NotFound)) };
        let mut tracks = vec![TrackDescription {
            track: TrackId::Video,
            payload: video.payload.clone(),
            parameter_sets: video.parameter_sets().await,
        }];
        let version = u64::from(video.ssrc);
        self.described = vec![video];
        if let Some(audio) = audio {
            let payload = audio.payload.clone();
            tracks.push(TrackDescription { track: TrackId::Audio, payload, parameter_sets: None });
            self.described.push(audio);
        }
        self.session.described(self.now(), Ok(&Presentation { stream, version, tracks }));
    }

    async fn set_up(&mut self, stream: StreamId, track: TrackId, delivery: Delivery) {
        if self.place.is_none() {
            self.place = Arc::clone(&self.shared.watchers).try_acquire_owned().ok();
        }
        let id = match track {
            TrackId::Video => stream,
            TrackId::Audio => StreamId::new(stream.channel, StreamKind::Audio),
        };
        let ready = if self.place.is_none() {
            Err(Refusal::Full)
        } else {
            self.shared.tracks.open(id, track).await.ok_or(Refusal::NotFound)
        };
        let answer = ready.map(|live| {
            let ssrc = live.ssrc;
            self.legs.retain(|leg| leg.track != track);
            self.legs.push(Leg::new(&self.shared, track, live, delivery));
            self.stream = Some(stream);
            ssrc
        });
        if self.legs.is_empty() {
            self.place = None;
        }
        self.session.set_up(self.now(), answer);
    }

    async fn play(&mut self) {
        // The legs and the session have what is needed; described streams that are not played may end.
        self.described.clear();
        self.legs.sort_by_key(|leg| leg.track);
        let firsts = match self.legs.as_mut_slice() {
            [only] => vec![only.start().await],
            [one, two] => {
                let (one, two) = tokio::join!(one.start(), two.start());
                vec![one, two]
            }
            _ => Vec::new(),
        };
        let beginnings: Vec<Beginning> =
            self.legs.iter().zip(firsts).map(|(leg, first)| Beginning { track: leg.track, first }).collect();
        if let Some(stream) = self.stream {
            let via = if self.connection.secure { Via::Rtsps } else { Via::Rtsp };
            let (peer, user) = (self.connection.peer, self.session.user().unwrap_or_default().to_owned());
            let from = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            self.watching = Some(self.shared.gate.watching(Watch { user, from, stream, via }));
            tracing::info!(%peer, %stream, "RTSP client plays");
        }
        self.session.playing(self.now(), &beginnings);
    }

    /// Nothing more is sent.
    fn stop(&mut self) {
        for leg in &mut self.legs {
            leg.reader = None;
            leg.first = None;
        }
        if self.watching.take().is_some() {
            tracing::info!(peer = %self.connection.peer, "RTSP client stopped");
        }
    }

    async fn deliver(&mut self, index: usize, item: Item<Packets>) {
        let now = self.now();
        let leg = &mut self.legs[index];
        match item {
            Item::Item(packets) => {
                let report =
                    leg.report_due(&packets, now).then(|| rtcp::sender_report(&leg.report, &self.cname));
                leg.report.packets = leg.report.packets.wrapping_add(packets.count());
                leg.report.payload_bytes = leg.report.payload_bytes.wrapping_add(packets.payload_bytes());
                match leg.delivery {
                    Delivery::Interleaved { rtp, rtcp } => {
                        if let Some(report) = report {
                            self.outbox.queue.push_back(interleaved(rtcp, &report));
                        }
                        self.outbox.queue.push_back(packets.interleaved(rtp));
                    }
                    Delivery::Udp { rtp, rtcp } => {
                        let Some(pair) = &self.connection.udp else { return };
                        if let Some(report) = report {
                            let _ = pair.rtcp.send_to(&report, rtcp).await;
                        }
                        leg.send_datagrams(self.shared.clock.as_ref(), &pair.rtp, &packets, rtp).await;
                    }
                }
            }
            Item::Lost { gops } => {
                self.shared.lost_gops.fetch_add(gops, Ordering::Relaxed);
                tracing::debug!(peer = %self.connection.peer, gops, "RTSP client is too slow");
            }
            Item::Closed => {
                for leg in &self.legs {
                    let goodbye = rtcp::goodbye(&leg.report, &self.cname);
                    match (leg.delivery, &self.connection.udp) {
                        (Delivery::Interleaved { rtcp, .. }, _) => {
                            self.outbox.queue.push_back(interleaved(rtcp, &goodbye));
                        }
                        (Delivery::Udp { rtcp, .. }, Some(pair)) => {
                            let _ = pair.rtcp.send_to(&goodbye, rtcp).await;
                        }
                        (Delivery::Udp { .. }, None) => {}
                    }
                }
                self.session.stream_ended();
            }
        }
    }

    /// A write got on. Whoever takes pictures over the connection itself is alive, also when it sends no
    /// keep-alive; a peer that vanished lets the writes stall.
    fn progress(&mut self) {
        self.progress = self.now();
        let plays = |leg: &Leg| leg.reader.is_some() && matches!(leg.delivery, Delivery::Interleaved { .. });
        if self.legs.iter().any(plays) {
            self.session.sign_of_life(self.progress);
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        let heard = self
            .legs
            .iter()
            .filter_map(|leg| leg.heard.as_ref())
            .any(|heard| heard.flag.swap(false, Ordering::Relaxed));
        if heard {
            self.session.sign_of_life(now);
        }
        if self.outbox.is_empty() {
            self.progress = now;
        } else if now.since(self.progress) >= self.shared.options.session_timeout {
            self.session.stream_ended();
        }
        self.session.tick(now);
    }
}

impl Leg {
    fn new(shared: &Arc<Shared>, track: TrackId, live: Arc<LiveTrack>, delivery: Delivery) -> Self {
        let heard = match delivery {
            Delivery::Interleaved { .. } => None,
            Delivery::Udp { rtcp, .. } => {
                Some(Heard { shared: Arc::clone(shared), address: rtcp, flag: shared.receivers.expect(rtcp) })
            }
        };
        let report = Report {
            ssrc: live.ssrc,
            wall: hal::WallTime::default(),
            timestamp: 0,
            packets: 0,
            payload_bytes: 0,
        };
        let pace = Pace::new(live.payload.clock_rate());
        Self { track, live, delivery, reader: None, first: None, report, reported: None, heard, pace }
    }

    /// Begins at the last keyframe; returns sequence number and time of the first packet when it comes soon.
    async fn start(&mut self) -> Option<(u16, u32)> {
        let mut reader = self.live.reader();
        let wait = match self.track {
            TrackId::Video => FIRST_PACKET_WAIT,
            TrackId::Audio => FIRST_SOUND_WAIT,
        };
        let mut item = reader.try_next();
        if item.is_none() {
            self.live.request_keyframe();
            item = tokio::time::timeout(wait, reader.next()).await.ok();
        }
        self.reader = Some(reader);
        self.reported = None;
        self.pace.restart();
        let Some(Item::Item(first)) = item else { return None };
        let beginning = (first.sequence, first.timestamp);
        self.first = Some(first);
        Some(beginning)
    }

    async fn next(&mut self) -> Item<Packets> {
        if let Some(first) = self.first.take() {
            return Item::Item(first);
        }
        match &mut self.reader {
            Some(reader) => reader.next().await,
            None => std::future::pending().await,
        }
    }

    /// Sends a unit, with the pauses that its receiver needs.
    async fn send_datagrams(
        &mut self,
        clock: &dyn Clock,
        socket: &UdpSocket,
        unit: &Packets,
        to: SocketAddr,
    ) {
        let pause = self.pace.before_unit(unit.timestamp, clock.mono());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        for datagram in unit.datagrams() {
            while !self.pace.may_send(clock.mono()) {
                tokio::time::sleep(Pace::PAUSE).await;
            }
            // What can not be sent is lost, as on any network; the client's silence ends the session.
            let _ = socket.send_to(datagram, to).await;
        }
    }

    /// Whether a sender report has to go before this unit; it will be about this unit's time.
    fn report_due(&mut self, packets: &Packets, now: MonoTime) -> bool {
        self.report.wall = packets.wall;
        self.report.timestamp = packets.timestamp;
        let due = self.reported.is_none_or(|last| now.since(last) >= REPORT_INTERVAL);
        if due {
            self.reported = Some(now);
        }
        due
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.shared.receivers.forget(self.address);
    }
}

/// The next thing to send on any track; never, while nothing plays.
async fn next_item(legs: &mut [Leg]) -> (usize, Item<Packets>) {
    match legs {
        [only] => (0, only.next().await),
        [one, two] => tokio::select! {
            item = one.next() => (0, item),
            item = two.next() => (1, item),
        },
        _ => std::future::pending().await,
    }
}

/// RFC 2326 section 10.12.
fn interleaved(channel: u8, packet: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(packet.len() + 4);
    bytes.extend_from_slice(&[b'$', channel]);
    bytes.extend_from_slice(&(packet.len() as u16).to_be_bytes());
    bytes.extend_from_slice(packet);
    bytes.into()
}

/// What still has to be written, in order.
#[derive(Debug, Default)]
struct Outbox {
    queue: VecDeque<Bytes>,
    /// TLS holds back records until told.
    flushes: bool,
    unflushed: bool,
}

impl Outbox {
    fn is_empty(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// One write, or the flush after the last. Nothing is lost when the future is dropped before it ends.
    async fn write<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.queue.is_empty() {
            writer.flush().await?;
            self.unflushed = false;
            return Ok(());
        }
        let slices: Vec<IoSlice<'_>> =
            self.queue.iter().take(MAX_SLICES).map(|bytes| IoSlice::new(bytes)).collect();
        let mut written = writer.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unflushed = self.flushes;
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                break;
            }
            written -= front.len();
            self.queue.pop_front();
        }
        Ok(())
    }
}
