//! Tells the role `record` on which channels something happens, as the bus has it.
//!
//! Does not belong here: what an event is (`recorder::Trigger`), what becomes of its footage (`keeping`).
//!
//! Invariant: what was published before this role began is known, as far back as the bus reaches.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bus::{BusError, Event, EventSubscriber, NextEvent, Start};
use hal::Clock;
use recorder::{Channels, Trigger};

/// Between two looks when nothing rings.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After the bus could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Calls `tell` with the channels that are in an event whenever they become others, until it returns `false`; none are at
/// first.
pub(crate) fn start(
    run_dir: &Path,
    clock: Arc<dyn Clock>,
    tell: impl Fn(Channels) -> bool + Send + 'static,
) -> io::Result<()> {
    let run_dir = run_dir.to_owned();
    let mut watch = Watch { trigger: Trigger::default(), told: Channels::new(), clock };
    thread::Builder::new().name("events".to_owned()).spawn(move || {
        // Read anew it says the same again.
        while let Err(error) =
            EventSubscriber::open_at(&run_dir, Start::Oldest).and_then(|events| watch.follow(events, &tell))
        {
            tracing::warn!(%error, "events cannot be read");
            thread::sleep(RETRY_AFTER);
        }
    })?;
    Ok(())
}

struct Watch {
    trigger: Trigger,
    told: Channels,
    clock: Arc<dyn Clock>,
}

impl Watch {
    /// Until nobody listens any more.
    fn follow(
        &mut self,
        mut events: EventSubscriber,
        tell: &impl Fn(Channels) -> bool,
    ) -> Result<(), BusError> {
        loop {
            self.take(&mut events)?;
            let now = self.clock.mono();
            let channels = self.trigger.channels(now);
            if channels != self.told {
                let numbers: Vec<u16> = channels.iter().map(|channel| channel.get()).collect();
                tracing::info!(channels = ?numbers, "channels with an event");
                self.told.clone_from(&channels);
                if !tell(channels) {
                    return Ok(());
                }
            }
            let end = self.trigger.next_end(now).map(|end| end.since(now));
            events.wait(end.unwrap_or(LOOK_EVERY).min(LOOK_EVERY));
        }
    }

    /// Takes in what there is now.
    fn take(&mut self, events: &mut EventSubscriber) -> Result<(), BusError> {
        loop {
            match events.next()? {
                NextEvent::Event { event, .. } => {
                    let age = age(&event, &*self.clock);
                    self.trigger.take(&event, age, self.clock.mono());
                }
                NextEvent::Lost { publisher, events } => {
                    tracing::warn!(publisher, events, "events came too fast: an event may begin or end late");
                }
                NextEvent::Unknown { .. } => {}
                NextEvent::Empty => return Ok(()),
            }
        }
    }
}

/// None where the clock was set back since.
fn age(event: &Event, clock: &dyn Clock) -> Duration {
    Duration::from_micros(u64::try_from(clock.wall().micros_since(event.at)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bus::{EventKind, EventPublisher};
    use hal::{ChannelId, SystemClock};

    use super::*;

    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn events_begin_at_once_and_end_by_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let mut publisher = EventPublisher::create(dir.path(), "test").unwrap();
        let mut publish = |number, kind| {
            let channel = ChannelId::new(number);
            publisher.publish(&Event { at: clock.wall(), channel, kind }).unwrap();
        };
        // From before anybody listened.
        publish(3, EventKind::Motion { active: true });
        let (told, heard) = mpsc::channel();
        let clock = Arc::new(SystemClock::new());
        start(dir.path(), clock, move |channels| told.send(channels).is_ok()).unwrap();
        let next = || -> Vec<u16> {
            heard.recv_timeout(PATIENCE).unwrap().into_iter().map(ChannelId::get).collect()
        };
        assert_eq!(next(), [3]);
        publish(1, EventKind::Marked { seconds: 1 });
        assert_eq!(next(), [1, 3]);
        assert_eq!(next(), [3], "a second later");
        publish(3, EventKind::SignalLost);
        publish(2, EventKind::DigitalInput { input: 1, active: true });
        assert_eq!(next(), [2, 3]);
    }
}
