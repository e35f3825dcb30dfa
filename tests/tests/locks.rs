//! Footage that somebody wants kept, and footage that goes by itself.

use std::fs;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tests::{Owner, Recorder, Setup, until};

const LENGTH: Duration = Duration::from_secs(3);

/// What is in the ledger, in order.
fn ledger(recorder: &Recorder) -> Vec<Value> {
    let place = fs::read_dir(recorder.data().join("ledger")).unwrap().next().unwrap().unwrap().path();
    let leaves = fs::read_to_string(place.join("leaves-0000000000000000.jsonl")).unwrap();
    leaves.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn locks_and_days_stay_over_a_restart_and_the_ledger_has_them() {
    let mut recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, LENGTH);
    let end = start + LENGTH;
    let refused =
        owner.ask(&Method::PUT, "/channels/1", json!({"title": "Door", "keep_days": 4000}).to_string());
    assert_eq!(refused.status, 422);
    let kept = owner.ask(&Method::PUT, "/channels/1", json!({"title": "Door", "keep_days": 7}).to_string());
    assert_eq!((kept.status, kept.json()["keep_days"].as_u64()), (200, Some(7)));
    let days = || {
        let system = owner.try_get("/system")?;
        let retention = system["disks"][0]["retention"].as_array()?.clone();
        retention.iter().any(|one| one["keep_days"] == 7).then_some(())
    };
    until("footage that is kept for 7 days", days);

    let wish = json!({"channels": [1], "start": start, "end": end, "reason": "a theft"});
    let made = owner.ask(&Method::POST, "/locks", wish.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let lock = made.json()["lock"].clone();
    assert_eq!((&lock["reason"], &lock["channels"]), (&json!("a theft"), &json!([1])));
    assert!(made.json()["bytes"].as_u64() > Some(0));
    assert_eq!(owner.get("/locks"), json!([lock]));
    let later = json!({"channels": [1], "start": end, "end": end + Duration::from_secs(7200)});
    assert_eq!(owner.ask(&Method::POST, "/locks", later.to_string()).code(), "not_lockable");
    recorder.stop();

    let leaves = ledger(&recorder);
    let of = |kind: &str| leaves.iter().filter(|leaf| leaf["kind"] == kind).cloned().collect::<Vec<_>>();
    assert_eq!(leaves[0]["kind"], "recorder_started");
    let locked = &of("footage_locked")[0];
    assert_eq!((&locked["reason"], &locked["channels"]), (&json!("a theft"), &json!([1])));
    assert_eq!((of("volume_opened").len(), of("volume_closed").len()), (1, 1));
    let classes: Vec<u64> = of("segment_sealed").iter().filter_map(|leaf| leaf["class"].as_u64()).collect();
    assert!(classes.contains(&0) && classes.contains(&3), "before and after: {classes:?}");

    recorder.start_again();
    let owner = Owner::sign_in(&recorder.client());
    let locks = until("the disk", || owner.try_get("/locks").filter(|locks| locks != &json!([])));
    assert_eq!(locks, json!([lock]));
    let path = format!("/locks/{}", lock["id"]);
    assert_eq!(owner.ask(&Method::DELETE, &path, "").status, 204);
    assert_eq!(owner.ask(&Method::DELETE, &path, "").code(), "no_lock");
    assert_eq!(owner.get("/locks"), json!([]));
    recorder.stop();
    assert!(ledger(&recorder).iter().any(|leaf| leaf["kind"] == "footage_unlocked"));
}
