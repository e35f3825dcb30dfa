//! A running channel: a thread that minds its pipeline and restarts it.
//!
//! Does not belong here: what the pipeline consists of.
//!
//! Invariant: dropping a [`GstChannel`] stops the pipeline and joins its threads; the input is free afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gstreamer as gst;
use hal::{BitsPerSecond, Channel, ChannelConfig, ErrorKind, HalError, Signal, StreamKind, UnitSink};

use crate::encoder;
use crate::lease::InputLease;
use crate::pipeline::{Delivery, Pipeline};
use crate::source::Input;
use crate::timeline::Timeline;

/// Pauses before a failed pipeline is started again. A device that was unplugged needs seconds; more than half
/// a minute keeps its owner waiting.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A source that delivers nothing for this long hangs: the slowest stream has one frame a second.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// What reaches the minding thread.
enum Notice {
    Stop,
    /// The first unit after a start.
    Alive,
    Failed(String),
}

/// The running pipeline, or none during a pause; with the settings that a new one gets.
struct Running {
    config: ChannelConfig,
    pipeline: Option<Pipeline>,
}

/// [`Channel`] of this backend.
pub(crate) struct GstChannel {
    running: Arc<Mutex<Running>>,
    notices: Sender<Notice>,
    thread: Option<JoinHandle<()>>,
    _input: InputLease,
}

impl GstChannel {
    /// Builds and starts the pipeline; what fails here is the caller's to hear.
    pub(crate) fn start(
        config: ChannelConfig,
        input: Input,
        lease: InputLease,
        sink: Arc<dyn UnitSink>,
        timeline: Timeline,
    ) -> Result<Self, HalError> {
        let (notices, inbox) = channel();
        let alive = notices.clone();
        let delivery = Arc::new(Delivery {
            sink,
            timeline: Arc::new(timeline),
            alive: Box::new(move || drop(alive.send(Notice::Alive))),
            units: AtomicU64::new(0),
        });
        let minder = Minder { input, delivery, notices: notices.clone() };
        let pipeline = minder.start(&config)?;
        let running = Arc::new(Mutex::new(Running { config, pipeline: Some(pipeline) }));
        let shared = Arc::clone(&running);
        let thread = std::thread::Builder::new()
            .name("hal-gst".into())
            .spawn(move || minder.mind(&shared, &inbox))
            .map_err(|error| HalError::new(ErrorKind::Device, format!("no thread for a channel: {error}")))?;
        Ok(Self { running, notices, thread: Some(thread), _input: lease })
    }

    fn with_encoder(
        &self,
        kind: StreamKind,
        order: impl FnOnce(&gst::Element) -> Result<(), HalError>,
    ) -> Result<(), HalError> {
        match &lock(&self.running).pipeline {
            Some(pipeline) => order(pipeline.encoder(kind)?),
            None => Err(HalError::new(ErrorKind::Busy, "the input has failed and is being started again")),
        }
    }
}

impl Channel for GstChannel {
    fn request_keyframe(&mut self, kind: StreamKind) -> Result<(), HalError> {
        self.with_encoder(kind, encoder::force_keyframe)
    }

    fn set_bit_rate(&mut self, kind: StreamKind, bit_rate: BitsPerSecond) -> Result<(), HalError> {
        self.with_encoder(kind, |element| encoder::set_bit_rate(element, bit_rate))?;
        // A pipeline that is started again must not fall back to the old rate.
        for stream in lock(&self.running).config.streams.iter_mut().filter(|stream| stream.kind == kind) {
            stream.bit_rate = bit_rate;
        }
        Ok(())
    }
}

impl Drop for GstChannel {
    fn drop(&mut self) {
        drop(self.notices.send(Notice::Stop));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a channel's thread ended in a panic");
        }
    }
}

struct Minder {
    input: Input,
    delivery: Arc<Delivery>,
    notices: Sender<Notice>,
}

impl Minder {
    fn start(&self, config: &ChannelConfig) -> Result<Pipeline, HalError> {
        let pipeline = Pipeline::build(config, &self.input, &self.delivery)?;
        let problem = Arc::new(Mutex::new(None));
        if let Some(bus) = pipeline.bus() {
            let (notices, problem) = (self.notices.clone(), Arc::clone(&problem));
            bus.set_sync_handler(move |_, message| {
                if let Some((kind, reason)) = failure(message) {
                    lock(&problem).get_or_insert((kind, reason.clone()));
                    drop(notices.send(Notice::Failed(reason)));
                }
                gst::BusSyncReply::Drop
            });
        }
        pipeline.play().map_err(|error| match lock(&problem).take() {
            Some((kind, reason)) => HalError::new(kind, reason),
            None => error,
        })?;
        Ok(pipeline)
    }

