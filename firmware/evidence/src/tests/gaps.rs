//! What is missing, and what the ledger says about it.

use hal::{AudioCodec, StreamKind};
use ledger::{Event, Hex, LossReason, RemovalReason, StreamSpan};

use super::footage::{at, g711, stream};
use super::recorder::{Recorder, VOLUME, checked};
use crate::report::{Gap, GapKind, Verdict};

fn gaps(recorder: &mut Recorder, start: f64, end: f64) -> Vec<Gap> {
    let file = recorder.export(start, end);
    let report = checked(recorder, &file);
    let expected = |gaps: bool| {
        if gaps { Verdict::AuthenticWithGaps } else { Verdict::AuthenticAndComplete }
    };
    let any = report.tracks.iter().any(|track| !track.gaps.is_empty());
    assert_eq!(report.verdict, expected(any), "{report}");
    report.tracks[0].gaps.clone()
}

fn reasons(gap: &Gap) -> Vec<&str> {
    gap.reasons.iter().map(|reason| reason.what.as_str()).collect()
}

fn lost(start: f64, end: f64, volume: Option<ledger::VolumeId>) -> Event {
    let camera = stream(3, StreamKind::Main);
    Event::FootageLost {
        volume,
        channel: camera.channel,
        stream: camera.kind,
        start: at(start),
        end: at(end),
        units: 15,
        reason: LossReason::RingOverrun,
    }
}

#[test]
fn a_loss_that_was_written_down_explains_the_gap() {
    let mut recorder = Recorder::new(1);
    recorder.record(0..4);
    let leaf = recorder.log(7.0, lost(4.0, 7.0, Some(VOLUME)));
    recorder.cameras[0].begins_anew = true;
    recorder.record(7..10);
    let gaps = gaps(&mut recorder, 0.0, 10.0);
    let [gap] = &gaps[..] else { panic!("one gap: {gaps:?}") };
    assert_eq!((gap.kind, gap.from, gap.to), (GapKind::Missing, at(4.0), at(7.0)));
    assert_eq!(reasons(gap), ["the disk did not keep up, 15 units were lost"]);
    assert_eq!((gap.reasons[0].leaf, gap.reasons[0].at), (leaf, at(7.0)));
}

#[test]
fn a_gap_without_a_reason_is_said_to_have_none() {
    let mut recorder = Recorder::new(1);
    recorder.record(0..4);
    // Of another time, and of another stream.
    recorder.log(3.0, lost(41.0, 42.0, None));
    let mut other = lost(5.0, 39.0, None);
    if let Event::FootageLost { stream, .. } = &mut other {
        *stream = StreamKind::Sub;
    }
    recorder.log(20.0, other);
    recorder.record(40..44);
    let file = recorder.export(0.0, 40.8);
    let text = checked(&recorder, &file).to_string();
    let gap = "gap of 36s, 2026-11-20T10:00:04.000Z to 2026-11-20T10:00:40.000Z: no reason is recorded";
    assert!(text.contains(gap), "{text}");
}

#[test]
fn a_recorder_that_was_off_says_so() {
    let mut recorder = Recorder::new(1);
    recorder.record(0..4);
    recorder.log(4.5, Event::RecorderStopped);
    recorder.log(100.0, Event::RecorderStarted { version: "2.0".into() });
    recorder.record(101..104);
    let gaps = gaps(&mut recorder, 1.0, 103.0);
    assert_eq!(
        reasons(&gaps[0]),
        ["the recorder was stopped in order", "the recorder started (version 2.0)"]
    );
}

#[test]
fn footage_that_was_overwritten_is_a_gap_with_its_tombstone() {
    let mut recorder = Recorder::with_ten_seconds();
    let streams = recorder.ranges(2);
    recorder.log(
        20.0,
        Event::SegmentRemoved { volume: VOLUME, segment: 2, reason: RemovalReason::Expired, streams },
    );
    recorder.chunks.retain(|chunk| chunk.header.placement.segment != 2);
    let gaps = gaps(&mut recorder, 0.0, 10.0);
    let [gap] = &gaps[..] else { panic!("one gap: {gaps:?}") };
    assert_eq!((gap.from, gap.to), (at(4.0), at(8.0)));
    assert_eq!(reasons(gap), ["older than it may be kept, and removed"]);
}

#[test]
fn footage_of_an_erased_disk_is_a_gap_with_the_one_who_erased_it() {
    let mut recorder = Recorder::with_ten_seconds();
    let spans = recorder.ranges(2).into_iter().map(|range| StreamSpan {
        channel: range.channel,
        stream: range.stream,
        start: range.start,
        end: range.end,
    });
    let streams = spans.collect();
    recorder.log(20.0, Event::VolumeErased { volume: Hex([7; 16]), by: "bert".into(), streams });
    recorder.log(21.0, Event::VolumeErased { volume: Hex([8; 16]), by: "eve".into(), streams: Vec::new() });
    recorder.chunks.retain(|chunk| chunk.header.placement.segment != 2);
    let gaps = gaps(&mut recorder, 0.0, 10.0);
    let [gap] = &gaps[..] else { panic!("one gap: {gaps:?}") };
    assert_eq!(reasons(gap), ["erased with its disk by bert"]);
}

