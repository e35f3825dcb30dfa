//! The backend under a turned clock: pacing, shared timeline, signal loss, orders.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hal::{
    AccessUnit, Backend, BitsPerSecond, ChannelConfig, ChannelId, Clock, ErrorKind, FrameRate, Resolution,
    Signal, StreamConfig, StreamFormat, StreamId, StreamKind, UnitSink, VideoCodec, WallTime,
};
use hal_sim::{LossPlan, SimBackend, SimClock, SimOptions};

/// Longer than any test machine stalls; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

const START: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Format(StreamId, StreamFormat),
    Unit { kind: StreamKind, pts: i64, wall: WallTime, keyframe: bool, discontinuity: bool },
    Signal(Signal),
}

#[derive(Default)]
struct Sink {
    seen: Mutex<Vec<Seen>>,
    more: Condvar,
}

impl Sink {
    fn add(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
        self.more.notify_all();
    }

    /// Waits until `done` says so, then takes what was seen.
    fn take_when(&self, done: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        let (mut seen, late) = self.more.wait_timeout_while(seen, PATIENCE, |seen| !done(seen)).unwrap();
        assert!(!late.timed_out(), "only seen: {seen:?}");
        std::mem::take(&mut seen)
    }

    fn take_units(&self, count: usize) -> Vec<Seen> {
        self.take_when(|seen| seen.iter().filter(|s| matches!(s, Seen::Unit { .. })).count() >= count)
    }
}

impl UnitSink for Sink {
    fn format(&self, stream: StreamId, format: StreamFormat) {
        self.add(Seen::Format(stream, format));
    }

    fn unit(&self, unit: &AccessUnit<'_>) {
        let AccessUnit { stream, pts, wall, keyframe, discontinuity, .. } = *unit;
        self.add(Seen::Unit { kind: stream.kind, pts: pts.0, wall, keyframe, discontinuity });
    }

    fn signal(&self, _: ChannelId, signal: Signal) {
        self.add(Seen::Signal(signal));
    }
}

fn stream(kind: StreamKind, width: u16, height: u16, bit_rate: u32) -> StreamConfig {
    StreamConfig {
        kind,
        codec: VideoCodec::H264,
        resolution: Resolution { width, height },
        frame_rate: FrameRate { numerator: 10, denominator: 1 },
        bit_rate: BitsPerSecond(bit_rate),
        gop_frames: 600,
    }
}

fn config(input: &str, audio: bool, streams: Vec<StreamConfig>) -> ChannelConfig {
    let channel = ChannelId::new(2).unwrap();
    ChannelConfig { channel, input: input.to_owned(), title: "Gate".to_owned(), clock: true, audio, streams }
}

fn main_only() -> Vec<StreamConfig> {
    vec![stream(StreamKind::Main, 640, 360, 1_000_000)]
}

fn backend(options: SimOptions) -> (SimBackend, Arc<SimClock>, Arc<Sink>) {
    let clock = Arc::new(SimClock::new(START));
    (SimBackend::new(options, Arc::<SimClock>::clone(&clock) as Arc<dyn Clock>), clock, Arc::default())
}

#[test]
fn streams_of_a_channel_share_one_timeline_and_the_clock_paces_them() {
    let (mut backend, clock, sink) = backend(SimOptions::default());
    clock.advance(Duration::from_secs(3));
    let streams =
        vec![stream(StreamKind::Main, 640, 360, 1_000_000), stream(StreamKind::Sub, 320, 180, 256_000)];
    let channel = backend.open(&config("sim1", true, streams), Arc::clone(&sink) as _).unwrap();
    let seen = sink.take_units(3);
    assert_eq!(seen.iter().filter(|s| matches!(s, Seen::Format(..))).count(), 3);
    assert!(seen.contains(&Seen::Signal(Signal::Present)));
    for unit in seen {
        if let Seen::Unit { pts, wall, keyframe, discontinuity, .. } = unit {
            assert_eq!((pts, wall), (270_000, START.offset_micros(3_000_000)));
            assert!(keyframe && discontinuity);
        }
    }
    // 200 ms: 2 pictures of each stream, 10 units of sound.
    clock.advance(Duration::from_millis(200));
    let seen = sink.take_units(14);
    let of = |kind| -> Vec<(i64, i64)> {
        seen.iter()
            .filter_map(|s| match s {
                Seen::Unit { kind: k, pts, wall, .. } if *k == kind => Some((*pts, wall.micros_since(START))),
                _ => None,
            })
            .collect()
    };
    assert_eq!(of(StreamKind::Main), [(279_000, 3_100_000), (288_000, 3_200_000)]);
    assert_eq!(of(StreamKind::Sub), of(StreamKind::Main));
    assert_eq!(of(StreamKind::Audio).len(), 10);
    drop(channel);
    clock.advance(Duration::from_secs(1));
    assert!(sink.seen.lock().unwrap().is_empty(), "a dropped channel delivers nothing");
}

