//! One connection's RTSP: bytes in, responses and actions out.
//!
//! RTSP 1.0 (RFC 2326), and where a request says so 2.0 (RFC 7826), for playing: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN.
//! What needs the world outside (is there such a stream, where does it stand) goes out as an [`Action`] and comes
//! back through a method; until then no further request is read, so answers keep their order.
//!
//! Does not belong here: sockets, time, streams.
//!
//! Invariants: never panics; everything but OPTIONS needs credentials proven in that very request; a session
//! belongs to its connection and its user; buffers, faults, wrong keys and requests a second are bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use auth::StreamKeyVerifier;
use hal::MonoTime;
use ring::rand::SystemRandom;
use rtsp_types::{HeaderValue, Method, Request, StatusCode, Url, Version, headers};

use crate::action::{Action, Beginning, Options, Refusal, Replayed};
use crate::active::{Active, SetUp, Waiting, WaitingFor};
use crate::bucket::Bucket;
use crate::digest::{Challenger, Verdict, random_hex};
use crate::framing::{Frame, Framer};
use crate::keys::Keys;
use crate::message::{
    cseq, feature_missing, is_live_range, ok, range_played, replayed_headers, response, session_id, target,
};
use crate::multicast::Group;
use crate::payload::TrackId;
use crate::rtcp;
use crate::sdp::{self, Presentation};
use crate::second::{self, Notice};
use crate::target::{Source, Target};
use crate::transport::{self, Abilities, Delivery};
use crate::wish::Wish;

mod answers;

/// RFC 2326 section 12.37; players refresh at about half of it.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection must send its first request within this; players do at once.
pub(crate) const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Malformed requests before the connection is closed: a buggy player sends one, a scanner many.
const MAX_FAULTS: u8 = 3;

/// Requests with a wrong key before the connection is closed: a player asks its user again two or three times.
const MAX_WRONG_KEYS: u8 = 5;

const PUBLIC_METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// One connection.
pub(crate) struct Session {
    options: Options,
    framer: Framer,
    challenger: Challenger,
    actions: VecDeque<Action>,
    waiting: Option<Waiting>,
    active: Option<Active>,
    /// Of tracks that were described as SRTP.
    keys: Keys,
    opened: MonoTime,
    /// The last request, or report of a receiver.
    last_sign: Option<MonoTime>,
    requests: Bucket,
    faults: u8,
    wrong_keys: u8,
    /// Of the request that is being answered.
    version: Version,
    /// Requests of ours, and how many of them are not answered.
    notices: u32,
    unanswered: u8,
    closed: bool,
}

impl Session {
    pub(crate) fn new(options: Options, now: MonoTime) -> Self {
        Self {
            options,
            framer: Framer::default(),
            challenger: Challenger::new(),
            actions: VecDeque::new(),
            waiting: None,
            active: None,
            keys: Keys::default(),
            opened: now,
            last_sign: None,
            requests: Bucket::full(now),
            faults: 0,
            wrong_keys: 0,
            version: Version::V1_0,
            notices: 0,
            unanswered: 0,
            closed: false,
        }
    }

    /// How many bytes [`Self::receive`] would take now; 0 while an answer is awaited and the buffer is full.
    pub(crate) fn room(&self) -> usize {
        if self.closed { 0 } else { self.framer.room() }
    }

    /// Bytes from the client; returns how many were taken.
    pub(crate) fn receive(&mut self, now: MonoTime, bytes: &[u8]) -> usize {
        if self.closed {
            return bytes.len();
        }
        let taken = self.framer.push(bytes);
        self.work(now);
        taken
    }

    /// What to do next.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whose session this is.
    pub(crate) fn user(&self) -> Option<&str> {
        self.active.as_ref().map(|active| active.user.as_str())
    }

    /// A report of the session's receiver came in by UDP.
    pub(crate) fn sign_of_life(&mut self, now: MonoTime) {
        self.last_sign = Some(now);
    }

    /// To be called every few seconds: ends what has timed out, and whose key was revoked.
    pub(crate) fn tick(&mut self, now: MonoTime) {
        let silent = match self.last_sign {
            Some(sign) => now.since(sign) >= self.options.timeout,
            None => now.since(self.opened) >= FIRST_REQUEST_TIMEOUT.min(self.options.timeout),
        };
        let gate = &self.options.gate;
        let revoked = self.active.as_ref().is_some_and(|active| {
            gate.stream_key(&active.user).as_ref() != Some(&active.verifier)
                || (active.source.recorded.is_some() && !gate.may_replay(&active.user))
        });
        let homeless = self.active.as_ref().is_some_and(|active| {
            active.tracks.iter().any(|one| match one.delivery {
                Delivery::Multicast(group) => self.group(&active.source, one.track) != Some(group),
                _ => false,
            })
        });
        if silent || revoked || homeless || !gate.admits(self.options.peer.ip()) {
            self.close();
        }
    }

