//! What is known of the channels beside their pictures, and what changed last.
//!
//! The caller tells [`Metadata`] each event of the bus; viewers of a channel's metadata track hear of it.
//!
//! Does not belong here: where events come from, ONVIF's words (`onvif.rs`), packets (`metadata.rs`).
//!
//! Invariants: a channel has one fact a topic, [`MAX_INPUTS`] digital inputs among them, and its last [`MAX_RECENT`] changes, whatever
//! happens how often; whoever is slower than that takes the whole state instead; nobody waits for a viewer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Event, EventKind};
use hal::{ChannelId, Clock, MAX_CHANNELS, WallTime};
use tokio::sync::watch;

/// Digital inputs that are told of: more than a board has.
const MAX_INPUTS: u16 = 64;

/// Changes that a reader may be behind before it takes the whole state: all cameras of a recorder failing at once are one
/// for each of its channels.
pub(crate) const MAX_RECENT: usize = 64;

/// What there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// The input has no picture.
    SignalLost,
    /// Something moves.
    Motion,
    /// The network camera delivers.
    CameraOnline,
    /// The channel's footage is written.
    Recording,
    /// No channel's footage can be written.
    StorageFailed,
    /// A digital input is active.
    Input(u16),
}

/// One thing that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) topic: Topic,
    pub(crate) is_so: bool,
    /// Since when.
    pub(crate) at: WallTime,
}

/// One thing that was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) fact: Fact,
    /// Nothing was known of this before.
    pub(crate) is_first: bool,
}

/// What feeds a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelSource {
    /// An input of the recorder.
    Input,
    /// A network camera.
    Camera,
}

/// What is known of all channels. To be shared by whoever learns and by the server, see [`crate::ServerOptions`].
pub struct Metadata {
    pub(crate) clock: Arc<dyn Clock>,
    /// By number, from 1.
    channels: Vec<Channel>,
}

#[derive(Default)]
struct Channel {
    state: Mutex<State>,
    /// How many changes there were.
    count: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    facts: BTreeMap<Topic, (bool, WallTime)>,
    recent: VecDeque<Change>,
    count: u64,
}

impl Metadata {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, channels: (0..MAX_CHANNELS).map(|_| Channel::default()).collect() }
    }

    /// Takes in what happened; events without a channel are true of all channels. What says nothing new changes nothing,
    /// and what has no place in metadata is left out.
    pub fn tell(&self, event: &Event) {
        self.learn(event, true);
    }

    /// As [`Self::tell`], where nothing is known yet: for what is known from elsewhere than from events.
    pub fn fill(&self, event: &Event) {
        self.learn(event, false);
    }

    /// What feeds the channel now, `None` for nothing: what was known of another source is forgotten.
    pub fn set_source(&self, channel: ChannelId, source: Option<ChannelSource>) {
        let Some(channel) = self.channel(channel) else { return };
        channel.lock().facts.retain(|topic, _| match topic {
            Topic::SignalLost | Topic::Motion => source == Some(ChannelSource::Input),
            Topic::CameraOnline => source == Some(ChannelSource::Camera),
            Topic::Recording => source.is_some(),
            // Not the channel's own.
            Topic::StorageFailed | Topic::Input(_) => true,
        });
    }

    /// All that is known of a channel, and after how many changes.
    pub(crate) fn state(&self, channel: ChannelId) -> (u64, Vec<Fact>) {
        let Some(channel) = self.channel(channel) else { return (0, Vec::new()) };
        let state = channel.lock();
        let facts =
            state.facts.iter().map(|(topic, (is_so, at))| Fact { topic: *topic, is_so: *is_so, at: *at });
        (state.count, facts.collect())
    }

    /// What changed after so many changes; `None` when that is more than is kept.
    pub(crate) fn changes(&self, channel: ChannelId, after: u64) -> Option<(u64, Vec<Change>)> {
        let state = self.channel(channel)?.lock();
        let missed = usize::try_from(state.count.checked_sub(after)?).ok()?;
        let known = state.recent.len().checked_sub(missed)?;
        Some((state.count, state.recent.iter().skip(known).copied().collect()))
    }

    /// How many changes there were, as they come; `None` for no channel.
    pub(crate) fn watch(&self, channel: ChannelId) -> Option<watch::Receiver<u64>> {
        self.channel(channel).map(|channel| channel.count.subscribe())
    }

    fn channel(&self, channel: ChannelId) -> Option<&Channel> {
        self.channels.get(usize::from(channel.get()).checked_sub(1)?)
    }

    fn learn(&self, event: &Event, again: bool) {
        let Some((topic, is_so)) = topic(event) else { return };
        let fact = Fact { topic, is_so, at: event.at };
        match event.channel {
            Some(channel) => self.channel(channel).into_iter().for_each(|channel| channel.learn(fact, again)),
            None => self.channels.iter().for_each(|channel| channel.learn(fact, again)),
        }
    }
}

impl Channel {
    fn learn(&self, fact: Fact, again: bool) {
        let mut state = self.lock();
        let known = state.facts.get(&fact.topic).map(|(is_so, _)| *is_so);
        if known == Some(fact.is_so) || (known.is_some() && !again) {
            return;
        }
        state.facts.insert(fact.topic, (fact.is_so, fact.at));
        if state.recent.len() >= MAX_RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(Change { fact, is_first: known.is_none() });
        state.count += 1;
        self.count.send_replace(state.count);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata").finish_non_exhaustive()
    }
}

