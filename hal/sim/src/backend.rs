//! The backend: simulated inputs behind `hal::Backend`, paced by a clock.
//!
//! Each open channel has one thread, which delivers main stream, sub stream and sound in the order of their times.
//! An input can lose its signal by a plan; its frame numbers go on meanwhile. Does not belong here: what the
//! units hold (`source.rs`, `audio.rs`).
//!
//! Invariant: which units are delivered follows from the clock alone, not from how often threads get to run,
//! unless they fall [`MAX_LATE`] behind.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hal::{
    AccessUnit, Backend, BitsPerSecond, Channel, ChannelConfig, ChannelId, Clock, ErrorKind, HalError,
    MonoTime, Pts90k, Signal, StreamConfig, StreamFormat, StreamId, StreamKind, UnitSink, WallTime,
};

use crate::audio::{Tick, UNITS_PER_SEC};
use crate::source::{Source, SourceConfig, check, frames_to_ticks};

/// The inputs are `sim0` to `sim63`.
pub const INPUTS: u16 = hal::MAX_CHANNELS;

/// A unit that is later than this is left out, as a real encoder leaves out what it has no time for.
pub const MAX_LATE: Duration = Duration::from_secs(1);

/// The longest sleep. A clock that tests turn cannot wake a sleeper, so it looks for itself.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// How far apart the readings of wall and monotonic time may be: below the 1 ms that marks carry.
const CLOCK_SKEW: Duration = Duration::from_micros(500);

/// How often the clock is read again when this thread was interrupted in between.
const CLOCK_TRIES: u32 = 8;

/// When an input has no signal: for `for_sec` at the end of each `every_sec`, counted from the channel's opening.
///
/// Written `5/60` for 5 s of each 60 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossPlan {
    /// The whole turn, 2 s to 1 day.
    pub every_sec: u32,
    /// The part without a signal, 1 s to less than the whole turn.
    pub for_sec: u32,
}

/// How the simulated board behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimOptions {
    /// Changes the textures of all pictures.
    pub seed: u64,
    /// Inputs (0 for `sim0`) that lose their signal.
    pub signal_loss: BTreeMap<u16, LossPlan>,
}

/// A board with 64 simulated video inputs.
///
/// An input may name its own plan of signal losses: `sim3:lost=5/60`.
pub struct SimBackend {
    options: SimOptions,
    clock: Arc<dyn Clock>,
    in_use: Arc<Mutex<BTreeSet<u16>>>,
}

impl SimBackend {
    /// A board whose time is `clock`'s.
    #[must_use]
    pub fn new(options: SimOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock, in_use: Arc::default() }
    }
}

impl Backend for SimBackend {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn inputs(&self) -> Vec<String> {
        (0..INPUTS).map(|number| format!("sim{number}")).collect()
    }

    fn open(
        &mut self,
        config: &ChannelConfig,
        sink: Arc<dyn UnitSink>,
    ) -> Result<Box<dyn Channel>, HalError> {
        let (input, named_plan) = parse_input(&config.input)?;
        let plan = named_plan.or_else(|| self.options.signal_loss.get(&input).copied());
        if let Some(plan) = plan {
            plan.check()?;
        }
        let start_wall = self.clock.wall();
        let mut videos: Vec<Source> = Vec::new();
        for &stream in &config.streams {
            if stream.kind == StreamKind::Audio
                || config.streams.iter().filter(|s| s.kind == stream.kind).count() > 1
            {
                return Err(HalError::new(
                    ErrorKind::Unsupported,
                    format!("channel {}: each of main and sub can be asked for once", config.channel),
                ));
            }
            videos.push(Source::new(SourceConfig {
                seed: self.options.seed,
                channel: config.channel,
                title: config.title.clone(),
                clock: config.clock,
                stream,
                start: start_wall,
            })?);
        }
        let claim = Claim::new(&self.in_use, input)?;
        let orders = Arc::new(Orders::default());
        let start = self.clock.mono();
        let worker = Worker {
            clock: Arc::clone(&self.clock),
            sink,
            orders: Arc::clone(&orders),
            channel: config.channel,
            streams: config.streams.clone(),
            videos,
            audio: config.audio.then(|| Tick::new(config.channel)),
            plan,
            start,
            origin: Pts90k::from_micros(start.since(MonoTime::default()).as_micros() as i64),
            lost: false,
        };
        let thread = std::thread::Builder::new()
            .name(format!("sim{input}"))
            .spawn(move || worker.run())
            .map_err(|e| HalError::new(ErrorKind::Device, format!("no thread for input sim{input}: {e}")))?;
        let streams = config.streams.clone();
        Ok(Box::new(SimChannel {
            channel: config.channel,
            streams,
            orders,
            thread: Some(thread),
            _claim: claim,
        }))
    }
}

