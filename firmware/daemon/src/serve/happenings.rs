//! What happens to channels, for the metadata tracks of RTSP.
//!
//! Events come from the bus; what its rings no longer have, because this role began later, is in the warden's words. Does not
//! belong here: what is made of it (crate `rtsp`).

use std::convert::Infallible;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bus::{BusError, Event, EventSubscriber, NextEvent, Start};
use hal::{ChannelId, MAX_CHANNELS, WallTime};
use rtsp::{ChannelSource, Metadata};

use super::house::House;
use crate::announcer::{of_channel, of_disk};
use crate::messages::Snapshot;
use crate::settings::{Channel, Settings};

/// Between two looks when nothing rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After the bus could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Keeps `metadata` true as long as the process lives. What the bus has of the past is in it when this returns.
pub(super) fn start(house: &House, metadata: &Arc<Metadata>) -> std::io::Result<()> {
    let open = |run_dir: &std::path::Path| EventSubscriber::open_at(run_dir, Start::Oldest);
    let mut events = open(&house.run_dir).and_then(|mut events| take(&mut events, metadata).map(|()| events));
    let (run_dir, told) = (house.run_dir.clone(), Arc::clone(metadata));
    thread::Builder::new().name("events".to_owned()).spawn(move || {
        loop {
            let Err(error) = events.and_then(|events| follow(events, &told));
            tracing::warn!(%error, "events cannot be read");
            thread::sleep(RETRY_AFTER);
            events = open(&run_dir);
        }
    })?;
    let (mut settings, mut snapshots) = (house.settings.subscribe(), house.snapshot.subscribe());
    let (clock, metadata) = (Arc::clone(&house.clock), Arc::clone(metadata));
    set_sources(&settings.borrow_and_update(), &metadata);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                changed = settings.changed() => match changed {
                    Ok(()) => set_sources(&settings.borrow_and_update(), &metadata),
                    Err(_) => return,
                },
                changed = snapshots.changed() => match changed {
                    Ok(()) => fill(&snapshots.borrow_and_update(), &settings.borrow(), clock.wall(), &metadata),
                    Err(_) => return,
                },
            }
        }
    });
    Ok(())
}

fn follow(mut events: EventSubscriber, metadata: &Metadata) -> Result<Infallible, BusError> {
    loop {
        take(&mut events, metadata)?;
        events.wait(LOOK_EVERY);
    }
}

/// Takes in what there is now.
fn take(events: &mut EventSubscriber, metadata: &Metadata) -> Result<(), BusError> {
    loop {
        match events.next()? {
            NextEvent::Event { event, .. } => metadata.tell(&event),
            NextEvent::Lost { publisher, events } => {
                tracing::warn!(
                    publisher,
                    events,
                    "events came too fast: metadata may be behind until the next"
                );
            }
            NextEvent::Unknown { .. } => {}
            NextEvent::Empty => return Ok(()),
        }
    }
}

fn set_sources(settings: &Settings, metadata: &Metadata) {
    for number in (1..=MAX_CHANNELS).filter_map(ChannelId::new) {
        let channel = settings.channels.iter().find(|channel| channel.number == number);
        metadata.set_source(number, channel.map(source));
    }
}

fn source(channel: &Channel) -> ChannelSource {
    if channel.input.is_some() { ChannelSource::Input } else { ChannelSource::Camera }
}

/// What the warden knows, where no event said anything.
fn fill(snapshot: &Snapshot, settings: &Settings, now: WallTime, metadata: &Metadata) {
    for status in &snapshot.channels {
        let Some(channel) = settings.channels.iter().find(|one| one.number == status.channel) else {
            continue;
        };
        if let Some(kind) = of_channel(source(channel), status) {
            metadata.fill(&Event { at: status.since, channel: Some(status.channel), kind });
        }
    }
    metadata.fill(&Event { at: now, channel: None, kind: of_disk(snapshot.record.disk, "") });
}
