//! A recorder's streams and an RTSP server over them, for tests with real players.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of it")]

pub mod archive;
pub mod ears;
pub mod footage;
pub mod gst;
pub mod network;
mod said;
pub mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use auth::StreamKeyVerifier;
use bus::{Feeds, Publisher, RingSpec};
use hal::{AccessUnit, ChannelId, Clock, Pts90k, StreamId, StreamKind, SystemClock};
use rtsp::{Entrance, Gate, Multicast, REALM, Server, ServerOptions, UdpPair, Watch, WatchGuard};
use tokio::net::TcpListener;

use footage::Clip;

pub const USER: &str = "anna";
pub const KEY: &str = "correct-horse-battery";

pub fn stream(number: u16, kind: StreamKind) -> StreamId {
    StreamId::new(ChannelId::new(number).unwrap(), kind)
}

/// Knows one key, and counts who watches.
pub struct OneKey {
    pub revoked: AtomicBool,
    pub shut_out: AtomicBool,
    pub multicast: AtomicBool,
    pub watching: Arc<AtomicUsize>,
    /// At once.
    pub most: AtomicUsize,
    pub seen: Mutex<Vec<Watch>>,
}

impl Gate for OneKey {
    fn stream_key(&self, user: &str) -> Option<StreamKeyVerifier> {
        (user == USER && !self.revoked.load(Ordering::SeqCst))
            .then(|| StreamKeyVerifier::derive(USER, REALM, KEY))
    }

    fn admits(&self, from: std::net::IpAddr) -> bool {
        assert!(from.is_loopback());
        !self.shut_out.load(Ordering::SeqCst)
    }

    fn multicast(&self) -> Option<Multicast> {
        let first = "239.192.0.0".parse().unwrap();
        self.multicast.load(Ordering::SeqCst).then(|| Multicast::new(first, 1).unwrap())
    }

    fn watching(&self, watch: Watch) -> WatchGuard {
        struct Leaves(Arc<AtomicUsize>);
        impl Drop for Leaves {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.seen.lock().unwrap().push(watch);
        let before = self.watching.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(before + 1, Ordering::SeqCst);
        Box::new(Leaves(Arc::clone(&self.watching)))
    }
}

/// A thread that publishes clips of one channel in real time, over and over.
pub struct Camera {
    stop: Arc<AtomicBool>,
    /// Keyframes that somebody asked for.
    asked: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Camera {
    /// Units of all clips in the order of their times; returns when each ring has its first unit.
    pub fn start(dir: &std::path::Path, clips: Vec<(StreamId, Clip)>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, started) = std::sync::mpsc::channel();
        let theirs = Arc::clone(&stop);
        let asked = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&asked);
        let dir = dir.to_owned();
        let thread = std::thread::spawn(move || {
            let clock = SystemClock::new();
            let epoch = clock.wall();
            let mut lanes: Vec<Lane> =
                clips.into_iter().map(|(id, clip)| Lane::new(&dir, id, clip)).collect();
            while !theirs.load(Ordering::SeqCst) {
                let lane = lanes.iter_mut().min_by_key(|lane| lane.due()).unwrap();
                let due = Duration::from_micros(Pts90k(lane.due()).as_micros() as u64);
                let early = due.saturating_sub(clock.mono().since(hal::MonoTime::default()));
                std::thread::sleep(early);
                lane.publish(epoch);
                counter.fetch_add(usize::from(lane.publisher.take_keyframe_request()), Ordering::SeqCst);
                if lanes.iter().all(|lane| lane.next > 0 || lane.round > 0) {
                    let _ = ready.send(());
                }
            }
        });
        started.recv_timeout(Duration::from_secs(20)).expect("the camera starts");
        Self { stop, asked, thread: Some(thread) }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.thread.take().unwrap().join();
    }
}

struct Lane {
    publisher: Publisher,
    id: StreamId,
    clip: Clip,
    next: usize,
    round: i64,
}

impl Lane {
    fn new(dir: &std::path::Path, id: StreamId, clip: Clip) -> Self {
        let publisher = Publisher::create(dir, id, &clip.format, RingSpec::for_stream(id.kind)).unwrap();
        Self { publisher, id, clip, next: 0, round: 0 }
    }