impl LossPlan {
    fn check(self) -> Result<(), HalError> {
        if (2..=86_400).contains(&self.every_sec) && (1..self.every_sec).contains(&self.for_sec) {
            return Ok(());
        }
        Err(HalError::new(
            ErrorKind::Unsupported,
            format!("a signal cannot be lost for {} s of each {} s", self.for_sec, self.every_sec),
        ))
    }

    /// When the current loss began, if the signal is lost at `at` after the opening.
    fn lost_since(self, at: Duration) -> Option<Duration> {
        let every = Duration::from_secs(self.every_sec.into());
        let turn = (at.as_secs() / u64::from(self.every_sec)) as u32;
        let since = every * (turn + 1) - Duration::from_secs(self.for_sec.into());
        (at >= since).then_some(since)
    }
}

impl FromStr for LossPlan {
    type Err = HalError;

    fn from_str(text: &str) -> Result<Self, HalError> {
        let numbers = text.split_once('/').and_then(|(f, e)| Some((f.parse().ok()?, e.parse().ok()?)));
        let Some((for_sec, every_sec)) = numbers else {
            return Err(HalError::new(
                ErrorKind::Unsupported,
                format!("\"{text}\" is no plan of signal losses; write 5/60 for 5 s of each 60 s"),
            ));
        };
        let plan = Self { every_sec, for_sec };
        plan.check()?;
        Ok(plan)
    }
}

/// `sim3` or `sim3:lost=5/60`.
fn parse_input(name: &str) -> Result<(u16, Option<LossPlan>), HalError> {
    let (input, option) = name.split_once(':').map_or((name, None), |(input, option)| (input, Some(option)));
    let number = input.strip_prefix("sim").and_then(|n| n.parse().ok()).filter(|&n| n < INPUTS);
    let unknown = || {
        HalError::new(ErrorKind::NotFound, format!("no input {name}; there are sim0 to sim{}", INPUTS - 1))
    };
    let number = number.ok_or_else(unknown)?;
    match option {
        None => Ok((number, None)),
        Some(option) => Ok((number, Some(option.strip_prefix("lost=").ok_or_else(unknown)?.parse()?))),
    }
}

/// An input in use; dropping it sets it free.
struct Claim {
    in_use: Arc<Mutex<BTreeSet<u16>>>,
    input: u16,
}

impl Claim {
    fn new(in_use: &Arc<Mutex<BTreeSet<u16>>>, input: u16) -> Result<Self, HalError> {
        if !lock(in_use).insert(input) {
            return Err(HalError::new(ErrorKind::Busy, format!("input sim{input} is in use")));
        }
        Ok(Self { in_use: Arc::clone(in_use), input })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.in_use).remove(&self.input);
    }
}

/// What a channel's holder tells its thread.
#[derive(Default)]
struct Orders {
    pending: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Default)]
struct Pending {
    stop: bool,
    keyframes: BTreeSet<StreamKind>,
    bit_rates: BTreeMap<StreamKind, BitsPerSecond>,
}

impl Orders {
    fn give(&self, order: impl FnOnce(&mut Pending)) {
        order(&mut lock(&self.pending));
        self.changed.notify_one();
    }

    /// Sleeps for `span`, less when told something. What was told is taken; `None` once the channel is to stop.
    fn take(&self, span: Duration) -> Option<Pending> {
        let mut pending = lock(&self.pending);
        let idle = !pending.stop && pending.keyframes.is_empty() && pending.bit_rates.is_empty();
        if idle && !span.is_zero() {
            pending = self.changed.wait_timeout(pending, span).unwrap_or_else(PoisonError::into_inner).0;
        }
        (!pending.stop).then(|| std::mem::take(&mut *pending))
    }
}

struct SimChannel {
    channel: ChannelId,
    streams: Vec<StreamConfig>,
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
    _claim: Claim,
}

impl SimChannel {
    fn stream(&self, kind: StreamKind) -> Result<&StreamConfig, HalError> {
        let missing =
            || HalError::new(ErrorKind::NotFound, format!("channel {} has no {kind} stream", self.channel));
        self.streams.iter().find(|s| s.kind == kind).ok_or_else(missing)
    }
}

impl Channel for SimChannel {
    fn request_keyframe(&mut self, kind: StreamKind) -> Result<(), HalError> {
        self.stream(kind)?;
        self.orders.give(|pending| {
            pending.keyframes.insert(kind);
        });
        Ok(())
    }

