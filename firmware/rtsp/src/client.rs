//! One connection: its socket, its session, and the tracks that it plays.
//!
//! While a client takes everything at once, its streams write to it themselves (`lanes.rs`), and this task sleeps.
//!
//! Does not belong here: what RTSP means (`session.rs`), how packets are made (`tracks.rs`) and sent (`leg.rs`, `outlet.rs`).
//!
//! Invariants: a client that does not read holds up nobody; what it holds is one access unit of each track and a few responses,
//! the rest waits in its stream's fan-out, which drops whole GOPs; nothing is sent to any address but its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::Item;
use hal::MonoTime;
use ring::rand::SystemRandom;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::action::{Action, Options, Refusal};
use crate::connection::Connection;
use crate::digest::random_hex;
use crate::gate::{Via, Watch, WatchGuard};
use crate::leg::{Leg, next_item, start_all};
use crate::outlet::{Outlet, Sent, Way};
use crate::packet::Packets;
use crate::payload::TrackId;
use crate::replay::{Played, Replay};
use crate::sdp::{Presentation, TrackDescription};
use crate::session::Session;
use crate::shared::Shared;
use crate::srtp::{MasterKey, Sealer};
use crate::target::Source;
use crate::tracks::LiveTrack;
use crate::transport::Delivery;
use crate::wire::Wire;
use crate::wish::Wish;

/// Responses and units queued for a client before no more requests are read from it.
const MAX_QUEUED: usize = 32;

