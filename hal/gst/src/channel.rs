//! A running channel: a thread that minds its pipeline and restarts it.
//!
//! Does not belong here: what the pipeline consists of.
//!
//! Invariant: dropping a [`GstChannel`] stops the pipeline and joins its threads; the input is free afterwards.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gstreamer as gst;
use hal::{
    BitsPerSecond, Channel, ChannelConfig, ChannelId, ErrorKind, HalError, Signal, StreamKind, UnitSink,
};

use crate::encoder::{self, Encoders};
use crate::front_end::{FrontEnd, Picture};
use crate::lease::InputLease;
use crate::pipeline::{Delivery, Pipeline};
use crate::plugins;
use crate::source::Input;
use crate::timeline::Timeline;

/// Pauses before a failed pipeline is started again. A device that was unplugged needs seconds; more than half
/// a minute keeps its owner waiting.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A device is asked for its signal this often: whoever stands before a dark screen waits no longer to be told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A source that has a signal and delivers nothing for 10 s hangs: the slowest stream has one frame a second.
const HANGS_AFTER_LOOKS: u32 = 10;

/// What reaches the minding thread.
enum Notice {
    Stop,
    /// The first unit after a start.
    Alive,
    /// The source says whether its signal is lost.
    Lost(bool),
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
        encoders: Encoders,
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
        let software = Arc::new(AtomicBool::new(encoders == Encoders::Software));
        let minder = Minder { input, software, delivery, notices: notices.clone() };
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
    /// Whether software encodes: ordered, or because the hardware's encoder failed.
    software: Arc<AtomicBool>,
    delivery: Arc<Delivery>,
    notices: Sender<Notice>,
}

impl Minder {
    /// Starts a pipeline; in software when its encoder in hardware does not start.
    fn start(&self, config: &ChannelConfig) -> Result<Pipeline, HalError> {
        let in_hardware = !self.software.load(Ordering::Relaxed);
        match self.start_once(config) {
            Err(error) if in_hardware && self.software.load(Ordering::Relaxed) => {
                tracing::warn!(channel = %config.channel, %error, "the encoder in hardware fails; software encodes");
                self.start_once(config)
            }
            result => result,
        }
    }

    fn start_once(&self, config: &ChannelConfig) -> Result<Pipeline, HalError> {
        let encoders = match self.software.load(Ordering::Relaxed) {
            true => Encoders::Software,
            false => Encoders::HardwareFirst,
        };
        let pipeline = Pipeline::build(config, &self.input, encoders, &self.delivery)?;
        let problem = Arc::new(Mutex::new(None));
        if let Some(bus) = pipeline.bus() {
            let (notices, problem) = (self.notices.clone(), Arc::clone(&problem));
            let software = Arc::clone(&self.software);
            bus.set_sync_handler(move |_, message| {
                if let Some((kind, reason)) = plugins::failure(message) {
                    software.fetch_or(encoder::is_hardware(message), Ordering::Relaxed);
                    lock(&problem).get_or_insert((kind, reason.clone()));
                    drop(notices.send(Notice::Failed(reason)));
                } else if let Some(lost) = FrontEnd::said(message) {
                    drop(notices.send(Notice::Lost(lost)));
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
        let channel = lock(running).config.channel;
        let mut pause = FIRST_PAUSE;
        while let Some(reason) = self.until_failure(channel, inbox, &mut pause) {
            // Closed before it is told of: a device that somebody holds open keeps its number from coming back.
            stop(running);
            tracing::warn!(%channel, reason, "the input failed");
            self.delivery.sink.signal(channel, Signal::Failed { reason });
            if !self.restart(running, inbox, &mut pause) {
                break;
            }
        }
        stop(running);
    }

    /// Reports the signal of a running pipeline until it fails, and why. None when told to stop.
    fn until_failure(
        &self,
        channel: ChannelId,
        inbox: &Receiver<Notice>,
        pause: &mut Duration,
    ) -> Option<String> {
        // Opened anew with every pipeline, closed with it.
        let front_end = self.input.front_end();
        let mut picture = Picture::default();
        let (mut units, mut looks) = (self.delivery.units.load(Ordering::Relaxed), 0);
        loop {
            match inbox.recv_timeout(LOOK_EVERY) {
                Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Notice::Failed(reason)) => return Some(reason),
                Ok(Notice::Alive) => {
                    *pause = FIRST_PAUSE;
                    picture.flows();
                }
                Ok(Notice::Lost(lost)) => picture.signal(lost),
                Err(RecvTimeoutError::Timeout) => looks += 1,
            }
            if let Some(lost) = front_end.as_ref().and_then(FrontEnd::is_lost) {
                picture.signal(lost);
            }
            if let Some(signal) = picture.news(self.delivery.timeline.wall()) {
                tracing::info!(%channel, ?signal, "the input's signal");
                self.delivery.sink.signal(channel, signal);
            }
            let now = self.delivery.units.load(Ordering::Relaxed);
            // Without a signal a device may be silent.
            if now != units || picture.is_lost() {
                (units, looks) = (now, 0);
            }
            if looks == HANGS_AFTER_LOOKS {
                let seconds = (LOOK_EVERY * HANGS_AFTER_LOOKS).as_secs();
                return Some(format!("it has delivered no picture for {seconds} s"));
            }
        }
    }

    /// Pauses, builds anew, until it starts. `false` when told to stop.
    fn restart(&self, running: &Mutex<Running>, inbox: &Receiver<Notice>, pause: &mut Duration) -> bool {
        loop {
            // What the old pipeline still said is of no interest; an order to stop is.
            loop {
                match inbox.recv_timeout(*pause) {
                    Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                    Ok(Notice::Alive | Notice::Lost(_) | Notice::Failed(_)) => {}
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

fn stop(running: &Mutex<Running>) {
    // Out of the lock: its threads may wait for it.
    let pipeline = lock(running).pipeline.take();
    drop(pipeline);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Place;
    use crate::lease::InputsInUse;
    use crate::plugins;
    use gstreamer::prelude::*;
    use hal::{
        AccessUnit, FrameRate, Resolution, StreamConfig, StreamFormat, StreamId, SystemClock, VideoCodec,
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
        (
            GstChannel::start(
                config,
                input,
                Encoders::Software,
                lease,
                Arc::new(Sink(Mutex::new(sender))),
                timeline,
            ),
            seen,
        )
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
        let (channel, _seen) = start(Input::V4l2(Place::of("/dev/video-none")));
        let error = channel.err().expect("there is no such device");
        assert_eq!(error.kind(), ErrorKind::Device);
        assert!(error.to_string().contains("/dev/video-none"), "{error}");
    }
}
