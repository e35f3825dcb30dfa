//! Leaves as JSON.

use hal::{ChannelId, StreamKind, WallTime};

use crate::{
    ErrorKind, Event, Hex, Leaf, LossReason, MAX_LEAF_BYTES, RemovalReason, StreamHead, StreamRange,
    StreamSpan,
};

fn channel(number: u16) -> ChannelId {
    ChannelId::new(number).unwrap()
}

fn time(seconds: i64) -> WallTime {
    WallTime::from_unix_micros(1_709_251_199_000_001 + seconds * 1_000_000)
}

fn range(number: u16, head: bool) -> StreamRange {
    StreamRange {
        channel: channel(number),
        stream: StreamKind::Main,
        first_sequence: u64::MAX - 1,
        last_sequence: u64::MAX,
        start: time(0),
        end: time(1),
        head: head.then_some(Hex([0xab; 32])),
    }
}

/// One of each kind.
fn all() -> Vec<Event> {
    let (volume, by, from) = (Hex([1; 16]), || "anna".into(), Some("192.0.2.7".parse().unwrap()));
    let (stream, via, reason) = (StreamKind::Sub, || "rtsp".into(), || "police".into());
    let (start, end, version) = (time(0), time(60), || "1.2.3".into());
    let channels = || vec![channel(1), channel(64)];
    vec![
        Event::RecorderStarted { version: version() },
        Event::RecorderStopped,
        Event::VolumeOpened { volume },
        Event::VolumeClosed { volume },
        Event::VolumeFailed { volume, error: "I/O error".into() },
        Event::SegmentSealed { volume, segment: 7, class: 1, streams: vec![range(1, true), range(2, true)] },
        Event::SegmentRemoved {
            volume,
            segment: 7,
            reason: RemovalReason::VolumeShrunk,
            streams: vec![range(1, false)],
        },
        Event::VolumeErased {
            volume,
            by: by(),
            streams: vec![StreamSpan { channel: channel(1), stream, start, end }],
        },
        Event::FootageDeleted {
            volume,
            by: by(),
            streams: vec![StreamSpan { channel: channel(1), stream, start, end }],
        },
        Event::FootageLost {
            volume: None,
            channel: channel(3),
            stream,
            start,
            end,
            units: 1500,
            reason: LossReason::RingOverrun,
        },
        Event::ClockStep { before: start, after: end },
        Event::FootageLocked { channels: channels(), start, end, by: by(), reason: reason() },
        Event::FootageUnlocked { channels: channels(), start, end, by: by(), reason: reason() },
        Event::EventMarked { by: by(), from, channel: channel(2), seconds: 60 },
        Event::Export {
            by: by(),
            from,
            channels: channels(),
            start,
            end,
            heads: vec![StreamHead { channel: channel(1), stream, sequence: 9, head: Hex([2; 32]) }],
            manifest: Some(Hex([4; 32])),
        },
        Event::ViewStarted { by: by(), from: None, channel: channel(1), stream, via: via() },
        Event::ViewEnded { by: by(), from, channel: channel(1), stream, via: via(), seconds: 60 },
        Event::LoginOk { by: by(), from },
        Event::LoginFailed { by: by(), from },
        Event::SettingsChanged { by: by(), what: "channels.3.name".into() },
        Event::UpdateInstalled { version: version() },
        Event::LedgerReplaced {
            origin: "candor/1".into(),
            size: 5,
            root: Hex([3; 32]),
            reason: "damaged".into(),
        },
    ]
}