/// How long the last response may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves one client until it leaves or has to.
pub(crate) async fn run<R, W>(shared: Arc<Shared>, mut reader: R, mut writer: W, connection: Connection)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut client = Client::new(shared, connection);
    let wire = Arc::clone(&client.wire);
    let mut tick = client.shared.ticks();
    let mut buffer = vec![0; 4096];
    loop {
        client.act().await;
        if client.closing {
            break;
        }
        client.hand_over();
        let room = client.session.room().min(buffer.len());
        let reads = room > 0 && wire.queued() < MAX_QUEUED;
        let writes = !wire.is_empty();
        tokio::select! {
            read = reader.read(&mut buffer[..room]), if reads => match read {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    let now = client.now();
                    client.session.receive(now, &buffer[..length]);
                }
            },
            written = wire.write(&mut writer), if writes => if written.is_err() { break },
            () = wire.rung() => {}
            (index, item) = next_item(&mut client.legs), if !writes => client.deliver(index, item).await,
            played = next_played(&mut client.replay), if !writes => client.deliver_played(played).await,
            _ = tick.tick() => client.tick(),
        }
    }
    let farewell = async {
        while !wire.is_empty() {
            wire.write(&mut writer).await?;
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
    source: Option<Source>,
    /// What was recorded, where that was asked for.
    replay: Option<Replay>,
    wire: Arc<Wire>,
    closing: bool,
    /// When a write last got on, or there was nothing to write.
    progress: MonoTime,
    cname: Arc<str>,
    place: Option<OwnedSemaphorePermit>,
    watching: Option<WatchGuard>,
}

impl Client {
    fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let now = shared.clock.mono();
        let options = Options {
            gate: Arc::clone(&shared.gate),
            peer: connection.from(),
            local: connection.local,
            abilities: connection.abilities(),
            interface: connection.interface(),
            timeout: shared.options.session_timeout,
            turned_away: connection.turned_away,
        };
        let wire = Arc::new(Wire::new(connection.socket.clone()));
        Self {
            session: Session::new(options, now),
            connection,
            legs: Vec::new(),
            described: Vec::new(),
            source: None,
            replay: None,
            wire,
            closing: false,
            progress: now,
            cname: random_hex(&SystemRandom::new()).unwrap_or_default().into(),
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
                Action::Send(bytes) => self.wire.push(bytes),
                Action::Describe(source) => self.describe(source).await,
                Action::Setup { source, track, delivery, key } => {
                    self.set_up(source, track, delivery, key).await;
                }
                Action::Play => self.play().await,
                Action::Replay(wish) => self.play_recorded(wish).await,
                Action::Pause => self.stop(),
                Action::End => {
                    self.stop();
                    self.replay = None;
                    self.legs.clear();
                    self.place = None;
                }
                Action::Close => self.closing = true,
            }
        }
    }

    async fn describe(&mut self, source: Source) {
        if source.recorded.is_some() {
            let found = self.describe_recorded(source).await;
            return self.session.described(self.now(), found.as_ref().map_err(|refusal| *refusal));
        }
        let stream = source.stream;
        let sound = source.stream_of(TrackId::Audio);
        let (video, audio) = tokio::join!(
            self.shared.tracks.open(stream, TrackId::Video),
            self.shared.tracks.open(sound, TrackId::Audio),
        );
        let metadata = if source.metadata {
            self.shared.tracks.open(source.stream_of(TrackId::Metadata), TrackId::Metadata).await
        } else {
            None
        };
        let Some(video) = video else { return self.session.described(self.now(), Err(Refusal::NotFound)) };
        let mut tracks = vec![TrackDescription {
            track: TrackId::Video,
            payload: video.payload.clone(),
            ssrc: video.ssrc,
            parameter_sets: video.parameter_sets().await,
        }];
        let version = u64::from(video.ssrc);
        self.described = vec![video];
        for (track, live) in [(TrackId::Audio, audio), (TrackId::Metadata, metadata)] {
            let Some(live) = live else { continue };
            let (payload, ssrc) = (live.payload.clone(), live.ssrc);
            tracks.push(TrackDescription { track, payload, ssrc, parameter_sets: None });
            self.described.push(live);
        }
        self.session.described(self.now(), Ok(&Presentation { stream, version, tracks, recorded: None }));
    }

    async fn describe_recorded(&mut self, source: Source) -> Result<Presentation, Refusal> {
        if !self.legs.is_empty() && self.source != Some(source) {
            // What is set up stays.
            return Ok(Replay::open(&self.shared, source).await?.presentation());
        }
        self.recording(source).await?;
        self.replay.as_ref().map(Replay::presentation).ok_or(Refusal::NotFound)
    }

    /// Has the recording at hand, if it is not.
    async fn recording(&mut self, source: Source) -> Result<(), Refusal> {
        if self.replay.as_ref().is_none_or(|replay| replay.source() != source) {
            self.replay = Some(Replay::open(&self.shared, source).await?);
        }
        Ok(())
    }

    async fn set_up(&mut self, source: Source, track: TrackId, delivery: Delivery, key: Option<MasterKey>) {
        if self.place.is_none() {
            self.place = Arc::clone(&self.shared.watchers).try_acquire_owned().ok();
        }
        let ready = match &self.place {
            None => Err(Refusal::Full),
            Some(_) => self.make_leg(source, track, delivery).await,
        };
        let answer = ready.map(|mut leg| {
            let ssrc = leg.ssrc;
            if let (Some(key), Some(outlet)) = (key, leg.outlet()) {
                outlet.seal(Sealer::new(&key, ssrc));
            }
            self.legs.retain(|leg| leg.track != track);
            self.legs.push(leg);
            self.source = Some(source);
            ssrc
        });
        if self.legs.is_empty() {
            self.place = None;
        }
        self.session.set_up(self.now(), answer);
    }

    async fn make_leg(&mut self, source: Source, track: TrackId, delivery: Delivery) -> Result<Leg, Refusal> {
        if source.recorded.is_some() {
            self.recording(source).await?;
            let packetiser = self.replay.as_ref().and_then(|replay| replay.packetiser(track));
            let packetiser = packetiser.ok_or(Refusal::NotFound)?;
            let (ssrc, clock_rate) = (packetiser.ssrc(), packetiser.payload().clock_rate());
            return self.leg(track, None, delivery, ssrc, clock_rate);
        }
        let live = self.shared.tracks.open(source.stream_of(track), track).await.ok_or(Refusal::NotFound)?;
        let (ssrc, clock_rate) = (live.ssrc, live.payload.clock_rate());
        self.leg(track, Some(live), delivery, ssrc, clock_rate)
    }

    fn leg(
        &self,
        track: TrackId,
        live: Option<Arc<LiveTrack>>,
        delivery: Delivery,
        ssrc: u32,
        clock_rate: u32,
    ) -> Result<Leg, Refusal> {
        let way = match (delivery, &self.connection.udp) {
            (Delivery::Interleaved { rtp, rtcp }, _) => {
                Way::Interleaved { wire: Arc::clone(&self.wire), rtp, rtcp }
            }
            (Delivery::Udp { rtp, rtcp }, Some(pair)) => Way::Datagrams { pair: Arc::clone(pair), rtp, rtcp },
            (Delivery::Udp { .. }, None) => return Err(Refusal::NotThisWay),
            // The group's sender has one.
            (Delivery::Multicast(_), _) => {
                return Ok(Leg::new(&self.shared, track, live, delivery, ssrc, None));
            }
        };
        let outlet = Outlet::new(way, ssrc, clock_rate, Arc::clone(&self.cname));
        Ok(Leg::new(&self.shared, track, live, delivery, ssrc, Some(outlet)))
    }

    async fn play(&mut self) {
        // The legs and the session have what is needed; described streams that are not played may end.
        self.described.clear();
        self.legs.sort_by_key(|leg| leg.track);
        let peer = self.connection.peer.ip();
        if let Err(error) = self.legs.iter_mut().try_for_each(|leg| leg.join_group(&self.shared, peer)) {
            tracing::warn!(%peer, %error, "no multicast");
            self.stop();
            return self.session.playing(self.now(), Err(Refusal::Full));
        }
        let beginnings = start_all(&mut self.legs).await;
        self.watch();
        self.session.playing(self.now(), Ok((&beginnings, None)));
    }

    async fn play_recorded(&mut self, wish: Wish) {
        self.legs.sort_by_key(|leg| leg.track);
        let tracks: Vec<TrackId> = self.legs.iter().map(|leg| leg.track).collect();
        let over_udp = self.legs.iter().any(|leg| !leg.is_interleaved());
        let started = match &mut self.replay {
            // Nothing but the connection tells how fast a client reads.
            Some(_) if over_udp && !wish.rate_control => Err(Refusal::NotThisWay),
            Some(replay) => replay.play(wish, &tracks).await,
            None => Err(Refusal::NotFound),
        };
        let is_running = self.replay.as_ref().is_some_and(Replay::is_running);
        match started {
            Ok((beginnings, replayed)) => {
                for leg in &mut self.legs {
                    leg.open();
                }
                self.watch();
                self.session.playing(self.now(), Ok((&beginnings, Some(replayed))));
            }
            Err(refusal) => {
                if !is_running {
                    self.stop();
                    self.session.played_to_end();
                }
                self.session.playing(self.now(), Err(refusal));
            }
        }
    }

    /// Tells that somebody watches, if that is not known.
    fn watch(&mut self) {
        let (Some(source), None) = (self.source, &self.watching) else { return };
        let via = if self.connection.secure { Via::Rtsps } else { Via::Rtsp };
        let (peer, user) = (self.connection.peer, self.session.user().unwrap_or_default().to_owned());
        let from = self.connection.from();
        let (stream, recorded) = (source.stream, source.recorded.is_some());
        self.watching = Some(self.shared.gate.watching(Watch { user, from, stream, via, recorded }));
        tracing::info!(%peer, %stream, recorded, "RTSP client plays");
    }

    /// Nothing more is sent.
    fn stop(&mut self) {
        for leg in &mut self.legs {
            leg.stop();
        }
        if let Some(replay) = &mut self.replay {
            replay.pause();
        }
        if self.watching.take().is_some() {
            tracing::info!(peer = %self.connection.peer, "RTSP client stopped");
        }
    }

    async fn deliver(&mut self, index: usize, item: Item<Packets>) {
        match item {
            Item::Item(packets) => self.send(index, &packets, true).await,
            Item::Lost { gops } => {
                self.shared.lost_gops.fetch_add(gops, Ordering::Relaxed);
                tracing::debug!(peer = %self.connection.peer, gops, "RTSP client is too slow");
            }
            Item::Closed => {
                self.say_goodbye();
                self.session.stream_ended();
            }
        }
    }

    async fn deliver_played(&mut self, played: Played) {
        match played {
            Played::Unit { track, packets, jumped } => {
                if jumped {
                    // What the last reports said of RTP time holds no more.
                    for outlet in self.legs.iter_mut().filter_map(Leg::outlet) {
                        outlet.report_anew();
                    }
                }
                if let Some(index) = self.legs.iter().position(|leg| leg.track == track) {
                    self.send(index, &packets, false).await;
                }
            }
            Played::End => {
                self.say_goodbye();
                self.session.played_to_end();
            }
            Played::Broken => {
                self.say_goodbye();
                self.session.stream_ended();
            }
        }
    }

    /// Sends a unit; `is_live` ones come as their source makes them, but for those that a new client catches up with.
    async fn send(&mut self, index: usize, packets: &Packets, is_live: bool) {
        let Some(outlet) = self.legs[index].outlet() else { return };
        loop {
            match outlet.send(packets, is_live, self.shared.clock.mono()) {
                Sent::Whole | Sent::Left => return,
                Sent::Wait(pause) => tokio::time::sleep(pause).await,
                // It has to ask anew.
                Sent::Never => return self.session.stream_ended(),
            }
        }
    }

    /// Nothing more comes of any track.
    fn say_goodbye(&mut self) {
        self.stop();
        for outlet in self.legs.iter_mut().filter_map(Leg::outlet) {
            outlet.say_goodbye();
        }
    }

    /// Leaves to the streams what they can write themselves, and takes back what they could not.
    fn hand_over(&mut self) {
        let is_idle = self.wire.is_empty();
        for leg in &mut self.legs {
            leg.take_back();
            if is_idle {
                leg.hand_over(&self.wire);
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        let heard = self.legs.iter().any(Leg::was_heard);
        if heard {
            self.session.sign_of_life(now);
        }
        // Whoever takes pictures over the connection itself is alive, also when it sends no keep-alive; a peer that
        // vanished lets the writes stall.
        let has_moved = self.wire.has_moved();
        let replays = self.replay.as_ref().is_some_and(Replay::is_running);
        if has_moved && self.legs.iter().any(|leg| leg.is_interleaved() && (replays || leg.plays_live())) {
            self.session.sign_of_life(now);
        }
        if has_moved || self.wire.is_empty() {
            self.progress = now;
        } else if now.since(self.progress) >= self.shared.options.session_timeout {
            self.session.stream_ended();
        }
        self.session.tick(now);
    }
}

/// The next thing to send of a recording; never, while nothing plays.
async fn next_played(replay: &mut Option<Replay>) -> Played {
    match replay {
        Some(replay) => replay.next().await,
        None => std::future::pending().await,
    }
}
