//! One channel: what is wanted of it, how it is, and what it delivers.
//!
//! Decides, and returns orders; has no socket and no thread. Does not belong here: the host's life (`supervisor.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hal::{
    AccessUnit, AnalogFormat, Area, AudioCodec, AudioFormat, ChannelConfig, ChannelId, MonoTime, Pts90k,
    Resolution, Signal, StreamConfig, StreamFormat, StreamId, StreamKind, UnitSink, WallTime,
};
use mpp_wire::{ChannelPlan, Fault, FaultKind, Order, PackHead, StreamTag};

use crate::counters::Counters;
use crate::gate::{Closed, Gate};
use crate::osd::Osd;
use crate::plan::{self, Place};
use crate::signal::Sight;
use crate::timeline::Timeline;

/// A stream with a signal that delivers nothing for so long stands still.
const STALL: Duration = Duration::from_secs(2);
/// Slow streams may take so many pictures' time.
const STALL_PICTURES: u32 = 3;
/// An order to open that has no answer after this never gets one.
const OPEN_PATIENCE: Duration = Duration::from_secs(8);
/// A channel that fails again so soon after it was opened anew has a deeper trouble.
const AGAIN: Duration = Duration::from_secs(10);
/// What was refused for a reason that may pass is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How a channel is at the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not there.
    Closed,
    /// Ordered; no answer yet.
    Opening { since: MonoTime },
    /// There.
    Open,
    /// It cannot be, for now or until something changes.
    Refused { retry_at: Option<MonoTime> },
}

/// What is to be done about a channel that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing is wrong.
    None,
    /// Close it and open it again.
    Reopen,
    /// That did not help: start the host again.
    Restart,
}

/// A channel that somebody opened.
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) config: ChannelConfig,
    pub(crate) place: Place,
    pub(crate) covers: Vec<Area>,
    pub(crate) motion: bool,
    pub(crate) phase: Phase,
    /// What it was admitted with; `None` when it was refused.
    pub(crate) plan: Option<ChannelPlan>,
    pub(crate) sight: Sight,
    /// The last format that its decoder locked to.
    pub(crate) format: Option<AnalogFormat>,
    sink: Arc<dyn UnitSink>,
    streams: BTreeMap<StreamTag, Stream>,
    timeline: Timeline,
    fault: Option<String>,
    reported: Option<Signal>,
    is_announced: bool,
    troubled_at: Option<MonoTime>,
}

struct Stream {
    gate: Gate,
    osd: Osd,
    last_picture: MonoTime,
}

impl Channel {
    pub(crate) fn new(config: ChannelConfig, place: Place, sight: Sight, sink: Arc<dyn UnitSink>) -> Self {
        let format = match &sight {
            Sight::Locked(format) => Some(*format),
            _ => None,
        };
        Self {
            id: config.channel,
            config,
            place,
            covers: Vec::new(),
            motion: false,
            phase: Phase::Closed,
            plan: None,
            sight,
            format,
            sink,
            streams: BTreeMap::new(),
            timeline: Timeline::default(),
            fault: None,
            reported: None,
            is_announced: false,
            troubled_at: None,
        }
    }

    /// Whether its format is known, so that it can be opened.
    pub(crate) fn is_seen(&self) -> bool {
        match self.sight {
            Sight::Assumed | Sight::Locked(_) => true,
            Sight::Unknown | Sight::Lost { .. } | Sight::Failed { .. } => self.format.is_some(),
        }
    }

    /// It has a picture of its own.
    fn has_signal(&self) -> bool {
        matches!(self.sight, Sight::Assumed | Sight::Locked(_))
    }