/// What an event says of which topic. `None` for a device that failed: ONVIF has no topic for it, and it is no lost signal; and for
/// somebody's mark, which is no property of a device.
fn topic(event: &Event) -> Option<(Topic, bool)> {
    Some(match &event.kind {
        EventKind::SignalLost => (Topic::SignalLost, true),
        EventKind::SignalBack => (Topic::SignalLost, false),
        EventKind::Motion { active } => (Topic::Motion, *active),
        EventKind::CameraOnline => (Topic::CameraOnline, true),
        EventKind::CameraOffline { .. } => (Topic::CameraOnline, false),
        EventKind::DigitalInput { input, active } if *input <= MAX_INPUTS => (Topic::Input(*input), *active),
        EventKind::RecordingFailed { .. } if event.channel.is_some() => (Topic::Recording, false),
        EventKind::RecordingBack if event.channel.is_some() => (Topic::Recording, true),
        EventKind::RecordingFailed { .. } => (Topic::StorageFailed, true),
        EventKind::RecordingBack => (Topic::StorageFailed, false),
        EventKind::DigitalInput { .. } | EventKind::InputFailed { .. } | EventKind::Marked { .. } => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use hal::SystemClock;

    use super::*;

    fn channel(number: u16) -> ChannelId {
        ChannelId::new(number).unwrap()
    }

    fn event(number: u16, at_sec: i64, kind: EventKind) -> Event {
        Event { at: WallTime::from_unix_micros(at_sec * 1_000_000), channel: ChannelId::new(number), kind }
    }

    fn known(metadata: &Metadata, number: u16) -> Vec<(Topic, bool, i64)> {
        let facts = metadata.state(channel(number)).1;
        facts.iter().map(|fact| (fact.topic, fact.is_so, fact.at.as_unix_micros() / 1_000_000)).collect()
    }

    fn metadata() -> Metadata {
        Metadata::new(Arc::new(SystemClock::new()))
    }

    #[test]
    fn the_latest_of_each_topic_is_kept_with_its_beginning() {
        let metadata = metadata();
        let failed = || EventKind::RecordingFailed { reason: "full".into() };
        for event in [
            event(1, 10, EventKind::SignalLost),
            event(1, 11, EventKind::SignalLost),
            event(2, 12, EventKind::CameraOnline),
            event(2, 13, EventKind::CameraOffline { reason: "gone".into() }),
            event(2, 14, failed()),
            event(0, 15, failed()),
            event(1, 16, EventKind::DigitalInput { input: 3, active: true }),
            event(1, 17, EventKind::InputFailed { reason: "no driver".into() }),
        ] {
            metadata.tell(&event);
        }
        let storage = (Topic::StorageFailed, true, 15);
        assert_eq!(
            known(&metadata, 1),
            [(Topic::SignalLost, true, 10), storage, (Topic::Input(3), true, 16)]
        );
        let offline = [(Topic::CameraOnline, false, 13), (Topic::Recording, false, 14), storage];
        assert_eq!(known(&metadata, 2), offline);
        assert_eq!(known(&metadata, 64), [storage], "of all channels");
        metadata.fill(&event(2, 20, EventKind::CameraOnline));
        metadata.fill(&event(3, 20, EventKind::CameraOnline));
        assert_eq!(known(&metadata, 2), offline, "events know better");
        assert_eq!(known(&metadata, 3), [(Topic::CameraOnline, true, 20), storage]);
    }

    #[test]
    fn another_source_does_not_inherit() {
        let metadata = metadata();
        metadata.tell(&event(1, 1, EventKind::SignalLost));
        metadata.tell(&event(1, 2, EventKind::DigitalInput { input: 1, active: false }));
        metadata.set_source(channel(1), Some(ChannelSource::Input));
        assert_eq!(known(&metadata, 1).len(), 2);
        metadata.set_source(channel(1), Some(ChannelSource::Camera));
        assert_eq!(known(&metadata, 1), [(Topic::Input(1), false, 2)]);
        metadata.tell(&event(1, 3, EventKind::CameraOnline));
        metadata.set_source(channel(1), None);
        assert_eq!(known(&metadata, 1), [(Topic::Input(1), false, 2)]);
    }

    #[test]
    fn changes_are_told_in_order_and_a_flood_is_bounded() {
        let metadata = metadata();
        let news = metadata.watch(channel(1)).unwrap();
        assert_eq!(metadata.changes(channel(1), 0), Some((0, Vec::new())));
        metadata.tell(&event(1, 1, EventKind::SignalLost));
        metadata.tell(&event(1, 2, EventKind::SignalBack));
        assert_eq!(*news.borrow(), 2);
        let (count, changes) = metadata.changes(channel(1), 0).unwrap();
        let told: Vec<_> = changes.iter().map(|change| (change.fact.is_so, change.is_first)).collect();
        assert_eq!((count, told), (2, vec![(true, true), (false, false)]));
        assert_eq!(metadata.changes(channel(1), 1).unwrap().1.len(), 1);
        for at in 0..1000 {
            metadata.tell(&event(1, at, EventKind::Motion { active: at % 2 == 0 }));
        }
        assert_eq!(metadata.changes(channel(1), 2), None, "too many");
        let (count, changes) = metadata.changes(channel(1), 1002 - MAX_RECENT as u64).unwrap();
        assert_eq!((count, changes.len()), (1002, MAX_RECENT));
        for input in 0..=u16::MAX {
            metadata.tell(&event(1, 0, EventKind::DigitalInput { input, active: true }));
        }
        assert!(known(&metadata, 1).len() <= 5 + 1 + usize::from(MAX_INPUTS));
    }
}
