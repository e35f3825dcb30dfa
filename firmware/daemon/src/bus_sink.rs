//! Where capture backends deliver: onto the bus.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bus::{Publisher, RingSpec};
use hal::{AccessUnit, ChannelId, Clock, Signal, StreamFormat, StreamId, UnitSink, WallTime};

use crate::messages::{ChannelState, ChannelStatus};

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
            signals: Mutex::default(),
        }
    }

    /// The channel is no longer captured: its rings end.
    pub(crate) fn remove(&self, channel: ChannelId) {
        self.streams.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| id.channel != channel);
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
            tracing::error!(%stream, %error, "the stream cannot be published");
        }
    }

    fn unit(&self, unit: &AccessUnit<'_>) {
        let Some(publisher) = self.publisher(unit.stream) else { return };
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
