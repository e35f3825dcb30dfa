//! A conversation: a client and its world, out of one string of bytes.
//!
//! It is held twice, with what comes in one piece and in small ones, and must be the same both times. Each time it is watched:
//! nothing is done for whoever proved nothing, packets go to the peer alone or to the stream's group, what was told to be SRTP is
//! never sent in clear, answers are RTSP, and silence ends it.
//!
//! Does not belong here: the parts' meaning for who writes them (`fuzzing.rs`).

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use auth::StreamKeyVerifier;
use hal::{AudioCodec, AudioFormat, MonoTime, VideoCodec, WallTime};
use md5::{Digest, Md5};
use rtsp_types::{HeaderValue, Message, StatusCode, headers};

use crate::action::{Action, Beginning, Options, Refusal, Replayed};
use crate::digest::REALM;
use crate::framing::MAX_BUFFER_BYTES;
use crate::fuzzing::sending::{Became, Sending, ssrc};
use crate::gate::{Gate, Watch, WatchGuard};
use crate::multicast::Multicast;
use crate::payload::{Payload, TrackId};
use crate::sdp::{Presentation, TrackDescription};
use crate::session::{SESSION_TIMEOUT, Session};
use crate::target::Source;
use crate::transport::{Abilities, Delivery};
use crate::wish::Span;

/// Ends a part.
const SEPARATOR: u8 = 0x1e;

/// Parts of one conversation; more of them find nothing new.
const MAX_PARTS: usize = 64;

/// Of what comes at once; of single bytes there is another target, and here they would take most of the time.
const MIN_PIECE_BYTES: usize = 16;

/// Where streams are multicast, and the recorder's own address there.
const GROUPS: [u8; 4] = [239, 192, 0, 0];
const INTERFACE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

const USER: &str = "anna";
const KEY: &str = "key";

/// Of what was recorded: an hour.
const START: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);
const NEWEST: WallTime = START.offset_micros(3_600_000_000);

/// Returns what was done and said.
pub(super) fn hold(data: &[u8]) -> Vec<String> {
    let mut parts = data.split(|byte| *byte == SEPARATOR).take(MAX_PARTS);
    let settings = parts.next().unwrap_or_default();
    let parts: Vec<&[u8]> = parts.collect();
    let size = MIN_PIECE_BYTES + usize::from(settings.last().copied().unwrap_or(0) & 0x7f);
    let whole = Conversation::new(settings, usize::MAX).through(&parts);
    let pieces = Conversation::new(settings, size).through(&parts);
    assert_eq!(whole, pieces, "cut by {size}");
    whole
}

struct Anna {
    verifier: StreamKeyVerifier,
    revoked: AtomicBool,
    live_only: AtomicBool,
    shut_out: AtomicBool,
    /// The owner wants it.
    multicast: AtomicBool,
}

impl Gate for Anna {
    fn stream_key(&self, user: &str) -> Option<StreamKeyVerifier> {
        (user == USER && !self.revoked.load(Ordering::Relaxed)).then(|| self.verifier.clone())
    }

    fn admits(&self, _: IpAddr) -> bool {
        !self.shut_out.load(Ordering::Relaxed)
    }

    fn may_replay(&self, _: &str) -> bool {
        !self.live_only.load(Ordering::Relaxed)
    }

    fn multicast(&self) -> Option<Multicast> {
        Multicast::new(GROUPS.into(), 1).ok().filter(|_| self.multicast.load(Ordering::Relaxed))
    }

    fn watching(&self, _: Watch) -> WatchGuard {
        Box::new(())
    }

    fn refused(&self, _: SocketAddr) {}
}

/// Both ends of it.
struct Conversation {
    session: Session,
    gate: Arc<Anna>,
    abilities: Abilities,
    now: MonoTime,
    /// Sent and not yet received.
    wire: VecDeque<u8>,
    /// How much comes at once.
    piece: usize,
    /// The session's name, as the answers say, and the nonce.
    id: String,
    nonce: Option<String>,
    /// Credentials were sent that are right.
    proven: bool,
    held: bool,
    /// What an answer is awaited for.
    asked: Option<Action>,
    set_up: Vec<(TrackId, Delivery)>,
    sending: Vec<Sending>,
    playing: bool,
    /// Tracks whose key was told and not used, and all keys.
    keyed: BTreeSet<TrackId>,
    keys: BTreeSet<String>,
    closed: bool,
    /// What was done and said, without what is random.
    seen: Vec<String>,
}