    /// The decoder sees something else. The orders that follow, and whether the format is another one.
    pub(crate) fn see(&mut self, sight: Sight, now: MonoTime) -> (Vec<Order>, bool) {
        let had_signal = self.has_signal();
        let mut is_other_format = false;
        if let Sight::Locked(format) = sight {
            is_other_format = self.format.replace(format) != Some(format);
        }
        self.sight = sight;
        let mut orders = Vec::new();
        if self.phase == Phase::Open && self.has_signal() != had_signal {
            orders.push(self.user_picture());
            if self.has_signal() {
                self.streams.values_mut().for_each(|stream| stream.last_picture = now);
                orders.extend(self.streams.keys().map(|&stream| self.keyframe(stream)));
            }
        }
        (orders, is_other_format)
    }

    fn user_picture(&self) -> Order {
        Order::UserPicture { channel: self.id.get(), on: !self.has_signal() }
    }

    fn keyframe(&self, stream: StreamTag) -> Order {
        Order::Keyframe { channel: self.id.get(), stream }
    }

    /// It is opened with its plan now.
    pub(crate) fn opening(&mut self, now: MonoTime) -> Option<Order> {
        let plan = self.plan.clone()?;
        self.phase = Phase::Opening { since: now };
        self.timeline.begin_anew();
        let streams = self.config.streams.iter();
        let streams = streams.filter_map(|config| {
            let osd = Osd::new(config.resolution, &self.config.title, self.config.clock);
            Some((plan::tag(config.kind)?, Stream { gate: Gate::default(), osd, last_picture: now }))
        });
        self.streams = streams.collect();
        if !self.is_announced {
            self.is_announced = true;
            self.announce();
        }
        Some(Order::Open(plan))
    }

    fn announce(&self) {
        for stream in &self.config.streams {
            self.sink.format(StreamId::new(self.id, stream.kind), StreamFormat::Video(stream.codec));
        }
        if self.plan.as_ref().is_some_and(|plan| plan.audio.is_some()) {
            let format = AudioFormat {
                codec: AudioCodec::G711A,
                sample_rate: plan::AUDIO_RATE,
                channels: 1,
                config: Vec::new(),
            };
            self.sink.format(StreamId::new(self.id, StreamKind::Audio), StreamFormat::Audio(format));
        }
    }

    /// The host's answer to the order to open it; the orders that follow.
    pub(crate) fn opened(&mut self, answer: Result<(), Fault>, now: MonoTime) -> Vec<Order> {
        if !matches!(self.phase, Phase::Opening { .. }) {
            return Vec::new();
        }
        if let Err(fault) = answer {
            self.refuse(&fault, now);
            return Vec::new();
        }
        self.phase = Phase::Open;
        self.fault = None;
        self.streams.values_mut().for_each(|stream| stream.last_picture = now);
        if self.has_signal() { Vec::new() } else { vec![self.user_picture()] }
    }

    /// It does not run, for this reason.
    pub(crate) fn refuse(&mut self, fault: &Fault, now: MonoTime) {
        let may_pass = fault.kind != FaultKind::Unsupported;
        self.phase = Phase::Refused { retry_at: may_pass.then(|| now + RETRY_AFTER) };
        self.fault = Some(fault.message.clone());
    }

    /// It is not at the host any more, or is to be tried again.
    pub(crate) fn close(&mut self) {
        self.phase = Phase::Closed;
    }

    /// Whether it is to be opened: it is not, and nothing speaks against it now.
    pub(crate) fn is_due(&self, now: MonoTime) -> bool {
        self.is_seen()
            && match self.phase {
                Phase::Closed => true,
                Phase::Refused { retry_at } => retry_at.is_some_and(|at| now >= at),
                Phase::Opening { .. } | Phase::Open => false,
            }
    }

