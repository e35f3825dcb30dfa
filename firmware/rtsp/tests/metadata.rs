//! The metadata track byte by byte, and players that do not know it.

mod common;

use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bus::{Event, EventKind};
use common::Recorder;
use common::footage::Clip;
use common::gst::{self, Branch};
use common::wire::{Came, Wire};
use futures_util::StreamExt;
use hal::{ChannelId, Clock, SystemClock};
use quick_xml::Reader;
use retina::client::{Credentials, PlayOptions, Session, SessionOptions, SetupOptions};
use retina::codec::CodecItem;
use rtcp_types::{Compound, Packet};
use rtp_types::RtpPacket;
use rtsp::{Metadata, ServerOptions};

const PATH: &str = "/ch1/main?metadata=yes";
const TRACK: &str = "/trackID=2";

struct Told {
    recorder: Recorder,
    metadata: Arc<Metadata>,
}

impl Told {
    fn new() -> Self {
        let metadata = Arc::new(Metadata::new(Arc::new(SystemClock::new())));
        let options = ServerOptions { metadata: Some(Arc::clone(&metadata)), ..ServerOptions::default() };
        Self { recorder: Recorder::with(options), metadata }
    }

    fn tell(&self, kind: EventKind) {
        let at = SystemClock::new().wall();
        self.metadata.tell(&Event { at, channel: ChannelId::new(1), kind });
    }

    fn connect(&self) -> Wire {
        Wire::connect(self.recorder.address, PATH)
    }
}

/// A document whose packets come one by one; it has to be well-formed.
#[derive(Default)]
struct Joined(Vec<u8>);

impl Joined {
    fn push(&mut self, packet: &[u8]) -> Option<String> {
        let packet = RtpPacket::parse(packet).unwrap();
        assert_eq!(packet.payload_type(), 98);
        self.0.extend_from_slice(packet.payload());
        if !packet.marker_bit() {
            return None;
        }
        let document = String::from_utf8(std::mem::take(&mut self.0)).unwrap();
        let mut reader = Reader::from_str(&document);
        while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
        Some(document)
    }
}

fn document(wire: &mut Wire, channel: u8) -> String {
    let mut joined = Joined::default();
    loop {
        if let Some(document) = joined.push(&wire.packet(channel)) {
            return document;
        }
    }
}

fn says(document: &str, topic: &str, operation: &str, item: (&str, &str)) -> bool {
    let (name, value) = item;
    document.split("<wsnt:NotificationMessage>").any(|message| {
        message.contains(&format!(">tns1:{topic}<"))
            && message.contains(&format!("PropertyOperation=\"{operation}\""))
            && message.contains(&format!("Name=\"{name}\" Value=\"{value}\""))
    })
}

#[test]
fn it_is_described_where_it_is_asked_for_and_something_is_told() {
    let mut told = Told::new();
    told.recorder.noise(1, 1000, 25);
    let mut unasked = Wire::connect(told.recorder.address, "/ch1/main");
    assert!(!unasked.request("DESCRIBE", "", "").body.contains("m=application"));
    let described = told.connect().request("DESCRIBE", "", "").body;
    let section = described.split("m=").find(|part| part.starts_with("application")).unwrap();
    assert!(section.starts_with("application 0 RTP/AVP 98\r\n"), "{described}");
    let control = format!("a=control:rtsp://{}/ch1/main/trackID=2?metadata=yes", told.recorder.address);
    for line in ["a=rtpmap:98 vnd.onvif.metadata/90000", &control, "a=recvonly"] {
        assert!(section.contains(&format!("{line}\r\n")), "{described}");
    }
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    let mut nobody = Wire::connect(told.recorder.address, "/ch9/main?metadata=yes");
    assert_eq!(nobody.request("SETUP", TRACK, transport).status, 404);
    let mut plain = Recorder::new();
    plain.noise(1, 1000, 25);
    let mut wire = Wire::connect(plain.address, PATH);
    assert!(!wire.request("DESCRIBE", "", "").body.contains("m=application"));
    assert_eq!(wire.request("SETUP", TRACK, transport).status, 404);
}