impl Conversation {
    fn new(settings: &[u8], piece: usize) -> Self {
        let has = |letter: u8| settings.contains(&letter);
        let gate = Arc::new(Anna {
            verifier: StreamKeyVerifier::derive(USER, REALM, KEY),
            revoked: false.into(),
            live_only: has(b'l').into(),
            shut_out: false.into(),
            multicast: has(b'm').into(),
        });
        let peer: IpAddr =
            if has(b'6') { [0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].into() } else { [10, 0, 0, 9].into() };
        let abilities = Abilities {
            peer,
            udp_ports: (!has(b'n')).then_some((8000, 8001)),
            group: None,
            secure: has(b's'),
            has_key: false,
        };
        let now = MonoTime::from_start(Duration::from_secs(100));
        let options = Options {
            gate: Arc::clone(&gate) as Arc<dyn Gate>,
            peer: SocketAddr::new(peer, 50_000),
            local: peer,
            abilities,
            // As a connection has it.
            interface: (!has(b'6') && !has(b's') && !has(b'n')).then_some(INTERFACE),
            timeout: SESSION_TIMEOUT,
            turned_away: has(b't'),
        };
        Self {
            session: Session::new(options, now),
            gate,
            abilities,
            now,
            wire: VecDeque::new(),
            piece,
            id: "none".to_owned(),
            nonce: None,
            proven: false,
            held: false,
            asked: None,
            set_up: Vec::new(),
            sending: Vec::new(),
            playing: false,
            keyed: BTreeSet::new(),
            keys: BTreeSet::new(),
            closed: false,
            seen: Vec::new(),
        }
    }

    /// Says and does all of it, then nothing until nobody can be there any more. Returns what was seen.
    fn through(mut self, parts: &[&[u8]]) -> Vec<String> {
        for part in parts {
            if let Some((letter, rest)) = part.split_first() {
                self.part(*letter, rest);
                self.pump();
            }
        }
        self.held = false;
        self.answer(b'0');
        self.pump();
        self.pass(SESSION_TIMEOUT);
        assert!(self.closed, "silence ends it");
        self.seen
    }

    fn part(&mut self, letter: u8, rest: &[u8]) {
        let first = rest.first().copied().unwrap_or(0);
        match letter {
            b'R' => {
                let request = self.filled_in(rest);
                self.wire.extend(request);
            }
            b'B' => self.wire.extend(rest),
            b'$' => {
                let payload = rest.get(1..).unwrap_or_default();
                let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
                self.wire.extend([&[b'$', first][..], &length.to_be_bytes(), payload].concat());
            }
            b'T' => self.pass(Duration::from_secs(first.into())),
            b'H' => self.held = true,
            b'A' => {
                self.held = false;
                self.answer(first);
            }
            b'L' => self.session.sign_of_life(self.now),
            b'E' => {
                self.playing = false;
                self.session.played_to_end();
            }
            b'X' => self.session.stream_ended(),
            b'U' => self.send(first, rest.get(1).copied().unwrap_or(0)),
            b'M' => drop(self.gate.multicast.fetch_not(Ordering::Relaxed)),
            b'K' => drop(self.gate.revoked.fetch_not(Ordering::Relaxed)),
            b'V' => drop(self.gate.live_only.fetch_not(Ordering::Relaxed)),
            b'D' => drop(self.gate.shut_out.fetch_not(Ordering::Relaxed)),
            _ => {}
        }
    }

    /// A request with what its client knows.
    fn filled_in(&mut self, request: &[u8]) -> Vec<u8> {
        let Ok(text) = str::from_utf8(request) else { return request.to_vec() };
        let mut words = text.split(' ');
        let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let credentials = match &self.nonce {
            Some(nonce) if text.contains("{auth}") => {
                self.proven = true;
                let secret = md5(&format!("{USER}:{REALM}:{KEY}"));
                let response = md5(&format!("{secret}:{nonce}:{}", md5(&format!("{method}:{url}"))));
                format!(
                    "Authorization: Digest username=\"{USER}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{url}\", \
                     response=\"{response}\""
                )
            }
            _ => "X-None: none".to_owned(),
        };
        text.replace("{auth}", &credentials).replace("{session}", &self.id).into_bytes()
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.session.tick(self.now);
        self.settle();
        let in_group = self.set_up.iter().any(|(_, delivery)| matches!(delivery, Delivery::Multicast(_)));
        assert!(self.closed || !in_group || self.gate.multicast().is_some(), "in a group that is no more");
    }

    /// A unit comes on each track that plays.
    fn send(&mut self, packets: u8, missed: u8) {
        for track in self.sending.iter_mut().filter(|_| self.playing) {
            let became = track.send(1 + usize::from(packets % 8), u32::from(missed) << 8, self.now);
            self.seen.push(format!("{became:?} {:?}, sealed: {}", track.track(), track.is_sealed()));
            if became == Became::Ended {
                // As for the client's task.
                self.session.stream_ended();
            }
        }
    }