    /// The stream under a session is gone or became another: the player has to ask anew.
    pub(crate) fn stream_ended(&mut self) {
        self.close();
    }

    /// Answers [`Action::Describe`].
    pub(crate) fn described(&mut self, now: MonoTime, found: Result<&Presentation, Refusal>) {
        let Some(Waiting { cseq, url, target, kind: WaitingFor::Describe }) = self.waiting.take() else {
            return;
        };
        match found
            .and_then(|found| Ok((found, self.keys.describe(found, target.sealed).ok_or(Refusal::Full)?)))
        {
            Ok((presentation, keys)) => {
                let response = ok()
                    .header(headers::CSEQ, cseq)
                    .header(headers::CONTENT_TYPE, "application/sdp")
                    .header(headers::CONTENT_BASE, target.base(&url))
                    .header(headers::CACHE_CONTROL, "no-cache")
                    .build(sdp::describe(
                        presentation,
                        self.options.local,
                        |track| target.control(&url, track),
                        &keys,
                    ));
                self.send(&response);
            }
            Err(refusal) => self.refuse(&cseq, refusal),
        }
        self.work(now);
    }

    /// Answers [`Action::Setup`] with the track's SSRC.
    pub(crate) fn set_up(&mut self, now: MonoTime, ready: Result<u32, Refusal>) {
        let Some(Waiting { cseq, target, kind, .. }) = self.waiting.take() else { return };
        let WaitingFor::Setup { track, chosen, user, verifier, pipeline } = kind else { return };
        let id = match &self.active {
            Some(active) => Some(active.id.clone()),
            None => random_hex(&SystemRandom::new()),
        };
        match (ready, id) {
            (Ok(ssrc), Some(id)) => {
                let active = self.active.get_or_insert_with(|| Active {
                    id,
                    user,
                    verifier,
                    source: target.source(),
                    tracks: Vec::new(),
                    pipeline,
                    playing: false,
                    ended: false,
                    notice: None,
                });
                active.tracks.retain(|other| other.track != track);
                active.tracks.push(SetUp { track, delivery: chosen.delivery, sealed: chosen.sealed, ssrc });
                active.tracks.sort_by_key(|one| one.track);
                let session = format!("{};timeout={}", active.id, self.options.timeout.as_secs());
                let mut transport = transport::answer(&chosen, &self.options.abilities, ssrc);
                let mut response = ok().header(headers::CSEQ, cseq).header(headers::SESSION, session);
                if self.version == Version::V2_0 {
                    transport += &transport::addresses(&chosen.delivery, &self.options.abilities);
                    response = second::properties(response, active.source.recorded.is_some());
                }
                self.send(&response.header(headers::TRANSPORT, transport).empty());
            }
            (Ok(_), None) => self.refuse(&cseq, Refusal::Full),
            (Err(refusal), _) => self.refuse(&cseq, refusal),
        }
        self.work(now);
    }

    /// Answers [`Action::Play`], and [`Action::Replay`] with what it became.
    pub(crate) fn playing(
        &mut self,
        now: MonoTime,
        started: Result<(&[Beginning], Option<Replayed>), Refusal>,
    ) {
        let Some(Waiting { cseq, url, target, kind: WaitingFor::Play }) = self.waiting.take() else { return };
        let Some(active) = &mut self.active else { return };
        match started {
            Ok((beginnings, replayed)) => {
                (active.playing, active.ended) = (true, false);
                let target = Target { range: active.source.recorded, track: None, ..target };
                let is_second = self.version == Version::V2_0;
                let range = replayed.as_ref().map(range_played);
                let info: Vec<String> = beginnings
                    .iter()
                    .filter_map(|Beginning { track, first }| {
                        let url = target.track_url(&url, *track);
                        match first {
                            Some(first) if is_second => {
                                Some(second::rtp_info(&url, active.ssrc(*track), *first))
                            }
                            None if is_second => None,
                            Some((sequence, time)) => {
                                Some(format!("url={url};seq={sequence};rtptime={time}"))
                            }
                            None => Some(format!("url={url}")),
                        }
                    })
                    .collect();
                let notice = || Notice::new(url.clone(), cseq.clone(), range.as_deref());
                active.notice = (is_second && replayed.is_some()).then(notice);
                let mut response =
                    ok().header(headers::CSEQ, cseq).header(headers::SESSION, active.id.as_str());
                if let Some(replayed) = replayed {
                    response = replayed_headers(response, &replayed, self.version);
                }
                response = response.header(headers::RANGE, range.as_deref().unwrap_or("npt=now-"));
                if !info.is_empty() {
                    response = response.header(headers::RTP_INFO, info.join(","));
                }
                self.send(&response.empty());
            }
            Err(refusal) => self.refuse(&cseq, refusal),
        }
        self.work(now);
    }

