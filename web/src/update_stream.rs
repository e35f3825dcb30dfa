//! Changes as server-sent events: `channels`, `trust`, `system`, `update`.
//!
//! HTML standard, section 9.2. Of each kind the newest waits, and at most one a second is sent, the first at
//! once.
//!
//! Does not belong here: what has changed (the daemon's).

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::answer::NO_STORE;
use crate::api::{Api, SessionToken, Update, Updates};
use crate::live_socket::SESSION_CHECK;
use crate::site::{Closing, Site};

/// The grain of the rate limit.
const TICK: Duration = Duration::from_millis(250);
/// After one event of a kind, so many ticks without another: at least a second, whenever within a tick it was.
const QUIET_TICKS: u32 = 5;
/// So many ticks lie between two looks at the session.
const CHECK_TICKS: u32 = (SESSION_CHECK.as_millis() / TICK.as_millis()) as u32;
/// A comment this often keeps a silent connection, and finds a dead one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The kinds of [`Update`].
const KINDS: usize = 4;

/// Answers with the changes from now on.
pub(crate) fn answer<A: Api>(updates: A::Updates, site: Site<A>, token: SessionToken) -> Response {
    let closing = site.long_lived();
    let events = events(updates, move || site.api.session_alive(&token), closing).map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Feed<F> {
    updates: Pin<Box<dyn Stream<Item = Update> + Send>>,
    alive: F,
    closing: Closing,
    tick: Interval,
    ticks: u32,
    waiting: [Option<Update>; KINDS],
    quiet: [u32; KINDS],
}

fn events<U: Updates>(
    updates: U,
    alive: impl Fn() -> bool + Send + 'static,
    closing: Closing,
) -> impl Stream<Item = Event> + Send {
    let updates = stream::unfold(updates, async |mut updates: U| Some((updates.next().await?, updates)));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        updates: Box::pin(updates),
        alive,
        closing,
        tick,
        ticks: 0,
        waiting: [const { None }; KINDS],
        quiet: [0; KINDS],
    };
    stream::unfold(feed, async |mut feed| Some((feed.next().await?, feed)))
}

impl<F: Fn() -> bool> Feed<F> {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let ready = (0..KINDS).find(|&kind| self.quiet[kind] == 0 && self.waiting[kind].is_some());
            if let Some(kind) = ready {
                self.quiet[kind] = QUIET_TICKS;
                return self.waiting[kind].take().and_then(|update| event(&update));
            }
            tokio::select! {
                () = self.closing.wait() => return None,
                _ = self.tick.tick() => {
                    self.ticks = self.ticks.wrapping_add(1);
                    if self.ticks.is_multiple_of(CHECK_TICKS) && !(self.alive)() {
                        return None;
                    }
                    for quiet in &mut self.quiet {
                        *quiet = quiet.saturating_sub(1);
                    }
                }
                update = self.updates.next() => {
                    let update = update?;
                    let kind = kind(&update);
                    self.waiting[kind] = Some(update);
                }
            }
        }
    }
}

fn kind(update: &Update) -> usize {
    match update {
        Update::Channels(_) => 0,
        Update::Trust(_) => 1,
        Update::System(_) => 2,
        Update::Software(_) => 3,
    }
}

fn event(update: &Update) -> Option<Event> {
    let event = match update {
        Update::Channels(channels) => Event::default().event("channels").json_data(channels),
        Update::Trust(trust) => Event::default().event("trust").json_data(trust),
        Update::System(system) => Event::default().event("system").json_data(system),
        Update::Software(update) => Event::default().event("update").json_data(update),
    };
    event.inspect_err(|error| tracing::error!(%error, "an update cannot be written as JSON")).ok()
}
