//! What happens on a channel, kept for longer than the rest.

use std::fs;
use std::process::Command;
use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tests::{ChannelSetup, InputSetup, Movie, Owner, Recorder, Setup, now, run, until_within};

/// For how long the channel is marked.
const EVENT: Duration = Duration::from_secs(4);
/// As fast as footage comes, the volume is written anew several times in this time, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(180);

/// The stretches of channel 1 in the last hour.
fn runs(owner: &Owner) -> Option<Vec<(Timestamp, Timestamp)>> {
    let (start, end) = (now() - Duration::from_secs(3600), now() + Duration::from_secs(60));
    let timeline = owner.try_get(&format!("/timeline?start={start:.3}&end={end:.3}&channel=1"))?;
    let time = |value: &serde_json::Value| value.as_str()?.parse().ok();
    timeline["channels"][0]["runs"]
        .as_array()?
        .iter()
        .map(|run| Some((time(&run["start"])?, time(&run["end"])?)))
        .collect()
}

#[test]
fn marked_footage_stays_when_the_footage_around_it_is_overwritten() {
    // Eight segments, of which each holds three seconds.
    let input = InputSetup { source: "sim:sim0".to_owned(), bit_rate_bps: 10_000_000 };
    let mut setup = Setup::new(vec![ChannelSetup::Input(input)]);
    setup.max_bytes = 8 * setup.segment_bytes;
    let mut recorder = Recorder::start(&setup);
    let owner = recorder.claim();
    let before = owner.wait_recorded_for(1, Duration::from_secs(3));
    let mark = |channel: u16| {
        let body = json!({ "seconds": EVENT.as_secs() }).to_string();
        owner.ask(&Method::POST, &format!("/channels/{channel}/event"), body)
    };
    assert_eq!(mark(1).code(), "no_event_days", "it would be kept no longer than the rest");
    assert_eq!(mark(2).code(), "no_channel");
    let days = |event_days: u32| {
        let body = json!({ "title": "Channel 1", "keep_days": 7, "keep_event_days": event_days }).to_string();
        owner.ask(&Method::PUT, "/channels/1", body)
    };
    assert_eq!(days(3).status, 422, "less than the rest");
    let kept = days(30);
    assert_eq!((kept.status, kept.json()["keep_event_days"].as_u64()), (200, Some(30)));

    let marked = now();
    assert_eq!(mark(1).status, 204);
    let over = marked + EVENT;
    // What was before the event and right behind it goes; the event stays, with nothing beside it.
    let (start, end) = until_within(PATIENCE, "footage that is overwritten around the event", || {
        let runs = runs(&owner)?;
        let &[(start, end), (next, _), ..] = runs.as_slice() else { return None };
        (start < over && next > over + Duration::from_secs(2)).then_some((start, end))
    });
    assert!(before < start, "{before} {start}");
    let near =
        |time: Timestamp, other: Timestamp| time.duration_since(other).abs() < SignedDuration::from_secs(2);
    assert!(near(start, marked) && near(end, over), "{start} to {end}, marked {marked} to {over}");

    // It plays by itself, from a keyframe at its very beginning on.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("event.mp4");
    fs::write(&file, owner.recording(1, start, end)).unwrap();
    let movie = Movie::read(&file);
    assert!(movie.video[0].keyframe, "{:?}", movie.video[0]);
    let last = movie.video.last().map_or(0, |unit| unit.pts_micros);
    assert!(last - movie.video[0].pts_micros > 2_500_000, "{last}");
    let mut decode = Command::new("ffmpeg");
    decode.args(["-v", "error", "-nostdin", "-i"]).arg(&file).args(["-f", "null", "-"]);
    let _ = run(PATIENCE, &mut decode).flawless();

    let system = owner.get("/system");
    let classes = system["disks"][0]["retention"].as_array().unwrap();
    let of_days: Vec<_> = classes.iter().map(|class| class["keep_days"].as_u64()).collect();
    assert!(of_days.contains(&Some(7)) && of_days.contains(&Some(30)), "{of_days:?}");
    let entries = owner.get("/ledger?limit=100");
    let leaves: Vec<serde_json::Value> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| serde_json::from_str(entry["leaf"].as_str()?).ok())
        .collect();
    let told = leaves.iter().find(|leaf| leaf["kind"] == "event_marked").expect("who marked it");
    assert_eq!(
        (&told["by"], &told["channel"], &told["seconds"]),
        (&json!(tests::USER), &json!(1), &json!(4))
    );
    recorder.stop();
    let check = recorder.store("check");
    assert!(check.status.success(), "{check:?}");
}