    /// A recording was played to its end: the session stays, and may play again.
    pub(crate) fn played_to_end(&mut self) {
        if let Some(active) = &mut self.active {
            // While a PLAY is awaited it was that which failed.
            let notice = active.notice.take().filter(|_| active.playing && self.waiting.is_none());
            (active.playing, active.ended) = (false, active.playing || active.ended);
            if let Some(notice) = notice {
                self.notices += 1;
                self.unanswered = self.unanswered.saturating_add(1);
                let bytes = notice.end_of_stream(self.notices, &active.id);
                self.actions.push_back(Action::Send(bytes.into()));
            }
        }
    }

    fn work(&mut self, now: MonoTime) {
        while self.waiting.is_none() && !self.closed {
            match self.framer.next() {
                None => break,
                Some(Frame::Interleaved { channel, payload }) => self.interleaved(now, channel, &payload),
                Some(Frame::Request(request)) => {
                    self.last_sign = Some(now);
                    self.request(now, &request);
                }
                Some(Frame::Answer) if self.unanswered > 0 => self.unanswered -= 1,
                Some(Frame::Malformed | Frame::Answer) => self.fault(StatusCode::BadRequest),
                Some(Frame::OtherVersion) => self.fault(StatusCode::RTSPVersionNotSupported),
                Some(Frame::Fatal(status)) => {
                    self.send(&response(status).empty());
                    self.close();
                }
            }
        }
    }

    fn interleaved(&mut self, now: MonoTime, channel: u8, payload: &[u8]) {
        let is_rtcp =
            |one: &&SetUp| matches!(one.delivery, Delivery::Interleaved { rtcp, .. } if rtcp == channel);
        let track = self.active.as_ref().and_then(|active| active.tracks.iter().find(is_rtcp));
        let is_report = track.is_some_and(|track| match track.sealed {
            true => rtcp::is_sealed_receiver_report(payload),
            false => rtcp::is_receiver_report(payload),
        });
        if is_report {
            self.last_sign = Some(now);
        }
    }

    fn request(&mut self, now: MonoTime, request: &Request<Vec<u8>>) {
        let Some(cseq) = cseq(request) else { return self.fault(StatusCode::BadRequest) };
        if self.options.turned_away || !self.requests.take(now) {
            self.answer(&cseq, StatusCode::ServiceUnavailable);
            return self.close();
        }
        self.version = request.version();
        if let Some(missing) = feature_missing(request) {
            let response = response(StatusCode::OptionNotSupported)
                .header(headers::CSEQ, cseq)
                .header(headers::UNSUPPORTED, missing);
            return self.send(&response.empty());
        }
        if *request.method() == Method::Options {
            let mut response = ok().header(headers::CSEQ, cseq).header(headers::PUBLIC, PUBLIC_METHODS);
            if request.header(&headers::SUPPORTED).is_some() {
                response = response.header(headers::SUPPORTED, second::SUPPORTED);
            }
            return self.send(&response.empty());
        }
        let Some((user, verifier)) = self.authenticate(now, &cseq, request) else { return };
        match request.method() {
            Method::Describe => self.describe(cseq, request, &user),
            Method::Setup => self.setup(cseq, request, user, verifier),
            Method::Play => self.play(cseq, request, &user),
            Method::Pause => self.pause(&cseq, request, &user),
            Method::Teardown => self.teardown(&cseq, request, &user),
            Method::GetParameter | Method::SetParameter => self.parameter(&cseq, request, &user),
            Method::Announce | Method::Record | Method::Redirect | Method::PlayNotify => {
                let response = response(StatusCode::MethodNotAllowed)
                    .header(headers::CSEQ, cseq)
                    .header(headers::ALLOW, PUBLIC_METHODS);
                self.send(&response.empty());
            }
            _ => self.answer(&cseq, StatusCode::NotImplemented),
        }
    }

