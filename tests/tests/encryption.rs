//! Encrypted footage: a disk that is stolen, moved, or whose key is destroyed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::json;
use tests::{Done, Owner, PASSWORD, Recorder, Setup, program, run, until};

/// The program ends in much less.
const LIMIT: Duration = Duration::from_secs(60);
const LENGTH: Duration = Duration::from_secs(4);
/// Pieces of a movie that are looked for on its disk, and the size of each.
const PIECES: usize = 64;
const PIECE_BYTES: usize = 24;

/// Why somebody locked footage.
const SECRET: &str = "the neighbour's car";

fn export(data: &Path, out: &Path, (start, end): (Timestamp, Timestamp), key: Option<&Path>) -> Done {
    let mut command = Command::new(program("candor"));
    command.args(["export", "--channel", "1", "--data"]).arg(data);
    command.args(["--start", &start.to_string(), "--end", &end.to_string()]).arg(out);
    if let Some(key) = key {
        command.arg("--recovery-key").arg(key);
    }
    run(LIMIT, &mut command)
}

fn check(dir: &Path, key: Option<&Path>) -> Done {
    let mut command = Command::new(program("candor"));
    command.args(["store", "check"]).arg(dir);
    if let Some(key) = key {
        command.arg("--recovery-key").arg(key);
    }
    run(LIMIT, &mut command)
}

/// Takes the disk out of one recorder.
fn take_disk(recorder: &Recorder, to: PathBuf) -> PathBuf {
    fs::rename(recorder.data().join("volume"), &to).expect("a volume on the same file system");
    to
}

/// How many pieces of an exported movie's picture lie on the disk as they are in it.
fn plain_pieces(movie: &Path, volume: &Path) -> usize {
    let movie = fs::read(movie).unwrap();
    // The samples are behind the header, which is the smaller half by far.
    let samples = &movie[movie.len() / 2..];
    // Bytes that repeat are anywhere, and how many do is the encoder's affair.
    let told_apart = |piece: &&[u8]| piece.iter().collect::<BTreeSet<_>>().len() >= PIECE_BYTES / 2;
    let pieces: BTreeSet<&[u8]> = samples.chunks_exact(PIECE_BYTES).filter(told_apart).collect();
    assert!(pieces.len() >= PIECES, "{} pieces in {} bytes", pieces.len(), movie.len());
    let mut wanted: BTreeSet<&[u8]> = pieces.iter().copied().step_by(pieces.len() / PIECES).collect();
    let all = wanted.len();
    for entry in fs::read_dir(volume.join("segments")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for window in bytes.windows(PIECE_BYTES) {
            wanted.remove(window);
        }
    }
    all - wanted.len()
}

fn disk(owner: &Owner) -> Option<serde_json::Value> {
    owner.try_get("/system")?["disks"].as_array()?.first().cloned()
}

#[test]
fn a_disk_opens_in_its_recorder_and_with_the_recovery_key_and_nowhere_else() {
    let mut first = Recorder::start(&Setup::inputs(1));
    let (owner, recovery_key) = Owner::claim_with_key(&first.client(), &first.setup_code());
    assert_eq!(recovery_key.split('-').count(), 8, "{recovery_key}");
    let opens = until("the recovery key to open the disk", || {
        disk(&owner).filter(|disk| disk["encryption"] == "recoverable")
    });
    assert_eq!(opens["state"], "ok");
    let start = owner.wait_recorded_for(1, LENGTH);
    let span = (start, start + LENGTH);
    first.stop();

    let own = first.dir().join("own.mp4");
    assert!(export(&first.data(), &own, span, None).status.success());
    let checked = check(&first.data(), None);
    assert!(checked.status.success() && !checked.text().contains("not decrypted"), "{checked:?}");

    assert_eq!(plain_pieces(&own, &first.data().join("volume")), 0);

    // Stolen: it says how much there is and that it is whole, and shows nothing.
    let stolen = take_disk(&first, first.dir().join("stolen"));
    let checked = check(&stolen, None);
    assert!(checked.status.success() && checked.text().contains("not decrypted"), "{checked:?}");
    let refused = export(&stolen, &first.dir().join("stolen.mp4"), span, None);
    assert!(!refused.status.success() && refused.stderr.contains("encrypted"), "{refused:?}");
    let key = first.dir().join("key");
    fs::write(&key, recovery_key.to_lowercase().replace('-', " ")).unwrap();
    let recovered = first.dir().join("recovered.mp4");
    assert!(export(&stolen, &recovered, span, Some(&key)).status.success());
    assert!(fs::read(&own).unwrap() == fs::read(&recovered).unwrap(), "the same file");
    assert!(!check(&stolen, Some(&key)).text().contains("not decrypted"));

    // In another recorder it waits for its key.
    let mut second = Recorder::prepare(&Setup::inputs(1));
    fs::rename(&stolen, second.data().join("volume")).unwrap();
    second.start_again();
    let (owner, _) = Owner::claim_with_key(&second.client(), &second.setup_code());
    let locked = until("the disk to be locked", || disk(&owner).filter(|disk| disk["state"] == "locked"));
    assert_eq!(locked["encryption"], "locked");
    let unlock = |path: &serde_json::Value, key: &str| {
        owner.ask(&Method::POST, "/storage/unlock", json!({ "path": path, "recovery_key": key }).to_string())
    };
    let slip = unlock(&locked["path"], &recovery_key[1..]);
    assert_eq!((slip.status, slip.code()), (422, "mistyped_key".into()), "{slip:?}");
    let other = "00000-00000-00000-00000-00000-00000-00T17-3GTEZ";
    let wrong = unlock(&locked["path"], other);
    assert_eq!((wrong.status, wrong.code()), (422, "wrong_key".into()), "{wrong:?}");
    let right = unlock(&locked["path"], &recovery_key);
    assert_eq!(right.status, 204, "{right:?}");
    owner.wait_recording_goes_on(&[1]);
    // The player's own bytes, made from both recorders' chunks.
    assert!(!owner.recording(1, span.0, span.1).is_empty());
    let again = unlock(&locked["path"], &recovery_key);
    assert_eq!((again.status, again.code()), (409, "not_locked".into()), "{again:?}");

    // And its key destroyed: what was there is gone, what comes now is kept.
    let lock = json!({"channels": [1], "start": span.0, "end": span.1, "reason": SECRET}).to_string();
    let locked_again = owner.ask(&Method::POST, "/locks", lock);
    assert_eq!(locked_again.status, 201, "{locked_again:?}");
    let volume = second.data().join("volume");
    assert!(fs::read_to_string(volume.join("locks.toml")).unwrap().contains(SECRET));
    // Whoever has it erased says that the next one is plain.
    let erase = json!({ "path": locked["path"], "confirm": "ERASE", "encrypt": false }).to_string();
    let erased = owner.ask(&Method::POST, "/storage/erase", erase);
    assert_eq!(erased.status, 204, "{erased:?}");
    owner.wait_recording_goes_on(&[1]);
    let _ = until("the disk to be a plain one", || disk(&owner).filter(|disk| disk["encryption"] == "off"));
    assert_eq!(owner.get("/settings")["encrypt_new_disks"], true);
    assert_eq!(owner.get("/locks"), json!([]), "of the footage that is gone");
    assert!(!volume.join("locks.toml").exists(), "nor on the disk");
    let old = format!("/timeline?start={:.3}&end={:.3}&channel=1", span.0, span.1);
    assert_eq!(owner.get(&old)["channels"][0]["runs"], json!([]));
    second.stop();
    assert!(check(&second.data(), None).status.success());
}

