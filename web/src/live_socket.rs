//! A live view over a WebSocket (RFC 6455).
//!
//! Nothing is queued here: the next message is asked for when the last one is with the kernel, so a slow client
//! makes the source choose what to leave out. The view ends with its session, with the server, or with a client
//! that stops answering.
//!
//! Does not belong here: what the messages mean (crate `live`), who may watch (`gate.rs`).

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::{Sink, SinkExt, StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::api::{Api, Live, LiveMessage, SessionToken};
use crate::site::{Closing, Site};

/// Clients have nothing to say; control frames have at most 125 bytes (RFC 6455 section 5.5).
const MAX_MESSAGE_BYTES: usize = 1024;
/// One keyframe of the largest kind (4 MiB) with its fragment's head.
const MAX_QUEUED_BYTES: usize = 5 << 20;
/// A client that takes nothing for so long has gone, or would show the past.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that is gone without a word is noticed after two of these.
const PING_EVERY: Duration = Duration::from_secs(15);
/// How long a live view outlives its session at most.
pub(crate) const SESSION_CHECK: Duration = Duration::from_secs(2);
/// How long a client has to take the last word.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Answers the handshake and sends `live` from then on.
pub(crate) fn answer<A: Api>(
    upgrade: WebSocketUpgrade,
    live: A::Live,
    site: Site<A>,
    token: SessionToken,
) -> Response {
    let closing = site.long_lived();
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .max_write_buffer_size(MAX_QUEUED_BYTES)
        .on_upgrade(move |socket| view(socket, live, move || site.api.session_alive(&token), closing))
}

enum End {
    Gone,
    Say(u16, &'static str),
}

async fn view<L: Live>(socket: WebSocket, live: L, alive: impl Fn() -> bool, mut closing: Closing) {
    let (mut to_client, mut from_client) = socket.split();
    // As a stream, a message that is half made survives the other arms of the select.
    let mut messages = Box::pin(stream::unfold(live, async |mut live| Some((live.next().await?, live))));
    let mut check = interval(SESSION_CHECK);
    let mut ping = interval(PING_EVERY);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = true;
    let end = loop {
        tokio::select! {
            () = closing.wait() => break End::Say(close_code::AWAY, "the recorder is stopping"),
            _ = check.tick() => if !alive() {
                break End::Say(close_code::POLICY, "the session is over");
            },
            _ = ping.tick() => {
                if !answered || !send(&mut to_client, Message::Ping(bytes::Bytes::new())).await {
                    break End::Gone;
                }
                answered = false;
            }
            heard = from_client.next() => match heard {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => answered = true,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    break End::Say(close_code::UNSUPPORTED, "nothing is expected here");
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break End::Gone,
            },
            message = messages.next() => {
                let message = match message {
                    Some(LiveMessage::Text(text)) => Message::Text(text.into()),
                    Some(LiveMessage::Binary(bytes)) => Message::Binary(bytes),
                    None => break End::Say(close_code::NORMAL, "there is no more"),
                };
                if !send(&mut to_client, message).await {
                    break End::Gone;
                }
            }
        }
    };
    if let End::Say(code, reason) = end {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        timeout(CLOSE_TIMEOUT, to_client.send(close)).await.ok();
    }
}

async fn send(to_client: &mut (impl Sink<Message> + Unpin), message: Message) -> bool {
    matches!(timeout(SEND_TIMEOUT, to_client.send(message)).await, Ok(Ok(())))
}