    /// The user whose key this request proves; else it has been answered.
    fn authenticate(
        &mut self,
        now: MonoTime,
        cseq: &str,
        request: &Request<Vec<u8>>,
    ) -> Option<(String, StreamKeyVerifier)> {
        let method: &str = request.method().into();
        let uri = request.request_uri().map_or("*", |url| url.as_str());
        let header = request.header(&headers::AUTHORIZATION).map(HeaderValue::as_str);
        let gate = Arc::clone(&self.options.gate);
        let verdict = self.challenger.check(header, method, uri, now, &|user| gate.stream_key(user));
        let stale = match verdict {
            Verdict::Granted(user) => {
                self.wrong_keys = 0;
                let verifier = gate.stream_key(&user)?;
                return Some((user, verifier));
            }
            Verdict::Missing => false,
            Verdict::Stale => true,
            Verdict::Wrong => {
                self.wrong_keys += 1;
                gate.refused(self.options.peer);
                false
            }
        };
        match self.challenger.challenge(now, stale) {
            Some(challenges) => self.send_challenge(cseq, &challenges),
            None => self.answer(cseq, StatusCode::ServiceUnavailable),
        }
        if self.wrong_keys >= MAX_WRONG_KEYS {
            self.close();
        }
        None
    }

    fn describe(&mut self, cseq: String, request: &Request<Vec<u8>>, user: &str) {
        let Some((url, target)) = target(request) else { return self.answer(&cseq, StatusCode::NotFound) };
        if !self.may_have(&target, user) {
            return self.answer(&cseq, StatusCode::Forbidden);
        }
        let acceptable = request.header(&headers::ACCEPT).is_none_or(|accept| {
            let accept = accept.as_str().to_ascii_lowercase();
            ["application/sdp", "application/*", "*/*"].iter().any(|kind| accept.contains(kind))
        });
        if !acceptable {
            return self.answer(&cseq, StatusCode::NotAcceptable);
        }
        self.actions.push_back(Action::Describe(target.source()));
        self.waiting = Some(Waiting { cseq, url, target, kind: WaitingFor::Describe });
    }

    fn setup(&mut self, cseq: String, request: &Request<Vec<u8>>, user: String, verifier: StreamKeyVerifier) {
        let Some((url, target)) = target(request) else { return self.answer(&cseq, StatusCode::NotFound) };
        if !self.may_have(&target, &user) {
            return self.answer(&cseq, StatusCode::Forbidden);
        }
        match (&self.active, self.session_of(request)) {
            (None, None) => {}
            (Some(active), Some(id)) if active.id == id && active.user == user => {
                if active.source != target.source() {
                    return self.answer(&cseq, StatusCode::AggregateOperationNotAllowed);
                }
                if active.playing {
                    return self.answer(&cseq, StatusCode::MethodNotValidInThisState);
                }
            }
            (_, Some(_)) => return self.answer(&cseq, StatusCode::SessionNotFound),
            // One session a connection.
            (Some(_), None) => return self.answer(&cseq, StatusCode::MethodNotValidInThisState),
        }
        let Some(track) = target.track else {
            return self.answer(&cseq, StatusCode::AggregateOperationNotAllowed);
        };
        let others: Vec<Delivery> = self.active.as_ref().map_or(Vec::new(), |active| {
            active.tracks.iter().filter(|other| other.track != track).map(|other| other.delivery).collect()
        });
        let taken = |channel: u8| {
            others.iter().any(
                |other| matches!(other, Delivery::Interleaved { rtp, rtcp } if [*rtp, *rtcp].contains(&channel)),
            )
        };
        let offers = request.header(&headers::TRANSPORT).map_or("", |value| value.as_str());
        let abilities = Abilities {
            group: self.group(&target.source(), track),
            has_key: self.keys.has(track),
            ..self.options.abilities
        };
        let Some(chosen) = transport::choose(offers, &abilities, track.usual_channel(), &taken) else {
            return self.answer(&cseq, StatusCode::UnsupportedTransport);
        };
        let key = if chosen.sealed { self.keys.take(track) } else { None };
        self.actions.push_back(Action::Setup {
            source: target.source(),
            track,
            delivery: chosen.delivery,
            key,
        });
        let pipeline = second::pipeline(request);
        let kind = WaitingFor::Setup { track, chosen, user, verifier, pipeline };
        self.waiting = Some(Waiting { cseq, url, target, kind });
    }

    /// Where a track would be multicast: not what was recorded, which each client plays at its own pace, nor metadata, of which
    /// each begins with the whole.
    fn group(&self, source: &Source, track: TrackId) -> Option<Group> {
        let is_shared = source.recorded.is_none() && track != TrackId::Metadata;
        let interface = self.options.interface.filter(|_| is_shared)?;
        Some(self.options.gate.multicast()?.group(source.stream_of(track), interface))
    }