    /// Until nothing more is taken.
    fn pump(&mut self) {
        self.settle();
        loop {
            let room = self.session.room().min(self.piece).min(self.wire.len());
            if room == 0 {
                return;
            }
            assert!(room <= MAX_BUFFER_BYTES, "the buffer is bounded");
            let piece: Vec<u8> = self.wire.drain(..room).collect();
            assert_eq!(self.session.receive(self.now, &piece), room, "there was room");
            self.settle();
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.session.next_action() {
            assert!(!self.closed, "{action:?} after the end");
            match &action {
                Action::Send(bytes) => {
                    let said = self.hear(bytes);
                    self.seen.push(said);
                    continue;
                }
                Action::Close => self.closed = true,
                other => {
                    assert!(self.proven, "{other:?} for whoever proved nothing");
                    self.watch(other);
                }
            }
            self.seen.push(format!("{action:?}"));
            match action {
                Action::Describe(_) | Action::Setup { .. } | Action::Play | Action::Replay(_) => {
                    assert!(self.asked.is_none(), "one thing after the other");
                    self.asked = Some(action);
                    if !self.held {
                        self.answer(b'0');
                    }
                }
                Action::End => {
                    self.set_up.clear();
                    self.sending.clear();
                    self.playing = false;
                }
                Action::Close => self.asked = None,
                Action::Pause => self.playing = false,
                Action::Send(_) => {}
            }
        }
    }

    /// Whether an action is one that may be wanted now.
    fn watch(&mut self, action: &Action) {
        match action {
            Action::Describe(source) => self.watch_source(*source),
            Action::Setup { source, track, delivery, key } => {
                self.watch_source(*source);
                assert!(source.metadata || *track != TrackId::Metadata, "metadata that nobody asked for");
                if key.is_some() {
                    assert!(self.abilities.secure, "a key that was told in clear");
                    assert!(self.keyed.remove(track), "a key that nobody was told, or that was used");
                }
                let others = self.set_up.iter().filter(|(other, _)| other != track);
                let taken: Vec<u8> = others.flat_map(|(_, delivery)| channels(*delivery)).collect();
                assert!(
                    channels(*delivery).iter().all(|ours| !taken.contains(ours)),
                    "{delivery:?} {taken:?}"
                );
                if let Delivery::Udp { rtp, rtcp } = delivery {
                    assert!(self.abilities.udp_ports.is_some(), "{delivery:?}");
                    assert!([rtp, rtcp].iter().all(|to| to.ip() == self.abilities.peer), "{delivery:?}");
                    assert!(key.is_some() || !self.abilities.secure, "in clear beside TLS");
                }
                if let Delivery::Multicast(group) = delivery {
                    assert!(!self.abilities.secure && key.is_none(), "TLS, and multicast");
                    assert!(self.abilities.peer.is_ipv4(), "{delivery:?}");
                    assert!(source.recorded.is_none() && *track != TrackId::Metadata, "not for all");
                    let multicast = self.gate.multicast();
                    let own = multicast.map(|on| on.group(source.stream_of(*track), INTERFACE));
                    assert_eq!(Some(*group), own, "its own group, where the owner wants that");
                }
            }
            Action::Play | Action::Replay(_) => assert!(!self.set_up.is_empty(), "nothing to play"),
            _ => {}
        }
    }

    fn watch_source(&self, source: Source) {
        assert!(source.recorded.is_none() || !source.metadata, "{source:?}");
        assert!(source.recorded.is_none() || self.gate.may_replay(USER), "{source:?}");
    }

    /// The world answers what it was asked.
    fn answer(&mut self, how: u8) {
        let refusal = match how {
            b'1' => Some(Refusal::NotFound),
            b'2' => Some(Refusal::Full),
            b'3' => Some(Refusal::NothingThere),
            b'4' => Some(Refusal::NotThisWay),
            _ => None,
        };
        let begins = |(track, _): &(TrackId, Delivery)| Beginning {
            track: *track,
            first: (how != b'5').then_some((17, 4242)),
        };
        let beginnings: Vec<Beginning> = self.set_up.iter().map(begins).collect();
        match (self.asked.take(), refusal) {
            (Some(Action::Describe(source)), None) => {
                self.session.described(self.now, Ok(&presentation(source)));
            }
            (Some(Action::Describe(_)), Some(refusal)) => self.session.described(self.now, Err(refusal)),
            (Some(Action::Setup { track, delivery, key, .. }), None) => {
                self.set_up.retain(|(other, _)| *other != track);
                self.set_up.push((track, delivery));
                self.sending.retain(|other| other.track() != track);
                self.sending.extend(Sending::new(track, delivery, key.as_ref()));
                self.session.set_up(self.now, Ok(ssrc(track)));
            }
            (Some(Action::Setup { .. }), Some(refusal)) => self.session.set_up(self.now, Err(refusal)),
            (Some(Action::Play), None) => {
                self.play();
                self.session.playing(self.now, Ok((&beginnings, None)));
            }
            (Some(Action::Replay(wish)), None) => {
                let from = match wish.span {
                    Some(Span::Clock { start, .. }) => start,
                    Some(Span::Npt { start, .. }) => START.offset_micros(start),
                    None => START,
                };
                self.play();
                let replayed = Replayed { from, to: NEWEST, start: START, wish };
                self.session.playing(self.now, Ok((&beginnings, Some(replayed))));
            }
            (Some(Action::Play | Action::Replay(_)), Some(refusal)) => {
                self.session.playing(self.now, Err(refusal));
            }
            _ => {}
        }
    }

    fn play(&mut self) {
        self.playing = true;
        self.sending.iter_mut().for_each(Sending::open);
    }

    /// What an answer says; all of it is RTSP.
    fn hear(&mut self, bytes: &[u8]) -> String {
        let parsed = Message::<Vec<u8>>::parse(bytes);
        let text = String::from_utf8_lossy(bytes);
        let Ok((message, length)) = parsed else { panic!("no RTSP: {text}") };
        assert_eq!(length, bytes.len(), "more than one message: {text}");
        if let Some(nonce) = text.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            self.nonce = Some(nonce.to_owned());
        }
        match message {
            Message::Response(response) => {
                if let Some(id) = response.header(&headers::SESSION) {
                    self.id = id.as_str().split(';').next().unwrap_or_default().to_owned();
                }
                let cseq = response.header(&headers::CSEQ).map_or("", |cseq| cseq.as_str());
                if response.status() == StatusCode::Ok {
                    let transport = response.header(&headers::TRANSPORT).map(HeaderValue::as_str);
                    transport.into_iter().for_each(|transport| self.hear_transport(transport));
                    self.hear_description(&String::from_utf8_lossy(response.body()));
                }
                format!("{:?} {:?} {cseq}", response.version(), response.status())
            }
            Message::Request(request) => format!("{:?}", request.method()),
            Message::Data(_) => panic!("a packet"),
        }
    }