    /// Takes a coded picture or sound; an order for a keyframe may follow.
    pub(crate) fn take(
        &mut self,
        stream: Option<StreamTag>,
        (head, data): (&PackHead, &[u8]),
        now: (MonoTime, WallTime),
        counters: &mut Counters,
    ) -> Option<Order> {
        if !matches!(self.phase, Phase::Opening { .. } | Phase::Open) {
            // Left over from before it was closed.
            return None;
        }
        let kind = stream.map_or(StreamKind::Audio, plan::kind);
        if let Some(tag) = stream {
            let Some(state) = self.streams.get_mut(&tag) else {
                counters.unknown += 1;
                return None;
            };
            state.last_picture = now.0;
            let gaps = state.gate.gaps;
            let passed = state.gate.pass(head, data);
            counters.gaps += state.gate.gaps - gaps;
            if let Err(closed) = passed {
                match closed {
                    Closed::Invalid => counters.invalid += 1,
                    Closed::NoKeyframe => counters.undecodable += 1,
                }
                return state.gate.ask(now.0).then(|| self.keyframe(tag));
            }
        } else if self.plan.as_ref().is_none_or(|plan| plan.audio.is_none()) {
            counters.unknown += 1;
            return None;
        } else if data.is_empty() || data.len() > hal::MAX_UNIT_BYTES {
            counters.invalid += 1;
            return None;
        }
        let stamp = self.timeline.place(kind, head.pts_micros, head.age_micros, now);
        self.sink.unit(&AccessUnit {
            stream: StreamId::new(self.id, kind),
            pts: stamp.pts,
            wall: stamp.wall,
            keyframe: stream.is_none() || head.keyframe,
            discontinuity: stamp.discontinuity,
            data,
        });
        None
    }

    /// When the picture of a motion grid is presented; the start of time before the first picture.
    pub(crate) fn presented(&self, platform_micros: u64) -> Pts90k {
        self.timeline.at(platform_micros).unwrap_or_default()
    }

    /// Takes the JPEG that was asked for.
    pub(crate) fn take_snapshot(&self, jpeg: &[u8], counters: &mut Counters) {
        if !jpeg.starts_with(&[0xFF, 0xD8]) {
            counters.invalid += 1;
            return;
        }
        self.sink.snapshot(self.id, jpeg);
    }

    /// Looks whether it stands still.
    pub(crate) fn look(&mut self, now: MonoTime, counters: &mut Counters) -> Remedy {
        match self.phase {
            Phase::Opening { since } if now.since(since) >= OPEN_PATIENCE => Remedy::Restart,
            Phase::Open if self.has_signal() && self.is_stalled(now) => {
                counters.stalls += 1;
                tracing::warn!(channel = %self.id, "a stream stands still");
                self.trouble(now)
            }
            _ => Remedy::None,
        }
    }

    /// It failed; opening it anew helps, unless that was just tried.
    pub(crate) fn trouble(&mut self, now: MonoTime) -> Remedy {
        let before = self.troubled_at.replace(now);
        let again = before.is_some_and(|at| now.since(at) < AGAIN);
        if again { Remedy::Restart } else { Remedy::Reopen }
    }

    /// Starting the host again did not help it either; the others shall not suffer.
    pub(crate) fn give_up(&mut self, now: MonoTime) {
        self.refuse(
            &Fault::new(FaultKind::Device, "its encoders deliver no pictures; they are tried again"),
            now,
        );
    }

    fn is_stalled(&self, now: MonoTime) -> bool {
        self.config.streams.iter().any(|config| {
            let stream = plan::tag(config.kind).and_then(|tag| self.streams.get(&tag));
            stream.is_some_and(|stream| now.since(stream.last_picture) >= patience(config))
        })
    }

    /// The bitmaps that changed.
    pub(crate) fn draw(&mut self, wall: WallTime) -> Vec<Order> {
        if self.phase != Phase::Open {
            return Vec::new();
        }
        let channel = self.id.get();
        let streams = self.streams.iter_mut();
        let orders = streams.filter_map(|(&stream, state)| {
            Some(Order::Bitmaps { channel, stream, bitmaps: state.osd.draw(wall)? })
        });
        orders.collect()
    }

