//! Has the other roles hear what becomes of a role's channels: events on the bus.
//!
//! An event is a condition that began; what goes on is not told again. Does not belong here: what follows from it.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::path::Path;

use bus::{Event, EventKind, EventPublisher};
use hal::{ChannelId, WallTime};
use rtsp::ChannelSource;

use crate::messages::{ChannelState, ChannelStatus, DiskState};

/// One role's events.
pub(crate) struct Announcer {
    /// `None` where they cannot be published: the role does its work nevertheless.
    events: Option<EventPublisher>,
    /// What was said last of each channel, and of the whole recorder.
    said: BTreeMap<Option<ChannelId>, EventKind>,
}

impl Announcer {
    /// Publishes as `name`.
    pub(crate) fn new(run_dir: &Path, name: &str) -> Self {
        let events = EventPublisher::create(run_dir, name)
            .inspect_err(|error| tracing::error!(%error, "what happens is not told"))
            .ok();
        Self { events, said: BTreeMap::new() }
    }

    /// Says what is new of the channels; those that are gone are forgotten.
    pub(crate) fn channels(&mut self, source: ChannelSource, statuses: &[ChannelStatus]) {
        let there = |channel| statuses.iter().any(|status| Some(status.channel) == channel);
        self.said.retain(|channel, _| channel.is_none() || there(*channel));
        for status in statuses {
            if let Some(kind) = of_channel(source, status) {
                self.say(Some(status.channel), kind, status.since);
            }
        }
    }

    /// Says what is new of the disks.
    pub(crate) fn disk(&mut self, disk: DiskState, error: &str, now: WallTime) {
        self.say(None, of_disk(disk, error), now);
    }

    /// Says that something happened, whatever was said before; whether others can hear of it.
    pub(crate) fn happened(&mut self, channel: ChannelId, kind: EventKind, at: WallTime) -> bool {
        self.publish(&Event { at, channel: Some(channel), kind })
    }

    fn say(&mut self, channel: Option<ChannelId>, kind: EventKind, at: WallTime) {
        if self.said.get(&channel).is_some_and(|said| discriminant(said) == discriminant(&kind)) {
            return;
        }
        self.said.insert(channel, kind.clone());
        self.publish(&Event { at, channel, kind });
    }

    /// Whether it was.
    fn publish(&mut self, event: &Event) -> bool {
        let Some(events) = &mut self.events else { return false };
        let published = events.publish(event);
        if let Err(error) = &published {
            tracing::warn!(%error, "an event was not published");
        }
        published.is_ok()
    }
}

/// What a channel's condition is as an event; `None` while it is not known.
pub(crate) fn of_channel(source: ChannelSource, status: &ChannelStatus) -> Option<EventKind> {
    let reason = || status.message.clone();
    Some(match (source, status.state) {
        (_, ChannelState::Starting) => return None,
        (ChannelSource::Input, ChannelState::Ok) => EventKind::SignalBack,
        (ChannelSource::Input, ChannelState::NoSignal) => EventKind::SignalLost,
        (ChannelSource::Input, _) => EventKind::InputFailed { reason: reason() },
        (ChannelSource::Camera, ChannelState::Ok) => EventKind::CameraOnline,
        (ChannelSource::Camera, _) => EventKind::CameraOffline { reason: reason() },
    })
}

/// The same of the disks.
pub(crate) fn of_disk(disk: DiskState, error: &str) -> EventKind {
    match disk {
        DiskState::Ok => EventKind::RecordingBack,
        _ => EventKind::RecordingFailed { reason: error.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use bus::{EventSubscriber, NextEvent, Start};

    use super::*;

    fn status(number: u16, state: ChannelState, at: i64) -> ChannelStatus {
        ChannelStatus {
            channel: ChannelId::new(number).unwrap(),
            state,
            since: WallTime::from_unix_micros(at),
            message: format!("{state:?}"),
            streams: Vec::new(),
            motion_percent: None,
        }
    }

    #[test]
    fn what_begins_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut announcer = Announcer::new(dir.path(), "role");
        let inputs: [&[ChannelStatus]; 5] = [
            &[status(1, ChannelState::Starting, 1)],
            &[status(1, ChannelState::Ok, 2), status(2, ChannelState::NoSignal, 3)],
            &[status(1, ChannelState::Ok, 2), status(2, ChannelState::Ok, 4)],
            &[status(2, ChannelState::Failed, 5)],
            &[status(1, ChannelState::Ok, 6), status(2, ChannelState::Failed, 7)],
        ];
        for statuses in inputs {
            announcer.channels(ChannelSource::Input, statuses);
        }
        announcer.disk(DiskState::Ok, "", WallTime::from_unix_micros(8));
        announcer.disk(DiskState::Ok, "", WallTime::from_unix_micros(9));
        announcer.disk(DiskState::Full, "no room", WallTime::from_unix_micros(10));
        let mut cameras = Announcer::new(dir.path(), "cameras");
        cameras.channels(ChannelSource::Camera, &[status(3, ChannelState::Unreachable, 11)]);
        cameras.channels(ChannelSource::Camera, &[status(3, ChannelState::WrongPassword, 12)]);
        cameras.channels(ChannelSource::Camera, &[status(3, ChannelState::Ok, 13)]);

        let mut subscriber = EventSubscriber::open_at(dir.path(), Start::Oldest).unwrap();
        let mut told = Vec::new();
        while let NextEvent::Event { event, .. } = subscriber.next().unwrap() {
            told.push((event.at.as_unix_micros(), event.channel.map(ChannelId::get), event.kind));
        }
        told.sort_by_key(|(at, ..)| *at);
        let reason = |text: &str| text.to_owned();
        let expected = [
            (2, Some(1), EventKind::SignalBack),
            (3, Some(2), EventKind::SignalLost),
            (4, Some(2), EventKind::SignalBack),
            (5, Some(2), EventKind::InputFailed { reason: reason("Failed") }),
            (6, Some(1), EventKind::SignalBack),
            (8, None, EventKind::RecordingBack),
            (10, None, EventKind::RecordingFailed { reason: reason("no room") }),
            (11, Some(3), EventKind::CameraOffline { reason: reason("Unreachable") }),
            (13, Some(3), EventKind::CameraOnline),
        ];
        assert_eq!(told, expected);
    }
}