#[test]
fn a_viewer_has_the_state_at_once_and_hears_what_changes() {
    let mut told = Told::new();
    told.recorder.noise(1, 1000, 25);
    told.tell(EventKind::SignalLost);
    told.tell(EventKind::SignalBack);
    told.tell(EventKind::Motion { active: true });
    let mut alone = told.connect();
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=6-7\r\n";
    assert_eq!(alone.request("DESCRIBE", "", "").status, 200);
    assert_eq!(alone.request("SETUP", TRACK, transport).status, 200);
    let play = alone.request("PLAY", "", "");
    assert!(play.header("RTP-Info").unwrap().contains("/trackID=2?metadata=yes;seq="), "{}", play.head);
    let state = document(&mut alone, 6);
    assert!(says(&state, "VideoSource/SignalLoss", "Initialized", ("State", "false")), "{state}");
    assert!(says(&state, "VideoSource/MotionAlarm", "Initialized", ("State", "true")), "{state}");

    // Another one beside pictures, whose channels it leaves to the server.
    let mut both = told.connect();
    assert_eq!(both.request("DESCRIBE", "", "").status, 200);
    for track in ["/trackID=0", TRACK] {
        assert_eq!(both.request("SETUP", track, "Transport: RTP/AVP/TCP;unicast\r\n").status, 200);
    }
    let play = both.request("PLAY", "", "");
    assert_eq!(play.header("RTP-Info").unwrap().matches("seq=").count(), 2, "{}", play.head);
    let state = document(&mut both, 4);
    assert!(says(&state, "VideoSource/MotionAlarm", "Initialized", ("State", "true")), "{state}");

    told.tell(EventKind::Motion { active: false });
    for (wire, channel) in [(&mut alone, 6), (&mut both, 4)] {
        let change = document(wire, channel);
        assert!(says(&change, "VideoSource/MotionAlarm", "Changed", ("State", "false")), "{change}");
        assert!(!change.contains("SignalLoss"), "{change}");
    }
    assert!(both.packet(0).len() > 12, "and pictures go on");
}

#[test]
fn over_udp_too_and_in_packets_that_fit() {
    let mut told = Told::new();
    told.recorder.noise(1, 1000, 25);
    for input in 1..=64 {
        told.tell(EventKind::DigitalInput { input, active: true });
    }
    let [rtp, rtcp] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    rtp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let mut wire = told.connect();
    assert_eq!(wire.request("DESCRIBE", "", "").status, 200);
    let transport = format!("Transport: RTP/AVP;unicast;client_port={}-{}\r\n", port(&rtp), port(&rtcp));
    assert_eq!(wire.request("SETUP", TRACK, &transport).status, 200);
    assert_eq!(wire.request("PLAY", "", "").status, 200);
    let (mut joined, mut buffer, mut packets) = (Joined::default(), [0; 2000], 0);
    let state = loop {
        let length = rtp.recv(&mut buffer).unwrap();
        assert!(length <= 1400);
        packets += 1;
        if let Some(document) = joined.push(&buffer[..length]) {
            break document;
        }
    };
    assert!(packets > 10, "{packets}");
    assert_eq!(state.matches("Device/Trigger/DigitalInput").count(), 64);
}

/// Each report names the wall time of a document's RTP time, by which receivers lay it beside pictures.
#[test]
fn reports_say_when_it_happened() {
    let mut told = Told::new();
    told.recorder.noise(1, 1000, 25);
    let mut wire = told.connect();
    assert_eq!(wire.request("DESCRIBE", "", "").status, 200);
    for track in ["/trackID=0", TRACK] {
        assert_eq!(wire.request("SETUP", track, "Transport: RTP/AVP/TCP;unicast\r\n").status, 200);
    }
    assert_eq!(wire.request("PLAY", "", "").status, 200);
    let mut walls = [None; 2];
    while walls.contains(&None) {
        let Came::Packet(channel @ (1 | 5), packet) = wire.next() else { continue };
        let Some(Ok(Packet::Sr(report))) = Compound::parse(&packet).unwrap().next() else {
            panic!("no report")
        };
        walls[usize::from(channel / 4)].get_or_insert((report.ntp_timestamp() >> 32) as i64);
    }
    let unix = SystemClock::new().wall().as_unix_micros() / 1_000_000 + 2_208_988_800;
    for wall in walls.into_iter().flatten() {
        assert!((unix - wall).abs() <= 20, "{wall} at {unix}");
    }
}