    /// Takes a configuration that needs no new streams; the orders that make a running channel follow it.
    pub(crate) fn change(&mut self, config: ChannelConfig) -> Vec<Order> {
        let is_open = self.phase == Phase::Open;
        let redrawn = config.title != self.config.title || config.clock != self.config.clock;
        let mut orders = Vec::new();
        for (new, old) in config.streams.iter().zip(&self.config.streams) {
            let (Some(stream), rate) = (plan::tag(new.kind), plan::rate(new)) else { continue };
            if is_open && rate != plan::rate(old) {
                orders.push(Order::Rate { channel: self.id.get(), stream, rate });
            }
            if let Some(state) = self.streams.get_mut(&stream).filter(|_| redrawn) {
                state.osd = Osd::new(new.resolution, &config.title, config.clock);
            }
        }
        self.config = config;
        orders
    }

    /// The size that its input sends.
    pub(crate) fn picture(&self) -> Resolution {
        plan::picture(&self.config, self.format).0
    }

    /// Tells the sink how it is, if that changed. `host` is what is wrong with the host, where something is.
    pub(crate) fn report(&mut self, host: Option<&str>) {
        let failed = |reason: &str| Some(Signal::Failed { reason: reason.to_owned() });
        let signal = match (host, &self.fault, &self.sight) {
            (_, _, Sight::Failed { reason }) => failed(reason),
            (Some(reason), _, _) => failed(reason),
            (None, Some(reason), _) => failed(reason),
            (None, None, Sight::Lost { since }) => Some(Signal::Lost { since: *since }),
            (None, None, Sight::Assumed | Sight::Locked(_)) if self.phase == Phase::Open => {
                Some(Signal::Present)
            }
            _ => None,
        };
        if let Some(signal) = signal.filter(|signal| self.reported.as_ref() != Some(signal)) {
            self.reported = Some(signal.clone());
            self.sink.signal(self.id, signal);
        }
    }
}

/// Whether `new` is `old` with other rates, title or clock.
pub(crate) fn is_same_streams(new: &ChannelConfig, old: &ChannelConfig) -> bool {
    let shape = |s: &StreamConfig| (s.kind, s.codec, s.resolution);
    new.channel == old.channel
        && new.input == old.input
        && new.audio == old.audio
        && new.streams.iter().map(shape).eq(old.streams.iter().map(shape))
}

