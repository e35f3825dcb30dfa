//! Alarm inputs and relays: what a level means, how long a relay stays on.
//!
//! Pure: levels and times go in, what is to be switched comes out. Does not belong here: pins (`hal-linux`), and
//! which input switches which relay (the owner's settings).

use std::time::Duration;

use hal::MonoTime;

/// A contact counts as changed once it is the same for this long: relays and reeds bounce for a few milliseconds,
/// and long wires pick up the mains, 20 ms a period.
pub const DEBOUNCE: Duration = Duration::from_millis(50);

/// One input without its bouncing. Begins inactive: a contact that is closed at the start is an alarm.
#[derive(Clone, Copy, Debug, Default)]
pub struct DebouncedInput {
    active: bool,
    /// The other level, and since when.
    other_since: Option<MonoTime>,
}

impl DebouncedInput {
    /// Takes a look at the level; `Some` when the input has really changed, to what.
    pub fn look(&mut self, active: bool, now: MonoTime) -> Option<bool> {
        if active == self.active {
            self.other_since = None;
            return None;
        }
        let since = *self.other_since.get_or_insert(now);
        if now.since(since) < DEBOUNCE {
            return None;
        }
        self.active = active;
        self.other_since = None;
        Some(active)
    }

    /// How it is, by the last look.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }
}

/// One relay that is switched on for a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimedRelay {
    until: Option<MonoTime>,
}

impl TimedRelay {
    /// On for at least this long from now.
    pub fn hold(&mut self, span: Duration, now: MonoTime) {
        let until = now + span;
        self.until = Some(self.until.map_or(until, |old| old.max(until)));
    }

    /// Whether it is to be on.
    pub fn is_on(&mut self, now: MonoTime) -> bool {
        self.until = self.until.filter(|until| now < *until);
        self.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn bouncing_is_one_change_and_a_spike_is_none() {
        let mut input = DebouncedInput::default();
        let mut changes = Vec::new();
        // Closed at 100 ms with 20 ms of bouncing, a spike to open at 300 ms, open at 400 ms.
        for millis in (0..600).step_by(5) {
            let closed = match millis {
                100..120 => millis % 10 == 0,
                300..310 => false,
                120..400 => true,
                _ => false,
            };
            changes.extend(input.look(closed, at(millis)).map(|active| (millis, active)));
        }
        assert_eq!(changes, [(170, true), (450, false)]);
    }

    #[test]
    fn a_contact_that_is_closed_at_the_start_is_an_alarm() {
        let mut input = DebouncedInput::default();
        assert_eq!(input.look(true, at(0)), None);
        assert_eq!(input.look(true, at(50)), Some(true));
    }

    #[test]
    fn a_relay_stays_on_for_the_longest_that_was_asked() {
        let mut relay = TimedRelay::default();
        assert!(!relay.is_on(at(0)));
        relay.hold(Duration::from_secs(10), at(0));
        relay.hold(Duration::from_secs(1), at(5_000));
        assert!(relay.is_on(at(9_999)));
        assert!(!relay.is_on(at(10_000)));
        relay.hold(Duration::from_secs(1), at(20_000));
        assert!(relay.is_on(at(20_999)) && !relay.is_on(at(21_000)));
    }
}