    /// Says of the track that was set up last what is done with it.
    fn hear_transport(&self, transport: &str) {
        let Some((track, delivery)) = self.set_up.last() else { panic!("nothing was set up: {transport}") };
        let sealed = self.sending.iter().any(|one| one.track() == *track && one.is_sealed());
        assert_eq!(transport.starts_with("RTP/SAVP"), sealed, "{transport}");
        let in_group = matches!(delivery, Delivery::Multicast(_));
        assert_eq!(transport.contains(";multicast;destination=239.192.0."), in_group, "{transport}");
    }

    /// A description has keys over TLS alone, one each track or none, and each is another.
    fn hear_description(&mut self, text: &str) {
        for section in text.split("\r\nm=").skip(1) {
            let key = section.lines().find_map(|line| line.strip_prefix("a=key-mgmt:"));
            let is_sealed = section.lines().next().is_some_and(|line| line.contains(" RTP/SAVP "));
            assert_eq!(key.is_some(), is_sealed, "{section}");
            let Some(key) = key else { continue };
            assert!(self.abilities.secure, "a key in clear");
            assert!(self.keys.insert(key.to_owned()), "a key that was told before");
            let number = section.rsplit("trackID=").next().and_then(|number| number.get(..1)?.parse().ok());
            self.keyed.extend(number.and_then(TrackId::from_number));
        }
    }
}

fn channels(delivery: Delivery) -> Vec<u8> {
    match delivery {
        Delivery::Interleaved { rtp, rtcp } => vec![rtp, rtcp],
        Delivery::Udp { .. } | Delivery::Multicast(_) => Vec::new(),
    }
}

fn presentation(source: Source) -> Presentation {
    let sound = AudioFormat { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1, config: Vec::new() };
    let payloads = [
        (TrackId::Video, Payload::Video(VideoCodec::H264)),
        (TrackId::Audio, Payload::Audio(sound)),
        (TrackId::Metadata, Payload::Metadata),
    ];
    let tracks = payloads
        .into_iter()
        .filter(|(track, _)| source.metadata || *track != TrackId::Metadata)
        .map(|(track, payload)| TrackDescription { track, payload, ssrc: ssrc(track), parameter_sets: None })
        .collect();
    let recorded = source.recorded.map(|range| (range.start, range.end.unwrap_or(NEWEST)));
    Presentation { stream: source.stream, version: 1, tracks, recorded }
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