#[test]
fn footage_that_somebody_has_deleted_is_a_gap_with_their_name() {
    let mut recorder = Recorder::with_ten_seconds();
    let spans = recorder.ranges(2).into_iter().map(|range| StreamSpan {
        channel: range.channel,
        stream: range.stream,
        start: range.start,
        end: range.end,
    });
    let streams = spans.collect();
    recorder.log(20.0, Event::FootageDeleted { volume: VOLUME, by: "bert".into(), streams });
    recorder.chunks.retain(|chunk| chunk.header.placement.segment != 2);
    let gaps = gaps(&mut recorder, 0.0, 10.0);
    let [gap] = &gaps[..] else { panic!("one gap: {gaps:?}") };
    assert_eq!(reasons(gap), ["deleted by bert"]);
}

#[test]
fn missing_sequences_are_a_gap_even_where_the_times_join() {
    let mut recorder = Recorder::new(1);
    recorder.record(0..4);
    recorder.cameras[0].sequence += 2;
    recorder.record(4..8);
    let gaps = gaps(&mut recorder, 0.0, 8.0);
    assert_eq!((gaps.len(), gaps[0].from, gaps[0].to), (1, at(4.0), at(4.0)));
}

#[test]
fn what_was_asked_for_counts_not_what_there_is() {
    let mut recorder = Recorder::with_ten_seconds();
    let before_and_after = gaps(&mut recorder, -10.0, 20.0);
    let ends: Vec<_> = before_and_after.iter().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!(ends, [(at(-10.0), at(0.0)), (at(10.0), at(20.0))]);
    assert_eq!(reasons(&before_and_after[0]), ["the recorder started (version 1.0)"]);
    assert!(before_and_after[1].reasons.is_empty());
    assert!(gaps(&mut recorder, 0.0, 10.4).is_empty(), "less than half a second is no gap");
}

#[test]
fn a_clock_that_was_set_back_is_shown_with_its_step() {
    let mut recorder = Recorder::new(1);
    recorder.record(100..104);
    recorder.log(50.0, Event::ClockStep { before: at(104.0), after: at(50.0) });
    recorder.record(50..54);
    let gaps = {
        let mut plan = recorder.plan(100.0, 110.0);
        // Recording order, as the store selects it.
        plan.asked = (at(40.0), at(110.0));
        let proof = recorder.prove(&plan);
        checked(&recorder, &plan.file(&proof)).tracks[0].gaps.clone()
    };
    let back: Vec<&Gap> = gaps.iter().filter(|gap| gap.kind == GapKind::ClockSetBack).collect();
    let [gap] = back[..] else { panic!("one step: {gaps:?}") };
    assert_eq!((gap.from, gap.to), (at(104.0), at(50.0)));
    assert_eq!(gap.reasons.len(), 1);
    assert!(gap.to_string().starts_with("clock set back by 54s"), "{gap}");
}

#[test]
fn a_recorded_loss_counts_even_where_nothing_seems_to_be_missing() {
    let mut recorder = Recorder::with_ten_seconds();
    recorder.log(6.0, lost(5.2, 5.4, Some(VOLUME)));
    let found = gaps(&mut recorder, 0.0, 10.0);
    let [gap] = &found[..] else { panic!("one loss: {found:?}") };
    assert_eq!((gap.kind, gap.from, gap.to), (GapKind::Loss, at(5.2), at(5.4)));
    assert_eq!(gap.reasons.len(), 1);
    // On a volume from which nothing in this file comes.
    let mut recorder = Recorder::with_ten_seconds();
    recorder.log(6.0, lost(5.2, 5.4, Some(Hex([1; 16]))));
    assert!(gaps(&mut recorder, 0.0, 10.0).is_empty());
}

#[test]
fn sound_of_another_format_is_left_out_and_said_to_be() {
    let mut recorder = Recorder::new(1);
    recorder.record(0..4);
    recorder.cameras[1].format = g711(AudioCodec::G711U);
    recorder.record(4..6);
    recorder.cameras[1].format = g711(AudioCodec::G711A);
    recorder.record(6..8);
    let file = recorder.export(0.0, 8.0);
    let report = checked(&recorder, &file);
    assert_eq!(report.verdict, Verdict::AuthenticWithGaps, "{report}");
    assert!(report.tracks[0].gaps.is_empty());
    let [gap] = &report.tracks[1].gaps[..] else { panic!("one: {report}") };
    assert_eq!((gap.kind, gap.from, gap.to), (GapKind::LeftOut, at(4.0), at(6.0)));
    assert_eq!(report.tracks[1].chunks, 6);
}

#[test]
fn a_channel_of_which_there_was_nothing_is_a_gap_from_end_to_end() {
    let mut recorder = Recorder::with_ten_seconds();
    let absent = stream(5, StreamKind::Main);
    let mut lost = lost(-100.0, 100.0, None);
    if let Event::FootageLost { channel, reason, .. } = &mut lost {
        (*channel, *reason) = (absent.channel, LossReason::NoSignal);
    }
    recorder.log(3.0, lost);
    let mut plan = recorder.plan(0.0, 10.0);
    plan.besides = vec![absent.channel, absent.channel];
    let proof = recorder.prove(&plan);
    let report = checked(&recorder, &plan.file(&proof));
    assert_eq!(report.verdict, Verdict::AuthenticWithGaps);
    let [channel] = &report.absent[..] else { panic!("one: {report}") };
    assert_eq!(channel.channel, absent.channel);
    let reasons: Vec<&str> = channel.reasons.iter().map(|reason| reason.what.as_str()).collect();
    assert!(reasons.contains(&"the camera sent nothing, 15 units were lost"), "{reasons:?}");
    assert!(report.to_string().contains("No track  channel 5: there was no footage"), "{report}");
}