/// More happens than anybody could read: what is sent is bounded, and its end is true.
#[test]
fn a_flood_ends_in_the_state() {
    let mut told = Told::new();
    told.recorder.noise(1, 1000, 25);
    let mut wire = told.connect();
    assert_eq!(wire.request("DESCRIBE", "", "").status, 200);
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    assert_eq!(wire.request("SETUP", TRACK, transport).status, 200);
    assert_eq!(wire.request("PLAY", "", "").status, 200);
    for at in 0..100_001 {
        told.tell(EventKind::Motion { active: at % 2 == 0 });
    }
    told.tell(EventKind::SignalLost);
    let mut bytes = 0;
    loop {
        let document = document(&mut wire, 0);
        bytes += document.len();
        assert!(bytes < 10_000_000, "{bytes}");
        let lost = ["Initialized", "Changed"]
            .iter()
            .any(|operation| says(&document, "VideoSource/SignalLoss", operation, ("State", "true")));
        if lost {
            break;
        }
    }
    let mut late = told.connect();
    assert_eq!(late.request("DESCRIBE", "", "").status, 200);
    assert_eq!(late.request("SETUP", TRACK, transport).status, 200);
    assert_eq!(late.request("PLAY", "", "").status, 200);
    let mut state = document(&mut late, 0);
    while !state.contains("SignalLoss") {
        state = document(&mut late, 0);
    }
}

/// A client that knows what it is.
#[test]
fn retina_takes_whole_documents() {
    let mut told = Told::new();
    told.recorder.noise(1, 1000, 25);
    for input in 1..=10 {
        told.tell(EventKind::DigitalInput { input, active: true });
    }
    let url = format!("rtsp://{}{PATH}", told.recorder.address).parse().unwrap();
    let reading = async {
        let credentials = Credentials { username: common::USER.into(), password: common::KEY.into() };
        let options = SessionOptions::default().creds(Some(credentials));
        let mut session = Session::describe(url, options).await.unwrap();
        let track = session.streams().iter().position(|one| one.media() == "application").unwrap();
        assert_eq!(session.streams()[track].encoding_name(), "vnd.onvif.metadata");
        session.setup(track, SetupOptions::default()).await.unwrap();
        let playing = session.play(PlayOptions::default()).await.unwrap();
        let mut items = std::pin::pin!(playing.demuxed().unwrap());
        loop {
            if let CodecItem::MessageFrame(message) = items.next().await.unwrap().unwrap() {
                return String::from_utf8(message.data().to_vec()).unwrap();
            }
        }
    };
    let limited = async { tokio::time::timeout(Duration::from_secs(30), reading).await };
    let state = told.recorder.runtime().block_on(limited).expect("a document");
    assert!(state.starts_with("<?xml") && state.ends_with("</tt:MetadataStream>"), "{state}");
    assert_eq!(state.matches("Device/Trigger/DigitalInput").count(), 10);
}

/// Clients that know nothing of it play on beside it, and say nothing.
#[test]
fn players_that_do_not_know_it_play_on() {
    let mut told = Told::new();
    let (video, audio) = (Clip::street(told.recorder.dir.path()), Clip::aac(told.recorder.dir.path()));
    told.recorder.channel(1, video, Some(audio));
    told.tell(EventKind::SignalBack);
    for transport in ["tcp", "udp"] {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-rtsp_transport", transport]);
        command.args(["-buffer_size", "4000000", "-i", &told.recorder.url(PATH)]);
        command.args(["-t", "3", "-map", "0:v", "-map", "0:a", "-f", "null", "-"]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{transport}: {said}");
    }
    let branches = [
        Branch { media: "video", elements: "rtph264depay ! h264parse ! avdec_h264", buffers: 36 },
        Branch { media: "audio", elements: "rtpmp4gdepay ! aacparse ! avdec_aac", buffers: 130 },
    ];
    gst::play(&format!("rtsp://{}{PATH}", told.recorder.address), "tcp", &branches);
}
