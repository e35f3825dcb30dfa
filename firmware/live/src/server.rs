//! The tasks: one a watched stream, feeding the viewers.
//!
//! Does not belong here: what a fragment looks like (`mux`).
//!
//! Invariants: a task runs exactly as long as somebody reads what it makes; it never waits for a reader.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bus::{Fanout, FanoutReader, Feeds, Item, Limits, Unit};
use hal::{ChannelId, StreamFormat, StreamId, StreamKind};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::message::{Message, Note};
use crate::mux::{Fragment, Init, Muxer};

/// A slow viewer's backlog: as long as the feed's own, 6 MiB or 10 s of 25 frames and 50 units of sound a second.
const LIMITS: Limits = Limits { bytes: 6 << 20, items: 750 };

/// How long the first picture waits for the sound: for its format, and then for a unit of it, because browsers show
/// nothing of a movie whose sound does not come.
const SOUND_WAIT: Duration = Duration::from_millis(300);

/// A new viewer who has nothing after this long is told to wait. Longer than the wait for the sound.
const FIRST_WAIT: Duration = Duration::from_millis(700);

/// A viewer who has nothing new after this long is told to wait. Longer than cameras at 1 frame a second take.
const STALL_WAIT: Duration = Duration::from_millis(2500);

/// Live video for any number of viewers.
#[derive(Debug)]
pub struct Live {
    feeds: Arc<Feeds>,
    /// At most one a video stream, with sound and without.
    stations: Mutex<HashMap<Key, Weak<Station>>>,
}

/// What a task is made for. Sound changes the init segment and what keyframes wait for, so it is part of the key;
/// grids watch without and the large picture with it, rarely both at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    stream: StreamId,
    audio: bool,
}

/// A task's output; held by its readers alone.
#[derive(Debug)]
struct Station {
    fanout: Fanout<Fragment>,
    task: AbortHandle,
}

impl Drop for Station {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    /// Takes units from `feeds`.
    #[must_use]
    pub fn new(feeds: Arc<Feeds>) -> Self {
        Self { feeds, stations: Mutex::new(HashMap::new()) }
    }

    /// A view of a channel's main or sub stream, with its sound if `audio` and if it is AAC. The stream need not
    /// exist yet. Needs a tokio runtime.
    pub fn open(&self, channel: ChannelId, kind: StreamKind, audio: bool) -> LiveReader {
        let key = Key { stream: StreamId::new(channel, kind), audio };
        let mut stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        let station = stations.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            stations.retain(|_, station| station.strong_count() > 0);
            let station = Arc::new(self.start(key));
            stations.insert(key, Arc::downgrade(&station));
            station
        });
        drop(stations);
        LiveReader {
            fragments: station.fanout.reader(),
            _station: station,
            init: None,
            queue: VecDeque::with_capacity(MESSAGES_A_FRAGMENT),
            patience: Some(FIRST_WAIT),
        }
    }

    /// Streams that are being made into fragments now.
    #[must_use]
    pub fn running(&self) -> usize {
        let stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        stations.values().filter(|station| station.strong_count() > 0).count()
    }

    fn start(&self, key: Key) -> Station {
        let fanout = Fanout::new(LIMITS);
        let video = Source::new(&self.feeds, key.stream);
        let audio = StreamId::new(key.stream.channel, StreamKind::Audio);
        let audio = key.audio.then(|| Source::new(&self.feeds, audio));
        let task = tokio::spawn(run(key.stream, video, audio, fanout.clone())).abort_handle();
        Station { fanout, task }
    }
}

/// One stream of the bus.
struct Source {
    /// Keeps the feed running.
    units: FanoutReader<Unit>,
    format: watch::Receiver<Option<StreamFormat>>,
}

impl Source {
    fn new(feeds: &Feeds, stream: StreamId) -> Self {
        let feed = feeds.get(stream);
        Self { units: feed.reader(), format: feed.watch_format() }
    }
}

