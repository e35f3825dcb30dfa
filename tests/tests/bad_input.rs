//! What is wrong is refused with words that help, and costs no footage.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::Method;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;
use nix::unistd::Uid;
use serde_json::json;
use tests::{ChannelSetup, Done, InputSetup, Owner, Recorder, RtspClient, Setup, now, program, run, until};

/// A program that is told something wrong ends at once.
const AT_ONCE: Duration = Duration::from_secs(30);

#[track_caller]
fn assert_refused(command: &mut Command, words: &[&str]) {
    let done: Done = run(AT_ONCE, command);
    assert!(!done.status.success(), "{done:?}");
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    for words in words {
        assert!(done.stderr.contains(words), "`{words}` is not in: {}", done.stderr);
    }
}

#[test]
fn a_board_that_is_wrong_or_unknown_is_refused() {
    let recorder = Recorder::prepare(&Setup::inputs(1));
    assert_refused(recorder.command().args(["--board", "toaster"]), &["toaster"]);
    assert_refused(recorder.command().args(["--board", "missing.toml"]), &["missing.toml", "No such file"]);
    let file = recorder.dir().join("bad.toml");
    for (text, words) in [
        ("schema = 1\nname = \n", "bad.toml"),
        ("colour = \"red\"\n", "bad.toml"),
        ("\u{0}\u{1}\u{2}", "bad.toml"),
        ("", "bad.toml"),
    ] {
        fs::write(&file, text).unwrap();
        assert_refused(recorder.command().arg("--board").arg(&file), &[words]);
    }
    fs::write(&file, vec![b'#'; 1 << 20]).unwrap();
    assert_refused(recorder.command().arg("--board").arg(&file), &["bad.toml", "at most"]);
    assert!(!recorder.data().join("volume").exists(), "footage was begun");
}

