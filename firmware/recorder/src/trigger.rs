//! When something happens on a channel, so that its footage is event footage.
//!
//! Does not belong here: how long that is kept (classes, crate `candor`), where events come from (`bus`).
//!
//! Invariants
//! - A channel is in an event from its beginning until [`POST_EVENT`] after the last end, or until a mark is over.
//! - What a publisher says twice says nothing new, so events may be read again from the oldest that a ring has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bus::{Event, EventKind};
use hal::{ChannelId, MonoTime};

use crate::assign::Channels;

/// What is seen after an event is part of it: who rang goes away, who came in leaves. Ten seconds are what recorders usually have.
pub const POST_EVENT: Duration = Duration::from_secs(10);

/// What can go on at a time on a channel: motion and more inputs than a board has.
const MAX_CAUSES: usize = 65;

/// What goes on until its end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Motion,
    Input(u16),
}

/// Which channels are in an event. It has no clock: its caller tells the time.
#[derive(Debug, Default)]
pub struct Trigger(BTreeMap<ChannelId, Happening>);

#[derive(Debug, Default)]
struct Happening {
    causes: BTreeSet<Cause>,
    /// Of what is over or was marked.
    until: MonoTime,
}

impl Trigger {
    /// Takes in an event that was published `age` ago. One without a channel, and kinds that are no event on a channel, change
    /// nothing; nor does the end of what did not begin.
    pub fn take(&mut self, event: &Event, age: Duration, now: MonoTime) {
        let Some(channel) = event.channel else { return };
        let happening = self.0.entry(channel).or_default();
        match event.kind {
            EventKind::Motion { active } => happening.tell(Cause::Motion, active, age, now),
            EventKind::DigitalInput { input, active } => {
                happening.tell(Cause::Input(input), active, age, now);
            }
            EventKind::Marked { seconds } => {
                happening.last(Duration::from_secs(u64::from(seconds)), age, now);
            }
            _ => {}
        }
    }

    /// The channels that are in an event now.
    #[must_use]
    pub fn channels(&self, now: MonoTime) -> Channels {
        let is_in = |happening: &Happening| !happening.causes.is_empty() || happening.until > now;
        self.0.iter().filter(|(_, happening)| is_in(happening)).map(|(channel, _)| *channel).collect()
    }

    /// When the first of them is over that nothing but time ends; `None` where there is none.
    #[must_use]
    pub fn next_end(&self, now: MonoTime) -> Option<MonoTime> {
        let ends = self.0.values().filter(|happening| happening.causes.is_empty());
        ends.map(|happening| happening.until).filter(|until| *until > now).min()
    }
}

impl Happening {
    fn tell(&mut self, cause: Cause, active: bool, age: Duration, now: MonoTime) {
        if active && self.causes.len() < MAX_CAUSES {
            self.causes.insert(cause);
        } else if !active && self.causes.remove(&cause) {
            self.last(POST_EVENT, age, now);
        }
    }

    fn last(&mut self, time: Duration, age: Duration, now: MonoTime) {
        self.until = self.until.max(now + time.saturating_sub(age));
    }
}

#[cfg(test)]
mod tests {
    use hal::WallTime;

    use super::*;

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_secs(seconds))
    }

    /// The trigger, and what it is told second by second.
    #[derive(Default)]
    struct Story(Trigger);

    impl Story {
        fn tell(&mut self, second: u64, channel: u16, kind: EventKind) {
            self.tell_late(second, 0, channel, kind);
        }

        fn tell_late(&mut self, second: u64, age: u64, channel: u16, kind: EventKind) {
            let event = Event { at: WallTime::default(), channel: ChannelId::new(channel), kind };
            self.0.take(&event, Duration::from_secs(age), at(second));
        }

        fn channels(&self, second: u64) -> Vec<u16> {
            self.0.channels(at(second)).into_iter().map(ChannelId::get).collect()
        }
    }

    fn motion(active: bool) -> EventKind {
        EventKind::Motion { active }
    }

    fn input(input: u16, active: bool) -> EventKind {
        EventKind::DigitalInput { input, active }
    }

    #[test]
    fn an_event_lasts_until_some_seconds_after_its_last_end() {
        let mut story = Story::default();
        assert_eq!((story.channels(0), story.0.next_end(at(0))), (vec![], None));
        story.tell(5, 1, motion(true));
        story.tell(6, 2, motion(false));
        story.tell(7, 0, motion(true));
        assert_eq!((story.channels(1000), story.0.next_end(at(1000))), (vec![1], None), "no end was told");
        story.tell(1000, 1, input(3, true));
        story.tell(1001, 1, motion(false));
        assert_eq!(
            (story.channels(2000), story.0.next_end(at(2000))),
            (vec![1], None),
            "the input is active"
        );
        story.tell(2000, 1, input(3, false));
        assert_eq!((story.channels(2009), story.0.next_end(at(2009))), (vec![1], Some(at(2010))));
        assert_eq!((story.channels(2010), story.0.next_end(at(2010))), (vec![], None));
        // Again, before the last one is over: it is one event.
        story.tell(3000, 1, motion(true));
        story.tell(3001, 1, motion(false));
        story.tell(3008, 1, motion(true));
        story.tell(3009, 1, motion(false));
        assert_eq!((story.channels(3018), story.channels(3019)), (vec![1], vec![]));
    }

    #[test]
    fn a_mark_lasts_as_long_as_it_says_and_the_longest_one_counts() {
        let mut story = Story::default();
        story.tell(10, 4, EventKind::Marked { seconds: 60 });
        story.tell(20, 4, EventKind::Marked { seconds: 5 });
        story.tell(20, 5, EventKind::Marked { seconds: 5 });
        assert_eq!((story.channels(24), story.0.next_end(at(24))), (vec![4, 5], Some(at(25))));
        assert_eq!((story.channels(69), story.channels(70)), (vec![4], vec![]));
        // What goes on meanwhile outlasts it.
        story.tell(75, 4, EventKind::Marked { seconds: 5 });
        story.tell(76, 4, motion(true));
        assert_eq!(story.channels(90), [4]);
    }

    #[test]
    fn what_is_read_again_later_says_the_same() {
        let mut story = Story::default();
        for kind in [motion(true), motion(true), motion(false), motion(false)] {
            story.tell_late(100, 60, 1, kind);
        }
        story.tell_late(100, 60, 2, EventKind::Marked { seconds: 70 });
        story.tell_late(100, 60, 3, input(1, true));
        assert_eq!(story.channels(100), [2, 3], "a minute ago motion ended, and an input became active");
        assert_eq!(story.channels(110), [3]);
        story.tell(110, 3, EventKind::SignalLost);
        story.tell(110, 3, input(2, false));
        assert_eq!(story.channels(110), [3], "another thing");
        for number in 0..u16::MAX {
            story.tell(111, 3, input(number, true));
        }
        assert_eq!(story.0.0[&ChannelId::new(3).unwrap()].causes.len(), MAX_CAUSES);
    }
}
