//! SRTP: GStreamer, whose libsrtp takes it, and what is on the wire.

mod common;

use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use common::Recorder;
use common::footage::Clip;
use common::gst::{self, Branch};
use common::network::own_network;

/// The bytes of a packet's payload that are looked for in what was sent: behind the headers of RTP and of fragments.
const SAMPLE: std::ops::Range<usize> = 32..64;

/// Video packets with so many bytes are fragments of a picture and have no header in their middle.
const FRAGMENT_BYTES: usize = 1000;

/// Sees all datagrams of this network.
struct Sniffer {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Sniffer {
    fn start() -> Self {
        let (kind, protocol) = (socket2::Type::RAW, Some(socket2::Protocol::UDP));
        let mut socket = socket2::Socket::new(socket2::Domain::IPV4, kind, protocol).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let over = Arc::<AtomicBool>::default();
        let ends = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut found = Vec::new();
            let mut packet = [0; 4096];
            while !ends.load(Ordering::SeqCst) {
                let Ok(length) = socket.read(&mut packet) else { continue };
                // Behind IPv4's header, whose length it has, and UDP's.
                let begin = usize::from(packet[0] & 0xf) * 4 + 8;
                if begin < length && found.len() < 10_000 {
                    found.push(packet[begin..length].to_vec());
                }
            }
            found
        });
        Self { over, thread }
    }

    /// Fragments of pictures.
    fn stop(self) -> Vec<Vec<u8>> {
        self.over.store(true, Ordering::SeqCst);
        let mut packets = self.thread.join().unwrap();
        packets
            .retain(|packet| packet.len() > FRAGMENT_BYTES && packet[0] >> 6 == 2 && packet[1] & 0x7f == 96);
        packets
    }
}

/// How many of the packets are parts of the clip as it is.
fn in_clear(packets: &[Vec<u8>], clip: &Clip) -> usize {
    let is_in = |sample: &[u8]| {
        clip.units.iter().any(|unit| unit.data.windows(sample.len()).any(|part| part == sample))
    };
    packets.iter().filter(|packet| is_in(&packet[SAMPLE])).count()
}

#[test]
fn gstreamer_plays_what_nobody_else_can_read() {
    if !own_network() {
        return;
    }
    let mut recorder = Recorder::new();
    let video = Clip::h264(recorder.dir.path(), "large", 1280, "-bf 0 -g 50 -b:v 1500k");
    recorder.channel(1, video.clone(), Some(Clip::aac(recorder.dir.path())));
    let secure = recorder.tls_url("/ch1/main/srtp");
    let secure = format!("rtsps://{}", secure.rsplit('@').next().unwrap());
    let branches = || {
        let video = "rtph264depay ! h264parse ! avdec_h264";
        let sound = "rtpmp4gdepay ! aacparse ! avdec_aac";
        [
            Branch { media: "video", elements: video, buffers: 50 },
            Branch { media: "audio", elements: sound, buffers: 90 },
        ]
    };

    let plain = Sniffer::start();
    gst::play(&format!("rtsp://{}/ch1/main", recorder.address), "udp", &branches());
    let plain = &plain.stop()[..5];
    assert_eq!(in_clear(plain, &video), plain.len(), "it is seen where it is in clear");

    let sealed = Sniffer::start();
    gst::play(&secure, "udp", &branches());
    let sealed = sealed.stop();
    assert!(sealed.len() > 10, "{}", sealed.len());
    assert_eq!(in_clear(&sealed[..10], &video), 0);

    let none = Sniffer::start();
    gst::play(&secure, "tcp", &branches());
    assert_eq!(none.stop().len(), 0, "all of it is in the connection");
    let in_tls = secure.replacen("rtsps://", &format!("rtsps://{}:{}@", common::USER, common::KEY), 1);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args([
        "-nostdin",
        "-v",
        "error",
        "-rtsp_transport",
        "tcp",
        "-i",
        &in_tls,
        "-t",
        "2",
        "-f",
        "null",
        "-",
    ]);
    let output = ffmpeg.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");

    recorder.wait_until(Duration::from_secs(10), "it left", || recorder.watching() == 0);
    let seen = recorder.gate.seen.lock().unwrap();
    let via: Vec<_> = seen.iter().map(|watch| watch.via).collect();
    assert_eq!(via[1..], [rtsp::Via::Rtsps; 3]);
}
