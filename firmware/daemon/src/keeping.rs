//! How long footage of each channel, and of its events, is kept, as classes.
//!
//! Does not belong here: which class a number of days has (`settings::keep_days`), forgetting footage (crate `store`).

use hal::{ChannelId, StreamId};
use recorder::{Channels, RECORDED_KINDS};
use store::{Class, Retention, Store};

use crate::settings::{Channel, class_of, most_days};

/// The rules of all classes, and the class of each channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keeping {
    rules: Vec<(Class, Retention)>,
    channels: Vec<(ChannelId, Class)>,
}

impl Keeping {
    /// As settings have it that were found valid, while something happens on the channels of `in_event`.
    pub(crate) fn of(channels: &[Channel], in_event: &Channels) -> Self {
        // A channel whose events lie in a class of their own has a share of both.
        let uses: Vec<Option<u32>> = channels
            .iter()
            .flat_map(|channel| {
                let events = channel.keep_event_days.filter(|_| has_event_class(channel));
                [Some(channel.keep_days), events.map(Some)]
            })
            .flatten()
            .collect();
        let rule = |of_class: Class| {
            let of = || uses.iter().copied().filter(|days| class(*days) == of_class);
            // What is there of channels that have another class now, or are gone, stays as long as it may have been meant to.
            let days = of().flatten().next().or_else(|| most_days(of_class.get()));
            (of_class, Retention { max_days: days, share: of().count() as u32 })
        };
        let now = |channel: &Channel| {
            let event = has_event_class(channel) && in_event.contains(&channel.number);
            class(if event { channel.keep_event_days } else { channel.keep_days })
        };
        Self {
            rules: Class::all().map(rule).collect(),
            channels: channels.iter().map(|channel| (channel.number, now(channel))).collect(),
        }
    }

    /// From now on `store` keeps to it.
    pub(crate) fn apply(&self, store: &mut Store) {
        for (class, rule) in &self.rules {
            store.set_retention(*class, *rule);
        }
        for (channel, class) in &self.channels {
            for kind in RECORDED_KINDS {
                store.set_class(StreamId::new(*channel, kind), *class);
            }
        }
    }
}

/// Whether event footage of the channel is kept otherwise than the rest.
fn has_event_class(channel: &Channel) -> bool {
    channel.keep_event_days.is_some() && class(channel.keep_event_days) != class(channel.keep_days)
}

fn class(days: Option<u32>) -> Class {
    Class::new(class_of(days)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(number: u16, keep_days: Option<u32>) -> Channel {
        let number = ChannelId::new(number).unwrap();
        Channel { number, title: String::new(), keep_days, keep_event_days: None, input: None, camera: None }
    }

    fn of(channels: &[Channel]) -> Keeping {
        Keeping::of(channels, &Channels::new())
    }

    fn classes(keeping: &Keeping) -> Vec<u8> {
        keeping.channels.iter().map(|(_, class)| class.get()).collect()
    }

    fn rule(keeping: &Keeping, class: u8) -> (Option<u32>, u32) {
        let (_, rule) = keeping.rules[usize::from(class)];
        (rule.max_days, rule.share)
    }

    #[test]
    fn a_number_of_days_has_its_class_whatever_the_others_have() {
        let days =
            [None, Some(1), Some(2), Some(3), Some(7), Some(14), Some(31), Some(92), Some(93), Some(3650)];
        let all: Vec<Channel> = (1..).zip(days).map(|(number, days)| channel(number, days)).collect();
        let together = classes(&of(&all));
        assert_eq!(together, [0, 1, 2, 2, 3, 4, 5, 6, 7, 7]);
        for (one, class) in all.into_iter().zip(together) {
            assert_eq!(classes(&of(&[one])), [class]);
        }
    }

    #[test]
    fn a_class_has_its_channels_days_and_a_share_for_each() {
        let keeping = of(&[channel(1, None), channel(2, Some(5)), channel(3, None), channel(4, Some(5))]);
        assert_eq!(rule(&keeping, 0), (None, 2));
        assert_eq!(rule(&keeping, 3), (Some(5), 2));
        // What is left of those that changed goes first when room is needed, and not too early otherwise.
        assert_eq!(rule(&keeping, 5), (Some(31), 0));
        let moved = of(&[channel(1, Some(30))]);
        assert_eq!(
            (rule(&moved, 0), rule(&moved, 3), rule(&moved, 5)),
            ((None, 0), (Some(7), 0), (Some(30), 1))
        );
    }

    #[test]
    fn what_happens_goes_to_a_class_of_its_own_while_it_happens() {
        let events =
            |number, days, event_days| Channel { keep_event_days: Some(event_days), ..channel(number, days) };
        let channels = [events(1, None, 30), channel(2, None), events(3, Some(7), 30), events(4, Some(5), 5)];
        let at_rest = of(&channels);
        assert_eq!(classes(&at_rest), [0, 0, 3, 3]);
        let all = channels.iter().map(|channel| channel.number).collect();
        let busy = Keeping::of(&channels, &all);
        assert_eq!(classes(&busy), [5, 0, 5, 3]);
        let third = channels.iter().skip(2).take(1).map(|channel| channel.number).collect();
        assert_eq!(classes(&Keeping::of(&channels, &third)), [0, 0, 5, 3]);
        // The room is shared out whether something happens or not.
        assert_eq!(at_rest.rules, busy.rules);
        assert_eq!((rule(&busy, 0), rule(&busy, 5)), ((None, 2), (Some(30), 2)));
    }
}
