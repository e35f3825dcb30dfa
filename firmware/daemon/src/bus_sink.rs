//! Where capture backends deliver: onto the bus, measured on the way.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bus::{Publisher, RingSpec};
use hal::{
    AccessUnit, AudioCodec, ChannelId, Clock, Signal, StreamFormat, StreamId, UnitSink, VideoCodec, WallTime,
};
use media::VideoParams;

use crate::messages::{ChannelState, ChannelStatus, StreamStatus};
use crate::meter::Meter;

/// The sink of all channels of the role.
pub(crate) struct BusSink {
    run_dir: PathBuf,
    clock: Arc<dyn Clock>,
    keyframes: SyncSender<StreamId>,
    streams: RwLock<HashMap<StreamId, Arc<Mutex<Output>>>>,
    signals: Mutex<BTreeMap<ChannelId, (Signal, WallTime)>>,
}

struct Output {
    publisher: Publisher,
    format: StreamFormat,
    size: Option<hal::Resolution>,
    meter: Meter,
}

impl BusSink {
    /// Readers' wishes for a keyframe go to `keyframes`; one that finds it full is made again with the next unit.
    pub(crate) fn new(run_dir: PathBuf, clock: Arc<dyn Clock>, keyframes: SyncSender<StreamId>) -> Self {
        Self { run_dir, clock, keyframes, streams: RwLock::default(), signals: Mutex::default() }
    }

    /// The channel is no longer captured: its rings end.
    pub(crate) fn remove(&self, channel: ChannelId) {
        self.streams.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| id.channel != channel);
        lock(&self.signals).remove(&channel);
    }

    /// How `channel` is, as its backend says and as measured here.
    pub(crate) fn status(&self, channel: ChannelId) -> ChannelStatus {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = streams.iter().filter(|(id, _)| id.channel == channel).collect();
        list.sort_by_key(|(id, _)| **id);
        let (state, since, message) = match lock(&self.signals).get(&channel) {
            None => (ChannelState::Starting, self.clock.wall(), String::new()),
            Some((Signal::Present, since)) => (ChannelState::Ok, *since, String::new()),
            Some((Signal::Lost { since }, _)) => (ChannelState::NoSignal, *since, String::new()),
            Some((Signal::Failed { reason }, since)) => (ChannelState::Failed, *since, reason.clone()),
        };
        let now = self.clock.mono();
        let streams = list.into_iter().map(|(id, output)| lock(output).status(*id, now)).collect();
        ChannelStatus { channel, state, since, message, streams }
    }

    fn output(&self, stream: StreamId) -> Option<Arc<Mutex<Output>>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned()
    }

    fn add(&self, stream: StreamId, format: StreamFormat) -> Result<(), bus::BusError> {
        let spec = RingSpec::for_stream(stream.kind);
        let publisher = Publisher::create(&self.run_dir, stream, &format, spec)?;
        let output = Output { publisher, format, size: None, meter: Meter::default() };
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream, Arc::new(Mutex::new(output)));
        Ok(())
    }
}

impl UnitSink for BusSink {
    fn format(&self, stream: StreamId, format: StreamFormat) {
        let outcome = match self.output(stream) {
            None => self.add(stream, format),
            Some(output) => {
                let mut output = lock(&output);
                output.format = format;
                output.size = None;
                let Output { publisher, format, .. } = &mut *output;
                publisher.set_format(format)
            }
        };
        if let Err(error) = outcome {
            tracing::error!(%stream, %error, "the stream cannot be published");
        }
    }

    fn unit(&self, unit: &AccessUnit<'_>) {
        let Some(output) = self.output(unit.stream) else { return };
        let mut output = lock(&output);
        let now = self.clock.mono();
        output.meter.count(now, unit.data.len());
        if unit.keyframe
            && output.size.is_none()
            && let StreamFormat::Video(codec) = output.format
        {
            output.size = media::annexb::split_parameter_sets(codec, unit.data)
                .ok()
                .and_then(|(sets, _)| VideoParams::new(codec, &sets).ok())
                .map(|params| params.resolution);
        }
        if let Err(error) = output.publisher.publish(unit) {
            tracing::warn!(stream = %unit.stream, %error, "a unit was not published");
        }
        if output.publisher.take_keyframe_request() {
            let _ = self.keyframes.try_send(unit.stream);
        }
    }

    fn signal(&self, channel: ChannelId, signal: Signal) {
        tracing::info!(%channel, ?signal, "signal");
        lock(&self.signals).insert(channel, (signal, self.clock.wall()));
    }
}

impl Output {
    fn status(&mut self, stream: StreamId, now: hal::MonoTime) -> StreamStatus {
        let (units_per_sec, bit_rate_bps) = self.meter.rates(now);
        let size = self.size.unwrap_or_default();
        let (codec, sample_rate, audio_channels) = match &self.format {
            StreamFormat::Video(codec) => (video_name(*codec), 0, 0),
            StreamFormat::Audio(format) => (audio_name(format.codec), format.sample_rate, format.channels),
        };
        StreamStatus {
            kind: stream.kind,
            codec: codec.to_owned(),
            width: size.width,
            height: size.height,
            units_per_sec,
            bit_rate_bps,
            sample_rate,
            audio_channels,
        }
    }
}

/// A video codec's name in the API.
pub(crate) fn video_name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "h264",
        VideoCodec::H265 => "h265",
    }
}

/// An audio codec's name in the API.
pub(crate) fn audio_name(codec: AudioCodec) -> &'static str {
    match codec {
        AudioCodec::Aac => "aac",
        AudioCodec::G711A => "g711a",
        AudioCodec::G711U => "g711u",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
