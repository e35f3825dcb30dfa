//! RTSP through HTTP, byte by byte: what works, and what must not.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::Recorder;
use common::wire::{Came, Wire, http};
use rtsp::ServerOptions;

const PATH: &str = "/ch1/main";

fn recorder(options: ServerOptions) -> Recorder {
    let mut recorder = Recorder::with(options);
    recorder.noise(1, 5000, 10);
    recorder
}

/// Sends `bytes` and returns all that comes back until the connection is closed.
fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may have closed before it has read everything.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed")
}

#[test]
fn a_session_through_two_connections_and_more() {
    let recorder = recorder(ServerOptions::default());
    let mut wire = Wire::tunnel(recorder.address, PATH, "Zm9v");
    wire.set_up("0-1");
    assert_eq!(wire.request("PLAY", "", "").status, 200);
    assert_eq!(wire.packet(0)[0], 0x80);
    assert_eq!((recorder.server.stats().clients, recorder.server.stats().tunnels), (2, 1));
    // A client whose announced length is used up opens a POST anew, and may be faster than the end of the last.
    let last = wire.post.take();
    wire.open_post(recorder.address, "Zm9v");
    drop(last);
    assert_eq!(wire.request("PAUSE", "", "").status, 200);
    let udp = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n";
    assert_eq!(wire.request("TEARDOWN", "", "").status, 200);
    wire.session = None;
    assert_eq!(wire.request("SETUP", "/trackID=0", udp).status, 461, "no datagrams");
    drop(wire);
    recorder.wait_until(Duration::from_secs(10), "both are gone", || recorder.server.stats().clients == 0);
    assert_eq!((recorder.server.stats().tunnels, recorder.server.stats().tunnels_given_up), (0, 0));
}

#[test]
fn what_opens_no_tunnel_is_answered_and_closed() {
    let recorder = recorder(ServerOptions::default());
    let ask = |text: &str| ask(recorder.address, text.as_bytes());
    assert_eq!(status(&ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), "400");
    assert_eq!(status(&ask("GET ../../etc/passwd HTTP/1.0\r\n\r\n")), "400");
    assert_eq!(status(&ask(&http("POST", "never-opened"))), "404");
    assert_eq!(status(&ask(&http("GET", &"a".repeat(1000)))), "400");
    assert_eq!(status(&ask(&http("GET", &"a".repeat(100_000)))), "431");
    let open = Wire::tunnel(recorder.address, PATH, "taken");
    assert_eq!(status(&ask(&http("GET", "taken"))), "409");
    let answer = ask(&http("POST", "<script>"));
    assert!(status(&answer) == "404" && !answer.contains("script"));
    drop(open);
}

#[test]
fn a_post_from_elsewhere_joins_nothing() {
    let mut recorder = recorder(ServerOptions::default());
    let mut get = TcpStream::connect(recorder.address).unwrap();
    get.write_all(http("GET", "bound").as_bytes()).unwrap();
    let mut opened = [0; 12];
    get.read_exact(&mut opened).unwrap();
    assert_eq!(&opened, b"HTTP/1.0 200");
    // Another address of this machine.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.2:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&recorder.address.into()).unwrap();
    let mut socket = TcpStream::from(socket);
    socket.write_all(http("POST", "bound").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "404");
    // In clear, to a GET over TLS.
    let url = recorder.tls_url(PATH);
    let secure: SocketAddr = url.split(['@', '/']).nth(3).unwrap().parse().unwrap();
    assert_eq!(status(&ask(secure, http("POST", "bound").as_bytes())), "closed");
    assert_eq!(recorder.server.stats().tunnels, 1);
}

#[test]
fn half_open_tunnels_are_bounded_time_out_and_are_counted() {
    let options = ServerOptions { session_timeout: Duration::from_secs(2), ..ServerOptions::default() };
    let recorder = recorder(options);
    let get = |cookie: &str| {
        let mut socket = TcpStream::connect(recorder.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(http("GET", cookie).as_bytes()).unwrap();
        let mut opened = [0; 12];
        socket.read_exact(&mut opened).unwrap();
        (socket, String::from_utf8(opened.to_vec()).unwrap())
    };
    let mut half: Vec<_> = (0..9).map(|number| get(&number.to_string())).collect();
    assert_eq!(half.pop().unwrap().1, "HTTP/1.0 503");
    for (mut socket, opened) in half {
        assert_eq!(opened, "HTTP/1.0 200");
        // It is closed without being asked.
        let _ = socket.read_to_end(&mut Vec::new());
    }
    // A POST that ends, and no other comes.
    let mut wire = Wire::tunnel(recorder.address, PATH, "again");
    wire.set_up("0-1");
    assert_eq!(wire.request("PLAY", "", "").status, 200);
    wire.post = None;
    while !matches!(wire.next(), Came::End) {}
    // Neither half: nothing, and a head that never ends.
    for begun in ["", "GET / HTTP/1.0\r\nx-sess"] {
        assert_eq!(ask(recorder.address, begun.as_bytes()), "");
    }
    recorder.wait_until(Duration::from_secs(10), "all are gone", || recorder.server.stats().clients == 0);
    assert_eq!((recorder.server.stats().tunnels, recorder.server.stats().tunnels_given_up), (0, 9));
}

#[test]
fn what_is_not_base64_ends_the_tunnel() {
    let recorder = recorder(ServerOptions::default());
    for (cookie, garbage) in
        [("a", &b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"[..]), ("b", &[0; 5000]), ("c", b"====")]
    {
        let mut wire = Wire::tunnel(recorder.address, PATH, cookie);
        // It may be closed at any time.
        let _ = wire.post.as_mut().unwrap().write_all(garbage);
        assert!(matches!(wire.next(), Came::End), "{cookie}");
    }
    // What is base64 but no RTSP is answered as on any connection, and ends it at the third.
    let mut wire = Wire::tunnel(recorder.address, PATH, "d");
    let text = "R0VUIC8gSFRUUC8xLjENCg0K".repeat(3);
    wire.post.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    for _ in 0..3 {
        assert_eq!(wire.reply().status, 400);
    }
    assert!(matches!(wire.next(), Came::End));
}
