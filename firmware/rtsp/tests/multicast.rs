//! Multicast: real players, and what is on the wire, in networks of the tests' own.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::Recorder;
use common::footage::Clip;
use common::gst::{self, Branch};
use common::network::own_network;
use common::wire::{Came, Wire};
use hal::{Clock, SystemClock};
use rtcp_types::{Compound, Packet, ReceiverReport, RtcpPacketWriter};
use rtp_types::RtpPacket;
use rtsp::ServerOptions;

const PATH: &str = "/ch1/main";

const VIDEO_PAYLOAD_TYPE: u8 = 96;

/// What FFmpeg plays at least, until the other player's farewell may end it.
const FRAMES: u32 = 10;

/// The group of channel 1's main stream.
const RTP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 0, 0), 16_384);
const RTCP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 0, 0), 16_385);

fn street(options: ServerOptions) -> Recorder {
    let mut recorder = Recorder::with(options);
    let (video, audio) = (Clip::street(recorder.dir.path()), Clip::aac(recorder.dir.path()));
    recorder.channel(1, video, Some(audio));
    recorder.gate.multicast.store(true, Ordering::SeqCst);
    recorder
}

fn noise(options: ServerOptions) -> Recorder {
    let mut recorder = Recorder::with(options);
    recorder.noise(1, 5000, 25);
    recorder.gate.multicast.store(true, Ordering::SeqCst);
    recorder
}

/// A receiver that nobody knows of.
fn witness(group: SocketAddrV4) -> UdpSocket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&group.into()).unwrap();
    socket.join_multicast_v4(group.ip(), &Ipv4Addr::LOCALHOST).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.into()
}

fn next(witness: &UdpSocket) -> Vec<u8> {
    let mut packet = vec![0; 2048];
    let length = witness.recv(&mut packet).expect("the group goes on");
    packet.truncate(length);
    packet
}

fn timestamp(packet: &[u8]) -> u32 {
    RtpPacket::parse(packet).unwrap().timestamp()
}

/// DESCRIBE, SETUP and PLAY of the video.
fn play(recorder: &Recorder) -> Wire {
    let mut wire = Wire::connect(recorder.address, PATH);
    assert_eq!(wire.request("DESCRIBE", "", "").status, 200);
    let answer = wire.request("SETUP", "/trackID=0", "Transport: RTP/AVP;multicast\r\n");
    let transport = answer.header("Transport").unwrap();
    assert!(
        transport.starts_with("RTP/AVP;multicast;destination=239.192.0.0;port=16384-16385;ttl=1;"),
        "{transport}"
    );
    assert_eq!(wire.request("PLAY", "", "").status, 200);
    wire
}

