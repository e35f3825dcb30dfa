//! What an export proves, to somebody who has only the file and the public key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use test_camera::{CameraOptions, Source, TestCamera};
use tests::{ChannelSetup, Done, Movie, Owner, Recorder, Setup, program, run, same_units, target, until};

const LIMIT: Duration = Duration::from_secs(60);
/// Longer than what is tolerated between two chunks (docs/evidence.md, section 6).
const GAP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(6);
/// More than a ring of noise holds, less than the 10 s after which a silent role is ended.
const STANDSTILL: Duration = Duration::from_secs(6);
/// How many places of a file are changed, one after the other.
const PLACES: usize = 24;

fn export_path(channels: &[u16], span: (Timestamp, Timestamp)) -> String {
    export_path_as("mp4", channels, span)
}

fn export_path_as(ending: &str, channels: &[u16], (start, end): (Timestamp, Timestamp)) -> String {
    let channels: String = channels.iter().map(|channel| format!("channel={channel}&")).collect();
    format!("/export.{ending}?{channels}start={start:.3}&end={end:.3}")
}

fn export(owner: &Owner, path: &str) -> Bytes {
    let answer = owner.ask(&Method::GET, path, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn verify(file: &Path, more: &[&str]) -> Done {
    let mut command = Command::new(program("candor"));
    command.arg("verify").arg(file).args(more);
    run(LIMIT, &mut command)
}

/// The report for programs, and how the command ended.
fn report(file: &Path, key: &str) -> (Value, Option<i32>) {
    let done = verify(file, &["--json", "--key", key]);
    let report = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (report, done.status.code())
}

/// `candor-verify` in a root that has the file and nothing else: no loader, no library, no `/proc`.
fn verify_alone(file: &Path, more: &[&str]) -> Done {
    let root = tempfile::tempdir().unwrap();
    let made = target().join("verifier/candor-verify");
    fs::copy(&made, root.path().join("candor-verify"))
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask verifier` makes it", made.display()));
    if file.exists() {
        fs::copy(file, root.path().join("export.mp4")).unwrap();
    }
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new("chroot")
    } else {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "chroot"]);
        command
    };
    command.arg(root.path()).args(["/candor-verify", "/export.mp4"]).args(more);
    run(LIMIT, &mut command)
}

/// Insists that the program by itself says what the recorder's does.
#[track_caller]
fn assert_same_alone(file: &Path, key: &str, code: i32) {
    for more in [&["--key", key][..], &["--key", key, "--json"]] {
        let (ours, alone) = (verify(file, more), verify_alone(file, more));
        assert_eq!((alone.status.code(), ours.status.code()), (Some(code), Some(code)), "{alone:?}");
        assert!(alone.text() == ours.text() && !alone.stdout.is_empty(), "{alone:?}");
    }
}

/// Takes a zip apart with a program that is not ours, which looks at its checksums; the names of its files.
fn unpacked(zip: &Path, to: &Path) -> Vec<String> {
    let script = "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                  z.extractall(sys.argv[2]); print('\\n'.join(z.namelist()))";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(zip).arg(to);
    run(LIMIT, &mut python).flawless().text().lines().map(str::to_owned).collect()
}

fn keep(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn an_export_is_authentic_until_a_byte_of_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(&Setup::inputs(2));
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, LENGTH) + Duration::from_millis(1500);
    let start = start.max(owner.wait_recorded_for(2, Duration::ZERO) - LENGTH);
    let end = start + Duration::from_secs(3);
    owner.wait_recorded_until(2, end);
    owner.wait_recorded_until(1, end);

    let path = export_path(&[1, 2], (start, end));
    let bytes = export(&owner, &path);
    let file = keep(dir.path(), "export.mp4", &bytes);
    let trust = owner.get("/trust");
    let fingerprint = trust["ledger"]["fingerprint"].as_str().expect("a ledger").to_owned();

    // Complete, but whose key it is nobody has compared yet.
    let done = verify(&file, &[]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.text().starts_with("AUTHENTIC AND COMPLETE\nNobody has compared the key"), "{done:?}");
    let (good, code) = report(&file, &fingerprint);
    assert_eq!((good["verdict"].as_str(), code), (Some("authentic_and_complete"), Some(0)), "{good:#}");
    assert_eq!(good["export"]["by"], tests::USER);

    // The program that needs nothing else says the same, of files that are good, changed and missing.
    assert_same_alone(&file, &fingerprint, 0);
    assert_eq!(verify_alone(&file, &[]).status.code(), Some(1), "nobody has compared the key");
    let mut changed = bytes.to_vec();
    changed[bytes.len() / 3] ^= 1;
    assert_same_alone(&keep(dir.path(), "changed.mp4", &changed), &fingerprint, 1);
    let missing = verify_alone(Path::new("no such file"), &["--key", &fingerprint]);
    assert!(missing.status.code() == Some(2) && missing.stderr.contains("No such file"), "{missing:?}");

    // Who saved it is in the ledger, in the same words.
    let ledger = owner.get("/ledger?limit=20");
    let leaf = good["export"]["leaf"].as_u64().unwrap();
    let entries = ledger["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["index"] == leaf).expect("the export's entry");
    let entry: Value = serde_json::from_str(entry["leaf"].as_str().unwrap()).unwrap();
    assert_eq!((&entry["kind"], &entry["by"]), (&Value::from("export"), &Value::from(tests::USER)));
    assert_eq!(
        (&ledger["fingerprint"], &ledger["origin"]),
        (&Value::from(fingerprint.as_str()), &good["recorder"]["name"])
    );
    let (whole_key, code) = report(&file, ledger["public_key"].as_str().unwrap());
    assert_eq!((&whole_key["verdict"], code), (&good["verdict"], Some(0)));

    // A download that goes on where it broke off is the same file.
    let middle = bytes.len() as u64 / 2;
    let rest =
        owner.try_ask_with(&Method::GET, &path, &[("range", &format!("bytes={middle}-"))], "").unwrap();
    assert!(rest.status == 206 && rest.body == bytes[middle as usize..], "another file");

    // Whole chunks are in it, and the edit list shows what was asked for.
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_entries", "stream=duration", "-of", "csv=p=0"]).arg(&file);
    let lengths = run(LIMIT, &mut probe).flawless().text();
    for length in lengths.lines() {
        let length: f64 = length.parse().unwrap();
        assert!((2.9..3.2).contains(&length), "{length} s of 3 are shown");
    }
    let mut decode = Command::new("ffmpeg");
    decode
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(&file)
        .args(["-map", "0", "-f", "null", "-"]);
    let _ = run(LIMIT, &mut decode).flawless();

    // Wherever a byte is another one, somebody notices.
    let other_key = "0000-0000-0000-0000-0000-0000-0000-0000";
    let (report_of, code) = report(&file, other_key);
    assert_eq!((report_of["verdict"].as_str(), code), (Some("not_authentic"), Some(1)));
    for number in 0..PLACES {
        let mut changed = bytes.to_vec();
        let at = (changed.len() - 1) * number / (PLACES - 1);
        changed[at] ^= 1;
        let (report_of, code) = report(&keep(dir.path(), "changed.mp4", &changed), &fingerprint);
        let verdict = report_of["verdict"].as_str().unwrap();
        assert!(
            code == Some(1) && matches!(verdict, "not_authentic" | "no_proof"),
            "byte {at}: {report_of:#}"
        );
    }
    let (cut, _) = report(&keep(dir.path(), "cut.mp4", &bytes[..bytes.len() - 1000]), &fingerprint);
    assert_eq!(cut["verdict"], "not_authentic");
    // Whoever packs it anew leaves nothing to prove.
    let packed = dir.path().join("packed.mp4");
    let mut pack = Command::new("ffmpeg");
    pack.args(["-nostdin", "-v", "error", "-i"]).arg(&file).args(["-map", "0:v", "-c", "copy"]).arg(&packed);
    let _ = run(LIMIT, &mut pack).flawless();
    assert_eq!(report(&packed, &fingerprint).0["verdict"], "no_proof");
    assert_same_alone(&packed, &fingerprint, 1);
}

#[test]
fn each_movie_of_a_zip_has_its_own_proof() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(&Setup::inputs(2));
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, LENGTH) + Duration::from_millis(1500);
    let start = start.max(owner.wait_recorded_for(2, Duration::ZERO) - LENGTH);
    let span = (start, start + Duration::from_secs(3));
    owner.wait_recorded_until(2, span.1);
    owner.wait_recorded_until(1, span.1);
    let trust = owner.get("/trust");
    let fingerprint = trust["ledger"]["fingerprint"].as_str().expect("a ledger");

    let zip = keep(dir.path(), "api.zip", &export(&owner, &export_path_as("zip", &[1, 2], span)));
    let from_api = dir.path().join("api");
    let names = unpacked(&zip, &from_api);
    let movies: Vec<&String> = names.iter().filter(|name| name.ends_with(".mp4")).collect();
    assert_eq!((movies.len(), names.len()), (2, 3), "{names:?}");
    for (channel, name) in (1..).zip(&movies) {
        let (good, code) = report(&from_api.join(name), fingerprint);
        assert_eq!(
            (good["verdict"].as_str(), code),
            (Some("authentic_and_complete"), Some(0)),
            "{name}: {good:#}"
        );
        let channels: Vec<_> = good["tracks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|track| track["stream"]["channel"].as_u64())
            .collect();
        assert!(channels.iter().all(|of| *of == Some(channel)), "{name}: {channels:?}");
    }

    // The command beside the running recorder has no key to prove with: the same pictures, and no proof.
    let zip = dir.path().join("command.zip");
    let mut command = Command::new(program("candor"));
    command.args(["export", "--channel", "1", "--channel", "2", "--data"]).arg(recorder.data());
    command.args(["--start", &span.0.to_string(), "--end", &span.1.to_string()]).arg(&zip);
    let done = run(LIMIT, &mut command);
    assert!(done.status.success(), "{done:?}");
    let from_command = dir.path().join("command");
    let names = unpacked(&zip, &from_command);
    let again: Vec<&String> = names.iter().filter(|name| name.ends_with(".mp4")).collect();
    assert_eq!(again.len(), 2, "{names:?}");
    for (ours, theirs) in movies.iter().zip(again) {
        let (cut, whole) = (Movie::read(&from_command.join(theirs)), Movie::read(&from_api.join(ours)));
        assert!(cut.video.len() >= 40, "{} pictures in 3 s", cut.video.len());
        let at = same_units(&cut.video, &whole.video).expect("the same pictures");
        assert!(at + cut.video.len() <= whole.video.len(), "{at}");
        assert_eq!(report(&from_command.join(theirs), fingerprint).0["verdict"], "no_proof");
    }
}

#[test]
fn a_restart_is_a_gap_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, Duration::from_secs(4)) + Duration::from_secs(1);
    let (status, _) = recorder.stop();
    assert!(status.success(), "{status}");
    // Recording goes on within a moment of a restart: this gap is to be one.
    let stopped = tests::now();
    tests::until("two seconds without a recorder", || (tests::now() > stopped + GAP).then_some(()));
    recorder.start_again();
    let owner = Owner::sign_in(&recorder.client());
    let again = tests::now();
    owner.wait_recorded_until(1, again + Duration::from_secs(4));

    let bytes = export(&owner, &export_path(&[1], (start, again + Duration::from_secs(3))));
    let file = keep(dir.path(), "export.mp4", &bytes);
    let trust = owner.get("/trust");
    let (report_of, code) = report(&file, trust["ledger"]["fingerprint"].as_str().unwrap());
    assert_eq!(
        (report_of["verdict"].as_str(), code),
        (Some("authentic_with_gaps"), Some(1)),
        "{report_of:#}"
    );
    // What was there before the restart is sealed, and was in the ledger before the export.
    let sealed = report_of["tracks"][0]["sealed_chunks"].as_u64().unwrap();
    let all = report_of["tracks"][0]["chunks"].as_u64().unwrap();
    assert!((2..all).contains(&sealed), "{report_of:#}");
    let gaps = report_of["tracks"][0]["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{report_of:#}");
    let reasons: Vec<_> =
        gaps[0]["reasons"].as_array().unwrap().iter().map(|reason| &reason["what"]).collect();
    let words = format!("{reasons:?}");
    assert!(words.contains("was stopped in order") && words.contains("started"), "{words}");
}

/// A clip of two seconds of noise, of which a ring holds less than three seconds.
fn noise(dir: &Path) -> PathBuf {
    let path = dir.join("noise.mp4");
    let mut make = Command::new("ffmpeg");
    make.args([
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "color=gray:s=640x360:r=15,noise=alls=60:allf=t",
    ])
    .args(["-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "16", "-g", "15", "-bf", "0"])
    .args(["-pix_fmt", "yuv420p"])
    .arg(&path);
    let _ = run(LIMIT, &mut make).flawless();
    let bits_per_sec = fs::metadata(&path).unwrap().len() * 8 / 2;
    assert!(bits_per_sec > 24_000_000, "{bits_per_sec}: a ring has 10 MiB");
    path
}

#[test]
fn what_a_ring_lost_is_a_gap_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::Clip(noise(dir.path()));
    let camera = TestCamera::start(&CameraOptions { port: 0, source, login: None }).unwrap();
    let setup = Setup { segment_bytes: 32 << 20, ..Setup::new(Vec::new()) };
    let recorder = Recorder::start(&setup.and_camera(&camera.url(), "tcp"));
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, Duration::from_secs(2)) + Duration::from_secs(1);
    assert_eq!(owner.get("/system")["lost"], Value::Array(Vec::new()));

    // The recording process stands still, and the camera goes on. The warden has more patience than that.
    let pid = Pid::from_raw(tests::until("record to run", || owner.role_pid("record")));
    kill(pid, Signal::SIGSTOP).unwrap();
    let stopped = tests::now();
    tests::until("six seconds", || (tests::now() > stopped + STANDSTILL).then_some(()));
    kill(pid, Signal::SIGCONT).unwrap();
    let again = tests::now();
    owner.wait_recorded_until(1, again + Duration::from_secs(4));
    assert_eq!(owner.role_pid("record"), Some(pid.as_raw()), "it was ended, and nothing was lost by a ring");

    // It is counted and said, ...
    let lost = tests::until("the loss on the health page", || owner.get("/system")["lost"].get(0).cloned());
    assert_eq!((&lost["channel"], &lost["cause"]), (&Value::from(1), &Value::from("disk_slow")), "{lost}");
    let lost_sec = lost["lost_sec"].as_u64().unwrap();
    assert!((2..=7).contains(&lost_sec), "{lost}");
    assert!(lost["message"].as_str().unwrap().contains("s of Channel 1 are missing"), "{lost}");
    // ... in the ledger, ...
    let leaf = tests::until("the loss in the ledger", || {
        let ledger = owner.get("/ledger?limit=50");
        let entries = ledger["entries"].as_array()?.iter();
        let leaves =
            entries.map(|entry| serde_json::from_str::<Value>(entry["leaf"].as_str().unwrap()).unwrap());
        leaves.into_iter().find(|leaf| leaf["kind"] == "footage_lost")
    });
    let words = (leaf["channel"].as_u64(), leaf["stream"].as_str(), leaf["reason"].as_str());
    assert_eq!(words, (Some(1), Some("main"), Some("ring_overrun")), "{leaf}");
    assert!(leaf["units"].as_u64().unwrap() >= 2 * 15, "{leaf}");
    // ... and by whoever verifies an export.
    let bytes = export(&owner, &export_path(&[1], (start, again + Duration::from_secs(3))));
    let file = keep(dir.path(), "export.mp4", &bytes);
    let trust = owner.get("/trust");
    let (report_of, code) = report(&file, trust["ledger"]["fingerprint"].as_str().unwrap());
    let verdict = report_of["verdict"].as_str();
    assert_eq!((verdict, code), (Some("authentic_with_gaps"), Some(1)), "{report_of:#}");
    let gaps = report_of["tracks"][0]["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{report_of:#}");
    let reasons = gaps[0]["reasons"].to_string();
    assert!(reasons.contains("the disk did not keep up"), "{reasons}");
    let said = verify(&file, &[]).text();
    assert!(said.contains("the disk did not keep up"), "{said}");
}

/// What is in the ledger, in order.
fn ledger(recorder: &Recorder) -> Vec<Value> {
    let place = fs::read_dir(recorder.data().join("ledger")).unwrap().next().unwrap().unwrap().path();
    let leaves = fs::read_to_string(place.join("leaves-0000000000000000.jsonl")).unwrap();
    leaves.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The words of all reasons of a gap.
fn reasons(gap: &Value) -> Vec<&str> {
    gap["reasons"].as_array().unwrap().iter().map(|reason| reason["what"].as_str().unwrap()).collect()
}

#[test]
fn footage_that_gave_its_room_to_newer_footage_is_in_the_ledger_and_a_gap_with_that_reason() {
    let dir = tempfile::tempdir().unwrap();
    // Some seconds of footage, and it goes round.
    let mut setup = Setup { max_bytes: 4 * (4 << 20), ..Setup::inputs(2) };
    for channel in &mut setup.channels {
        if let ChannelSetup::Input(input) = channel {
            input.bit_rate_bps = 6_000_000;
        }
    }
    let mut recorder = Recorder::start(&setup);
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, Duration::from_secs(1));
    let oldest = || owner.try_get("/system")?["disks"][0]["oldest"].as_str()?.parse::<Timestamp>().ok();
    let left =
        until("the first footage to be overwritten", || oldest().filter(|oldest| *oldest > start + GAP));
    let end = left + Duration::from_secs(1);
    let bytes = export(&owner, &export_path(&[1], (start, end)));
    let file = keep(dir.path(), "export.mp4", &bytes);
    let trust = owner.get("/trust");
    let (report_of, _) = report(&file, trust["ledger"]["fingerprint"].as_str().unwrap());
    assert_eq!(report_of["verdict"].as_str(), Some("authentic_with_gaps"), "{report_of:#}");
    let gap = &report_of["tracks"][0]["gaps"][0];
    assert_eq!(gap["from"].as_str().unwrap().parse::<Timestamp>().unwrap(), start, "{report_of:#}");
    assert!(reasons(gap).contains(&"overwritten by newer footage"), "{report_of:#}");
    recorder.stop();

    let leaves = ledger(&recorder);
    let of = |kind: &str| leaves.iter().filter(|leaf| leaf["kind"] == kind).cloned().collect::<Vec<_>>();
    let (sealed, removed) = (of("segment_sealed"), of("segment_removed"));
    assert!(!removed.is_empty() && removed.len() < sealed.len(), "{} of {}", removed.len(), sealed.len());
    for (sealed, removed) in sealed.iter().zip(&removed) {
        assert_eq!(removed["reason"], "overwritten");
        for field in ["volume", "segment"] {
            assert_eq!(removed[field], sealed[field], "the oldest goes first");
        }
        let [held, gone] = [sealed, removed].map(|leaf| leaf["streams"].as_array().unwrap());
        let spans = |all: &[Value]| -> Vec<[Value; 4]> {
            let fields = ["channel", "stream", "start", "end"];
            all.iter().map(|one| fields.map(|field| one[field].clone())).collect()
        };
        assert_eq!(spans(gone), spans(held), "what it held");
    }
}

#[test]
fn a_deleted_stretch_is_gone_from_the_disk_and_a_gap_with_the_name_of_who_deleted_it() {
    let dir = tempfile::tempdir().unwrap();
    // Plain, so that what is on the disk can be looked at.
    let mut recorder = Recorder::start(&Setup { encrypt: Some(false), ..Setup::inputs(2) });
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, LENGTH) + Duration::from_secs(1);
    let start = start.max(owner.wait_recorded_for(2, Duration::ZERO) - LENGTH);
    let (from, to) = (start + Duration::from_secs(3), start + Duration::from_secs(6));
    let end = start + Duration::from_secs(9);
    for channel in [1, 2] {
        owner.wait_recorded_until(channel, end);
    }
    let body = |start: Timestamp, end: Timestamp, confirm: &str| {
        let mut body = json!({"channels": [1], "start": start, "end": end});
        if !confirm.is_empty() {
            body["confirm"] = confirm.into();
        }
        body.to_string()
    };
    let fresh = owner.ask(&Method::POST, "/deletions", body(from, tests::now(), "DELETE"));
    assert_eq!((fresh.status, fresh.code()), (422, "not_deletable".into()), "{fresh:?}");
    until("the stretch to be older than 10 s", || {
        (tests::now() > to + Duration::from_secs(11)).then_some(())
    });
    let volume = recorder.data().join("volume");
    let deleted_places = places(&volume, &export(&owner, &export_path(&[1], (from, to))));
    let kept_places = places(&volume, &export(&owner, &export_path(&[2], (from, to))));

    let scope = owner.ask(&Method::POST, "/deletions/scope", body(from, to, ""));
    assert_eq!((scope.status, &scope.json()["channels"]), (200, &json!([1])), "{scope:?}");
    assert!(scope.json()["bytes"].as_u64() > Some(1000), "{scope:?}");
    let unsure = owner.ask(&Method::POST, "/deletions", body(from, to, "yes"));
    assert_eq!((unsure.status, unsure.code()), (422, "not_confirmed".into()), "{unsure:?}");
    let wish = json!({"channels": [1], "start": from, "end": to, "reason": "a theft"}).to_string();
    let lock = owner.ask(&Method::POST, "/locks", wish).json()["lock"]["id"].clone();
    let locked = owner.ask(&Method::POST, "/deletions", body(from, to, "DELETE"));
    assert_eq!((locked.status, locked.code()), (409, "footage_locked".into()), "{locked:?}");
    assert_eq!(owner.ask(&Method::DELETE, &format!("/locks/{lock}"), "").status, 204);
    let deleted = owner.ask(&Method::POST, "/deletions", body(from, to, "DELETE"));
    assert_eq!((deleted.status, &deleted.json()["channels"]), (201, &json!([1])), "{deleted:?}");
    until("it to be done", || (owner.try_get("/deletions")? == json!([])).then_some(()));

    let timeline = owner.get(&format!("/timeline?start={start:.3}&end={end:.3}"));
    let runs = |channel: usize| timeline["channels"][channel]["runs"].as_array().unwrap().len();
    assert_eq!((runs(0), runs(1)), (2, 1), "{timeline:#}");
    let nothing = owner.ask(&Method::GET, &export_path(&[1], (from + GAP / 2, to - GAP / 2)), "");
    assert_eq!(nothing.code(), "no_footage", "{nothing:?}");

    let bytes = export(&owner, &export_path(&[1], (start, end)));
    let file = keep(dir.path(), "export.mp4", &bytes);
    let trust = owner.get("/trust");
    let (report_of, code) = report(&file, trust["ledger"]["fingerprint"].as_str().unwrap());
    assert_eq!(
        (report_of["verdict"].as_str(), code),
        (Some("authentic_with_gaps"), Some(1)),
        "{report_of:#}"
    );
    let gaps = report_of["tracks"][0]["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{report_of:#}");
    // Beside what else happened about then: the recorder had just been started.
    let deleted = format!("deleted by {}", tests::USER);
    assert!(reasons(&gaps[0]).contains(&deleted.as_str()), "{report_of:#}");
    let other = keep(dir.path(), "other.mp4", &export(&owner, &export_path(&[2], (from, to))));
    let (report_of, _) = report(&other, trust["ledger"]["fingerprint"].as_str().unwrap());
    assert_eq!(report_of["verdict"], "authentic_and_complete", "{report_of:#}");
    recorder.stop();

    let leaves = ledger(&recorder);
    let deleted: Vec<_> = leaves.iter().filter(|leaf| leaf["kind"] == "footage_deleted").collect();
    let [leaf] = deleted[..] else { panic!("{deleted:#?}") };
    assert_eq!((&leaf["by"], &leaf["streams"][0]["channel"]), (&json!(tests::USER), &json!(1)));
    // Nothing of it is on the disk; the other channel's is.
    assert_eq!(still_there(&deleted_places), 0);
    assert_eq!(still_there(&kept_places), kept_places.len());
    let mut check = Command::new(program("candor"));
    check.args(["store", "check"]).arg(&volume);
    let checked = run(LIMIT, &mut check);
    assert!(checked.status.success() && checked.text().contains("more chunks were deleted"), "{checked:?}");
}

const PIECE: usize = 24;

/// Some bytes of a movie's samples, and where on a plain disk they lie.
struct Place {
    segment: PathBuf,
    at: usize,
    bytes: Vec<u8>,
}

/// Those that are there once: what repeats is not told apart.
fn places(volume: &Path, movie: &[u8]) -> Vec<Place> {
    // From the middle of the samples: an export has whole chunks, of which those at the ends may stay.
    let samples = &movie[movie.len() * 2 / 5..movie.len() * 3 / 5];
    let wanted: BTreeSet<&[u8]> = samples.chunks_exact(PIECE).collect();
    let mut there: BTreeMap<&[u8], Vec<Place>> = BTreeMap::new();
    for entry in fs::read_dir(volume.join("segments")).unwrap() {
        let segment = entry.unwrap().path();
        for (at, window) in fs::read(&segment).unwrap().windows(PIECE).enumerate() {
            if let Some(piece) = wanted.get(window) {
                let place = Place { segment: segment.clone(), at, bytes: window.to_vec() };
                there.entry(piece).or_default().push(place);
            }
        }
    }
    let once: Vec<_> = there.into_values().filter(|places| places.len() == 1).flatten().collect();
    assert!(once.len() > 16, "{} pieces of {} bytes are there once", once.len(), movie.len());
    once
}

/// How many of these bytes are where they were.
fn still_there(places: &[Place]) -> usize {
    let is_there =
        |place: &&Place| fs::read(&place.segment).unwrap()[place.at..place.at + PIECE] == place.bytes;
    places.iter().filter(is_there).count()
}