#[test]
fn settings_that_are_wrong_are_refused_with_their_line() {
    let recorder = Recorder::prepare(&Setup::inputs(1));
    let good = fs::read_to_string(recorder.settings_file()).unwrap();
    for (from, to, words) in [
        ("version = 1", "version = 7", "line 1: version: this program reads versions 1 to 2, not 7"),
        ("name = \"Test\"", "name = Test", "line 2: "),
        ("name = \"Test\"", "nmae = \"Test\"", "line 2: unknown field `nmae`"),
        ("width = 640", "width = 641", "is no picture width"),
        ("sim:sim0", "sim0", "write backend:input"),
        ("[storage]", "[storage", "line "),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(recorder.settings_file(), good.replacen(from, to, 1)).unwrap();
        assert_refused(&mut recorder.command(), &["settings.toml, line ", words]);
    }
    fs::write(recorder.settings_file(), [0xff, 0xfe, 0]).unwrap();
    assert_refused(&mut recorder.command(), &["settings.toml"]);
    fs::write(recorder.settings_file(), &good).unwrap();
    fs::write(recorder.data().join("accounts.toml"), "version = \n").unwrap();
    assert_refused(&mut recorder.command(), &["accounts.toml"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let recorder = Recorder::prepare(&Setup::inputs(1));
    // The program lies where others may not look, and root may write everywhere.
    let dir = tempfile::Builder::new().prefix("candor-test-").tempdir().unwrap();
    let copy = dir.path().join("candor");
    fs::copy(program("candor"), &copy).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let run_on = |data: &Path| {
        let mut command = if Uid::effective().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
            command
        } else {
            fs::set_permissions(recorder.dir(), fs::Permissions::from_mode(0o500)).unwrap();
            Command::new(&copy)
        };
        command.arg("run").arg("--data").arg(data);
        command
    };
    let data = recorder.data();
    assert_refused(&mut run_on(&data), &[&data.display().to_string(), "Permission denied"]);
    assert_refused(&mut run_on(Path::new("/proc/candor")), &["/proc/candor"]);
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert_refused(&mut run_on(&file), &[&file.display().to_string()]);
    fs::set_permissions(recorder.dir(), fs::Permissions::from_mode(0o700)).unwrap();
}

fn segments(recorder: &Recorder) -> Vec<PathBuf> {
    let dir = recorder.data().join("volume/segments");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_truncated_segment_is_reported_and_recording_goes_on() {
    let mut recorder = Recorder::start(&Setup::inputs(2));
    let owner = recorder.claim();
    let _ = owner.wait_recorded_for(1, Duration::from_secs(4));
    recorder.stop();
    assert!(recorder.store("check").status.success());
    let segment = segments(&recorder).remove(0);
    let length = fs::metadata(&segment).unwrap().len();
    fs::File::options().write(true).open(&segment).unwrap().set_len(length / 8).unwrap();
    let check = recorder.store("check");
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    let name = segment.file_name().unwrap().to_str().unwrap();
    let line = check.text().lines().find(|line| line.contains(name)).map(str::to_owned);
    let line = line.unwrap_or_else(|| panic!("{name} is not in {}", check.text()));
    println!("{line}");
    assert!(line.contains("byte "), "{line}");

    recorder.start_again();
    let owner = Owner::sign_in(&recorder.client());
    owner.wait_recording_goes_on(&[1, 2]);
    assert_eq!(owner.get("/system")["disks"][0]["state"], "ok");
}

/// A small file system in memory, for as long as it is held.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, size: &str) -> nix::Result<Self> {
        fs::create_dir_all(&path).unwrap();
        let options = format!("size={size},mode=0700");
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// What is left of the disk when somebody else has filled it: less than a segment.
const LEFT_BYTES: u64 = 2 << 20;

#[test]
fn a_full_disk_is_told_and_nothing_recorded_is_lost() {
    let fast = |number| {
        ChannelSetup::Input(InputSetup { source: format!("sim:sim{number}"), bit_rate_bps: 2_500_000 })
    };
    let mut recorder = Recorder::prepare(&Setup::new(vec![fast(0), fast(1)]));
    let volume = recorder.data().join("volume");
    let disk = match SmallDisk::mount(volume.clone(), "200m") {
        Ok(disk) => disk,
        Err(errno) => {
            println!("left out: no file system can be mounted here: {errno}");
            return;
        }
    };
    recorder.start_again();
    let owner = recorder.claim();
    // A second more than is compared: the sound of the last pictures comes with the next commit.
    let start = owner.wait_recorded_for(1, Duration::from_secs(3));
    let end = start + Duration::from_secs(2);
    let before = owner.recording(1, start, end);
    let pid = owner.role_pid("record").expect("record runs");
    // Somebody else's file takes all the room; there are too few segments yet for the oldest to make room.
    let facts = statvfs(&volume).unwrap();
    let free = facts.blocks_available() * facts.fragment_size();
    let foreign = volume.join("somebody-elses");
    fs::write(&foreign, vec![1; usize::try_from(free - LEFT_BYTES).unwrap()]).unwrap();

    let told = until("the full disk to be told", || {
        let system = owner.try_get("/system")?;
        Some(system["disks"][0].clone()).filter(|disk| disk["state"] != "ok")
    });
    println!("{told}");
    assert_eq!(told["state"], "full", "{told}");
    assert!(told["message"].as_str().unwrap_or_default().starts_with("The disk is full"), "{told}");
    assert_eq!(owner.get("/trust")["disk"]["state"], "full");
    assert_eq!(owner.role_pid("record"), Some(pid), "record is another process");
    assert!(owner.recording(1, start, end) == before, "recorded footage changed");
    assert_eq!(owner.channel(1).unwrap()["state"]["code"], "ok", "live goes on");

    fs::remove_file(&foreign).unwrap();
    owner.wait_recording_goes_on(&[1, 2]);
    until("the disk to be well", || {
        owner.try_get("/system").filter(|system| system["disks"][0]["state"] == "ok")
    });
    assert_eq!(owner.role_pid("record"), Some(pid), "record is another process");
    assert!(owner.recording(1, start, end) == before, "recorded footage changed");
    recorder.stop();
    let check = recorder.store("check");
    assert!(check.status.success(), "{}", check.text());
    drop(disk);
}

#[test]
fn on_a_disk_smaller_than_agreed_the_oldest_footage_makes_room() {
    let fast = |number| {
        ChannelSetup::Input(InputSetup { source: format!("sim:sim{number}"), bit_rate_bps: 8_000_000 })
    };
    let mut recorder = Recorder::prepare(&Setup::new(vec![fast(0), fast(1)]));
    let disk = match SmallDisk::mount(recorder.data().join("volume"), "32m") {
        Ok(disk) => disk,
        Err(errno) => {
            println!("left out: no file system can be mounted here: {errno}");
            return;
        }
    };
    recorder.start_again();
    let owner = recorder.claim();
    let oldest = || {
        owner.try_get("/system").and_then(|system| system["disks"][0]["oldest"].as_str().map(str::to_owned))
    };
    let first = until("the first footage", &oldest);
    until("the oldest footage to make room", || oldest().filter(|oldest| *oldest != first));
    owner.wait_recording_goes_on(&[1, 2]);
    assert_eq!(owner.role("record").unwrap()["restarts"], 0);
    recorder.stop();
    let check = recorder.store("check");
    assert!(check.status.success(), "{}", check.text());
    drop(disk);
}

#[test]
fn rtsp_that_is_no_rtsp_is_answered_or_closed_and_recording_goes_on() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let url = format!("rtsp://127.0.0.1:{}/ch1/main", recorder.rtsp_port());
    let long = "x".repeat(1 << 20);
    for (request, expected) in [
        // HTTP is spoken to for the sake of tunnels, and this is none.
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), &["HTTP/1.0 400"][..]),
        (format!("DANCE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n"), &["RTSP/1.0 401"]),
        (format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n"), &["RTSP/1.0 401"]),
        (format!("DESCRIBE {url} RTSP/9.0\r\nCSeq: 1\r\n\r\n"), &["RTSP/1.0 505", "RTSP/1.0 400", ""]),
        (
            format!("OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999999\r\n\r\n"),
            &["RTSP/1.0 413", "RTSP/1.0 400", ""],
        ),
        (
            format!("OPTIONS {url}{long} RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
            &["RTSP/1.0 414", "RTSP/1.0 413", "RTSP/1.0 400", ""],
        ),
        (
            format!("OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\nX: {long}\r\n\r\n"),
            &["RTSP/1.0 413", "RTSP/1.0 400", ""],
        ),
        ("\0\0\0\0\r\n\r\n".to_owned(), &["RTSP/1.0 400", ""]),
        ("$\0\u{7f}\u{7f}\r\n\r\n".to_owned() + &long, &["RTSP/1.0 414", "RTSP/1.0 400", ""]),
    ] {
        let shown = &request[..request.len().min(60)];
        let mut client = RtspClient::connect(recorder.rtsp_port());
        client.send(request.as_bytes());
        let answer = client.answer();
        println!("{shown:?}: {:?}", answer.lines().next());
        let fits =
            |start: &&str| if start.is_empty() { answer.is_empty() } else { answer.starts_with(start) };
        assert!(expected.iter().any(fits), "{shown:?}: {answer}");
    }
    assert_eq!(owner.role("serve").unwrap()["restarts"], 0);
    owner.wait_recording_goes_on(&[1]);
}

#[test]
fn bodies_that_are_wrong_are_refused_and_recording_goes_on() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let camera = |url: &str| json!({ "title": "Yard", "url": url, "transport": "tcp" }).to_string();
    for (method, path, body, statuses) in [
        (Method::POST, "/cameras", "{".to_owned(), &[400, 422][..]),
        (Method::POST, "/cameras", "[]".to_owned(), &[400, 422]),
        (Method::POST, "/cameras", "{}".to_owned(), &[400, 422]),
        (Method::POST, "/cameras", "\u{0}".to_owned(), &[400, 422]),
        (Method::POST, "/cameras", camera("http://192.0.2.1/"), &[422]),
        (Method::POST, "/cameras", camera("rtsp://"), &[422]),
        (Method::POST, "/cameras", camera(&format!("rtsp://192.0.2.1/{}", "x".repeat(5000))), &[422]),
        (Method::POST, "/cameras", camera("rtsp://192.0.2.1/").replace("title", "titel"), &[400, 422]),
        (Method::POST, "/cameras", "x".repeat(10 << 20), &[413]),
        (Method::PUT, "/channels/1", json!({ "title": "" }).to_string(), &[422]),
        (Method::PUT, "/channels/1", json!({ "title": "x".repeat(1000) }).to_string(), &[422]),
        (Method::PUT, "/channels/9", json!({ "title": "Gate" }).to_string(), &[404]),
        (Method::PUT, "/channels/x", json!({ "title": "Gate" }).to_string(), &[400, 404, 422]),
        (Method::GET, "/timeline?start=yesterday&end=today", String::new(), &[400, 422]),
        (Method::GET, "/timeline", String::new(), &[400, 422]),
        (Method::GET, "/nothing", String::new(), &[404]),
    ] {
        let shown = format!("{method} {path} {}", &body[..body.len().min(60)]);
        // A server may close while a body that is too long is still being sent.
        let Ok(answer) = owner.try_ask(&method, path, body) else {
            assert_eq!(statuses, [413], "{shown}: no answer");
            continue;
        };
        assert!(statuses.contains(&answer.status), "{shown}: {answer:?}");
        let error = &answer.json()["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "{shown}: {answer:?}");
    }
    assert_eq!(owner.get("/cameras"), json!([]));
    assert_eq!(owner.channel(1).unwrap()["title"], "Channel 1");
    assert_eq!(owner.role("serve").unwrap()["restarts"], 0);
    let before = now();
    owner.wait_recorded_until(1, before);
}