async fn run(stream: StreamId, mut video: Source, mut audio: Option<Source>, fanout: Fanout<Fragment>) {
    let mut muxer = Muxer::new();
    let mut first = true;
    loop {
        tokio::select! {
            item = video.units.next() => match item {
                Item::Item(unit) => {
                    if std::mem::take(&mut first) && let Some(audio) = &mut audio {
                        // The pictures wait in the feed meanwhile.
                        let _ = timeout(SOUND_WAIT, first_sound(audio, &mut muxer)).await;
                    }
                    if unit.meta.keyframe {
                        muxer.set_video_format(video.format.borrow_and_update().as_ref());
                        if let Some(audio) = &mut audio {
                            muxer.set_audio_format(audio.format.borrow_and_update().as_ref());
                        }
                    }
                    let was_showing = muxer.is_showing();
                    if let Err(error) = muxer.video(&unit) {
                        tracing::debug!(%stream, %error, "live video waits for the next keyframe");
                        push(&mut muxer, &fanout);
                        fanout.lost(u64::from(was_showing));
                    }
                }
                Item::Lost { gops } => {
                    muxer.lost();
                    // What is left of the GOP before comes before the gap.
                    push(&mut muxer, &fanout);
                    fanout.lost(gops);
                }
                Item::Closed => break,
            },
            item = next_of(&mut audio) => match item {
                Item::Item(unit) => if let Err(error) = muxer.audio(&unit) {
                    tracing::debug!(%stream, %error, "live sound left out");
                },
                // The next unit is later, and says so itself.
                Item::Lost { .. } => {}
                Item::Closed => audio = None,
            },
        }
        push(&mut muxer, &fanout);
    }
    fanout.close();
}

/// Until sound has been heard, or will not be.
async fn first_sound(audio: &mut Source, muxer: &mut Muxer) {
    if let Ok(format) = audio.format.wait_for(Option::is_some).await {
        muxer.set_audio_format(format.as_ref());
    }
    if muxer.expects_sound()
        && let Item::Item(unit) = audio.units.next().await
        && let Err(error) = muxer.audio(&unit)
    {
        tracing::debug!(%error, "live sound left out");
    }
}

fn push(muxer: &mut Muxer, fanout: &Fanout<Fragment>) {
    for fragment in muxer.take() {
        let (keyframe, bytes) = (fragment.keyframe, fragment.bytes.len());
        fanout.push(Arc::new(fragment), keyframe, bytes);
    }
}

async fn next_of(source: &mut Option<Source>) -> Item<Unit> {
    match source {
        Some(source) => source.units.next().await,
        None => std::future::pending().await,
    }
}

/// An init note, an init segment, and the fragment.
const MESSAGES_A_FRAGMENT: usize = 3;

/// One viewer. Dropping it ends the view.
#[derive(Debug)]
pub struct LiveReader {
    fragments: FanoutReader<Fragment>,
    _station: Arc<Station>,
    /// What the viewer has.
    init: Option<Arc<Init>>,
    /// At most [`MESSAGES_A_FRAGMENT`].
    queue: VecDeque<Message>,
    /// How long to wait before saying so; `None` once it has been said.
    patience: Option<Duration>,
}

impl LiveReader {
    /// The next message; `None` when there will be no more. Nothing is lost when the future is dropped before it
    /// ends.
    pub async fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.queue.pop_front() {
            return Some(message);
        }
        let next = self.fragments.next();
        let item = match self.patience {
            None => next.await,
            Some(patience) => match timeout(patience, next).await {
                Ok(item) => item,
                Err(_) => {
                    self.patience = None;
                    return Some(Note::Waiting.message());
                }
            },
        };
        match item {
            Item::Item(fragment) => {
                self.patience = Some(STALL_WAIT);
                let bytes = Message::Binary(fragment.bytes.clone());
                if self.init.as_ref().is_some_and(|init| Arc::ptr_eq(init, &fragment.init)) {
                    return Some(bytes);
                }
                self.init = Some(Arc::clone(&fragment.init));
                self.queue.push_back(Message::Binary(fragment.init.segment.clone()));
                self.queue.push_back(bytes);
                Some(fragment.init.note.clone())
            }
            Item::Lost { gops } => Some(Note::Lost { gops }.message()),
            Item::Closed => None,
        }
    }
}
