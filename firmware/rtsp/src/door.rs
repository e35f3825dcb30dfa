//! How a connection begins: with RTSP, or with one half of a tunnel through HTTP.
//!
//! Does not belong here: what the bytes mean (`tunnel.rs`, `session.rs`), limits of connections (`place.rs`).
//!
//! Invariants: a connection that does not say in time what it is is closed; a tunnel has what the connection has that
//! its GET came over, but no datagrams; what a client sends ahead waits in its socket.

use std::io::{self, Cursor};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::client;
use crate::connection::Connection;
use crate::place::Place;
use crate::session::FIRST_REQUEST_TIMEOUT;
use crate::shared::Shared;
use crate::tunnel::{Decoder, Greeting, HttpRefusal, MAX_HTTP_HEAD_BYTES, TUNNEL_OPEN, greeting};
use crate::tunnels::{Post, Tunnel, TunnelId};

/// How long the answer to a GET or POST may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Requests that are decoded and not yet read by the session.
const DECODED_BYTES: usize = 4 << 10;

/// What may come after the head on a GET, where nothing has to.
const MAX_GET_BODY: u64 = 4 << 10;

/// Serves a connection, whatever it turns out to be.
pub(crate) async fn enter<R, W>(
    shared: Arc<Shared>,
    mut reader: R,
    mut writer: W,
    mut connection: Connection,
    place: Place,
) where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Unpin,
{
    let mut begun = Vec::new();
    let limit = half_open_timeout(&shared);
    let Ok(Ok(greeting)) = tokio::time::timeout(limit, read_greeting(&mut reader, &mut begun)).await else {
        tracing::debug!(peer = %connection.peer, "an RTSP connection without a request");
        return;
    };
    let id =
        |cookie| TunnelId { peer: connection.peer.ip().to_canonical(), secure: connection.secure, cookie };
    let refusal = match greeting {
        Greeting::Rtsp => {
            return client::run(shared, Cursor::new(begun).chain(reader), writer, connection).await;
        }
        Greeting::Refused(refusal) => refusal,
        _ if place.turned_away => HttpRefusal::Full,
        Greeting::Get { cookie } => match shared.tunnels.open(id(cookie)) {
            Ok(tunnel) => {
                connection.udp = None;
                return run_tunnel(shared, tunnel, reader, writer, connection).await;
            }
            Err(refusal) => refusal,
        },
        Greeting::Post { cookie, body } => {
            begun.drain(..body);
            let reader = Box::new(Cursor::new(begun).chain(reader));
            match shared.tunnels.join(&id(cookie), Post { reader, place: Box::new(place) }) {
                // Nobody waits for an answer, and a client that got one would be confused.
                Ok(()) => return,
                Err((refusal, _)) => refusal,
            }
        }
    };
    tracing::debug!(peer = %connection.peer, ?refusal, "no tunnel for RTSP over HTTP");
    let farewell = async {
        write_now(&mut writer, refusal.answer()).await?;
        writer.shutdown().await
    };
    let _ = tokio::time::timeout(ANSWER_TIMEOUT, farewell).await;
}

/// Reads until it is clear what this is. What was read is in `begun`.
async fn read_greeting<R: AsyncRead + Unpin>(reader: &mut R, begun: &mut Vec<u8>) -> io::Result<Greeting> {
    loop {
        let room = MAX_HTTP_HEAD_BYTES - begun.len();
        if (&mut *reader).take(room as u64).read_buf(begun).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(greeting) = greeting(begun) {
            return Ok(greeting);
        }
    }
}

/// One client, whose requests come by POST.
async fn run_tunnel<R, W>(
    shared: Arc<Shared>,
    mut tunnel: Tunnel<Post>,
    get: R,
    mut writer: W,
    connection: Connection,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let peer = connection.peer;
    let limit = half_open_timeout(&shared);
    let gone = async {
        // A GET has no body; what comes nevertheless is thrown away, and its end is the client's.
        let _ = tokio::io::copy(&mut get.take(MAX_GET_BODY), &mut tokio::io::sink()).await;
    };
    let mut gone = std::pin::pin!(gone);
    let opened = tokio::time::timeout(ANSWER_TIMEOUT, write_now(&mut writer, TUNNEL_OPEN)).await;
    let Ok(Ok(())) = opened else { return };
    let first = tokio::select! {
        post = next_post(&mut tunnel, limit) => post,
        () = &mut gone => return,
    };
    let Some(first) = first else { return };
    tunnel.whole();
    tracing::debug!(%peer, "RTSP through HTTP");
    let (requests, mut decoded) = tokio::io::simplex(DECODED_BYTES);
    let mut served = std::pin::pin!(client::run(shared, requests, writer, connection));
    let pumped = async {
        pump(first, &mut tunnel, limit, &mut decoded).await;
        // The client's loop sees this as the end of its connection.
        let _ = decoded.shutdown().await;
    };
    tokio::select! {
        () = &mut served => return,
        () = &mut gone => return,
        () = pumped => {}
    }
    served.await;
}

/// Decodes one POST after another, until there is no next.
async fn pump<W>(first: Post, tunnel: &mut Tunnel<Post>, limit: Duration, decoded: &mut W)
where
    W: AsyncWrite + Unpin,
{
    let mut post = first;
    loop {
        if carry(&mut post, decoded).await.is_err() {
            return;
        }
        // Its length was used up, perhaps: clients may open another.
        drop(post);
        post = match next_post(tunnel, limit).await {
            Some(next) => next,
            None => return,
        };
    }
}

async fn next_post(tunnel: &mut Tunnel<Post>, limit: Duration) -> Option<Post> {
    let post = tokio::time::timeout(limit, tunnel.post()).await;
    if post.is_err() {
        tunnel.give_up();
    }
    post.ok().flatten()
}

/// Until the POST ends. Its `Content-Length` says nothing: players announce 32767 bytes and send what they need.
async fn carry<W: AsyncWrite + Unpin>(post: &mut Post, decoded: &mut W) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut text = [0; 1024];
    loop {
        let length = match post.reader.read(&mut text).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => length,
        };
        let mut bytes = Vec::new();
        decoder.push(&text[..length], &mut bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        decoded.write_all(&bytes).await?;
    }
}

async fn write_now<W: AsyncWrite + Unpin>(writer: &mut W, text: &str) -> io::Result<()> {
    writer.write_all(text.as_bytes()).await?;
    writer.flush().await
}

/// How long a connection may be silent before it says what it is, and a tunnel be without a POST.
fn half_open_timeout(shared: &Shared) -> Duration {
    FIRST_REQUEST_TIMEOUT.min(shared.options.session_timeout)
}
