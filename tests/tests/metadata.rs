//! What happens to a channel is told beside its pictures, by the whole program.

use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tests::{ChannelSetup, Recorder, Setup, run};

/// More than a turn of the input's plan.
const SECONDS: u32 = 12;

/// When a document with this operation says so of the input's signal.
fn told(document: &str, operation: &str, lost: bool) -> Option<Timestamp> {
    let operation = format!("PropertyOperation=\"{operation}\"");
    let state = format!("<tt:SimpleItem Name=\"State\" Value=\"{lost}\"/>");
    let message = document.split("<wsnt:NotificationMessage>").find(|message| {
        message.contains(">tns1:VideoSource/SignalLoss<")
            && message.contains("<tt:SimpleItem Name=\"Source\" Value=\"ch1\"/>")
            && message.contains(&operation)
            && message.contains(&state)
    })?;
    let time = message.split("UtcTime=\"").nth(1)?.split('"').next()?;
    Some(time.parse().expect("a moment"))
}

#[test]
fn a_player_is_told_of_a_lost_signal_and_of_how_things_are() {
    let setup = Setup::new(vec![ChannelSetup::input("sim:sim0:lost=3/8"), ChannelSetup::input("sim:sim1")]);
    let recorder = Recorder::start(&setup);
    let owner = recorder.claim();
    owner.wait_channel(1, "ok");
    // FFmpeg takes the packets of a track that it does not know for data; together they are one document after another.
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i"]);
    command.arg(recorder.rtsp_url("ch1/main?metadata=yes"));
    command.args(["-t", &SECONDS.to_string(), "-map", "0:d", "-c", "copy", "-f", "data", "-"]);
    let done = run(Duration::from_secs(120), &mut command).flawless();
    let text = done.text();
    let documents: Vec<&str> = text.split("<?xml ").skip(1).collect();
    let [state, later @ ..] = documents.as_slice() else { panic!("nothing came") };
    let is_known = [true, false].iter().any(|lost| told(state, "Initialized", *lost).is_some());
    assert!(is_known && state.contains("StorageFailure"), "how things are comes first: {state}");
    let lost = later.iter().find_map(|document| told(document, "Changed", true)).expect("a lost signal");
    let back = later
        .iter()
        .filter_map(|document| told(document, "Changed", false))
        .find(|back| *back > lost)
        .expect("a signal");
    let gone = back.duration_since(lost);
    assert!((gone - SignedDuration::from_secs(3)).abs() < SignedDuration::from_secs(1), "{gone:?}");
    assert!(!text.contains("ch2"), "another channel's affairs");
}