#[test]
fn a_step_of_the_wall_clock_moves_walls_and_leaves_pts() {
    let (mut backend, clock, sink) = backend(SimOptions::default());
    let _channel = backend.open(&config("sim0", false, main_only()), Arc::clone(&sink) as _).unwrap();
    sink.take_units(1);
    clock.step_wall(-3_600_000_000);
    clock.advance(Duration::from_millis(100));
    let seen = sink.take_units(1);
    let wall = START.offset_micros(-3_600_000_000 + 100_000);
    let kind = StreamKind::Main;
    assert_eq!(seen, [Seen::Unit { kind, pts: 9_000, wall, keyframe: false, discontinuity: false }]);
}

#[test]
fn a_planned_loss_is_reported_and_delivers_nothing() {
    for input in ["sim4", "sim5:lost=1/3"] {
        let plan = LossPlan { every_sec: 3, for_sec: 1 };
        let (mut backend, clock, sink) =
            backend(SimOptions { signal_loss: BTreeMap::from([(4, plan)]), ..SimOptions::default() });
        let _channel = backend.open(&config(input, false, main_only()), Arc::clone(&sink) as _).unwrap();
        sink.take_units(1);
        let mut seen = Vec::new();
        // Signal from 0 to 2 s and from 3 s on; picture 0 was taken above.
        for turn in 1..=35 {
            clock.advance(Duration::from_millis(100));
            match turn {
                20 => seen.extend(sink.take_when(|seen| !seen.is_empty())),
                21..30 => {}
                30 => seen.extend(sink.take_units(1)),
                _ => seen.extend(sink.take_units(1)),
            }
        }
        let signals: Vec<usize> = (0..seen.len()).filter(|&n| matches!(seen[n], Seen::Signal(_))).collect();
        assert_eq!(signals, [19, 20]);
        assert_eq!(seen[19], Seen::Signal(Signal::Lost { since: START.offset_micros(2_000_000) }));
        assert_eq!(seen[20], Seen::Signal(Signal::Present));
        let wall = START.offset_micros(3_000_000);
        let first =
            Seen::Unit { kind: StreamKind::Main, pts: 270_000, wall, keyframe: true, discontinuity: false };
        assert_eq!(seen[21], first);
        assert_eq!(seen.len(), 19 + 2 + 6);
    }
}

#[test]
fn orders_are_obeyed_and_bad_ones_refused() {
    let (mut backend, clock, sink) = backend(SimOptions::default());
    let mut channel = backend.open(&config("sim9", false, main_only()), Arc::clone(&sink) as _).unwrap();
    sink.take_units(1);
    channel.request_keyframe(StreamKind::Main).unwrap();
    clock.advance(Duration::from_millis(100));
    assert!(matches!(sink.take_units(1)[..], [Seen::Unit { keyframe: true, .. }]));
    channel.set_bit_rate(StreamKind::Main, BitsPerSecond(2_000_000)).unwrap();
    let refused = channel.set_bit_rate(StreamKind::Main, BitsPerSecond(u32::MAX)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_eq!(channel.request_keyframe(StreamKind::Sub).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn inputs_are_known_and_used_once() {
    let (mut backend, _clock, sink) = backend(SimOptions::default());
    assert_eq!(backend.inputs().len(), 64);
    let mut open =
        |input: &str| backend.open(&config(input, false, main_only()), Arc::clone(&sink) as _).map(drop);
    for input in ["sim64", "sim", "video0", "sim1:slow"] {
        assert_eq!(open(input).unwrap_err().kind(), ErrorKind::NotFound, "{input}");
    }
    for input in ["sim1:lost=60", "sim1:lost=5/5", "sim1:lost=0/9"] {
        assert_eq!(open(input).unwrap_err().kind(), ErrorKind::Unsupported, "{input}");
    }
    open("sim1").unwrap();
    open("sim1").expect("free again after the drop");
    let held = backend.open(&config("sim1", false, main_only()), Arc::clone(&sink) as _).unwrap();
    let busy =
        backend.open(&config("sim1", false, main_only()), Arc::clone(&sink) as _).map(drop).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    drop(held);
}
