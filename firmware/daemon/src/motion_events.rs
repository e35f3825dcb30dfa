//! When the picture of a channel begins to move, and when it comes to rest.
//!
//! Does not belong here: counting what moves (`motion`), what follows from it (`recorder::Trigger`).
//!
//! Invariant: of each channel whose motion is counted the others know whether it moves, from the first look on.

use std::collections::BTreeMap;
use std::time::Duration;

use hal::{ChannelId, MonoTime};

use crate::messages::ChannelStatus;

/// From so much on the picture moves, percent: four cells of the usual 396, which a person at the end of a yard covers. One to
/// three are rain, insects and noise.
const MOVES_PERCENT: u8 = 2;
/// Rest is no motion for so long: who stands still for a moment has not left. Longer than the second between two looks, so that one
/// look that sees nothing ends nothing.
const REST: Duration = Duration::from_secs(5);

/// What was told of each channel.
#[derive(Debug, Default)]
pub(crate) struct MotionEvents(BTreeMap<ChannelId, Moving>);

#[derive(Clone, Copy, Debug)]
struct Moving {
    active: bool,
    /// When motion was seen last.
    seen: MonoTime,
}

impl MotionEvents {
    /// What is new: of which channel, and whether it moves now. A channel whose motion is not counted any more is at rest.
    pub(crate) fn look(&mut self, statuses: &[ChannelStatus], now: MonoTime) -> Vec<(ChannelId, bool)> {
        let mut news = Vec::new();
        let counted: BTreeMap<ChannelId, u8> =
            statuses.iter().filter_map(|status| Some((status.channel, status.motion_percent?))).collect();
        self.0.retain(|channel, moving| {
            let stays = counted.contains_key(channel);
            if !stays && moving.active {
                news.push((*channel, false));
            }
            stays
        });
        for (channel, percent) in counted {
            let moves = percent >= MOVES_PERCENT;
            let before = self.0.get(&channel).copied();
            let mut moving = before.unwrap_or(Moving { active: false, seen: now });
            if moves {
                moving.seen = now;
            }
            moving.active = moves || (moving.active && now.since(moving.seen) < REST);
            if before.is_none_or(|before| before.active != moving.active) {
                news.push((channel, moving.active));
            }
            self.0.insert(channel, moving);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use hal::WallTime;

    use super::*;
    use crate::messages::ChannelState;

    fn look(events: &mut MotionEvents, second: u64, percents: &[Option<u8>]) -> Vec<(u16, bool)> {
        let statuses: Vec<ChannelStatus> = (1..)
            .zip(percents)
            .map(|(number, percent)| ChannelStatus {
                channel: ChannelId::new(number).unwrap(),
                state: ChannelState::Ok,
                since: WallTime::default(),
                message: String::new(),
                streams: Vec::new(),
                motion_percent: *percent,
            })
            .collect();
        let now = MonoTime::from_start(Duration::from_secs(second));
        events.look(&statuses, now).into_iter().map(|(channel, active)| (channel.get(), active)).collect()
    }

    #[test]
    fn motion_begins_at_once_and_ends_after_some_seconds_of_rest() {
        let mut events = MotionEvents::default();
        assert_eq!(look(&mut events, 0, &[Some(0), None, Some(50)]), [(1, false), (3, true)]);
        assert_eq!(look(&mut events, 1, &[Some(1), None, Some(50)]), [], "noise");
        assert_eq!(look(&mut events, 2, &[Some(2), Some(0), Some(50)]), [(1, true), (2, false)]);
        assert_eq!(look(&mut events, 6, &[Some(0), Some(0), Some(50)]), []);
        assert_eq!(look(&mut events, 6, &[Some(2), Some(0), Some(50)]), [], "it goes on");
        assert_eq!(look(&mut events, 10, &[Some(1), Some(0), Some(50)]), []);
        assert_eq!(look(&mut events, 11, &[Some(1), Some(0), Some(50)]), [(1, false)]);
        assert_eq!(look(&mut events, 12, &[Some(100), Some(0), None]), [(3, false), (1, true)]);
        assert_eq!(look(&mut events, 13, &[]), [(1, false)]);
        assert!(events.0.is_empty());
    }
}
