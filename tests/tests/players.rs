//! The players that people have play a live channel, over TCP, UDP and TLS.

use std::process::Command;
use std::thread;
use std::time::Duration;

use tests::live555::{Live555, Way};
use tests::players::{Transport, ffmpeg, ffprobe, gstreamer, motion, mpv};
use tests::{Recorder, Setup, retina, run};

/// How long each plays.
const SECONDS: u32 = 20;
/// What 20 s of 15 frames give; less the time that a player takes to find its first keyframe and to start its
/// own clock, on a machine that runs all of them.
const FRAMES: usize = 20 * 15;
const ENOUGH: usize = FRAMES - 3 * 15;
/// A simulated input's sound is 50 frames of G.711 a second.
const ENOUGH_SOUND: usize = (SECONDS as usize - 3) * 50;

#[test]
fn every_player_plays_twenty_seconds_over_tcp_and_udp() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let url = recorder.rtsp_url("ch1/main");
    let live555 = Live555::find();
    if live555.is_none() {
        println!(
            "VLC and openRTSP are left out: `xtask/install.sh test` could not get them, or this is not root"
        );
    }
    let secure = recorder.rtsps_url("ch1/main");
    thread::scope(|scope| {
        let mut players = vec![
            ("ffmpeg over TLS", scope.spawn(|| ffmpeg(&secure, Transport::Tcp, SECONDS))),
            ("gst-launch-1.0 over TLS", scope.spawn(|| gstreamer(&secure, Transport::Tcp, SECONDS, FRAMES))),
        ];
        for transport in [Transport::Tcp, Transport::Udp] {
            let url = &url;
            players.push(("ffprobe", scope.spawn(move || ffprobe(url, transport, SECONDS))));
            players.push(("ffmpeg", scope.spawn(move || ffmpeg(url, transport, SECONDS))));
            players.push(("gst-launch-1.0", scope.spawn(move || gstreamer(url, transport, SECONDS, FRAMES))));
            players.push(("mpv", scope.spawn(move || mpv(url, transport, SECONDS, FRAMES))));
            players.push((
                "retina",
                scope.spawn(move || {
                    let taken = retina(url, transport, SECONDS);
                    assert!(taken.sounds >= ENOUGH_SOUND, "retina, {transport:?}: {taken:?}");
                    taken.pictures
                }),
            ));
        }
        if let Some(live555) = &live555 {
            players
                .push(("openRTSP over TLS", scope.spawn(|| live555.open_rtsp(&secure, Way::Tcp, SECONDS))));
        }
        for way in [Way::Tcp, Way::Udp, Way::Http] {
            let Some(live555) = &live555 else { break };
            let url = &url;
            players.push(("VLC", scope.spawn(move || live555.vlc(url, way, SECONDS))));
            players.push(("openRTSP", scope.spawn(move || live555.open_rtsp(url, way, SECONDS))));
        }
        // It takes its time to begin with a movie, so that one is shorter.
        let recorded = scope.spawn(|| motion(&url, Transport::Tcp, SECONDS / 2));
        let played: Vec<_> = players.into_iter().map(|(name, player)| (name, player.join())).collect();
        for (name, frames) in played {
            let frames = frames.unwrap_or_else(|_| panic!("{name} failed; see above"));
            println!("{name}: {frames} frames");
            assert!(frames >= ENOUGH, "{name} received {frames} frames of {FRAMES}");
        }
        let frames = recorded.join().unwrap_or_else(|_| panic!("motion failed; see above"));
        println!("motion: {frames} frames");
        assert!(frames >= ENOUGH / 2, "motion recorded {frames} frames of {}", FRAMES / 2);
    });
}

#[test]
fn a_wrong_key_and_a_missing_one_are_refused() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let right = recorder.rtsp_url("ch1/main");
    let wrong = right.replace(recorder.stream_key(), "wrong-wrong-wrong-wrong");
    let none = format!("rtsp://127.0.0.1:{}/ch1/main", recorder.rtsp_port());
    for url in [&wrong, &none] {
        let mut command = Command::new("ffprobe");
        let done =
            run(Duration::from_secs(60), command.args(["-v", "error", "-rtsp_transport", "tcp"]).arg(url));
        assert!(!done.status.success());
        assert!(done.stderr.contains("401 Unauthorized"), "{}", done.stderr);
    }
    assert!(ffprobe(&right, Transport::Tcp, 1) > 0);
}
