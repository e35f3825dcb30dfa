//! Alarm inputs as events on the channels that the owner named for them.
//!
//! Does not belong here: reading inputs and switching relays (`contacts`), what follows from an event (`recorder::Trigger`).
//!
//! Invariant: what was told of as active is told of as inactive, also when the rules change or the inputs cannot be read any
//! more.

use std::collections::BTreeSet;

use bus::EventKind;
use hal::{ChannelId, WallTime};

use crate::announcer::Announcer;
use crate::settings::Alarm;

/// Tells the others.
pub(super) struct AlarmEvents {
    announcer: Announcer,
    /// Channel and number of the input, from 1.
    active: BTreeSet<(ChannelId, u16)>,
}

impl AlarmEvents {
    pub(super) fn new(announcer: Announcer) -> Self {
        Self { announcer, active: BTreeSet::new() }
    }

    /// The rules are these now, and the inputs, in the board's order, are active or not.
    pub(super) fn look<'a>(
        &mut self,
        rules: &[Alarm],
        inputs: impl Iterator<Item = (&'a str, bool)>,
        now: WallTime,
    ) {
        let active: BTreeSet<(ChannelId, u16)> = (1..)
            .zip(inputs)
            .filter(|(_, (_, active))| *active)
            .flat_map(|(number, (name, _))| {
                let of_input = rules.iter().filter(move |rule| rule.input == name);
                of_input.flat_map(move |rule| rule.channels.iter().map(move |channel| (*channel, number)))
            })
            .collect();
        for (set, is_active) in [(&self.active - &active, false), (&active - &self.active, true)] {
            for (channel, input) in set {
                let kind = EventKind::DigitalInput { input, active: is_active };
                self.announcer.happened(channel, kind, now);
            }
        }
        self.active = active;
    }

    /// Nobody knows how the inputs are.
    pub(super) fn silence(&mut self, now: WallTime) {
        self.look(&[], std::iter::empty(), now);
    }
}

#[cfg(test)]
mod tests {
    use bus::{EventSubscriber, NextEvent, Start};

    use super::*;

    fn rule(input: &str, channels: &[u16]) -> Alarm {
        let channels = channels.iter().filter_map(|number| ChannelId::new(*number)).collect();
        Alarm { input: input.to_owned(), channels, relay: None, relay_sec: 10 }
    }

    #[test]
    fn the_channels_of_an_input_hear_of_it_and_of_its_end_whatever_the_rules_are_then() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = AlarmEvents::new(Announcer::new(dir.path(), "warden"));
        let mut heard = EventSubscriber::open_at(dir.path(), Start::Oldest).unwrap();
        let mut told = |events: &mut AlarmEvents, rules: &[Alarm], levels: [bool; 2]| {
            let inputs = ["door", "gate"].into_iter().zip(levels);
            events.look(rules, inputs, WallTime::default());
            let mut all = Vec::new();
            while let NextEvent::Event { event, .. } = heard.next().unwrap() {
                let EventKind::DigitalInput { input, active } = event.kind else { panic!("{event:?}") };
                all.push((event.channel.unwrap().get(), input, active));
            }
            all
        };
        let rules = [rule("door", &[1, 2]), rule("gate", &[2]), rule("door", &[2]), rule("bell", &[9])];
        assert_eq!(told(&mut events, &rules, [false, false]), []);
        assert_eq!(told(&mut events, &rules, [true, false]), [(1, 1, true), (2, 1, true)]);
        assert_eq!(told(&mut events, &rules, [true, true]), [(2, 2, true)]);
        assert_eq!(told(&mut events, &rules, [true, true]), []);
        // The owner takes channel 2 out of the first rule, and names it in another.
        assert_eq!(
            told(&mut events, &[rule("door", &[1, 3])], [true, true]),
            [(2, 1, false), (2, 2, false), (3, 1, true)]
        );
        events.silence(WallTime::default());
        assert_eq!(told(&mut events, &[], [true, true]), [(1, 1, false), (3, 1, false)]);
    }
}
