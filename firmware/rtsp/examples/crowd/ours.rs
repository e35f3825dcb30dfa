//! This crate's server over a ring, as the recorder's `serve` role has it.
//!
//! The stream is published by another process, as `capture` does: its copy into the ring does not count as the server's, but
//! the server's copy out of it does.
//!
//! After its port it prints `url`, by which servers that are not ours take the stream.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, thread};

use auth::StreamKeyVerifier;
use bus::{Feeds, Publisher, RingSpec};
use hal::{
    AccessUnit, ChannelId, Clock, Pts90k, StreamFormat, StreamId, StreamKind, SystemClock, VideoCodec,
};
use rtsp::{Entrance, Gate, REALM, Server, ServerOptions, UdpPair, Watch, WatchGuard};
use tokio::net::TcpListener;

use crate::stream::Stream;
use crate::talk::{Failure, say, say_port, until_told};

/// What `clients` asks for.
pub(crate) const PATH: &str = "/ch1/main";
pub(crate) const USER: &str = "crowd";
pub(crate) const KEY: &str = "correct-horse-battery";

/// The recorder's.
const WORKERS: usize = 2;
/// Rings lie in memory.
const MEMORY: &str = "/dev/shm";
const MOST_CLIENTS: usize = 1024;

struct OneKey;

impl Gate for OneKey {
    fn stream_key(&self, user: &str) -> Option<StreamKeyVerifier> {
        (user == USER).then(|| StreamKeyVerifier::derive(USER, REALM, KEY))
    }

    fn watching(&self, _: Watch) -> WatchGuard {
        Box::new(())
    }
}

/// Serves until told.
pub(crate) fn run() -> Result<(), Failure> {
    let dir = tempfile::tempdir_in(MEMORY)?;
    let mut camera = Command::new(env::current_exe()?)
        .arg("camera")
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let options = ServerOptions {
        max_clients: MOST_CLIENTS,
        max_clients_per_address: MOST_CLIENTS,
        max_watchers: MOST_CLIENTS,
        ..ServerOptions::default()
    };
    let feeds = Arc::new(Feeds::new(dir.path()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let server = Server::new(feeds, None, Arc::new(OneKey), clock, options);
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let port = runtime.block_on(async {
        let udp = Some(Arc::new(UdpPair::bind(address, None)?));
        let listener = TcpListener::bind((address, 0)).await?;
        let port = listener.local_addr()?.port();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(listener, Entrance::Plain { udp }).await });
        Ok::<u16, Failure>(port)
    })?;
    say_port(port)?;
    say(&format!("url rtsp://{USER}:{KEY}@{address}:{port}{PATH}"))?;
    until_told();
    eprintln!("{:?}", server.stats());
    // Told by the end of its input.
    drop(camera.stdin.take());
    if camera.wait()?.success() { Ok(()) } else { Err("the stream broke".into()) }
}

/// Publishes the stream into a ring in `dir` until told.
pub(crate) fn camera(dir: &Path) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = thread::spawn({
        let (dir, stop) = (dir.to_owned(), Arc::clone(&stop));
        move || publish(&dir, &stop)
    });
    until_told();
    stop.store(true, Ordering::Relaxed);
    publishing.join().map_err(|_| "the stream broke")?
}

fn publish(dir: &Path, stop: &AtomicBool) -> Result<(), Failure> {
    let channel = ChannelId::new(1).ok_or_else(|| io::Error::other("no channel 1"))?;
    let id = StreamId::new(channel, StreamKind::Main);
    let format = StreamFormat::Video(VideoCodec::H264);
    let mut publisher = Publisher::create(dir, id, &format, RingSpec::for_stream(id.kind))?;
    let clock = SystemClock::new();
    let mut stream = Stream::new();
    while !stop.load(Ordering::Relaxed) {
        let (stamp, data) = stream.next();
        publisher.publish(&AccessUnit {
            stream: id,
            pts: Pts90k::from_micros(stamp.published.cast_signed()),
            wall: clock.wall(),
            keyframe: stamp.keyframe(),
            discontinuity: stamp.number == 0,
            data,
        })?;
    }
    Ok(())
}
