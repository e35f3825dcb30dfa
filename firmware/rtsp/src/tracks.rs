//! Live streams as packets, made and handed out in the thread of the stream's feed.
//!
//! Does not belong here: clients.
//!
//! Invariants: a stream's packets are built once, whatever the number of its clients, and while somebody holds the track; a
//! stream whose format changed is closed, never continued under a description that is no longer true.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bus::{Fanout, FanoutReader, Feed, Feeds, Item, Limits, Listening, Unit};
use hal::{AccessUnit, ChannelId, Clock, StreamFormat, StreamId, StreamKind};
use tokio::sync::watch;

use crate::facts::Metadata;
use crate::lanes::Lanes;
use crate::metadata::{self, Documents, Teller};
use crate::packet::Packets;
use crate::payload::{Packetiser, Payload, Seeds, TrackId};
use crate::video::ParameterSets;

/// How long DESCRIBE waits for a stream that has no ring yet: a camera that is just connecting has one by then.
const FORMAT_WAIT: Duration = Duration::from_secs(2);

/// Sound is there when its video is, or is not there at all; a feed opens a ring that is there in milliseconds.
const SOUND_WAIT: Duration = Duration::from_millis(150);

/// How long DESCRIBE waits for a keyframe with parameter sets, once there is a ring.
const PARAMETER_SETS_WAIT: Duration = Duration::from_secs(2);

/// What slow clients of a stream may lag behind: 4 s at 8 Mbit/s, and a GOP for new ones to start in. A board with
/// 64 MB holds this for every stream that has a slow client.
const VIDEO_LIMITS: Limits = Limits { bytes: 4 << 20, items: 600 };
const AUDIO_LIMITS: Limits = Limits { bytes: 512 << 10, items: 512 };

/// All streams that somebody is connected to.
pub(crate) struct Tracks {
    feeds: Arc<Feeds>,
    clock: Arc<dyn Clock>,
    metadata: Option<Arc<Metadata>>,
    live: Mutex<HashMap<(StreamId, TrackId), Weak<LiveTrack>>>,
}

/// One stream as packets.
#[derive(Debug)]
pub(crate) struct LiveTrack {
    pub(crate) ssrc: u32,
    pub(crate) payload: Payload,
    packets: Fanout<Packets>,
    lanes: Arc<Lanes>,
    parameter_sets: watch::Receiver<Option<ParameterSets>>,
    origin: Origin,
    ended: Arc<AtomicBool>,
}

/// Where its packets come from.
#[derive(Debug)]
enum Origin {
    Feed {
        feed: Arc<Feed>,
        /// Has the [`Worker`].
        _listening: Listening,
    },
    Metadata(Teller),
}

impl Tracks {
    pub(crate) fn new(feeds: Arc<Feeds>, clock: Arc<dyn Clock>, metadata: Option<Arc<Metadata>>) -> Self {
        Self { feeds, clock, metadata, live: Mutex::default() }
    }

    /// The track of a stream that exists; `None` when it does not appear within a short time.
    pub(crate) async fn open(&self, stream: StreamId, track: TrackId) -> Option<Arc<LiveTrack>> {
        if track == TrackId::Metadata {
            // Of a stream that is there, or was lately: what happens to no channel is not told.
            let is_there = bus::ring_path(self.feeds.dir(), stream).exists();
            return if is_there { self.open_metadata(stream.channel) } else { None };
        }
        if let Some(live) = self.find(stream, track) {
            return Some(live);
        }
        // Most channels have no sound, and their viewers shall not wait for it.
        if track == TrackId::Audio && !bus::ring_path(self.feeds.dir(), stream).exists() {
            return None;
        }
        let feed = self.feeds.get(stream);
        let mut formats = feed.watch_format();
        let wait = match track {
            TrackId::Video => FORMAT_WAIT,
            TrackId::Audio | TrackId::Metadata => SOUND_WAIT,
        };
        let format =
            tokio::time::timeout(wait, formats.wait_for(Option::is_some)).await.ok()?.ok()?.clone()?;
        let fits = matches!(
            (&format, track),
            (StreamFormat::Video(_), TrackId::Video) | (StreamFormat::Audio(_), TrackId::Audio)
        );
        if !fits {
            return None;
        }
        self.share((stream, track), || LiveTrack::start(feed, format, track, Arc::clone(&self.clock)))
    }

    fn open_metadata(&self, channel: ChannelId) -> Option<Arc<LiveTrack>> {
        let metadata = self.metadata.as_ref()?;
        let key = (StreamId::new(channel, StreamKind::Main), TrackId::Metadata);
        self.share(key, || LiveTrack::tell(metadata, channel))
    }

    /// The running track, or a new one, which others get from then on: somebody else may have been faster.
    fn share(
        &self,
        key: (StreamId, TrackId),
        start: impl FnOnce() -> Option<LiveTrack>,
    ) -> Option<Arc<LiveTrack>> {
        let mut all = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = all.get(&key).and_then(Weak::upgrade).filter(|live| live.is_running()) {
            return Some(live);
        }
        all.retain(|_, live| live.strong_count() > 0);
        let live = Arc::new(start()?);
        all.insert(key, Arc::downgrade(&live));
        Some(live)
    }

    fn find(&self, stream: StreamId, track: TrackId) -> Option<Arc<LiveTrack>> {
        let all = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(stream, track)).and_then(Weak::upgrade).filter(|live| live.is_running())
    }
}

