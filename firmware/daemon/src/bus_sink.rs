//! Where capture backends deliver: onto the bus.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use std::time::Duration;

use bus::{Publisher, RingSpec};
use hal::{AccessUnit, ChannelId, Clock, MonoTime, Signal, StreamFormat, StreamId, UnitSink, WallTime};

use crate::messages::{ChannelState, ChannelStatus};

/// A ring that could not be made is tried again after this: a role that was killed may hold its rings for a moment longer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Called when a reader wants a keyframe of the stream; must not block.
pub(crate) type WishKeyframe = Box<dyn Fn(StreamId) + Send + Sync>;

/// The sink of all channels of the role.
pub(crate) struct BusSink {
    run_dir: PathBuf,
    /// What the rings of one channel may take together, where memory is short.
    ring_bytes: Option<u32>,
    clock: Arc<dyn Clock>,
    wish_keyframe: WishKeyframe,
    streams: RwLock<HashMap<StreamId, Arc<Mutex<Publisher>>>>,
    /// Streams without a ring: what they are, and when one is tried again.
    homeless: Mutex<HashMap<StreamId, (StreamFormat, MonoTime)>>,
    signals: Mutex<BTreeMap<ChannelId, (Signal, WallTime)>>,
}

impl BusSink {
    /// Readers' wishes for a keyframe go to `wish_keyframe`, from the backends' threads.
    pub(crate) fn new(
        run_dir: PathBuf,
        ring_bytes: Option<u32>,
        clock: Arc<dyn Clock>,
        wish_keyframe: WishKeyframe,
    ) -> Self {
        Self {
            run_dir,
            ring_bytes,
            clock,
            wish_keyframe,
            streams: RwLock::default(),
            homeless: Mutex::default(),
            signals: Mutex::default(),
        }
    }

    /// The channel is no longer captured: its rings end.
    pub(crate) fn remove(&self, channel: ChannelId) {
        self.streams.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| id.channel != channel);
        lock(&self.homeless).retain(|id, _| id.channel != channel);
        lock(&self.signals).remove(&channel);
    }

    /// How `channel` is, as its backend says.
    pub(crate) fn status(&self, channel: ChannelId) -> ChannelStatus {
        let (state, since, message) = match lock(&self.signals).get(&channel) {
            None => (ChannelState::Starting, self.clock.wall(), String::new()),
            Some((Signal::Present, since)) => (ChannelState::Ok, *since, String::new()),
            Some((Signal::Lost { since }, _)) => (ChannelState::NoSignal, *since, String::new()),
            Some((Signal::Failed { reason }, since)) => (ChannelState::Failed, *since, reason.clone()),
        };
        ChannelStatus { channel, state, since, message, streams: Vec::new(), motion_percent: None }
    }

    fn publisher(&self, stream: StreamId) -> Option<Arc<Mutex<Publisher>>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned()
    }

    /// The publisher of a stream that has none yet, if it is time to try and a ring can be made now.
    fn housed(&self, stream: StreamId) -> Option<Arc<Mutex<Publisher>>> {
        let format = {
            let mut homeless = lock(&self.homeless);
            let (format, retry_at) = homeless.get_mut(&stream)?;
            let now = self.clock.mono();
            if now < *retry_at {
                return None;
            }
            *retry_at = now + RETRY_AFTER;
            format.clone()
        };
        self.add(stream, &format).ok()?;
        lock(&self.homeless).remove(&stream);
        tracing::info!(%stream, "the stream is published");
        // Its readers can begin with nothing else.
        (self.wish_keyframe)(stream);
        self.publisher(stream)
    }

    fn add(&self, stream: StreamId, format: &StreamFormat) -> Result<(), bus::BusError> {
        let whole = || RingSpec::for_stream(stream.kind);
        let spec = self.ring_bytes.map_or_else(whole, |bytes| RingSpec::within(stream.kind, bytes));
        let publisher = Publisher::create(&self.run_dir, stream, format, spec)?;
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream, Arc::new(Mutex::new(publisher)));
        Ok(())
    }
}

impl UnitSink for BusSink {
    fn format(&self, stream: StreamId, format: StreamFormat) {
        let outcome = match self.publisher(stream) {
            None => self.add(stream, &format),
            Some(publisher) => lock(&publisher).set_format(&format),
        };
        if let Err(error) = outcome {
            tracing::error!(%stream, %error, "the stream cannot be published yet");
            lock(&self.homeless).insert(stream, (format, self.clock.mono() + RETRY_AFTER));
        }
    }

    fn unit(&self, unit: &AccessUnit<'_>) {
        let Some(publisher) = self.publisher(unit.stream).or_else(|| self.housed(unit.stream)) else {
            return;
        };
        let mut publisher = lock(&publisher);
        if let Err(error) = publisher.publish(unit) {
            tracing::warn!(stream = %unit.stream, %error, "a unit was not published");
        }
        if publisher.take_keyframe_request() {
            (self.wish_keyframe)(unit.stream);
        }
    }

    fn signal(&self, channel: ChannelId, signal: Signal) {
        tracing::info!(%channel, ?signal, "signal");
        lock(&self.signals).insert(channel, (signal, self.clock.wall()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hal::{Pts90k, StreamKind, VideoCodec};
    use hal_sim::SimClock;

    use super::*;

    #[test]
    fn a_ring_that_somebody_still_holds_is_made_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let stream = StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Main);
        let format = StreamFormat::Video(VideoCodec::H264);
        let left = Publisher::create(dir.path(), stream, &format, RingSpec::for_stream(stream.kind)).unwrap();
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let (wished, wishes) = std::sync::mpsc::channel();
        let wish = Box::new(move |stream| wished.send(stream).unwrap());
        let sink = BusSink::new(dir.path().to_owned(), None, Arc::clone(&clock) as Arc<dyn Clock>, wish);
        sink.format(stream, format);
        let publish = || {
            let wall = clock.wall();
            let data = b"\0\0\0\x01\x65";
            sink.unit(&AccessUnit {
                stream,
                pts: Pts90k(0),
                wall,
                keyframe: true,
                discontinuity: false,
                data,
            });
            sink.publisher(stream).is_some()
        };
        assert!(!publish());
        clock.advance(RETRY_AFTER);
        assert!(!publish(), "it is still held");
        drop(left);
        assert!(!publish(), "not with each unit");
        clock.advance(RETRY_AFTER);
        assert!(publish());
        assert_eq!(wishes.try_iter().collect::<Vec<_>>(), [stream]);
        let mut reader = bus::Subscriber::open(dir.path(), stream, bus::Start::Oldest).unwrap();
        assert!(matches!(reader.next(&mut Vec::new()).unwrap(), bus::Next::Unit(_)));
        sink.remove(stream.channel);
        assert!(sink.publisher(stream).is_none());
    }
}