    /// When the next unit is delivered: in decoding order, evenly.
    fn due(&self) -> i64 {
        let length = self.clip.length.0;
        self.round * length + length * self.next as i64 / self.clip.units.len() as i64
    }

    fn publish(&mut self, epoch: hal::WallTime) {
        let coded = &self.clip.units[self.next];
        let pts = Pts90k(self.round * self.clip.length.0 + coded.pts.0);
        let unit = AccessUnit {
            stream: self.id,
            pts,
            wall: epoch.offset_micros(pts.as_micros()),
            keyframe: coded.keyframe,
            discontinuity: self.round == 0 && self.next == 0,
            data: &coded.data,
        };
        self.publisher.publish(&unit).unwrap();
        self.next += 1;
        if self.next == self.clip.units.len() {
            self.next = 0;
            self.round += 1;
        }
    }
}

/// Everything that runs.
pub struct Recorder {
    pub dir: tempfile::TempDir,
    pub server: Server,
    pub gate: Arc<OneKey>,
    pub address: SocketAddr,
    cameras: Vec<Camera>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Recorder {
    pub fn new() -> Self {
        Self::with(ServerOptions::default())
    }

    pub fn with(options: ServerOptions) -> Self {
        Self::with_archive(options, None)
    }

    pub fn with_archive(options: ServerOptions, archive: Option<Arc<dyn rtsp::Archive>>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let _inside = runtime.enter();
        let dir = tempfile::tempdir().unwrap();
        let gate = Arc::new(OneKey {
            revoked: AtomicBool::new(false),
            shut_out: AtomicBool::new(false),
            multicast: AtomicBool::new(false),
            watching: Arc::default(),
            most: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let udp = Some(Arc::new(UdpPair::bind("127.0.0.1".parse().unwrap(), None).unwrap()));
        let feeds = Arc::new(Feeds::new(dir.path()));
        let server = Server::new(
            feeds,
            archive,
            Arc::clone(&gate) as Arc<dyn Gate>,
            Arc::new(SystemClock::new()) as Arc<dyn Clock>,
            options,
        );
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = server.clone();
        runtime.spawn(async move { serving.serve(listener, Entrance::Plain { udp }).await });
        drop(_inside);
        Self { dir, server, gate, address, cameras: Vec::new(), runtime: Some(runtime) }
    }

    /// A channel with video and perhaps sound.
    pub fn channel(&mut self, number: u16, video: Clip, audio: Option<Clip>) {
        let mut clips = vec![(stream(number, StreamKind::Main), video)];
        clips.extend(audio.map(|audio| (stream(number, StreamKind::Audio), audio)));
        self.cameras.push(Camera::start(self.dir.path(), clips));
    }

    /// A channel that nobody decodes.
    pub fn noise(&mut self, number: u16, bytes: usize, gop: usize) {
        self.channel(number, Clip::noise(hal::VideoCodec::H264, bytes, gop), None);
    }

    /// Keyframes that its viewers have asked the cameras for.
    pub fn keyframes_asked(&self) -> usize {
        self.cameras.iter().map(|camera| camera.asked.load(Ordering::SeqCst)).sum()
    }

    pub fn stop_cameras(&mut self) {
        self.cameras.clear();
    }

    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("rtsp://{USER}:{KEY}@{}{path}", self.address)
    }

    /// Opens RTSPS with a certificate of its own; the URL for it.
    pub fn tls_url(&mut self, path: &str) -> String {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .unwrap();
        let config = tokio_rustls::rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = self.runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let inside = self.runtime().enter();
        let udp = Some(Arc::new(UdpPair::bind("127.0.0.1".parse().unwrap(), None).unwrap()));
        drop(inside);
        let serving = self.server.clone();
        self.runtime().spawn(async move { serving.serve(listener, Entrance::Tls { acceptor, udp }).await });
        format!("rtsps://{USER}:{KEY}@{address}{path}")
    }

    pub fn watching(&self) -> usize {
        self.gate.watching.load(Ordering::SeqCst)
    }

    /// Waits for a state of affairs, for at most `limit`.
    pub fn wait_until(&self, limit: Duration, what: &str, is_so: impl Fn() -> bool) {
        let clock = SystemClock::new();
        let begin = clock.mono();
        while !is_so() {
            assert!(clock.mono().since(begin) < limit, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.cameras.clear();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}