fn patience(config: &StreamConfig) -> Duration {
    let picture = Duration::from_secs(1) / u32::from(plan::rate(config).frame_rate.max(1));
    STALL.max(picture * STALL_PICTURES)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use mpp_wire::{PackKind, RatePlan};

    use super::*;
    use crate::plan::tests::config;

    #[derive(Default)]
    struct Sink(Mutex<Vec<Signal>>);

    impl UnitSink for Sink {
        fn format(&self, _stream: StreamId, _format: StreamFormat) {}
        fn unit(&self, _unit: &AccessUnit<'_>) {}
        fn signal(&self, _channel: ChannelId, signal: Signal) {
            self.0.lock().unwrap().push(signal);
        }
    }

    fn at(ms: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(ms))
    }

    fn open(sight: Sight) -> (Channel, Arc<Sink>) {
        let sink = Arc::new(Sink::default());
        let place = Place { input: 0, device: 0, way: 0, audio: None, audio_channels: 1 };
        let mut channel =
            Channel::new(config(1280, 720), place, sight, Arc::clone(&sink) as Arc<dyn UnitSink>);
        channel.plan = plan::channel(place, &channel.config, None, &[], false, None).ok();
        assert!(matches!(channel.opening(at(0)), Some(Order::Open(_))));
        channel.opened(Ok(()), at(0));
        assert_eq!(channel.phase, Phase::Open);
        (channel, sink)
    }

    fn picture(channel: &mut Channel, stream: StreamTag, ms: u64) -> Option<Order> {
        let kind = PackKind::Video(stream);
        let head =
            PackHead { kind, channel: 3, keyframe: true, sequence: 0, pts_micros: ms * 1_000, age_micros: 0 };
        let now = (at(ms), WallTime::default());
        channel.take(Some(stream), (&head, &[0, 0, 0, 1, 0x65]), now, &mut Counters::default())
    }

    #[test]
    fn a_stream_that_stands_still_is_opened_anew_and_then_the_host_is_started_again() {
        let (mut channel, _) = open(Sight::Assumed);
        let mut counters = Counters::default();
        assert!(picture(&mut channel, StreamTag::Main, 1_900).is_none());
        assert_eq!(channel.look(at(1_999), &mut counters), Remedy::None);
        assert_eq!(channel.look(at(2_000), &mut counters), Remedy::Reopen, "the sub stream brought nothing");
        channel.close();
        channel.opening(at(2_000)).unwrap();
        channel.opened(Ok(()), at(2_100));
        assert_eq!(channel.look(at(4_099), &mut counters), Remedy::None);
        assert_eq!(channel.look(at(4_100), &mut counters), Remedy::Restart);
        assert_eq!(counters.stalls, 2);
        channel.close();
        channel.opening(at(20_000)).unwrap();
        channel.opened(Ok(()), at(20_000));
        assert_eq!(channel.look(at(22_000), &mut counters), Remedy::Reopen, "long after");
    }

    #[test]
    fn without_a_signal_nothing_stands_still() {
        let (mut channel, _) = open(Sight::Lost { since: WallTime::default() });
        assert_eq!(channel.look(at(60_000), &mut Counters::default()), Remedy::None);
    }

    #[test]
    fn an_order_to_open_without_an_answer_is_the_host_s_fault() {
        let (mut channel, _) = open(Sight::Assumed);
        channel.close();
        channel.opening(at(0)).unwrap();
        assert_eq!(channel.look(at(7_999), &mut Counters::default()), Remedy::None);
        assert_eq!(channel.look(at(8_000), &mut Counters::default()), Remedy::Restart);
    }

    #[test]
    fn a_refusal_is_told_and_tried_again_only_where_that_may_help() {
        for (kind, due) in [(FaultKind::Busy, true), (FaultKind::Unsupported, false)] {
            let (mut channel, sink) = open(Sight::Assumed);
            channel.report(None);
            channel.refuse(&Fault::new(kind, "no memory"), at(0));
            channel.report(None);
            channel.report(None);
            let failed = Signal::Failed { reason: "no memory".to_owned() };
            assert_eq!(*sink.0.lock().unwrap(), [Signal::Present, failed]);
            assert!(!channel.is_due(at(4_999)));
            assert_eq!(channel.is_due(at(5_000)), due);
        }
    }

    #[test]
    fn only_what_changed_is_ordered() {
        let (mut channel, _) = open(Sight::Assumed);
        assert_eq!(channel.draw(WallTime::default()).len(), 2);
        let mut slower = channel.config.clone();
        slower.streams[1].bit_rate = hal::BitsPerSecond(100_000);
        let orders = channel.change(slower.clone());
        let rate = RatePlan { kbit_per_sec: 100, gop_frames: 30, frame_rate: 15 };
        assert!(
            matches!(orders[..], [Order::Rate { channel: 3, stream: StreamTag::Sub, rate: r }] if r == rate)
        );
        assert!(channel.draw(WallTime::default()).is_empty(), "the title is the same");
        let renamed = ChannelConfig { title: "Gate".to_owned(), ..slower };
        assert!(channel.change(renamed).is_empty());
        assert_eq!(channel.draw(WallTime::default()).len(), 2);
    }

    #[test]
    fn sizes_codecs_and_sound_need_new_streams() {
        let old = config(1280, 720);
        let mut titled = old.clone();
        titled.title.push('!');
        titled.streams[0].gop_frames = 60;
        assert!(is_same_streams(&titled, &old));
        assert!(!is_same_streams(&config(704, 576), &old));
        assert!(!is_same_streams(&ChannelConfig { audio: false, ..old.clone() }, &old));
        let mut fewer = old.clone();
        fewer.streams.pop();
        assert!(!is_same_streams(&fewer, &old));
    }
}
