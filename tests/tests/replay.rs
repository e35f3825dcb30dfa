//! What was recorded is replayed over RTSP, to players and at any pace.

use std::process::Command;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tests::live555::{Live555, Way};
use tests::players::{Transport, ffmpeg, gst_came_to_its_end, gstreamer};
use tests::{PlayedUnit, Recorder, ReplayClient, Setup, marks_of, run};

/// Of one player.
const LIMIT: Duration = Duration::from_secs(60);
/// How much is recorded before anything is asked.
const LENGTH: Duration = Duration::from_secs(8);
/// What simulated inputs have: 15 pictures a second.
const FRAME: SignedDuration = SignedDuration::from_micros(66_667);
/// Pictures of 4 s, less some for a client that takes its time to begin.
const ENOUGH: usize = 45;

/// As an ONVIF client, as fast as it can. The parser ends it at the last picture: it has T.
fn onvif_client(url: &str) -> Command {
    let mut command = Command::new("gst-launch-1.0");
    command.args(["rtspsrc", &format!("location={url}"), "protocols=tcp", "onvif-mode=true"]);
    command.args([
        "onvif-rate-control=false",
        "name=source",
        "source.",
        "!",
        "application/x-rtp,media=video",
    ]);
    command.args(["!", "rtponvifparse", "!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!"]);
    command.args(["fakesink", "sync=false"]);
    command
}

fn after(start: Timestamp, millis: i64) -> Timestamp {
    start + SignedDuration::from_millis(millis)
}

#[test]
fn players_replay_and_trick_modes_work() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, LENGTH);
    let (from, to) = (after(start, 1500), after(start, 5500));
    let path = format!("ch1/main?start={from}&end={to}");
    let url = recorder.rtsp_url(&path);

    // FFmpeg: every picture from the keyframe before to the end, each the right one. Others beside it, in real time, too.
    let live555 = Live555::find();
    let sealed = recorder.rtsps_url(&path.replacen("main", "main/srtp", 1));
    let (played, over_udp, onvif) = thread::scope(|scope| {
        let as_srtp = scope.spawn(|| gstreamer(&sealed, Transport::Udp, 4, ENOUGH));
        for way in [Way::Tcp, Way::Udp] {
            let Some(live555) = &live555 else { break };
            let url = &url;
            scope.spawn(move || {
                let kept = live555.vlc(url, way, 20);
                assert!(kept >= ENOUGH, "VLC kept {kept}");
            });
        }
        let over_udp = scope.spawn(|| ffmpeg(&url, Transport::Udp, 20));
        let plain = scope.spawn(|| gstreamer(&url, Transport::Tcp, 4, ENOUGH));
        let onvif = scope.spawn(|| run(LIMIT, &mut onvif_client(&url)));
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", &url]);
        let played = marks_of(&mut command);
        plain.join().unwrap();
        as_srtp.join().unwrap();
        (played, over_udp.join().unwrap(), onvif.join().unwrap())
    });
    assert!(played.windows(2).all(|pair| pair[1].counter == pair[0].counter + 1), "a picture is missing");
    let wall = |millis: u64| Timestamp::from_millisecond(millis as i64).unwrap();
    let (first, last) = (wall(played[0].wall_ms), wall(played[played.len() - 1].wall_ms));
    assert!(first <= from && from.duration_since(first) < SignedDuration::from_secs(3), "{first} for {from}");
    assert!((to.duration_since(last) - FRAME / 2).abs() <= FRAME, "{last} for {to}");
    assert!(over_udp >= ENOUGH && over_udp <= played.len(), "{over_udp} of {}", played.len());
    gst_came_to_its_end(&onvif);

    let mut client = ReplayClient::connect(&recorder, &path);
    let as_recorded = client.play("Require: onvif-replay\r\nRate-Control: no\r\n");
    assert_eq!(as_recorded.len(), played.len());
    let end = as_recorded[as_recorded.len() - 1];
    assert!(as_recorded[0].is_keyframe() && end.is_terminal() && end.ends_section());
    let walls = |units: &[PlayedUnit]| units.iter().map(|unit| unit.wall).collect::<Vec<_>>();
    for (unit, mark) in as_recorded.iter().zip(&played) {
        let apart = unit.wall.duration_since(wall(mark.wall_ms)).abs();
        assert!(apart <= SignedDuration::from_millis(2), "{unit:?} is {mark:?}");
    }

    // Backwards: the same units, the last group first; at a scale, keyframes of them alone.
    let backwards = client.play("Scale: -1.0\r\nRate-Control: no\r\n");
    let mut groups: Vec<&[PlayedUnit]> = as_recorded.chunk_by(|_, next| !next.is_keyframe()).collect();
    groups.reverse();
    assert_eq!(walls(&backwards), walls(&groups.concat()));
    assert!(backwards.iter().all(|unit| unit.is_keyframe() == unit.is_discontinuity()));
    let keyframes: Vec<PlayedUnit> = as_recorded.iter().filter(|unit| unit.is_keyframe()).copied().collect();
    let hurried = client.play("Scale: 8.0\r\n");
    assert_eq!(walls(&hurried), walls(&keyframes));
    // At twice the rate all pictures come, in half the time of playing.
    let twice = client.play("Scale: 2.0\r\nSpeed: 4\r\n");
    assert_eq!(walls(&twice), walls(&as_recorded));
    let ticks = |units: &[PlayedUnit]| units[units.len() - 1].timestamp.wrapping_sub(units[0].timestamp);
    assert!(
        ticks(&twice).abs_diff(ticks(&as_recorded) / 2) <= 2,
        "{} of {}",
        ticks(&twice),
        ticks(&as_recorded)
    );
    // Seeking: from the keyframe before the moment on.
    let middle = keyframes[1].wall;
    let moment = (middle + FRAME).strftime("%Y%m%dT%H%M%S%.6fZ");
    let seek = client.play(&format!("Rate-Control: no\r\nRange: clock={moment}-\r\n"));
    assert_eq!(seek[0].wall, middle);
    assert_eq!(seek.len(), as_recorded.iter().filter(|unit| unit.wall >= middle).count());
    // The owner is told while it goes on, and for a moment after.
    let watching = owner.get("/trust");
    assert!(
        watching["watching"].as_array().unwrap().iter().any(|one| one["via"] == "playback"),
        "{watching}"
    );

    // What is not recorded is refused.
    let before = start - SignedDuration::from_hours(24);
    for path in [
        format!("ch1/main?start={before}&end={}", after(before, 1000)),
        format!("ch9/main?start={start}"),
        format!("ch1/main?start={start}&end={before}"),
        "ch1/main?start=yesterday".to_owned(),
    ] {
        assert_eq!(ReplayClient::describe(&recorder, &path), 404, "{path}");
    }
}
