//! What a camera sends is what an export has: every byte, at its time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use test_camera::{CameraOptions, Source, TestCamera};
use tests::{CAR_CLIP, Movie, PEOPLE_CLIP, Recorder, Setup, Unit, clip, program, run, same_units};

/// How much is recorded of each clip.
const LENGTH: Duration = Duration::from_secs(16);
/// How far a time may be off, microseconds.
const TOLERANCE_MICROS: i64 = 1000;

fn camera(path: &Path) -> TestCamera {
    TestCamera::start(&CameraOptions { port: 0, source: Source::Clip(path.to_owned()), login: None }).unwrap()
}

/// Insists that `part` is a stretch of the looped `whole`, byte by byte and time by time; returns where it begins.
#[track_caller]
fn assert_same(what: &str, part: &[Unit], whole: &[Unit]) -> usize {
    let at = same_units(part, whole).unwrap_or_else(|| panic!("{what}: not the source's units"));
    let source = |index: usize| &whole[(at + index) % whole.len()];
    let mut worst = 0;
    for (index, pair) in part.windows(2).enumerate() {
        let step = pair[1].pts_micros - pair[0].pts_micros;
        if (at + index + 1).is_multiple_of(whole.len()) {
            // From one round to the next the source has no step of its own.
            continue;
        }
        let expected = source(index + 1).pts_micros - source(index).pts_micros;
        worst = worst.max((step - expected).abs());
    }
    // Nor may small errors add up.
    let last = part.len().min(whole.len() - at) - 1;
    let drift =
        (part[last].pts_micros - part[0].pts_micros) - (source(last).pts_micros - source(0).pts_micros);
    println!("{what}: {} units from {at}, worst step {worst} us, drift {drift} us", part.len());
    assert!(worst <= TOLERANCE_MICROS, "{what}: a step is {worst} us off");
    assert!(drift.abs() <= TOLERANCE_MICROS, "{what}: {drift} us off after {last} units");
    for (index, unit) in part.iter().enumerate() {
        assert_eq!(unit.keyframe, source(index).keyframe, "{what}: unit {index}");
    }
    at
}

#[test]
fn exports_of_real_cameras_are_bit_exact() {
    let dir = tempfile::tempdir().unwrap();
    let clips = [clip(CAR_CLIP, dir.path()), clip(PEOPLE_CLIP, dir.path())];
    let cameras = [camera(&clips[0]), camera(&clips[1])];
    let setup =
        Setup::new(Vec::new()).and_camera(&cameras[0].url(), "tcp").and_camera(&cameras[1].url(), "udp");
    let recorder = Recorder::start(&setup);
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, LENGTH);
    let start = start.max(owner.wait_recorded_for(2, Duration::ZERO) - LENGTH);
    let end = start + LENGTH;
    owner.wait_recorded_until(2, end);
    for (channel, clip) in (1..).zip(&clips) {
        let whole = owner.recording(channel, start, end);
        let served = dir.path().join(format!("served-{channel}.mp4"));
        std::fs::write(&served, &whole).unwrap();

        let exported = dir.path().join(format!("exported-{channel}.mp4"));
        let mut export = Command::new(program("candor"));
        export.args(["export", "--channel", &channel.to_string(), "--data"]).arg(recorder.data());
        export.args(["--start", &start.to_string(), "--end", &end.to_string()]).arg(&exported);
        let done = run(Duration::from_secs(60), &mut export);
        assert!(done.status.success(), "{done:?}");
        assert!(std::fs::read(&exported).unwrap() == whole, "the command and the API make different files");

        let middle = whole.len() as u64 / 2;
        for (first, last) in [(0, middle - 1), (middle, whole.len() as u64 - 1)] {
            let part = owner.recording_range(channel, (start, end), (first, last));
            assert_eq!(part.status, 206);
            assert!(part.body == whole[first as usize..=last as usize], "bytes {first}-{last} differ");
        }

        let mut decode = Command::new("ffmpeg");
        decode.args(["-v", "error", "-i"]).arg(&exported).args(["-f", "null", "-"]);
        let _ = run(Duration::from_secs(60), &mut decode).flawless();

        let (made, source) = (Movie::read(&exported), Movie::read(clip));
        let seconds = made.video.iter().map(|unit| unit.pts_micros).max().unwrap() / 1_000_000;
        assert!(seconds >= LENGTH.as_secs() as i64 - 2, "{seconds} s of {LENGTH:?}");
        let video_at = assert_same(&format!("channel {channel}, video"), &made.video, &source.video);
        assert_eq!(made.audio.is_empty(), source.audio.is_empty(), "channel {channel}: sound");
        if !source.audio.is_empty() {
            let audio_at = assert_same(&format!("channel {channel}, sound"), &made.audio, &source.audio);
            assert_in_step(&made, &source, video_at, audio_at);
        }
    }
}

/// Picture and sound of the same round are as far apart as in the source, to within what ears and eyes notice
/// (ITU-R BT.1359: 45 ms).
fn assert_in_step(made: &Movie, source: &Movie, video_at: usize, audio_at: usize) {
    let (video, audio) = (source.video[video_at].pts_micros, source.audio[audio_at].pts_micros);
    let ahead = made.audio[0].pts_micros - made.video[0].pts_micros;
    let round = source.audio.last().unwrap().pts_micros + 1024 * 1_000_000 / 48_000;
    let expected = audio - video;
    let off = [-round, 0, round].iter().map(|round| (ahead - expected + round).abs()).min().unwrap();
    println!("sound is {off} us off the picture");
    assert!(off <= 45_000, "sound is {off} us off the picture");
}
