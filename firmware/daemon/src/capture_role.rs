//! The role `capture`: runs the board's inputs and publishes their units.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bus::EventKind;
use hal::{
    Channel as HalChannel, ChannelConfig, ChannelId, Clock, MonoTime, StreamId, StreamKind, SystemClock,
    UnitSink, WallTime,
};
use rtsp::ChannelSource;

use crate::announcer::Announcer;
use crate::backend::Backends;
use crate::board_settings;
use crate::bus_sink::BusSink;
use crate::control::{Control, Receiver};
use crate::messages::{ChannelState, ChannelStatus, RoleConfig, RoleStatus, STATUS_EVERY, ToRole};
use crate::meter::Meters;
use crate::monitor::Monitor;
use crate::motion::Motion;
use crate::motion_events::MotionEvents;
use crate::settings::{Channel, Input};

/// A keyframe costs many times an ordinary frame: readers get at most one a second by asking.
const KEYFRAME_EVERY: Duration = Duration::from_secs(1);
/// An input that could not be opened is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Orders and wishes that wait for the main loop; whoever finds it full waits, or asks again.
const INBOX: usize = 64;

enum Event {
    Order(ToRole),
    Keyframe(StreamId),
}

/// Runs until the warden says otherwise.
pub(crate) fn run(
    control: &Control,
    config: &RoleConfig,
    orders: Receiver,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (events, inbox) = mpsc::sync_channel(INBOX);
    let order_events = events.clone();
    orders.spawn(move |order| {
        let _ = order_events.send(Event::Order(order));
    })?;
    // With a full inbox a wish is lost: the next keyframe comes by itself, a GOP later.
    let wish = move |stream| drop(events.try_send(Event::Keyframe(stream)));
    let sink =
        Arc::new(BusSink::new(config.run_dir.clone(), config.ring_bytes, Arc::clone(&clock), Box::new(wish)));
    let board = board_settings::find(&config.board)
        .inspect_err(|error| tracing::error!(%error, "the board's description cannot be read"))
        .ok();
    let mut capture = Capture {
        clock: Arc::clone(&clock),
        backends: Backends::new(board, config.run_dir.clone(), &clock),
        monitor: Monitor::default(),
        motion: Motion::default(),
        meters: Meters::new(config.run_dir.clone()),
        sink,
        channels: BTreeMap::new(),
    };
    let mut announcer = Announcer::new(&config.run_dir, "capture");
    let mut motion_events = MotionEvents::default();
    capture.configure(config);
    control.ready();
    let mut report_at = clock.mono();
    loop {
        if clock.mono() >= report_at {
            capture.retry();
            let statuses = capture.status();
            announcer.channels(ChannelSource::Input, &statuses);
            for (channel, active) in motion_events.look(&statuses, clock.mono()) {
                announcer.happened(channel, EventKind::Motion { active }, clock.wall());
            }
            control.status(RoleStatus::Channels(statuses));
            report_at = clock.mono() + STATUS_EVERY;
        }
        match inbox.recv_timeout(report_at.since(clock.mono())) {
            Ok(Event::Order(ToRole::Configure(config))) => capture.configure(&config),
            Ok(Event::Keyframe(stream)) => capture.keyframe(stream),
            Ok(Event::Order(ToRole::Console(words))) => capture.monitor.say(words),
            Ok(Event::Order(ToRole::Shutdown)) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(Event::Order(_)) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

struct Capture {
    clock: Arc<dyn Clock>,
    backends: Backends,
    monitor: Monitor,
    motion: Motion,
    meters: Meters,
    sink: Arc<BusSink>,
    channels: BTreeMap<ChannelId, Running>,
}

struct Running {
    source: String,
    config: ChannelConfig,
    /// The open channel, or why there is none and when to try again.
    state: Result<Box<dyn HalChannel>, Refusal>,
    keyframe_at: BTreeMap<StreamKind, MonoTime>,
}

struct Refusal {
    message: String,
    since: WallTime,
    retry_at: MonoTime,
}

impl Capture {
    /// Ends what is no longer wanted, begins what is new, leaves the rest alone.
    fn configure(&mut self, config: &RoleConfig) {
        let wanted: BTreeMap<ChannelId, (String, ChannelConfig)> = config
            .settings
            .channels
            .iter()
            .filter_map(|channel| {
                channel.input.as_ref().map(|input| (channel.number, wanted(channel, input)))
            })
            .collect();
        for (number, (source, config)) in &wanted {
            if let Some(running) = self.channels.get_mut(number) {
                running.follow(source, config);
            }
        }
        let gone: Vec<ChannelId> = self
            .channels
            .iter()
            .filter(|(number, running)| {
                wanted
                    .get(number)
                    .is_none_or(|(source, config)| *source != running.source || *config != running.config)
            })
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            // The encoders stop first, then their rings end.
            drop(self.channels.remove(&number));
            self.sink.remove(number);
            self.meters.forget(number);
        }
        for (number, (source, config)) in wanted {
            if !self.channels.contains_key(&number) {
                let state = self.open(&source, &config);
                self.channels.insert(number, Running { source, config, state, keyframe_at: BTreeMap::new() });
            }
        }
        self.show();
    }

    /// Every channel has its tile on the monitor, where the board has one.
    fn show(&mut self) {
        self.monitor.show(&mut self.backends, self.channels.keys().copied());
    }

    fn open(&mut self, source: &str, config: &ChannelConfig) -> Result<Box<dyn HalChannel>, Refusal> {
        let sink: Arc<dyn UnitSink> = Arc::clone(&self.sink) as Arc<dyn UnitSink>;
        self.backends.open(source, config, sink).map_err(|error| {
            tracing::error!(channel = %config.channel, source, %error, "the input cannot be opened");
            Refusal::new(&error.to_string(), self.clock.wall(), self.clock.mono() + RETRY_AFTER)
        })
    }

    fn retry(&mut self) {
        let now = self.clock.mono();
        let due: Vec<ChannelId> = self
            .channels
            .iter()
            .filter(|(_, running)| running.state.as_ref().is_err_and(|refusal| now >= refusal.retry_at))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let Some(mut running) = self.channels.remove(&number) else { continue };
            let since = running.state.as_ref().err().map(|refusal| refusal.since);
            running.state = self.open(&running.source, &running.config);
            if let (Err(refusal), Some(since)) = (&mut running.state, since) {
                refusal.since = since;
            }
            self.channels.insert(number, running);
        }
        self.show();
    }

    fn keyframe(&mut self, stream: StreamId) {
        // Sound starts anywhere.
        if stream.kind == StreamKind::Audio {
            return;
        }
        let now = self.clock.mono();
        let Some(running) = self.channels.get_mut(&stream.channel) else { return };
        if running.keyframe_at.get(&stream.kind).is_some_and(|at| now.since(*at) < KEYFRAME_EVERY) {
            return;
        }
        running.keyframe_at.insert(stream.kind, now);
        if let Ok(channel) = &mut running.state
            && let Err(error) = channel.request_keyframe(stream.kind)
        {
            tracing::warn!(%stream, %error, "no keyframe on request");
        }
    }

    fn status(&mut self) -> Vec<ChannelStatus> {
        let now = self.clock.mono();
        let channels: Vec<ChannelId> = self.channels.keys().copied().collect();
        self.motion.look(&mut self.backends, &channels);
        self.channels
            .iter()
            .map(|(number, running)| match &running.state {
                Ok(_) => ChannelStatus {
                    streams: self.meters.look(*number, now),
                    motion_percent: self.motion.percent(*number),
                    ..self.sink.status(*number)
                },
                Err(refusal) => ChannelStatus {
                    channel: *number,
                    state: ChannelState::Failed,
                    since: refusal.since,
                    message: refusal.message.clone(),
                    streams: Vec::new(),
                    motion_percent: None,
                },
            })
            .collect()
    }
}

impl Running {
    /// What can be changed without new streams is; the rest is left as it was, and so is opened anew.
    fn follow(&mut self, source: &str, config: &ChannelConfig) {
        if source != self.source || *config == self.config {
            return;
        }
        let Ok(channel) = &mut self.state else { return };
        match channel.reconfigure(config) {
            Ok(true) => self.config = config.clone(),
            Ok(false) => {}
            Err(error) => tracing::warn!(channel = %config.channel, %error, "not changed in place"),
        }
    }
}

impl Refusal {
    fn new(message: &str, since: WallTime, retry_at: MonoTime) -> Self {
        Self { message: message.to_owned(), since, retry_at }
    }
}

fn wanted(channel: &Channel, input: &Input) -> (String, ChannelConfig) {
    let (_, name) = input.source.split_once(':').unwrap_or_default();
    let mut streams = vec![input.main.config(StreamKind::Main)];
    streams.extend(input.sub.as_ref().map(|sub| sub.config(StreamKind::Sub)));
    let config = ChannelConfig {
        channel: channel.number,
        input: name.to_owned(),
        title: channel.title.clone(),
        clock: input.clock,
        audio: input.audio,
        streams,
    };
    (input.source.clone(), config)
}
