//! Every channel on two disks: turned on while it records, and one of them lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::Value;
use tests::{Movie, Owner, Recorder, Setup, program, run, until};

const LIMIT: Duration = Duration::from_secs(60);
const LENGTH: Duration = Duration::from_secs(6);

/// The ends of what each disk that records has.
fn newest(owner: &Owner) -> Option<Vec<Timestamp>> {
    let system = owner.try_get("/system")?;
    let disks = system["disks"].as_array()?.iter().filter(|disk| disk["state"] == "ok");
    Some(disks.filter_map(|disk| disk["newest"].as_str()?.parse().ok()).collect())
}

/// Waits until both disks have footage up to `time`.
fn wait_both(owner: &Owner, time: Timestamp) {
    until("both disks", || {
        newest(owner).filter(|newest| newest.len() == 2 && newest.iter().all(|newest| *newest >= time))
    });
}

fn turn_on(owner: &Owner) {
    let mut settings = owner.get("/settings");
    assert_eq!(settings["mirror_disks"], false, "off until the owner wants it");
    settings["mirror_disks"] = true.into();
    let answer = owner.ask(&Method::PUT, "/settings", settings.to_string());
    assert_eq!((answer.status, &answer.json()["mirror_disks"]), (200, &Value::Bool(true)), "{answer:?}");
}

/// What the pictures of a movie are, in order.
fn pictures(movie: &Path) -> Vec<[u8; 32]> {
    Movie::read(movie).video.iter().map(|unit| unit.hash).collect()
}

#[test]
fn what_one_folder_loses_the_other_has() {
    let folders = tempfile::tempdir().unwrap();
    let second = folders.path().join("second");
    fs::create_dir(&second).unwrap();
    let setup = Setup { more_folders: vec![second.clone()], ..Setup::inputs(1) };
    let mut recorder = Recorder::start(&setup);
    let owner = recorder.claim();
    let begun = owner.wait_recorded_for(1, Duration::ZERO);
    turn_on(&owner);
    wait_both(&owner, begun + Duration::from_secs(1));
    // Both have the keyframe before: a second of pictures, and the moment in which the other one began.
    let start = tests::now() + Duration::from_secs(2);
    let span = (start, start + LENGTH);
    wait_both(&owner, span.1 + Duration::from_secs(1));
    let whole = folders.path().join("whole.mp4");
    fs::write(&whole, owner.recording(1, span.0, span.1)).unwrap();
    let whole = pictures(&whole);
    assert!(whole.len() as u64 >= LENGTH.as_secs() * 15, "{} pictures", whole.len());
    let trust = owner.get("/trust");
    let fingerprint = trust["ledger"]["fingerprint"].as_str().unwrap().to_owned();
    recorder.stop();

    let places: [PathBuf; 2] = [recorder.data().join("volume"), second.join("candor")];
    let aside = folders.path().join("aside");
    for lost in &places {
        fs::rename(lost, &aside).unwrap();
        recorder.start_again();
        let owner = Owner::sign_in(&recorder.client());
        // Recording goes on twice, with a new volume in place of the lost one.
        wait_both(&owner, tests::now());
        let timeline = format!("/timeline?start={:.3}&end={:.3}&channel=1", span.0, span.1);
        let runs = owner.get(&timeline)["channels"][0]["runs"].clone();
        let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        let [run_of_all] = runs.as_array().unwrap().as_slice() else { panic!("gaps: {runs}") };
        assert!(time(&run_of_all["start"]) <= span.0 && time(&run_of_all["end"]) >= span.1, "{runs}");

        let played = folders.path().join("played.mp4");
        fs::write(&played, owner.recording(1, span.0, span.1)).unwrap();
        assert!(pictures(&played) == whole, "{} is lost: other pictures are played", lost.display());

        let path = format!("/export.mp4?channel=1&start={:.3}&end={:.3}", span.0, span.1);
        let export = owner.ask(&Method::GET, &path, "");
        assert_eq!(export.status, 200, "{export:?}");
        let exported = folders.path().join("exported.mp4");
        fs::write(&exported, &export.body).unwrap();
        let mut verify = Command::new(program("candor"));
        verify.args(["verify", "--key", &fingerprint]).arg(&exported);
        let done = run(LIMIT, &mut verify);
        assert!(done.status.success() && done.text().starts_with("AUTHENTIC AND COMPLETE"), "{done:?}");

        recorder.stop();
        fs::remove_dir_all(lost).unwrap();
        fs::rename(&aside, lost).unwrap();
    }
}
