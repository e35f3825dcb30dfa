//! Players of the field against the server, in real time: none may print an error.

mod common;

use std::process::{Command, Output};
use std::time::Duration;

use common::Recorder;
use common::footage::Clip;
use common::gst::{self, Branch};

/// Runs a player; it must end by itself with success and say nothing on `stderr`.
fn silent(command: &mut Command) {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{command:?}: {}\n{said}", output.status);
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// How long each plays; CANDOR_PLAY_SEC=20 for a thorough run.
fn play_sec() -> u32 {
    std::env::var("CANDOR_PLAY_SEC").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn ffmpeg(transport: &str, url: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-rtsp_transport", transport]);
    // Of datagrams: a keyframe of 100 KB and more waits there while another program has the processor.
    command.args(["-buffer_size", "4000000", "-i", url]);
    command.args(["-t", &play_sec().to_string(), "-f", "null", "-"]);
    command
}

fn street() -> Recorder {
    let mut recorder = Recorder::new();
    let (video, audio) = (Clip::street(recorder.dir.path()), Clip::aac(recorder.dir.path()));
    recorder.channel(1, video, Some(audio));
    recorder
}

#[test]
fn ffmpeg_plays_h264_and_aac() {
    let recorder = street();
    for transport in ["tcp", "udp"] {
        silent(&mut ffmpeg(transport, &recorder.url("/ch1/main")));
    }
    recorder.wait_until(Duration::from_secs(10), "nobody watches", || recorder.watching() == 0);
    let seen = recorder.gate.seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|watch| watch.user == common::USER && watch.from.ip().is_loopback()));
}

#[test]
fn ffmpeg_plays_h265_and_g711() {
    let mut recorder = Recorder::new();
    let (video, audio) = (Clip::h265(recorder.dir.path()), Clip::alaw(recorder.dir.path()));
    recorder.channel(1, video, Some(audio));
    for transport in ["tcp", "udp"] {
        silent(&mut ffmpeg(transport, &recorder.url("/ch1/main")));
    }
}

#[test]
fn ffmpeg_plays_b_frames_and_large_keyframes() {
    let mut recorder = Recorder::new();
    let clip = Clip::h264(recorder.dir.path(), "large", 1920, "-bf 2 -g 50 -b:v 8M -tune psnr");
    recorder.channel(1, clip, None);
    for transport in ["tcp", "udp"] {
        silent(&mut ffmpeg(transport, &recorder.url("/ch1/main")));
    }
}

#[test]
fn ffprobe_names_both_tracks() {
    let recorder = street();
    for transport in ["tcp", "udp"] {
        let output = run(Command::new("ffprobe").args(["-v", "error", "-rtsp_transport", transport]).args([
            "-show_entries",
            "stream=codec_name,width,height,sample_rate,channels",
            "-of",
            "compact=p=0",
            &recorder.url("/ch1/main"),
        ]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("codec_name=h264|width=768|height=432"), "{text}");
        assert!(text.contains("codec_name=aac|sample_rate=48000|channels=2"), "{text}");
    }
}

#[test]
fn gstreamer_plays() {
    let recorder = street();
    let branches = [
        Branch {
            media: "video",
            elements: "rtph264depay ! h264parse ! avdec_h264",
            buffers: 12 * play_sec(),
        },
        Branch { media: "audio", elements: "rtpmp4gdepay ! aacparse ! avdec_aac", buffers: 44 * play_sec() },
    ];
    for transport in ["tcp", "udp"] {
        gst::play(&format!("rtsp://{}/ch1/main", recorder.address), transport, &branches);
        recorder.wait_until(Duration::from_secs(10), "it left", || recorder.watching() == 0);
    }
    assert_eq!(recorder.gate.seen.lock().unwrap().len(), 2, "both played");
}

#[test]
fn ffmpeg_plays_through_http_and_https() {
    let mut recorder = street();
    let secure = recorder.tls_url("/ch1/main").replacen("rtsps:", "rtsp:", 1);
    silent(&mut ffmpeg("http", &recorder.url("/ch1/main")));
    silent(&mut ffmpeg("https", &secure));
    let seen = recorder.gate.seen.lock().unwrap();
    let via: Vec<_> = seen.iter().map(|watch| watch.via).collect();
    assert_eq!(via, [rtsp::Via::Rtsp, rtsp::Via::Rtsps]);
    assert_eq!(recorder.server.stats().tunnels_opened, 2);
}

#[test]
fn gstreamer_plays_over_tls_and_through_http_and_https() {
    let mut recorder = street();
    let secure = recorder.tls_url("/ch1/main");
    let secure = secure.rsplit('@').next().unwrap();
    let video = "rtph264depay ! h264parse ! avdec_h264";
    let branches = [Branch { media: "video", elements: video, buffers: 6 * play_sec() }];
    for (location, transport) in [
        (format!("rtsph://{}/ch1/main", recorder.address), "tcp+http"),
        (format!("rtspsh://{secure}"), "tcp+http+tls"),
        (format!("rtsps://{secure}"), "tcp+tls"),
    ] {
        gst::play(&location, transport, &branches);
        recorder.wait_until(Duration::from_secs(10), "it left", || recorder.server.stats().clients == 0);
    }
    let seen = recorder.gate.seen.lock().unwrap();
    let via: Vec<_> = seen.iter().map(|watch| watch.via).collect();
    assert_eq!(via, [rtsp::Via::Rtsp, rtsp::Via::Rtsps, rtsp::Via::Rtsps]);
    assert_eq!(recorder.server.stats().tunnels_opened, 2);
}

/// RTSP 2.0 where a player asks for it.
#[test]
fn gstreamer_plays_in_the_second_version() {
    let recorder = street();
    let video = "rtph264depay ! h264parse ! avdec_h264";
    let branches = [Branch { media: "video", elements: video, buffers: 6 * play_sec() }];
    for transport in ["tcp", "udp"] {
        gst::play_as(&format!("rtsp://{}/ch1/main", recorder.address), transport, "2-0", &branches);
        recorder.wait_until(Duration::from_secs(10), "it left", || recorder.watching() == 0);
    }
}

#[test]
fn ffmpeg_plays_over_tls() {
    let mut recorder = street();
    let url = recorder.tls_url("/ch1/main");
    silent(&mut ffmpeg("tcp", &url));
    let seen = recorder.gate.seen.lock().unwrap();
    assert_eq!(seen.iter().map(|watch| watch.via).collect::<Vec<_>>(), [rtsp::Via::Rtsps]);
}