/// FFmpeg, which plays until it is told to stop.
fn ffmpeg(url: &str) -> Child {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-progress", "pipe:1", "-rtsp_transport", "udp_multicast"]);
    command.args(["-buffer_size", "4000000", "-i", url, "-f", "null", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn players_share_what_is_sent_once() {
    if !own_network() {
        return;
    }
    let recorder = street(ServerOptions::default());
    let unseen = witness(RTP);
    unseen.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let over = Arc::<AtomicBool>::default();
    let ends = Arc::clone(&over);
    let listener = std::thread::spawn(move || {
        // The first packets are the recorder's, to FFmpeg.
        let mut ours = None;
        let (mut packets, mut last): (u32, Option<u16>) = (0, None);
        let mut packet = [0; 2048];
        loop {
            let Ok(length) = unseen.recv(&mut packet) else {
                if ends.load(Ordering::SeqCst) {
                    return packets;
                }
                continue;
            };
            // GStreamer's players send random bytes there to open firewalls, some of which look like RTP.
            let Ok(rtp) = RtpPacket::parse(&packet[..length]) else { continue };
            let is_video = rtp.payload_type() == VIDEO_PAYLOAD_TYPE;
            if !is_video || rtp.ssrc() != *ours.get_or_insert(rtp.ssrc()) {
                continue;
            }
            let sequence = rtp.sequence_number();
            let step = last.map_or(1, |last| sequence.wrapping_sub(last));
            assert!((1..1000).contains(&step), "packet {sequence} after {last:?}");
            (packets, last) = (packets + 1, Some(sequence));
        }
    });
    let mut first = ffmpeg(&recorder.url(PATH));
    recorder.wait_until(Duration::from_secs(20), "FFmpeg plays", || recorder.watching() == 1);
    // It comes in the middle.
    let video = "rtph264depay wait-for-keyframe=true ! h264parse ! avdec_h264";
    let sound = "rtpmp4gdepay ! aacparse ! avdec_aac";
    let branches = [
        Branch { media: "video", elements: video, buffers: 25 },
        Branch { media: "audio", elements: sound, buffers: 90 },
    ];
    gst::play(&format!("rtsp://{}{PATH}", recorder.address), "udp-mcast", &branches);
    assert_eq!(recorder.gate.most.load(Ordering::SeqCst), 2, "both play at once");
    // It tells twice a second how far it is, and goes on until it is told.
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines().map_while(Result::ok);
    let frames =
        |line: &String| line.strip_prefix("frame=").and_then(|frames| frames.trim().parse::<u32>().ok());
    let enough = lines.by_ref().any(|line| frames(&line).is_some_and(|frames| frames >= FRAMES));
    // Unless it has taken the other receiver's farewell for the stream's.
    let _ = first.stdin.take().unwrap().write_all(b"q");
    lines.for_each(drop);
    let output = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{}\n{said}", output.status);
    assert!(enough, "FFmpeg ended before it had played {FRAMES} frames");

    recorder.wait_until(Duration::from_secs(10), "both left", || recorder.watching() == 0);
    over.store(true, Ordering::SeqCst);
    let packets = listener.join().expect("no packet came twice");
    assert!(packets > 100, "{packets}");
    let seen = recorder.gate.seen.lock().unwrap();
    assert_eq!(seen.len(), 2, "each is known");
    assert!(seen.iter().all(|watch| watch.user == common::USER));
}

#[test]
fn who_comes_later_has_a_keyframe_asked_for_and_the_last_to_leave_ends_it() {
    if !own_network() {
        return;
    }
    let recorder = noise(ServerOptions::default());
    let (packets, reports) = (witness(RTP), witness(RTCP));
    let mut first = play(&recorder);
    let begun = timestamp(&next(&packets));
    let report = next(&reports);
    let mut report = Compound::parse(&report).unwrap();
    assert!(matches!(report.next(), Some(Ok(Packet::Sr(_)))), "with the sender's clock");
    // Beyond the second in which none is asked for again.
    while timestamp(&next(&packets)).wrapping_sub(begun) < 3 * 90_000 {}
    let asked = recorder.keyframes_asked();
    let mut others: Vec<Wire> = (0..3).map(|_| play(&recorder)).collect();
    recorder.wait_until(Duration::from_secs(10), "a keyframe is asked for", || {
        recorder.keyframes_asked() > asked
    });
    assert_eq!(recorder.watching(), 4);
    assert_eq!(first.request("TEARDOWN", "", "").status, 200);
    let begun = timestamp(&next(&packets));
    while timestamp(&next(&packets)).wrapping_sub(begun) < 90_000 {}
    for other in &mut others {
        assert_eq!(other.request("PAUSE", "", "").status, 200);
    }
    // What was on its way comes yet; then it is still for many times the distance of two pictures.
    packets.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut rest = 0;
    let mut packet = [0; 2048];
    while packets.recv(&mut packet).is_ok() {
        rest += 1;
        assert!(rest < 10_000, "it goes on for nobody");
    }
    assert_eq!(others[0].request("PLAY", "", "").status, 200);
    next(&packets);
}

#[test]
fn reports_in_the_group_keep_sessions_alive() {
    if !own_network() {
        return;
    }
    let timeout = Duration::from_secs(3);
    let recorder = noise(ServerOptions { session_timeout: timeout, ..ServerOptions::default() });
    let packets = witness(RTP);
    let mut wire = play(&recorder);
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut report = vec![0; 8];
    assert_eq!(ReceiverReport::builder(77).write_into_unchecked(&mut report), 8);
    let clock = SystemClock::new();
    let begin = clock.mono();
    while clock.mono().since(begin) < 3 * timeout {
        next(&packets);
        receiver.send_to(&report, RTCP).unwrap();
    }
    assert_eq!(recorder.watching(), 1, "it reports");
    assert!(matches!(wire.next(), Came::End), "silence ends it");
    recorder.wait_until(Duration::from_secs(10), "nobody watches", || recorder.watching() == 0);
}

#[test]
fn a_group_that_is_taken_away_ends_its_sessions() {
    if !own_network() {
        return;
    }
    let recorder = noise(ServerOptions::default());
    let mut wire = play(&recorder);
    recorder.gate.multicast.store(false, Ordering::SeqCst);
    assert!(matches!(wire.next(), Came::End));
    let mut refused = Wire::connect(recorder.address, PATH);
    assert_eq!(refused.request("DESCRIBE", "", "").status, 200);
    assert_eq!(refused.request("SETUP", "/trackID=0", "Transport: RTP/AVP;multicast\r\n").status, 461);
    let player = ffmpeg(&recorder.url(PATH)).wait_with_output().unwrap();
    assert!(!player.status.success(), "FFmpeg is refused too");
}