    fn set_bit_rate(&mut self, kind: StreamKind, bit_rate: BitsPerSecond) -> Result<(), HalError> {
        check(&StreamConfig { bit_rate, ..*self.stream(kind)? })?;
        self.orders.give(|pending| {
            pending.bit_rates.insert(kind, bit_rate);
        });
        Ok(())
    }
}

impl Drop for SimChannel {
    fn drop(&mut self) {
        self.orders.give(|pending| pending.stop = true);
        if let Some(thread) = self.thread.take() {
            // A sink that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// One channel's thread.
struct Worker {
    clock: Arc<dyn Clock>,
    sink: Arc<dyn UnitSink>,
    orders: Arc<Orders>,
    channel: ChannelId,
    streams: Vec<StreamConfig>,
    videos: Vec<Source>,
    audio: Option<Tick>,
    plan: Option<LossPlan>,
    start: MonoTime,
    /// The PTS of frame 0: the time since the clock's start, so that a channel opened again goes on behind it.
    origin: Pts90k,
    lost: bool,
}

impl Worker {
    fn run(mut self) {
        for stream in &self.streams {
            let id = StreamId::new(self.channel, stream.kind);
            self.sink.format(id, StreamFormat::Video(stream.codec));
        }
        if self.audio.is_some() {
            let id = StreamId::new(self.channel, StreamKind::Audio);
            self.sink.format(id, StreamFormat::Audio(Tick::format()));
        }
        self.sink.signal(self.channel, Signal::Present);
        let mut sleep = Duration::ZERO;
        while let Some(orders) = self.orders.take(sleep) {
            self.obey(&orders);
            sleep = self.deliver_due();
        }
    }

    fn obey(&mut self, orders: &Pending) {
        for (stream, video) in self.streams.iter().zip(&mut self.videos) {
            if orders.keyframes.contains(&stream.kind) {
                video.request_keyframe();
            }
            if let Some(&bit_rate) = orders.bit_rates.get(&stream.kind) {
                // Checked when it was ordered.
                let _ = video.set_bit_rate(bit_rate);
            }
        }
    }

    /// Delivers the next unit if its time has come; returns how long to sleep.
    fn deliver_due(&mut self) -> Duration {
        let video_times = self
            .videos
            .iter()
            .zip(&self.streams)
            .map(|(video, stream)| frames_to_ticks(video.counter(), stream, 1_000_000_000) as u64);
        let audio_time = self.audio.as_ref().map(|tick| tick.number() * (1_000_000_000 / UNITS_PER_SEC));
        let Some((next, due)) = video_times.chain(audio_time).enumerate().min_by_key(|&(_, due)| due) else {
            return LONGEST_SLEEP;
        };
        let due = Duration::from_nanos(due);
        let (now, wall_now) = self.read_clock();
        if now < due {
            return (due - now).min(LONGEST_SLEEP);
        }
        let wall_at = |at: Duration| wall_now.offset_micros(-((now - at).as_micros() as i64));
        self.report_signal(due, &wall_at);
        let left_out = self.lost || now - due > MAX_LATE;
        let wall = wall_at(due);
        let (sink, origin) = (&self.sink, self.origin.0);
        let deliver =
            |unit: AccessUnit<'_>| sink.unit(&AccessUnit { pts: Pts90k(origin + unit.pts.0), ..unit });
        match (self.videos.get_mut(next), &mut self.audio) {
            (Some(video), _) if left_out => video.skip(),
            (Some(video), _) => deliver(video.next_unit_at(wall)),
            (None, Some(tick)) if left_out => tick.skip(),
            (None, Some(tick)) => deliver(tick.next_unit_at(wall)),
            (None, None) => {}
        }
        Duration::ZERO
    }

    /// Both times of one moment, or as near as a busy machine lets them be.
    fn read_clock(&self) -> (Duration, WallTime) {
        let mut before = self.clock.mono();
        for _ in 0..CLOCK_TRIES {
            let wall = self.clock.wall();
            let after = self.clock.mono();
            if after.since(before) < CLOCK_SKEW {
                return (before.since(self.start), wall);
            }
            before = after;
        }
        (before.since(self.start), self.clock.wall())
    }

    fn report_signal(&mut self, at: Duration, wall_at: &dyn Fn(Duration) -> WallTime) {
        let since = self.plan.and_then(|plan| plan.lost_since(at));
        if since.is_some() == self.lost {
            return;
        }
        self.lost = since.is_some();
        if let Some(since) = since {
            self.sink.signal(self.channel, Signal::Lost { since: wall_at(since) });
        } else {
            self.videos.iter_mut().for_each(Source::request_keyframe);
            self.sink.signal(self.channel, Signal::Present);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
