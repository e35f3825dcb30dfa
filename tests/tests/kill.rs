//! Roles are killed: the others go on, little or nothing is missing.
//!
//! The recorder records and is watched meanwhile.
//! What is missing is read from the pictures: each simulated one carries its number and its time.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ring::digest::{SHA256, digest};
use test_camera::{Audio, CameraOptions, Source, TestCamera, Video};
use tests::{
    ChannelSetup, InputSetup, Movie, Owner, Recorder, RtspViewer, Setup, Stopwatch, Viewer, marks, now,
    program, run, until,
};

const ROLES: [&str; 4] = ["capture", "ingest", "record", "serve"];
/// The channels: two simulated inputs and a network camera.
const INPUTS: [u16; 2] = [1, 2];
const CAMERA: u16 = 3;
/// What a killed writer of footage may cost, milliseconds.
const MAX_GAP_MS: u64 = 2000;
/// Between two pictures of 15 frames a second, and what rounding adds.
const FRAME_MS: u64 = 67;
/// A role is started again after 100 ms; the rest is the machine's.
const BACK_WITHIN: Duration = Duration::from_secs(10);

fn scene() -> TestCamera {
    let source = Source::Scene { video: Video::H264, audio: Some(Audio::Aac) };
    TestCamera::start(&CameraOptions { port: 0, source, login: None }).unwrap()
}

fn pids(owner: &Owner) -> BTreeMap<&'static str, i32> {
    until("every role to run", || {
        ROLES.iter().map(|role| Some((*role, owner.role_pid(role)?))).collect::<Option<BTreeMap<_, _>>>()
    })
}

/// The longest time between two pictures of a simulated input, and how many pictures are missing by their numbers.
fn missing_pictures(recorder: &Recorder, channel: u16, start: Timestamp, end: Timestamp) -> (u64, u64) {
    let path = export(recorder, channel, start, end);
    let marks = marks(&path);
    assert!(marks.len() > 15, "channel {channel}: {} pictures", marks.len());
    let gap = marks.windows(2).map(|pair| pair[1].wall_ms.saturating_sub(pair[0].wall_ms)).max().unwrap();
    let missing = marks
        .windows(2)
        .map(|pair| u64::from(pair[1].counter.wrapping_sub(pair[0].counter).saturating_sub(1)));
    // Numbers begin anew with `capture`.
    let missing = missing.filter(|missing| *missing < 1 << 31).sum();
    (gap, missing)
}

/// The same of the network camera, whose pictures have no numbers.
fn longest_step(recorder: &Recorder, start: Timestamp, end: Timestamp) -> u64 {
    let movie = Movie::read(&export(recorder, CAMERA, start, end));
    let mut times: Vec<i64> = movie.video.iter().map(|unit| unit.pts_micros).collect();
    times.sort_unstable();
    assert!(times.len() > 15, "{} pictures of the camera", times.len());
    (times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap() / 1000) as u64
}

fn export(recorder: &Recorder, channel: u16, start: Timestamp, end: Timestamp) -> std::path::PathBuf {
    let path = recorder.dir().join(format!("ch{channel}-{}.mp4", start.as_millisecond()));
    let mut command = Command::new(program("candor"));
    command.args(["export", "--channel", &channel.to_string(), "--data"]).arg(recorder.data());
    command.args(["--start", &start.to_string(), "--end", &end.to_string()]).arg(&path);
    let done = run(Duration::from_secs(60), &mut command);
    assert!(done.status.success(), "{done:?}");
    path
}

#[test]
fn a_killed_role_comes_back_and_the_others_go_on() {
    let camera = scene();
    let recorder = Recorder::start(&Setup::inputs(2).and_camera(&camera.url(), "tcp"));
    let owner = recorder.claim();
    let first = owner.wait_recorded_for(CAMERA, Duration::from_secs(3));
    owner.wait_recording_goes_on(&INPUTS);
    let browser = Viewer::watch(&owner, 1, "main");
    let player = RtspViewer::watch(&recorder.rtsp_url("ch2/main"), recorder.dir());
    browser.wait_for_more(15);
    player.wait_for_more();

    for role in ROLES {
        let before = pids(&owner);
        let opened = browser.seen().opened;
        let begin = now();
        let plays = owner.recording(1, first, first + Duration::from_secs(2));
        let watch = Stopwatch::start();
        kill(Pid::from_raw(before[role]), Signal::SIGKILL).unwrap();
        let after = until("the role to be back", || {
            owner.role_pid(role).filter(|pid| *pid != before[role]).map(|_| watch.elapsed())
        });
        assert!(after < BACK_WITHIN, "{role} was back after {after:?}");
        let pids = pids(&owner);
        for other in ROLES.into_iter().filter(|other| *other != role) {
            assert_eq!(pids[other], before[other], "{other} is another process since {role} was killed");
        }
        browser.wait_for_more(15);
        player.wait_for_more();
        assert_eq!(
            browser.seen().opened > opened,
            role == "serve",
            "{role}: {} views",
            browser.seen().opened
        );
        owner.wait_recording_goes_on(&[1, 2, CAMERA]);
        let end = now();
        owner.wait_recorded_until(CAMERA, end);
        for channel in INPUTS {
            owner.wait_recorded_until(channel, end);
        }
        until("playback", || {
            let again = owner.try_ask(
                &http::Method::GET,
                &format!(
                    "/channels/1/recording.mp4?start={first:.3}&end={:.3}",
                    first + Duration::from_secs(2)
                ),
                "",
            );
            again.ok().filter(|answer| answer.status == 200 && answer.body == plays)
        });

        let start = begin - Duration::from_secs(2);
        for channel in INPUTS {
            let (gap, missing) = missing_pictures(&recorder, channel, start, end);
            println!("{role} killed: channel {channel}: {missing} pictures missing, longest step {gap} ms");
            if role == "capture" {
                assert!(gap <= MAX_GAP_MS, "{role}: {gap} ms");
            } else {
                assert_eq!(missing, 0, "{role}: pictures of channel {channel} are missing");
                assert!(gap <= FRAME_MS, "{role}: {gap} ms between pictures of channel {channel}");
            }
        }
        let gap = longest_step(&recorder, start, end);
        println!("{role} killed, back after {after:?}: the camera: longest step {gap} ms");
        // The camera's own steps: 67 ms, but it may be late on a busy machine.
        let limit = if role == "ingest" { MAX_GAP_MS } else { 4 * FRAME_MS };
        assert!(gap <= limit, "{role}: {gap} ms of the camera are missing");
    }
    assert_eq!(browser.seen().lost, 0);
}

