//! The server itself: TLS, limits, live views and stopping, over real sockets.
//!
//! Does not belong here: anything that can be asked without a network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::{COOKIE, HOST, ORIGIN};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::memory::{FOOTAGE_BYTES, Memory, token};
use crate::server::{ConnectionLimits, serve};
use crate::views::Role;
use crate::{LiveMessage, cookie};

/// Far more than anything here takes, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);
const NAME: &str = "recorder.lan";

struct Running {
    api: Arc<Memory>,
    address: SocketAddr,
    connector: TlsConnector,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(limits: ConnectionLimits) -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Arc::new(Memory::new());
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&api);
        let server = tokio::spawn(async move {
            serve(listener, &tls, serving, limits, async { drop(stopped.await) }).await;
        });
        Self { api, address, connector: TlsConnector::from(Arc::new(client)), stop: Some(stop), server }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(NAME).unwrap();
        timeout(PATIENCE, self.connector.connect(name, TcpStream::connect(self.address).await?))
            .await
            .unwrap()
    }

    /// Sends `request` and reads until the server closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn works(&self) -> bool {
        let request = format!("GET /api/v1/state HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
        self.raw(&request).await.starts_with("HTTP/1.1 200 ")
    }

    async fn view(&self, origin: &str) -> Result<WebSocketStream<TlsStream<TcpStream>>, tungstenite::Error> {
        let request = http::Request::get("/api/v1/channels/1/main/live?audio=1")
            .header(HOST, NAME)
            .header(ORIGIN, origin)
            .header(COOKIE, format!("{}={}", cookie::NAME, token(Role::Viewer)))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", tungstenite::handshake::client::generate_key());
        let mut request = request.body(()).unwrap();
        *request.uri_mut() = format!("wss://{NAME}{}", request.uri()).parse().unwrap();
        let stream = self.connect().await.map_err(tungstenite::Error::Io)?;
        client_async(request, stream).await.map(|(view, _)| view)
    }

    /// A view that shows what is sent into the channel.
    async fn watch(&self) -> (mpsc::Sender<LiveMessage>, WebSocketStream<TlsStream<TcpStream>>) {
        let (messages, source) = mpsc::channel(8);
        *self.api.live.lock().unwrap() = Some(source);
        (messages, self.view(&format!("https://{NAME}")).await.unwrap())
    }

    async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(Duration::from_secs(10), &mut self.server).await.expect("stops").unwrap();
    }
}

async fn read_to_end(stream: &mut TlsStream<TcpStream>) -> String {
    let mut text = Vec::new();
    // A connection that is cut off ends with an error: what came before it counts.
    timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes").ok();
    String::from_utf8_lossy(&text).into_owned()
}

