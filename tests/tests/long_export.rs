//! Much footage at once, of the night in which an hour comes twice.
//!
//! Three hours around the end of summer time in Europe/Berlin, 2025-10-26 at 01:00 UTC, written into a volume before the
//! recorder is started on it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hal::{
    AccessUnit, ByteCount, ChannelId, Pts90k, StreamFormat, StreamId, StreamKind, SystemClock, VideoCodec,
    WallTime,
};
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use store::{Keys, Store, StoreOptions};
use tests::{Owner, Recorder, Setup, program, run};

/// Of a download of all of it, by a program that is not optimized on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
const NIGHT: (&str, &str) = ("2025-10-25T23:30:00Z", "2025-10-26T02:30:00Z");
const SECONDS: i64 = 3 * 3600;
const RATE: i64 = 5;
/// A second of pictures.
const KEYFRAME_BYTES: usize = 8_000;
const PICTURE_BYTES: usize = 1_000;
/// What the roles may take more while the night is downloaded, 130 MB of it: `serve` a few buffers; `record`, which
/// makes the file, the chunks' headers and the file's own.
const SERVE_BYTES: u64 = 8 << 20;
const RECORD_BYTES: u64 = 32 << 20;

/// 1280x720, High profile.
const PARAMETER_SETS: [u8; 40] = [
    0, 0, 0, 1, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03,
    0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60, 0, 0, 0, 1, 0x68, 0xeb, 0xe3, 0xcb,
    0x22, 0xc0,
];

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Records the night.
fn record(dir: &Path) {
    let options = StoreOptions::with_max_bytes(ByteCount(1 << 30));
    let mut store = Store::open(dir, options, &Keys::NONE, Arc::new(SystemClock::new())).unwrap().0;
    let stream = StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Main);
    let format = StreamFormat::Video(VideoCodec::H264);
    let begin = WallTime::from_unix_micros(time(NIGHT.0).as_microsecond());
    for number in 0..SECONDS * RATE {
        let keyframe = number % RATE == 0;
        let mut data = if keyframe { PARAMETER_SETS.to_vec() } else { Vec::new() };
        data.extend_from_slice(&[0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
        let size = if keyframe { KEYFRAME_BYTES } else { PICTURE_BYTES };
        // No two are alike, and nothing in it looks like a start code.
        data.extend((0..8).map(|digit| 1 + (number >> (4 * digit) & 15) as u8));
        data.resize(size, 0x55);
        let pts = Pts90k(number * Pts90k::PER_SECOND / RATE);
        let wall = begin.offset_micros(pts.as_micros());
        let discontinuity = number == 0;
        let unit = AccessUnit { stream, pts, wall, keyframe, discontinuity, data: &data };
        store.append(&format, &unit).unwrap();
        if !store.has_room() {
            store.commit().unwrap();
        }
    }
    store.finish().unwrap();
}

/// Bytes, from `/proc/PID/status`.
fn memory(pid: i32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn a_long_night_with_an_hour_that_comes_twice() {
    let mut recorder = Recorder::prepare(&Setup::inputs(1));
    record(&recorder.data().join("volume"));
    recorder.start_again();
    let mut owner = recorder.claim();
    owner.client = owner.client.within(LIMIT);
    owner.wait_recording_goes_on(&[1]);
    let settings = json!({
        "name": "Night", "time_zone": "Europe/Berlin", "rtsp_enabled": true, "encrypt_new_disks": true
    });
    assert_eq!(owner.ask(&Method::PUT, "/settings", settings.to_string()).status, 200);

    // One stretch without a gap, in the list and on the timeline.
    let (first, last) = (time(NIGHT.0), time(NIGHT.1));
    let runs = recorder.runs(1);
    assert!(runs.contains(&(first, last)), "{runs:?}");
    let timeline = owner.get(&format!("/timeline?start={first}&end={last}&channel=1"));
    let runs = timeline["channels"][0]["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(
        (time(runs[0]["start"].as_str().unwrap()), time(runs[0]["end"].as_str().unwrap())),
        (first, last)
    );

    // From two o'clock to two o'clock an hour later.
    let hour =
        download(&owner, recorder.dir(), ("2025-10-26T02:00:00%2B02:00", "2025-10-26T02:00:00%2B01:00"));
    let mut probe = Command::new("ffprobe");
    // What is in the pictures is nothing that can be decoded.
    probe.args(["-v", "quiet", "-show_entries", "stream=duration", "-of", "csv=p=0"]).arg(&hour);
    let seconds: f64 = run(LIMIT, &mut probe).flawless().text().trim().parse().unwrap();
    assert!((seconds - 3600.0).abs() < 0.5, "{seconds} s");
    assert_authentic(&owner, &hour);

    // All of it, which neither role ever has in memory. What was asked before has filled their caches.
    let pids = ["serve", "record"].map(|role| owner.role_pid(role).expect("it runs"));
    let before = pids.map(|pid| memory(pid, "VmRSS"));
    // proc(5): the peak begins anew.
    pids.iter().for_each(|pid| fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap());
    let night = download(&owner, recorder.dir(), NIGHT);
    let grown: Vec<u64> =
        pids.iter().zip(before).map(|(pid, before)| memory(*pid, "VmHWM").saturating_sub(before)).collect();
    let bytes = fs::metadata(&night).unwrap().len();
    println!("{bytes} bytes; serve and record grew by {grown:?}");
    assert!(bytes > 120_000_000, "{bytes}");
    assert!(grown[0] < SERVE_BYTES && grown[1] < RECORD_BYTES, "{grown:?} for {bytes}");
    assert_authentic(&owner, &night);
}

/// An export, as a file.
fn download(owner: &Owner, dir: &Path, (start, end): (&str, &str)) -> std::path::PathBuf {
    let answer = owner.ask(&Method::GET, &format!("/export.mp4?channel=1&start={start}&end={end}"), "");
    assert_eq!(answer.status, 200, "{}", answer.code());
    let path = dir.join(format!("{}.mp4", answer.body.len()));
    fs::write(&path, answer.body).unwrap();
    path
}

#[track_caller]
fn assert_authentic(owner: &Owner, file: &Path) {
    let trust = owner.get("/trust");
    let mut verify = Command::new(program("candor"));
    verify.args(["verify", "--key", trust["ledger"]["fingerprint"].as_str().unwrap()]).arg(file);
    let done = run(LIMIT, &mut verify);
    assert!(done.status.success() && done.text().starts_with("AUTHENTIC AND COMPLETE"), "{done:?}");
}
