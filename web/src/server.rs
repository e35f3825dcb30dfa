//! HTTPS: the accept loop, TLS, HTTP/1.1 and their limits.
//!
//! Whoever does not speak TLS, or too slowly, is dropped without an answer. A connection counts until its last
//! byte, upgraded to a WebSocket or not.
//!
//! Does not belong here: certificates (the caller's), anything about paths or users.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::api::Api;
use crate::gate::Peer;
use crate::router::router;
use crate::site::Site;

/// Request line and headers together; hyper answers 431 beyond it.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Header fields; browsers send about 20.
const MAX_HEADER_FIELDS: usize = 64;
/// A peer that vanished is noticed after about two of these (RFC 9293 section 3.8.4).
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long open connections have to end when the server stops; the whole recorder has two seconds.
const GRACE: Duration = Duration::from_millis(1000);
/// When no descriptor is left, others must end before accepting makes sense again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be, and how slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all. A connection with TLS costs about 40 KiB, so 192 are about 8 MB of a board's memory.
    pub total: usize,
    /// From one address (IPv6: from one /64). A wall of 16 tiles, its page and a recording are about 24.
    pub per_address: usize,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// For the whole head of a request, and for the time between two requests.
    pub head_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 192,
            per_address: 64,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves the API and the browser app until `stop` is ready, then gives open connections a moment to end.
///
/// `tls` needs a certificate; its ALPN list is replaced by `http/1.1`, because WebSockets need it.
pub async fn serve<A: Api>(
    listener: TcpListener,
    tls: &rustls::ServerConfig,
    api: Arc<A>,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()> + Send,
) {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let site = Site::new(api);
    let router = router(site.clone());
    let counts = Counts::new(limits);
    let closing = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => match counts.enter(from.ip()) {
                Some(place) => {
                    let serving = connection(
                        stream,
                        from,
                        place,
                        limits,
                        acceptor.clone(),
                        router.clone(),
                        closing.subscribe(),
                    );
                    connections.spawn(serving);
                }
                None => tracing::warn!(%from, "too many connections"),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    closing.send_replace(true);
    let ended = async {
        site.close().await;
        while connections.join_next().await.is_some() {}
    };
    if timeout(GRACE, ended).await.is_err() {
        tracing::debug!("connections were cut off");
    }
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    place: Place,
    limits: ConnectionLimits,
    acceptor: TlsAcceptor,
    router: Router,
    mut closing: watch::Receiver<bool>,
) {
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true).ok();
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4)).ok();
    let io = match timeout(limits.handshake_timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => TokioIo::new(Counted { stream, _place: place }),
        Ok(Err(error)) => return tracing::debug!(%from, %error, "no TLS handshake"),
        Err(_) => return tracing::debug!(%from, "the TLS handshake took too long"),
    };
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(from));
        router.clone().oneshot(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADER_FIELDS)
        .serve_connection(io, service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        // The guard on the value must not live across the next await.
        () = async { drop(closing.wait_for(|closing| *closing).await) } => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a connection failed");
    }
}

/// Who is connected, by address.
struct Counts {
    limits: ConnectionLimits,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Counts {
    fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, by_address: Mutex::default() })
    }

    /// A place for a connection from `address`, or none.
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = prefix(address);
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = counts.values().sum();
        let here = counts.get(&address).copied().unwrap_or(0);
        if total >= self.limits.total || here >= self.limits.per_address {
            return None;
        }
        counts.insert(address, here + 1);
        Some(Place { counts: Arc::clone(self), address })
    }
}

/// One host has a /64 of IPv6 (RFC 7421), so that is what counts as an address.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// A counted connection; dropping it makes room.
struct Place {
    counts: Arc<Counts>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A stream that counts as long as it lives, wherever an upgrade takes it.
struct Counted<S> {
    stream: S,
    _place: Place,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_by_address_and_given_back() {
        let counts =
            Counts::new(ConnectionLimits { total: 3, per_address: 2, ..ConnectionLimits::default() });
        let [a, b]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        let first = counts.enter(a).unwrap();
        let _second = counts.enter(a).unwrap();
        assert!(counts.enter(a).is_none());
        let _third = counts.enter(b).unwrap();
        assert!(counts.enter(b).is_none());
        drop(first);
        assert!(counts.enter(b).is_some());
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(prefix(one), prefix("2001:db8::ffff:2".parse().unwrap()));
        assert_ne!(prefix(one), prefix("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(prefix("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