/// The next message that is not a ping; pings do not prolong the patience.
async fn next(view: &mut WebSocketStream<TlsStream<TcpStream>>) -> Option<Message> {
    let message = async {
        loop {
            match view.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    };
    timeout(PATIENCE, message).await.expect("a message")
}

async fn close_code(view: &mut WebSocketStream<TlsStream<TcpStream>>) -> CloseCode {
    match next(view).await {
        Some(Message::Close(Some(close))) => close.code,
        other => panic!("{other:?} instead of a close"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_answers_and_plain_http_does_not() {
    let running = Running::start(ConnectionLimits::default()).await;
    assert!(running.works().await);
    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET /api/v1/state HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, plain.read_to_end(&mut answer)).await.unwrap().ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert!(running.works().await, "and the server goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_long_or_no_http_are_refused() {
    let running = Running::start(ConnectionLimits::default()).await;
    let long = "x".repeat(20_000);
    let many: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    for request in [
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
        "GET ../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
        "GET /\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        let answer = running.raw(&request).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{request:.60} {answer:.200}");
    }
    assert!(running.works().await);
    assert!(running.api.calls.lock().unwrap().is_empty());
}

/// One that says nothing, one that stops in the middle of a head, one that says nothing more after an answer.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_dropped() {
    let short = Duration::from_millis(500);
    let limits =
        ConnectionLimits { handshake_timeout: short, head_timeout: short, ..ConnectionLimits::default() };
    let running = Running::start(limits).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut half = running.connect().await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut idle = running.connect().await.unwrap();
    idle.write_all(format!("GET /api/v1/state HTTP/1.1\r\nhost: {NAME}\r\n\r\n").as_bytes()).await.unwrap();
    let mut nothing = Vec::new();
    timeout(PATIENCE, silent.read_to_end(&mut nothing)).await.expect("dropped").ok();
    assert!(nothing.is_empty());
    let answer = read_to_end(&mut half).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(read_to_end(&mut idle).await.starts_with("HTTP/1.1 200 "));
    assert!(running.works().await);
}

/// A client that does not read costs what the kernel buffers, and the source is not asked for more.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_viewer_holds_back_its_source() {
    let running = Running::start(ConnectionLimits::default()).await;
    let (messages, view) = running.watch().await;
    let mebibyte = bytes::Bytes::from(vec![7; 1 << 20]);
    let mut taken = 0;
    // It may take a while to fill what the kernel holds; two seconds without progress are the end of it.
    while let Ok(sent) =
        timeout(Duration::from_secs(2), messages.send(LiveMessage::Binary(mebibyte.clone()))).await
    {
        sent.unwrap();
        taken += 1;
        assert!(taken < 64, "nothing holds it back");
    }
    assert!(!messages.is_closed(), "it is slow, not gone");
    drop(view);
    timeout(PATIENCE, messages.closed()).await.expect("the source is dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_comes_over_the_wire() {
    let running = Running::start(ConnectionLimits::default()).await;
    let path = "/api/v1/channels/1/recording.mp4?start=2026-11-20T10:00:00Z&end=2026-11-20T10:05:00Z";
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {NAME}\r\ncookie: {}={}\r\nconnection: close\r\n\r\n",
        cookie::NAME,
        token(Role::Viewer)
    );
    let mut stream = running.connect().await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().ok();
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!((answer.len() - head) as u64, FOOTAGE_BYTES);
    assert_eq!(answer[head..], super::memory::footage()[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited_and_a_live_view_is_one() {
    let running =
        Running::start(ConnectionLimits { total: 8, per_address: 2, ..ConnectionLimits::default() }).await;
    let (_messages, view) = running.watch().await;
    let idle = running.connect().await.unwrap();
    assert!(running.connect().await.is_err(), "a third one");
    drop(view);
    drop(idle);
    // The server notices in its own time.
    let free = async {
        while running.connect().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("places are given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_view_shows_what_comes_in_order() {
    let running = Running::start(ConnectionLimits::default()).await;
    let (messages, mut view) = running.watch().await;
    let large = bytes::Bytes::from(vec![7; 4 << 20]);
    messages.send(LiveMessage::Text(r#"{"type":"waiting"}"#.into())).await.unwrap();
    messages.send(LiveMessage::Binary(large.clone())).await.unwrap();
    assert_eq!(next(&mut view).await, Some(Message::text(r#"{"type":"waiting"}"#)));
    assert_eq!(next(&mut view).await, Some(Message::binary(large)));
    assert_eq!(*running.api.calls.lock().unwrap(), ["live viewer 1 Main true"]);
    drop(messages);
    assert_eq!(close_code(&mut view).await, CloseCode::Normal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_view_that_is_left_is_dropped() {
    let running = Running::start(ConnectionLimits::default()).await;
    let (messages, view) = running.watch().await;
    drop(view);
    timeout(PATIENCE, messages.closed()).await.expect("the source is dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_view_needs_our_own_page_and_says_nothing_back() {
    let running = Running::start(ConnectionLimits::default()).await;
    match running.view("https://evil.example").await {
        Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("{other:?}"),
    }
    assert!(running.api.calls.lock().unwrap().is_empty());
    let (messages, mut view) = running.watch().await;
    view.send(Message::text("hello")).await.unwrap();
    assert_eq!(close_code(&mut view).await, CloseCode::Unsupported);
    timeout(PATIENCE, messages.closed()).await.expect("the source is dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_view_ends_with_its_session() {
    let running = Running::start(ConnectionLimits::default()).await;
    let (messages, mut view) = running.watch().await;
    messages.send(LiveMessage::Text("{}".into())).await.unwrap();
    assert!(next(&mut view).await.is_some());
    running.api.alive.send_modify(Vec::clear);
    assert_eq!(close_code(&mut view).await, CloseCode::Policy);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_says_goodbye_and_does_not_wait_for_the_idle() {
    let mut running = Running::start(ConnectionLimits::default()).await;
    let (_messages, mut view) = running.watch().await;
    let mut idle = running.connect().await.unwrap();
    running.stop().await;
    assert_eq!(close_code(&mut view).await, CloseCode::Away);
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(running.address).await.is_err());
}