#[test]
fn a_killed_recorder_loses_nothing_that_memory_still_has() {
    kill_whole(|_| ());
}

#[test]
fn a_power_cut_costs_two_seconds_at_most_and_nothing_sealed() {
    kill_whole(Recorder::forget_memory);
}

/// Kills the warden and every role while several segments are sealed already, does what `between` does, and
/// starts the recorder again.
fn kill_whole(between: impl FnOnce(&Recorder)) {
    let camera = scene();
    let fast = |number| {
        ChannelSetup::Input(InputSetup { source: format!("sim:sim{number}"), bit_rate_bps: 4_000_000 })
    };
    let setup = Setup::new(vec![fast(0), fast(1)]).and_camera(&camera.url(), "tcp");
    let mut recorder = Recorder::start(&setup);
    let owner = recorder.claim();
    let first = owner.wait_recorded_for(CAMERA, Duration::from_secs(3));
    until("two sealed segments", || (segments(&recorder).len() >= 3).then_some(()));
    owner.wait_recording_goes_on(&[1, 2, CAMERA]);
    let end = first + Duration::from_secs(3);
    let before: Vec<_> = [1, 2, CAMERA].iter().map(|channel| owner.recording(*channel, first, end)).collect();
    // What was just asked for had to be durable; most of a second later much is not yet.
    thread::sleep(Duration::from_millis(800));
    let cut = now();
    recorder.kill_all();
    between(&recorder);

    // The newest is still being written.
    let mut sealed = segments(&recorder);
    sealed.pop_last();
    println!("right after: {}", recorder.store("check").text().trim());
    recorder.start_again();
    let owner = Owner::sign_in(&recorder.client());
    owner.wait_recording_goes_on(&[1, 2, CAMERA]);
    let again = segments(&recorder);
    assert!(sealed.len() >= 2);
    for (name, hash) in &sealed {
        assert_eq!(again.get(name), Some(hash), "the sealed segment {name} changed");
    }
    for (channel, before) in [1, 2, CAMERA].into_iter().zip(before) {
        assert!(
            owner.recording(channel, first, end) == before,
            "channel {channel}: recorded footage changed"
        );
    }
    let (start, end) = (cut - Duration::from_secs(4), now());
    for channel in [1, 2, CAMERA] {
        let times = picture_times(&owner, &recorder, channel, start, end);
        let last = times.iter().copied().filter(|time| *time <= cut.as_millisecond()).max();
        let next = times.iter().copied().filter(|time| *time > cut.as_millisecond()).min();
        let lost = cut.as_millisecond()
            - last.unwrap_or_else(|| panic!("channel {channel}: no picture before the kill"));
        let gap = next.zip(last).map(|(next, last)| next - last);
        println!(
            "channel {channel}: {lost} ms from the last picture to the kill, {gap:?} ms to the next picture"
        );
        assert!(lost <= MAX_GAP_MS as i64, "channel {channel}: {lost} ms are lost");
    }
    recorder.stop();
    let check = recorder.store("check");
    assert!(check.status.success(), "{}", check.text());
}

/// When pictures were taken, milliseconds since 1970: what they say themselves, or for the camera, whose pictures
/// say nothing, what the movie says.
fn picture_times(
    owner: &Owner,
    recorder: &Recorder,
    channel: u16,
    start: Timestamp,
    end: Timestamp,
) -> Vec<i64> {
    let path = export(recorder, channel, start, end);
    if channel == CAMERA {
        let plan = owner.recording_plan(channel, start, end);
        let origin: Timestamp = plan["start"].as_str().unwrap().parse().unwrap();
        let units = Movie::read(&path).video;
        return units.iter().map(|unit| origin.as_millisecond() + unit.pts_micros / 1000).collect();
    }
    marks(&path).iter().map(|mark| mark.wall_ms as i64).collect()
}

/// The segments by name, with their contents' hash.
fn segments(recorder: &Recorder) -> BTreeMap<String, Vec<u8>> {
    let dir = recorder.data().join("volume/segments");
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, digest(&SHA256, &std::fs::read(path).unwrap()).as_ref().to_vec())
        })
        .collect()
}