#[test]
fn every_kind_is_written_and_read_again() {
    let mut kinds = Vec::new();
    for event in all() {
        let leaf = Leaf { time: time(-1), event };
        let bytes = leaf.encode().unwrap();
        assert_eq!(Leaf::decode(&bytes).unwrap(), leaf);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        kinds.push(json["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, Event::KINDS);
}

#[test]
fn a_leaf_looks_as_the_document_says() {
    let event = all().swap_remove(6);
    let bytes = Leaf { time: time(-1), event }.encode().unwrap();
    let text = r#"{"time":"2024-02-29T23:59:58.000001Z","kind":"segment_removed","volume":"01010101010101010101010101010101","segment":7,"reason":"volume_shrunk","streams":[{"channel":1,"stream":"main","first_sequence":18446744073709551614,"last_sequence":18446744073709551615,"start":"2024-02-29T23:59:59.000001Z","end":"2024-03-01T00:00:00.000001Z"}]}"#;
    assert_eq!(String::from_utf8(bytes).unwrap(), text);
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let leaf = br#"{"kind":"door_opened","door":3,"time":"2030-01-01T00:00:00Z"}"#;
    let Leaf { event, .. } = Leaf::decode(leaf).unwrap();
    assert_eq!(event, Event::Unknown { kind: "door_opened".into() });
    let unknown = Leaf { time: time(0), event };
    assert_eq!(
        unknown.encode().unwrap_err().kind(),
        ErrorKind::Invalid,
        "nobody writes what they do not know"
    );
    let leaf = br#"{"time":"2030-01-01T00:00:00Z","kind":"recorder_stopped","why":"button"}"#;
    assert_eq!(Leaf::decode(leaf).unwrap().event, Event::RecorderStopped);
}

#[test]
fn what_is_no_leaf_is_malformed() {
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"kind":"recorder_stopped"}"#,
        r#"{"time":"yesterday","kind":"recorder_stopped"}"#,
        r#"{"time":"2030-01-01T00:00:00Z"}"#,
        r#"{"time":"2030-01-01T00:00:00Z","kind":"recorder_started"}"#,
        r#"{"time":"2030-01-01T00:00:00Z","kind":"volume_opened","volume":"01"}"#,
        r#"{"time":"2030-01-01T00:00:00Z","kind":"recorder_stopped"} {}"#,
    ] {
        assert_eq!(Leaf::decode(bad.as_bytes()).unwrap_err().kind(), ErrorKind::Malformed, "{bad}");
    }
    let long = format!(r#"{{"time":"2030-01-01T00:00:00Z","kind":"x{}"}}"#, "x".repeat(MAX_LEAF_BYTES));
    assert_eq!(Leaf::decode(long.as_bytes()).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn what_cannot_be_written_is_invalid() {
    let far = Leaf { time: WallTime::from_unix_micros(i64::MAX), event: Event::RecorderStopped };
    assert_eq!(far.encode().unwrap_err().kind(), ErrorKind::Invalid);
    let streams = vec![range(1, true); 1000];
    let long = Event::SegmentSealed { volume: Hex([1; 16]), segment: 1, class: 0, streams };
    assert_eq!(Leaf { time: time(0), event: long }.encode().unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn all_streams_of_all_channels_fit_into_one_leaf() {
    let streams =
        (1..=hal::MAX_CHANNELS).flat_map(|number| vec![range(number, true); StreamKind::ALL.len()]).collect();
    let event = Event::SegmentSealed { volume: Hex([1; 16]), segment: u64::MAX, class: 255, streams };
    assert!(Leaf { time: time(0), event }.encode().unwrap().len() <= MAX_LEAF_BYTES);
}

#[test]
fn nobody_breaks_a_line_by_what_they_type() {
    let by = "a\nb\r\u{2028}\0\u{7f}\u{85}\"\\".repeat(50);
    let event = Event::LoginFailed { by: by.as_str().into(), from: None };
    let bytes = Leaf { time: time(0), event }.encode().unwrap();
    assert!(bytes.iter().all(|byte| *byte >= b' '));
    let Event::LoginFailed { by: read, .. } = Leaf::decode(&bytes).unwrap().event else { unreachable!() };
    assert!(by.starts_with(read.as_ref().trim_end_matches('…')));
}