    fn mind(&self, running: &Mutex<Running>, inbox: &Receiver<Notice>) {
        let (sink, channel) = (&self.delivery.sink, lock(running).config.channel);
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = self.delivery.units.load(Ordering::Relaxed);
            let reason = match inbox.recv_timeout(HANGS_AFTER) {
                Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Notice::Alive) => {
                    pause = FIRST_PAUSE;
                    sink.signal(channel, Signal::Present);
                    continue;
                }
                Ok(Notice::Failed(reason)) => reason,
                Err(RecvTimeoutError::Timeout) if self.delivery.units.load(Ordering::Relaxed) != seen => {
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    format!("it has delivered no picture for {} s", HANGS_AFTER.as_secs())
                }
            };
            tracing::warn!(%channel, reason, "the input failed");
            sink.signal(channel, Signal::Failed { reason });
            if !self.restart(running, inbox, &mut pause) {
                break;
            }
        }
        let pipeline = lock(running).pipeline.take();
        drop(pipeline);
    }

    /// Tears down, pauses, builds anew, until it starts. `false` when told to stop.
    fn restart(&self, running: &Mutex<Running>, inbox: &Receiver<Notice>, pause: &mut Duration) -> bool {
        loop {
            let pipeline = lock(running).pipeline.take();
            drop(pipeline);
            // What the old pipeline still said is of no interest; an order to stop is.
            loop {
                match inbox.recv_timeout(*pause) {
                    Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                    Ok(Notice::Alive | Notice::Failed(_)) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            let config = lock(running).config.clone();
            match self.start(&config) {
                Ok(pipeline) => {
                    lock(running).pipeline = Some(pipeline);
                    return true;
                }
                Err(error) => tracing::debug!(%error, "the input does not start yet"),
            }
        }
    }
}

/// What a message says about the end of the pictures.
fn failure(message: &gst::MessageRef) -> Option<(ErrorKind, String)> {
    match message.view() {
        gst::MessageView::Error(error) => {
            let kind = if error.error().matches(gst::ResourceError::Busy) {
                ErrorKind::Busy
            } else {
                ErrorKind::Device
            };
            Some((kind, error.error().message().to_owned()))
        }
        gst::MessageView::Eos(_) => Some((ErrorKind::Device, "the source ended".into())),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::InputsInUse;
    use crate::plugins;
    use gstreamer::prelude::*;
    use hal::{
        AccessUnit, ChannelId, FrameRate, Resolution, StreamConfig, StreamFormat, StreamId, SystemClock,
        VideoCodec,
    };

    #[derive(Debug)]
    enum Seen {
        Unit { pts: i64, discontinuity: bool },
        Signal(Signal),
    }

    struct Sink(Mutex<Sender<Seen>>);

    impl UnitSink for Sink {
        fn format(&self, _: StreamId, _: StreamFormat) {}

        fn unit(&self, unit: &AccessUnit<'_>) {
            let seen = Seen::Unit { pts: unit.pts.0, discontinuity: unit.discontinuity };
            drop(lock(&self.0).send(seen));
        }

        fn signal(&self, _: ChannelId, signal: Signal) {
            drop(lock(&self.0).send(Seen::Signal(signal)));
        }
    }

    fn start(input: Input) -> (Result<GstChannel, HalError>, Receiver<Seen>) {
        plugins::init().unwrap();
        let (sender, seen) = channel();
        let main = StreamConfig {
            kind: StreamKind::Main,
            codec: VideoCodec::H264,
            resolution: Resolution { width: 160, height: 90 },
            frame_rate: FrameRate { numerator: 30, denominator: 1 },
            bit_rate: BitsPerSecond(100_000),
            gop_frames: 30,
        };
        let config = ChannelConfig {
            channel: ChannelId::new(1).unwrap(),
            input: "test".into(),
            title: String::new(),
            clock: false,
            audio: false,
            streams: vec![main],
        };
        let lease = InputLease::take(&InputsInUse::default(), "test").unwrap();
        let timeline = Timeline::new(Arc::new(SystemClock::new()));
        (GstChannel::start(config, input, lease, Arc::new(Sink(Mutex::new(sender))), timeline), seen)
    }

    #[test]
    fn a_failed_source_is_reported_and_started_again_on_a_later_timeline() {
        let (channel, seen) = start(Input::Test(0));
        let mut channel = channel.unwrap();
        let next = || seen.recv_timeout(Duration::from_secs(60)).unwrap();
        let mut last = loop {
            if let Seen::Unit { pts, .. } = next() {
                break pts;
            }
        };
        channel.set_bit_rate(StreamKind::Main, BitsPerSecond(200_000)).unwrap();
        let unplugged = gst::message::Error::new(gst::ResourceError::Read, "the device was unplugged");
        lock(&channel.running).pipeline.as_ref().unwrap().bus().unwrap().post(unplugged).unwrap();
        loop {
            match next() {
                Seen::Unit { pts, .. } => last = pts,
                Seen::Signal(Signal::Failed { reason }) => {
                    assert_eq!(reason, "the device was unplugged");
                    break;
                }
                Seen::Signal(signal) => assert_eq!(signal, Signal::Present),
            }
        }
        let first = loop {
            match next() {
                Seen::Unit { pts, discontinuity: true } => break pts,
                Seen::Unit { pts, .. } => last = pts,
                Seen::Signal(signal) => panic!("{signal:?} before the first unit"),
            }
        };
        assert!(first - last > 80_000, "about a second's pause between {last} and {first}");
        assert!(matches!(next(), Seen::Signal(Signal::Present) | Seen::Unit { .. }));
        assert_eq!(lock(&channel.running).config.streams[0].bit_rate, BitsPerSecond(200_000));
        let rate: u32 = lock(&channel.running)
            .pipeline
            .as_ref()
            .unwrap()
            .encoder(StreamKind::Main)
            .unwrap()
            .property("bitrate");
        assert_eq!(rate, 200, "the new pipeline has the ordered rate");
    }

    #[test]
    fn a_device_that_is_not_there_fails_when_it_is_opened() {
        plugins::init().unwrap();
        if !plugins::has("v4l2src") {
            return;
        }
        let (channel, _seen) = start(Input::V4l2("/dev/video-none".into()));
        let error = channel.err().expect("there is no such device");
        assert_eq!(error.kind(), ErrorKind::Device);
        assert!(error.to_string().contains("/dev/video-none"), "{error}");
    }
}
