//! A client and a world for a session without a network.

use std::sync::Arc;
use std::time::Duration;

use auth::StreamKeyVerifier;
use hal::{MonoTime, VideoCodec, WallTime};
use md5::{Digest, Md5};

use crate::action::{Action, Beginning, Options, Refusal, Replayed};
use crate::digest::REALM;
use crate::gate::{Gate, Watch, WatchGuard};
use crate::multicast::Multicast;
use crate::payload::{Payload, TrackId};
use crate::sdp::{Presentation, TrackDescription};
use crate::session::{SESSION_TIMEOUT, Session};
use crate::transport::Abilities;
use crate::wish::{Span, Wish};

pub(super) const URL: &str = "rtsp://10.0.0.1:8554/ch1/main";
pub(super) const RECORDED: &str =
    "rtsp://10.0.0.1:8554/ch1/main?start=2026-11-20T10:00:00Z&end=2026-11-20T11:00:00Z";
pub(super) const START: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);
pub(super) const NEWEST: WallTime = START.offset_micros(60_000_000);
pub(super) const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";

pub(super) struct Anna {
    pub(super) revoked: std::sync::atomic::AtomicBool,
    pub(super) live_only: std::sync::atomic::AtomicBool,
    pub(super) shut_out: std::sync::atomic::AtomicBool,
    /// The TTL; 0 where multicast is off.
    pub(super) multicast: std::sync::atomic::AtomicU8,
    pub(super) refused: std::sync::atomic::AtomicUsize,
}

impl Gate for Anna {
    fn stream_key(&self, user: &str) -> Option<StreamKeyVerifier> {
        let revoked = self.revoked.load(std::sync::atomic::Ordering::SeqCst);
        (user == "anna" && !revoked).then(|| StreamKeyVerifier::derive("anna", REALM, "key"))
    }