    fn may_have(&self, target: &Target, user: &str) -> bool {
        // Keys go through TLS alone.
        (target.range.is_none() || self.options.gate.may_replay(user))
            && (!target.sealed || self.options.abilities.secure)
    }

    fn play(&mut self, cseq: String, request: &Request<Vec<u8>>, user: &str) {
        let Some((url, target)) = self.aggregate(&cseq, request, user) else { return };
        let Some(active) = &self.active else { return };
        let wish = match active.source.recorded {
            None => {
                let range = request.header(&headers::RANGE);
                if range.is_some_and(|range| !is_live_range(range.as_str())) {
                    return self.answer(&cseq, StatusCode::InvalidRange);
                }
                None
            }
            Some(_) => match Wish::read(request, cseq.parse::<u32>().unwrap_or(0) as u8) {
                Ok(wish) => Some(wish),
                Err(status) => return self.answer(&cseq, status),
            },
        };
        if active.playing && wish.is_none_or(|wish| wish.says_nothing) {
            // Some players keep a session alive by this; nothing starts anew.
            let mut response = ok().header(headers::CSEQ, cseq).header(headers::SESSION, active.id.as_str());
            if wish.is_none() {
                response = response.header(headers::RANGE, "npt=now-");
            }
            return self.send(&response.empty());
        }
        self.actions.push_back(wish.map_or(Action::Play, Action::Replay));
        self.waiting = Some(Waiting { cseq, url, target, kind: WaitingFor::Play });
    }

    fn pause(&mut self, cseq: &str, request: &Request<Vec<u8>>, user: &str) {
        if self.aggregate(cseq, request, user).is_none() {
            return;
        }
        let Some(active) = &mut self.active else { return };
        // At the end of a recording players pause as they would before it.
        if !active.playing && !active.ended {
            return self.answer(cseq, StatusCode::MethodNotValidInThisState);
        }
        (active.playing, active.ended) = (false, false);
        self.actions.push_back(Action::Pause);
        self.answer_in_session(cseq);
    }

    fn teardown(&mut self, cseq: &str, request: &Request<Vec<u8>>, user: &str) {
        if self.aggregate(cseq, request, user).is_none() {
            return;
        }
        self.answer_in_session(cseq);
        self.active = None;
        self.actions.push_back(Action::End);
    }

    /// Keep-alives: empty, with a session or without.
    fn parameter(&mut self, cseq: &str, request: &Request<Vec<u8>>, user: &str) {
        if let Some(id) = self.session_of(request) {
            let known = self.active.as_ref().is_some_and(|active| active.id == id && active.user == user);
            if !known {
                return self.answer(cseq, StatusCode::SessionNotFound);
            }
        }
        if !request.body().trim_ascii().is_empty() {
            return self.answer(cseq, StatusCode::ParameterNotUnderstood);
        }
        self.answer_in_session(cseq);
    }

    /// Checks session and URL of a request about the session as a whole; answers it when it is not.
    fn aggregate(&mut self, cseq: &str, request: &Request<Vec<u8>>, user: &str) -> Option<(Url, Target)> {
        let id = self.session_of(request);
        let active = self.active.as_ref().filter(|active| id == Some(&active.id) && active.user == user);
        let status = match (active, target(request)) {
            (None, _) => StatusCode::SessionNotFound,
            (Some(_), None) => StatusCode::NotFound,
            (Some(active), Some((_, target))) if active.source != target.source() => {
                StatusCode::SessionNotFound
            }
            // On a track of several: RFC 2326 section 11.3.
            (Some(active), Some((_, Target { track: Some(track), .. })))
                if active.tracks.len() != 1 || active.tracks[0].track != track =>
            {
                StatusCode::OnlyAggregateOperationAllowed
            }
            (Some(_), Some((url, target))) => return Some((url, target)),
        };
        self.answer(cseq, status);
        None
    }

    /// The session that a request names, or, in RTSP 2.0, that its number in a pipeline stands for.
    fn session_of<'a>(&'a self, request: &'a Request<Vec<u8>>) -> Option<&'a str> {
        let pipelined = || {
            let number = second::pipeline(request)?;
            let active = self.active.as_ref().filter(|active| active.pipeline == Some(number))?;
            Some(active.id.as_str())
        };
        session_id(request).or_else(pipelined)
    }

    /// A message that can not be understood; a few are answered.
    fn fault(&mut self, status: StatusCode) {
        self.faults += 1;
        self.send(&response(status).empty());
        if self.faults >= MAX_FAULTS {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.waiting = None;
        if self.active.take().is_some() {
            self.actions.push_back(Action::End);
        }
        self.actions.push_back(Action::Close);
    }
}

#[cfg(test)]
mod tests;