#[test]
fn a_volume_that_was_made_plain_opens_for_everyone_and_stays_plain() {
    let mut recorder = Recorder::start(&Setup { encrypt: Some(false), ..Setup::inputs(1) });
    let owner = recorder.claim();
    assert_eq!(owner.get("/settings")["encrypt_new_disks"], false);
    let start = owner.wait_recorded_for(1, LENGTH);
    let mut settings = owner.get("/settings");
    settings["encrypt_new_disks"] = true.into();
    let changed = owner.ask(&Method::PUT, "/settings", settings.to_string());
    assert_eq!(changed.status, 200, "{changed:?}");
    recorder.stop();
    recorder.start_again();
    let owner = Owner::sign_in(&recorder.client());
    let plain = until("the disk to be open", || {
        disk(&owner).filter(|disk| disk["state"] == "ok" && !disk["encryption"].is_null())
    });
    assert_eq!(plain["encryption"], "off");
    let erase = json!({ "path": plain["path"], "confirm": "ERASE" }).to_string();
    let refused = owner.ask(&Method::POST, "/storage/erase", erase);
    assert_eq!((refused.status, refused.code()), (409, "not_encrypted".into()), "{refused:?}");
    recorder.stop();
    let volume = take_disk(&recorder, recorder.dir().join("taken"));
    let movie = recorder.dir().join("plain.mp4");
    assert!(export(&volume, &movie, (start, start + LENGTH), None).status.success());
    assert!(plain_pieces(&movie, &volume) >= PIECES / 2, "what the test looks for elsewhere is here");
}

#[test]
fn a_recovery_key_is_made_anew_for_whoever_knows_the_password() {
    let mut recorder = Recorder::start(&Setup::inputs(1));
    let (owner, first) = Owner::claim_with_key(&recorder.client(), &recorder.setup_code());
    let ask = |password: &str| {
        owner.ask(&Method::POST, "/storage/recovery-key", json!({ "password": password }).to_string())
    };
    let wrong = ask("not this one");
    assert_eq!((wrong.status, wrong.code()), (422, "wrong_password".into()), "{wrong:?}");
    let made = ask(PASSWORD);
    assert_eq!(made.status, 201, "{made:?}");
    let second = made.json()["recovery_key"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    owner.wait_recorded_for(1, LENGTH);
    recorder.stop();
    let volume = take_disk(&recorder, recorder.dir().join("taken"));
    let key = recorder.dir().join("key");
    for (text, opens) in [(&first, false), (&second, true)] {
        fs::write(&key, text).unwrap();
        let checked = check(&volume, Some(&key));
        assert_eq!(!checked.text().contains("not decrypted"), opens, "{checked:?}");
    }
    // Neither is anywhere in what the recorder keeps.
    let kept =
        run(LIMIT, Command::new("grep").args(["-rlE", &format!("{first}|{second}")]).arg(recorder.data()));
    assert_eq!(kept.text(), "");
    let log = fs::read_to_string(recorder.log()).unwrap();
    assert!(!log.contains(&first) && !log.contains(&second));
}