    fn admits(&self, _: std::net::IpAddr) -> bool {
        !self.shut_out.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn may_replay(&self, user: &str) -> bool {
        assert_eq!(user, "anna");
        !self.live_only.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn multicast(&self) -> Option<Multicast> {
        let ttl = self.multicast.load(std::sync::atomic::Ordering::SeqCst);
        Multicast::new("239.192.0.0".parse().unwrap(), ttl).ok()
    }

    fn watching(&self, _: Watch) -> WatchGuard {
        Box::new(())
    }

    fn refused(&self, from: std::net::SocketAddr) {
        assert_eq!(from.port(), 50_000);
        self.refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// A session, a client that knows a key, and a world in which channel 1 has video.
pub(super) struct Talk {
    pub(super) session: Session,
    pub(super) gate: Arc<Anna>,
    pub(super) now: MonoTime,
    pub(super) cseq: u32,
    pub(super) nonce: Option<String>,
    pub(super) key: &'static str,
    pub(super) version: &'static str,
    /// Names of actions, in order.
    pub(super) done: Vec<String>,
    /// Status lines and heads of responses, in order.
    pub(super) said: Vec<String>,
    /// Of recordings, in order.
    pub(super) wishes: Vec<Wish>,
}

impl Talk {
    pub(super) fn new() -> Self {
        Self::with(false)
    }

    pub(super) fn with(turned_away: bool) -> Self {
        Self::made(turned_away, Some("10.0.0.1".parse().unwrap()), false)
    }

    /// On a connection whose client can be in no group.
    pub(super) fn without_interface() -> Self {
        Self::made(false, None, false)
    }

    pub(super) fn over_tls() -> Self {
        Self::made(false, None, true)
    }

    fn made(turned_away: bool, interface: Option<std::net::Ipv4Addr>, secure: bool) -> Self {
        let gate = Arc::new(Anna {
            revoked: false.into(),
            live_only: false.into(),
            shut_out: false.into(),
            multicast: 0.into(),
            refused: 0.into(),
        });
        let options = Options {
            gate: Arc::clone(&gate) as Arc<dyn Gate>,
            peer: "10.0.0.9:50000".parse().unwrap(),
            local: "10.0.0.1".parse().unwrap(),
            abilities: Abilities {
                peer: "10.0.0.9".parse().unwrap(),
                udp_ports: Some((8000, 8001)),
                group: None,
                secure,
                has_key: false,
            },
            interface,
            timeout: SESSION_TIMEOUT,
            turned_away,
        };
        let now = MonoTime::from_start(Duration::from_secs(100));
        let session = Session::new(options, now);
        Self {
            session,
            gate,
            now,
            cseq: 0,
            nonce: None,
            key: "key",
            version: "1.0",
            done: Vec::new(),
            said: Vec::new(),
            wishes: Vec::new(),
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.session.tick(self.now);
        self.settle();
    }

    pub(super) fn bytes(&mut self, mut bytes: &[u8]) {
        loop {
            let taken = self.session.receive(self.now, bytes);
            bytes = &bytes[taken..];
            self.settle();
            if bytes.is_empty() || self.session.room() == 0 {
                break;
            }
        }
    }

    pub(super) fn settle(&mut self) {
        while let Some(action) = self.session.next_action() {
            let name = format!("{action:?}");
            let name = name.split([' ', '(', '{']).next().unwrap().to_owned();
            match action {
                Action::Send(bytes) => {
                    self.said.push(String::from_utf8(bytes.to_vec()).unwrap());
                    continue;
                }
                Action::Describe(source) if source.stream.channel.get() == 1 => {
                    let track = TrackDescription {
                        track: TrackId::Video,
                        payload: Payload::Video(VideoCodec::H264),
                        ssrc: 0xabcd,
                        parameter_sets: None,
                    };
                    let recorded = source.recorded.map(|range| (range.start, range.end.unwrap_or(NEWEST)));
                    let presentation =
                        Presentation { stream: source.stream, version: 1, tracks: vec![track], recorded };
                    self.session.described(self.now, Ok(&presentation));
                }
                Action::Describe(_) => self.session.described(self.now, Err(Refusal::NotFound)),
                Action::Setup { source, .. } if source.stream.channel.get() == 1 => {
                    self.session.set_up(self.now, Ok(0xabcd));
                }
                Action::Setup { .. } => self.session.set_up(self.now, Err(Refusal::Full)),
                Action::Play => {
                    let beginning = Beginning { track: TrackId::Video, first: Some((17, 4242)) };
                    self.session.playing(self.now, Ok((&[beginning], None)));
                }
                // There is footage of the first minute alone.
                Action::Replay(wish) => {
                    let beginning = Beginning { track: TrackId::Video, first: Some((17, 4242)) };
                    let from = match wish.span {
                        Some(Span::Clock { start, .. }) => start,
                        Some(Span::Npt { start, .. }) => START.offset_micros(start),
                        None => START,
                    };
                    let replayed = Replayed { from, to: NEWEST, start: START, wish };
                    let started = if from < NEWEST {
                        Ok((&[beginning][..], Some(replayed)))
                    } else {
                        Err(Refusal::NothingThere)
                    };
                    self.wishes.push(wish);
                    self.session.playing(self.now, started);
                }
                Action::Pause | Action::End | Action::Close => {}
            }
            self.done.push(name);
        }
    }

    pub(super) fn ask(&mut self, method: &str, url: &str, headers: &str) -> String {
        self.cseq += 1;
        let text = self.text(method, url, headers, self.cseq);
        self.bytes(text.as_bytes());
        self.said.last().cloned().unwrap_or_default()
    }

    pub(super) fn text(&self, method: &str, url: &str, headers: &str, cseq: u32) -> String {
        let authorization = self.nonce.as_ref().map_or(String::new(), |nonce| {
            let ha1 = md5(&format!("anna:{REALM}:{}", self.key));
            let response = md5(&format!("{ha1}:{nonce}:{}", md5(&format!("{method}:{url}"))));
            format!(
                "Authorization: Digest username=\"anna\", realm=\"{REALM}\", nonce=\"{nonce}\", \
                 uri=\"{url}\", response=\"{response}\"\r\n"
            )
        });
        format!("{method} {url} RTSP/{}\r\nCSeq: {cseq}\r\n{authorization}{headers}\r\n", self.version)
    }

    pub(super) fn log_in(&mut self) {
        let challenge = self.ask("DESCRIBE", URL, "");
        assert_eq!(status(&challenge), 401);
        let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        self.nonce = Some(nonce.to_owned());
    }

    /// Logs in and sets up video; returns the session header to send.
    pub(super) fn set_up(&mut self) -> String {
        self.log_in();
        let answer = self.ask("SETUP", &format!("{URL}/trackID=0"), TCP);
        assert_eq!(status(&answer), 200, "{answer}");
        let id = header(&answer, "Session").split(';').next().unwrap();
        format!("Session: {id}\r\n")
    }
}

pub(super) fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

pub(super) fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let found = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {answer}"))
}
