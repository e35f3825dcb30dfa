//! Clients that do as they should not, beside one that does.
//!
//! In each test the viewer beside them loses nothing, and when all are gone the server holds what it held before.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use common::Recorder;
use common::ears::Ears;
use common::wire::{Came, Wire};
use rtcp_types::{ReceiverReport, RtcpPacketWriter};
use rtp_types::RtpPacket;
use rtsp::{ServerOptions, ServerStats};

const PATH: &str = "/ch1/main";

/// Of a session, and of a connection without its first request.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What happens in this long is soon; the machine may be busy.
const SOON: Duration = Duration::from_secs(20);

/// A viewer who does nothing wrong, and insists on every packet.
struct Neighbour {
    leaves: Arc<AtomicBool>,
    packets: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Neighbour {
    fn watch(recorder: &Recorder) -> Self {
        let mut wire = Wire::connect(recorder.address, PATH);
        wire.set_up("0-1");
        assert_eq!(wire.request("PLAY", "", "").status, 200);
        let mut last = sequence(&wire.packet(0));
        let (leaves, packets) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (leave, count) = (Arc::clone(&leaves), Arc::clone(&packets));
        let thread = std::thread::spawn(move || {
            while !leave.load(Ordering::Relaxed) {
                let now = sequence(&wire.packet(0));
                assert_eq!(now, last.wrapping_add(1), "the one beside loses something");
                last = now;
                count.fetch_add(1, Ordering::Relaxed);
            }
            assert_eq!(wire.request("TEARDOWN", "", "").status, 200);
        });
        Self { leaves, packets, thread }
    }

    /// After having seen more than before.
    fn leave(self, recorder: &Recorder) {
        let seen = self.packets.load(Ordering::Relaxed);
        recorder.wait_until(SOON, "the stream goes on", || {
            self.thread.is_finished() || self.packets.load(Ordering::Relaxed) >= seen + 25
        });
        self.leaves.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Lets somebody misbehave beside a neighbour who is not to notice. What slow readers lost and tunnels were is counted for good.
fn beside_a_neighbour(unit_bytes: usize, misbehave: impl FnOnce(&mut Recorder)) {
    let options = ServerOptions { session_timeout: TIMEOUT, ..ServerOptions::default() };
    let mut recorder = Recorder::with(options);
    recorder.noise(1, unit_bytes, 10);
    let before = recorder.server.stats();
    let neighbour = Neighbour::watch(&recorder);
    misbehave(&mut recorder);
    neighbour.leave(&recorder);
    let ServerStats { lost_gops, tunnels_opened, .. } = before;
    let held = || ServerStats { lost_gops, tunnels_opened, ..recorder.server.stats() };
    recorder.wait_until(SOON, "nothing is held of anybody", || held() == before);
    assert_eq!(recorder.watching(), 0);
}

fn connect(recorder: &Recorder) -> TcpStream {
    connect_to(recorder.address)
}

fn connect_to(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// What comes until the server closes, which it must.
fn until_closed(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
    String::from_utf8(said).unwrap()
}

fn sequence(packet: &[u8]) -> u16 {
    RtpPacket::parse(packet).unwrap().sequence_number()
}

fn interleaved(channel: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    [&[b'$', channel][..], &length.to_be_bytes(), payload].concat()
}

fn receiver_report() -> Vec<u8> {
    let mut report = vec![0; 8];
    assert_eq!(ReceiverReport::builder(77).write_into_unchecked(&mut report), 8);
    report
}

/// An RTP packet that somebody sends to us.
const RTP: &[u8] = &[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0x65, 0x88];

#[test]
fn whoever_says_nothing_or_half_of_something_is_closed() {
    beside_a_neighbour(5000, |recorder| {
        let url = recorder.tls_url(PATH);
        let secure: SocketAddr = url.split(['@', '/']).nth(3).unwrap().parse().unwrap();
        let body = format!(
            "GET_PARAMETER rtsp://{} RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 9\r\n\r\nhalf",
            recorder.address
        );
        let begun = [
            &b""[..],
            b"\r\n\r\n",
            b"OPTIONS",
            b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n",
            b"$\x01\x00",
            b"$\x01\x00\x09half",
            body.as_bytes(),
        ];
        let mut sockets: Vec<TcpStream> = begun
            .iter()
            .map(|bytes| {
                let mut socket = connect(recorder);
                socket.write_all(bytes).unwrap();
                socket
            })
            .collect();
        // A handshake that is not begun, and one that is not ended.
        for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
            let mut socket = connect_to(secure);
            socket.write_all(begun).unwrap();
            sockets.push(socket);
        }
        let all = 1 + sockets.len();
        recorder.wait_until(SOON, "all are taken in", || recorder.server.stats().clients == all);
        for socket in &mut sockets {
            assert_eq!(until_closed(socket), "", "without a word");
        }
    });
}

#[test]
fn whoever_falls_silent_is_closed_whatever_was_said_before() {
    beside_a_neighbour(5000, |recorder| {
        let conversations: Vec<Wire> = (1..=4)
            .map(|steps| {
                let mut wire = Wire::connect(recorder.address, PATH);
                advance(&mut wire, steps, "RTP/AVP/TCP;unicast;interleaved=0-1");
                wire
            })
            .collect();
        for mut wire in conversations {
            assert!(matches!(wire.next(), Came::End));
        }
    });
}

/// The first `steps` of OPTIONS, DESCRIBE, SETUP, PLAY and PAUSE, PLAY.
fn advance(wire: &mut Wire, steps: usize, transport: &str) {
    let transport = format!("Transport: {transport}\r\n");
    let all = [
        &[("OPTIONS", "", "")][..],
        &[("DESCRIBE", "", "")],
        &[("SETUP", "/trackID=0", transport.as_str())],
        &[("PLAY", "", ""), ("PAUSE", "", "")],
        &[("PLAY", "", "")],
    ];
    for (method, below, headers) in all[..steps].iter().copied().flatten() {
        assert_eq!(wire.request(method, below, headers).status, 200, "{method}");
    }
}

#[test]
fn leaving_at_any_moment_leaves_nothing_behind() {
    beside_a_neighbour(5000, |recorder| {
        for transport in ["RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=50000-50001"] {
            for steps in 0..=5 {
                let leave: [fn(&TcpStream); 3] = [
                    |_| {},
                    |socket| socket.shutdown(Shutdown::Write).unwrap(),
                    // With a reset in place of an end.
                    |socket| socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap(),
                ];
                for leave in leave {
                    let mut wire = Wire::connect(recorder.address, PATH);
                    advance(&mut wire, steps, transport);
                    leave(&wire.socket);
                }
            }
        }
        // Sooner than any time-out: the ends themselves say so.
        recorder.wait_until(SOON, "one is left", || {
            let stats = recorder.server.stats();
            (stats.clients, stats.watchers, recorder.watching()) == (1, 1, 1)
        });
    });
}

#[test]
fn byte_by_byte_is_a_way_to_speak() {
    beside_a_neighbour(5000, |recorder| {
        let mut wire = Wire::connect(recorder.address, PATH);
        wire.socket.set_nodelay(true).unwrap();
        assert_eq!(wire.request("DESCRIBE", "", "").status, 200);
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
        for (method, below, headers) in [
            ("OPTIONS", "", ""),
            ("DESCRIBE", "", "Accept: application/sdp\r\n"),
            ("SETUP", "/trackID=0", transport),
            ("PLAY", "", ""),
            ("GET_PARAMETER", "", ""),
            ("TEARDOWN", "", ""),
        ] {
            let text = wire.text(method, below, headers);
            for byte in text.as_bytes() {
                wire.socket.write_all(std::slice::from_ref(byte)).unwrap();
            }
            assert_eq!(wire.reply().status, 200, "{method}");
        }
    });
}

#[test]
fn bytes_that_never_become_a_request_are_no_sign_of_life() {
    beside_a_neighbour(5000, |recorder| {
        let first = connect(recorder);
        let head = connect(recorder);
        let mut later = Wire::connect(recorder.address, PATH);
        advance(&mut later, 3, "RTP/AVP/TCP;unicast;interleaved=0-1");
        let begun: [(TcpStream, &[u8]); 3] = [
            (first, b"OPTIONS * RTSP/1.0\r\nX: "),
            (head, b"GET /ch1/main HTTP/1.0\r\nx-sessioncookie: "),
            (later.socket, b"GET_PARAMETER rtsp://a/ch1/main RTSP/1.0\r\nX: "),
        ];
        for (mut socket, begun) in begun {
            socket.write_all(begun).unwrap();
            // Between two bytes is a tenth of a second in which it may be closed.
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let closed = (0..200).any(|_| {
                socket.write_all(b"x").is_err()
                    || match socket.read(&mut [0; 64]) {
                        Ok(0) => true,
                        Ok(_) => panic!("an answer to half a request"),
                        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    }
            });
            assert!(closed, "{}", String::from_utf8_lossy(begun));
        }
    });
}

#[test]
fn sequence_numbers_are_repeated_as_they_come_and_nonsense_is_refused() {
    beside_a_neighbour(5000, |recorder| {
        let mut wire = Wire::connect(recorder.address, PATH);
        // Repeated, falling, the largest and the smallest.
        for number in ["7", "7", "3", "4294967295", "0", "1"] {
            let text = format!("OPTIONS * RTSP/1.0\r\nCSeq: {number}\r\n\r\n");
            wire.socket.write_all(text.as_bytes()).unwrap();
            let reply = wire.reply();
            assert_eq!((reply.status, reply.header("CSeq")), (200, Some(number)));
        }
        for nonsense in [
            "CSeq: 4294967296",
            "CSeq: -1",
            "CSeq: one",
            "CSeq:",
            "X: none",
            "CSeq: 1\r\nCSeq: 2",
            "CSeq: 1 2",
        ] {
            let mut wire = Wire::connect(recorder.address, PATH);
            for fault in 1..=3 {
                let text = format!("OPTIONS * RTSP/1.0\r\n{nonsense}\r\n\r\n");
                wire.socket.write_all(text.as_bytes()).unwrap();
                let reply = wire.reply();
                assert_eq!((reply.status, reply.header("CSeq")), (400, None), "{nonsense}, time {fault}");
            }
            assert!(matches!(wire.next(), Came::End), "{nonsense}: three of them end it");
        }
        // In a session the numbers of requests mean nothing else than of answers.
        advance(&mut wire, 5, "RTP/AVP/TCP;unicast;interleaved=0-1");
        wire.socket.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 0\r\n\r\n").unwrap();
        assert_eq!(wire.reply().header("CSeq"), Some("0"));
        wire.packet(0);
        assert_eq!(wire.request("TEARDOWN", "", "").status, 200);
    });
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    beside_a_neighbour(5000, |recorder| {
        let mut wire = Wire::connect(recorder.address, PATH);
        wire.set_up("0-1");
        let methods =
            ["PLAY", "GET_PARAMETER", "PAUSE", "OPTIONS", "DESCRIBE", "PLAY", "PLAY", "TEARDOWN", "PLAY"];
        let texts: Vec<String> = methods.map(|method| wire.text(method, "", "")).to_vec();
        wire.socket.write_all(texts.concat().as_bytes()).unwrap();
        for (method, text) in methods.iter().zip(&texts) {
            let cseq = text.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap();
            let reply = wire.reply();
            let expected = if text == texts.last().unwrap() { 454 } else { 200 };
            assert_eq!((reply.status, reply.header("CSeq")), (expected, Some(cseq)), "{method}");
        }
        // More of them than anybody needs are refused, and end it.
        let mut flood = connect(recorder);
        let _ = flood.write_all("OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n".repeat(500).as_bytes());
        let said = until_closed(&mut flood);
        let statuses: Vec<&str> = said.lines().filter(|line| line.starts_with("RTSP/1.0 ")).collect();
        let granted = statuses.iter().filter(|line| line.contains(" 200 ")).count();
        assert!((60..100).contains(&granted), "{granted}");
        assert!(statuses.last().unwrap().contains(" 503 ") && statuses.len() == granted + 1, "{said}");
    });
}

#[test]
fn packets_before_anything_plays_mean_nothing() {
    beside_a_neighbour(5000, |recorder| {
        let mut wire = Wire::connect(recorder.address, PATH);
        let early = [interleaved(0, RTP), interleaved(1, &receiver_report()), interleaved(9, b"")].concat();
        for steps in [("OPTIONS", ""), ("DESCRIBE", "")] {
            wire.socket.write_all(&early).unwrap();
            assert_eq!(wire.request(steps.0, steps.1, "").status, 200);
        }
        wire.set_up("0-1");
        wire.socket.write_all(&early).unwrap();
        let play = wire.request("PLAY", "", "");
        let announced = play.header("RTP-Info").unwrap().to_owned();
        let first = sequence(&wire.packet(0));
        assert!(announced.contains(&format!(";seq={first};")), "{announced} {first}");
        // The same by datagrams.
        let mut ears = Ears::prepare(recorder.address, PATH);
        for _ in 0..10 {
            ears.rtp.send_to(RTP, ("127.0.0.1", ears.server_rtp)).unwrap();
            ears.rtcp.send_to(&receiver_report(), ("127.0.0.1", ears.server_rtcp)).unwrap();
            ears.rtcp.send_to(b"no packet", ("127.0.0.1", ears.server_rtcp)).unwrap();
        }
        ears.play();
        assert!(ears.packet().len() > 12);
    });
}

/// The status of an answer that comes among the next packets, none of which may be missing.
fn answer_between_packets(wire: &mut Wire, last: &mut u16, packets: usize) -> Option<u16> {
    let mut taken = 0;
    while taken < packets {
        match wire.next() {
            Came::Packet(0, packet) => {
                assert_eq!(sequence(&packet), last.wrapping_add(1));
                *last = last.wrapping_add(1);
                taken += 1;
            }
            Came::Packet(..) => {}
            Came::Reply(reply) => return Some(reply.status),
            Came::End => panic!("closed"),
        }
    }
    None
}

#[test]
fn what_comes_on_channels_is_taken_or_thrown_away() {
    beside_a_neighbour(5000, |recorder| {
        let mut wire = Wire::connect(recorder.address, PATH);
        wire.set_up("0-1");
        assert_eq!(wire.request("PLAY", "", "").status, 200);
        let mut last = sequence(&wire.packet(0));
        for garbage in [
            interleaved(0, b""),
            interleaved(1, b""),
            interleaved(200, b"nobody's"),
            interleaved(1, b"no report"),
            interleaved(1, &[0xff; 2048]),
            interleaved(1, &[0xff; 2049]),
            interleaved(255, &[b'$'; 65_535]),
        ] {
            wire.socket.write_all(&garbage).unwrap();
            // It would not be found behind what was not understood.
            wire.send("GET_PARAMETER", "", "");
            assert_eq!(answer_between_packets(&mut wire, &mut last, 1000), Some(200));
        }
        // Less comes than was said: what follows is taken for it.
        wire.socket.write_all(b"$\x01\xff\xffhalf").unwrap();
        wire.send("TEARDOWN", "", "");
        assert_eq!(answer_between_packets(&mut wire, &mut last, 100), None);
        assert_eq!(recorder.watching(), 2);
        drop(wire);
        // Whoever plays nothing yet, and goes on like that, says nothing.
        let mut silent = Wire::connect(recorder.address, PATH);
        silent.set_up("0-1");
        silent.socket.write_all(b"$\x01\xff\xffhalf").unwrap();
        silent.send("PLAY", "", "");
        assert!(matches!(silent.next(), Came::End));
    });
}

#[test]
fn whoever_never_reads_is_closed() {
    beside_a_neighbour(100_000, |recorder| {
        let mut deaf = Wire::connect_narrow(recorder.address, PATH);
        deaf.set_up("0-1");
        deaf.send("PLAY", "", "");
        recorder.wait_until(SOON, "it plays", || recorder.watching() == 2);
        recorder.wait_until(Duration::from_secs(60), "it is given up", || recorder.watching() == 1);
        recorder.wait_until(SOON, "and closed", || recorder.server.stats().clients == 1);
    });
}

#[test]
fn half_of_a_tunnel_that_goes_takes_the_other_with_it() {
    beside_a_neighbour(5000, |recorder| {
        let opened = recorder.server.stats().tunnels_opened;
        let mut wire = Wire::tunnel(recorder.address, PATH, "gone");
        wire.set_up("0-1");
        assert_eq!(wire.request("PLAY", "", "").status, 200);
        wire.packet(0);
        assert_eq!(recorder.server.stats().tunnels_opened, opened + 1);
        let mut post = wire.post.take().unwrap();
        drop(wire);
        assert_eq!(until_closed(&mut post), "");
    });
}

/// Its ports are closed, and its machine says so to each datagram.
#[test]
fn a_udp_client_whose_ports_are_closed_ends_alone() {
    beside_a_neighbour(5000, |recorder| {
        let mut vanished = Ears::prepare(recorder.address, PATH);
        vanished.play();
        vanished.packet();
        let mut stays = Ears::prepare(recorder.address, PATH);
        stays.play();
        let mut last = sequence(&stays.packet());
        let Ears { wire: mut control, rtp, rtcp, .. } = vanished;
        drop((rtp, rtcp));
        assert_eq!(recorder.watching(), 3);
        let mut packets = 0u32;
        // Until the server has given the other up, and a while longer.
        let mut more = 100;
        while more > 0 {
            let now = sequence(&stays.packet());
            assert_eq!(now, last.wrapping_add(1), "after {packets} packets");
            last = now;
            packets += 1;
            if packets.is_multiple_of(20) {
                stays.rtcp.send_to(&receiver_report(), ("127.0.0.1", stays.server_rtcp)).unwrap();
            }
            more -= i32::from(recorder.watching() == 2);
        }
        assert!(matches!(control.next(), Came::End));
        assert_eq!(stays.wire.request("TEARDOWN", "", "").status, 200);
    });
}