impl LiveTrack {
    /// `None` without randomness.
    fn start(feed: Arc<Feed>, format: StreamFormat, track: TrackId, clock: Arc<dyn Clock>) -> Option<Self> {
        let seeds = Seeds::random()?;
        let payload = Payload::from(format.clone());
        let packetiser = Packetiser::new(payload.clone(), track, seeds);
        let packets = Fanout::new(match track {
            TrackId::Video => VIDEO_LIMITS,
            TrackId::Audio => AUDIO_LIMITS,
            TrackId::Metadata => metadata::LIMITS,
        });
        let lanes = Arc::<Lanes>::default();
        let (tell, parameter_sets) = watch::channel(None);
        let ended = Arc::<AtomicBool>::default();
        let worker = Worker {
            units: feed.reader(),
            formats: feed.watch_format(),
            format,
            packetiser,
            packets: packets.clone(),
            lanes: Arc::clone(&lanes),
            clock,
            tell,
            ended: Arc::clone(&ended),
        };
        let worker = Arc::new(Mutex::new(worker));
        let theirs = Arc::clone(&worker);
        let work = |worker: &Mutex<Worker>| worker.lock().unwrap_or_else(PoisonError::into_inner).work();
        let _listening = feed.listen(move || work(&theirs));
        // The last GOP is there, as a rule.
        work(&worker);
        let origin = Origin::Feed { feed, _listening };
        Some(Self { ssrc: seeds.ssrc, payload, packets, lanes, parameter_sets, origin, ended })
    }

    /// A channel's metadata; `None` without randomness.
    fn tell(metadata: &Arc<Metadata>, channel: ChannelId) -> Option<Self> {
        let seeds = Seeds::random()?;
        let payload = Payload::Metadata;
        let packetiser = Packetiser::new(payload.clone(), TrackId::Metadata, seeds);
        let packets = Fanout::new(metadata::LIMITS);
        let lanes = Arc::<Lanes>::default();
        let documents =
            Documents::new(Arc::clone(metadata), channel, packetiser, packets.clone(), Arc::clone(&lanes));
        let (_, parameter_sets) = watch::channel(None);
        let (origin, ended) = (Origin::Metadata(documents.start()), Arc::default());
        Some(Self { ssrc: seeds.ssrc, payload, packets, lanes, parameter_sets, origin, ended })
    }

    /// From the last keyframe on; of metadata from the state of now on.
    pub(crate) fn reader(&self) -> FanoutReader<Packets> {
        if let Origin::Metadata(teller) = &self.origin {
            teller.refresh();
        }
        self.packets.reader()
    }

    /// For clients that have had everything.
    pub(crate) fn lanes(&self) -> &Arc<Lanes> {
        &self.lanes
    }

    /// Of the last keyframe, or of the first that comes soon.
    pub(crate) async fn parameter_sets(&self) -> Option<ParameterSets> {
        if !matches!(self.payload, Payload::Video(_)) {
            return None;
        }
        let mut sets = self.parameter_sets.clone();
        if sets.borrow().is_none() {
            self.request_keyframe();
        }
        let found = tokio::time::timeout(PARAMETER_SETS_WAIT, sets.wait_for(Option::is_some)).await;
        found.ok().and_then(|found| found.ok().and_then(|sets| sets.clone()))
    }

    pub(crate) fn request_keyframe(&self) {
        match &self.origin {
            Origin::Feed { feed, .. } => feed.request_keyframe(),
            Origin::Metadata(teller) => teller.refresh(),
        }
    }

    fn is_running(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }
}

/// Turns units into packets, as they come.
struct Worker {
    units: FanoutReader<Unit>,
    formats: watch::Receiver<Option<StreamFormat>>,
    format: StreamFormat,
    packetiser: Packetiser,
    packets: Fanout<Packets>,
    lanes: Arc<Lanes>,
    clock: Arc<dyn Clock>,
    tell: watch::Sender<Option<ParameterSets>>,
    ended: Arc<AtomicBool>,
}

impl Worker {
    /// Takes what is new.
    fn work(&mut self) {
        while !self.ended.load(Ordering::Relaxed)
            && let Some(item) = self.units.try_next()
        {
            match item {
                Item::Item(unit) => {
                    if self.formats.borrow().as_ref() == Some(&self.format) {
                        self.packetise(&unit);
                    } else {
                        tracing::info!(stream = %unit.stream, "format changed, clients have to ask anew");
                        self.end();
                    }
                }
                Item::Lost { gops } => self.lanes.lost(&self.packets, gops),
                Item::Closed => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.lanes.close(&self.packets);
    }

    fn packetise(&mut self, unit: &Unit) {
        let access_unit = AccessUnit {
            stream: unit.stream,
            pts: unit.meta.pts,
            wall: unit.meta.wall,
            keyframe: unit.meta.keyframe,
            discontinuity: unit.meta.discontinuity,
            data: &unit.data,
        };
        let Some(packets) = self.packetiser.packetise(&access_unit) else { return };
        if packets.keyframe {
            let sets = self.packetiser.parameter_sets();
            self.tell.send_if_modified(|told| {
                let news = told.as_ref() != sets;
                if news {
                    *told = sets.cloned();
                }
                news
            });
        }
        self.lanes.push(&self.packets, packets, self.clock.mono());
    }
}
