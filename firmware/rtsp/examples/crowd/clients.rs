//! Those who watch, in one process and one thread.
//!
//! They join one after the other or in the same instant. When all have had a keyframe and some time has passed, `begin` is
//! printed, at the end of the measured time `end`, and then one line of JSON.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::cut::{Cutter, Framing, Packets};
use crate::stream::{Stamp, now};
use crate::talk::{Failure, say};
use crate::tally::Tally;
use crate::viewer::{INTERLEAVED, Viewer, udp_pair};

/// Until all are served. Whoever is not by then is counted as turned away.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
/// New viewers have caught up.
const WARM_UP: Duration = Duration::from_secs(2);
/// For what was published last.
const STRAGGLERS: Duration = Duration::from_millis(500);
/// One after the other, so that each one's wait is its own.
const BETWEEN_JOINS: Duration = Duration::from_millis(4);
const READ_BYTES: usize = 128 << 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who serves
    #[arg(long, value_enum)]
    kind: Kind,
    /// Its port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// How many watch
    #[arg(long)]
    count: u64,
    /// How many more never read
    #[arg(long, default_value_t = 0)]
    stuck: u64,
    /// For how long is measured
    #[arg(long)]
    seconds: u64,
    /// Packets as datagrams
    #[arg(long)]
    udp: bool,
    /// All join in the same instant
    #[arg(long)]
    at_once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Rtsp,
    Floor,
}

/// What all viewers share.
struct Crowd {
    tally: RefCell<Tally>,
    /// Each read's bytes are dealt with before the next read.
    buffer: RefCell<Vec<u8>>,
    news: Notify,
}

/// One viewer's share in it.
struct Seat {
    crowd: Rc<Crowd>,
    asked: u64,
    served: bool,
}

/// Watches and reports.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, watch(args))
}

async fn watch(args: &Args) -> Result<(), Failure> {
    let crowd = Rc::new(Crowd {
        tally: RefCell::new(Tally::new(args.count)),
        buffer: RefCell::new(vec![0; READ_BYTES]),
        news: Notify::new(),
    });
    let began = now();
    let (kind, udp) = (args.kind, args.udp);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    for index in 0..args.count + args.stuck {
        let crowd = Rc::clone(&crowd);
        let is_stuck = index >= args.count;
        tokio::task::spawn_local(async move {
            if let Err(error) = join(kind, address, udp, is_stuck, crowd).await {
                eprintln!("viewer {index}: {error}");
            }
        });
        if !args.at_once {
            sleep(BETWEEN_JOINS).await;
        }
    }
    let all_served = async {
        while (crowd.tally.borrow().served() as u64) < args.count {
            crowd.news.notified().await;
        }
    };
    let _ = timeout(JOIN_TIMEOUT, all_served).await;
    let joined = now() - began;
    sleep(WARM_UP).await;
    let span = Duration::from_secs(args.seconds);
    crowd.tally.borrow_mut().open(span.as_micros() as u64);
    say("begin")?;
    sleep(span).await;
    say("end")?;
    sleep(STRAGGLERS).await;
    let mut report = crowd.tally.borrow_mut().report();
    report["joined_ms"] = (joined as f64 / 1e3).into();
    say(&report.to_string())?;
    Ok(())
}

async fn join(
    kind: Kind,
    address: SocketAddr,
    udp: bool,
    is_stuck: bool,
    crowd: Rc<Crowd>,
) -> Result<(), Failure> {
    let seat = |asked| Seat { crowd, asked, served: false };
    if kind == Kind::Floor {
        let socket = TcpStream::connect(address).await?;
        return follow(socket, Framing::Plain, seat(now()), is_stuck).await;
    }
    let mut viewer = Viewer::connect(address).await?;
    if !udp {
        viewer.set_up(INTERLEAVED).await?;
        let asked = now();
        let socket = viewer.play().await?;
        return follow(socket, Framing::Interleaved, seat(asked), is_stuck).await;
    }
    let (rtp, _rtcp, port) = udp_pair().await?;
    viewer.set_up(&format!("RTP/AVP;unicast;client_port={port}-{}", port + 1)).await?;
    let asked = now();
    let _connection = viewer.play().await?;
    follow_datagrams(&rtp, seat(asked)).await
}

async fn follow(socket: TcpStream, framing: Framing, mut seat: Seat, is_stuck: bool) -> Result<(), Failure> {
    if is_stuck {
        return std::future::pending().await;
    }
    let mut cutter = Cutter::new(framing);
    loop {
        socket.readable().await?;
        let crowd = Rc::clone(&seat.crowd);
        let mut buffer = crowd.buffer.borrow_mut();
        match socket.try_read(&mut buffer) {
            Ok(0) => return Err("the server has left".into()),
            Ok(length) => cutter.take(&buffer[..length], |stamp| seat.has(&stamp))?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn follow_datagrams(socket: &UdpSocket, mut seat: Seat) -> Result<(), Failure> {
    let mut packets = Packets::default();
    loop {
        socket.readable().await?;
        let crowd = Rc::clone(&seat.crowd);
        let mut buffer = crowd.buffer.borrow_mut();
        match socket.try_recv(&mut buffer) {
            Ok(length) => {
                if let Some(stamp) = packets.take(&buffer[..length]) {
                    seat.has(&stamp);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Seat {
    fn has(&mut self, stamp: &Stamp) {
        let mut tally = self.crowd.tally.borrow_mut();
        if !self.served && stamp.keyframe() {
            self.served = true;
            tally.first_keyframe(self.asked);
            self.crowd.news.notify_one();
        }
        tally.unit(stamp);
    }
}
