//! What of footage did not get onto a volume, summed up since the role began.
//!
//! Does not belong here: writing it down stretch by stretch (`account`), words for people (`serve`).
//!
//! Invariant: it outlives the volumes, so that one that is pulled or begun again takes nothing of it away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hal::StreamId;
use recorder::{Loss, LossCause};

use crate::messages::{LossSum, LostBy};

/// Cheap to clone. It has an entry for each stream and cause at most.
#[derive(Clone, Default)]
pub(crate) struct LossTally(Arc<Mutex<BTreeMap<(StreamId, LostBy), LossSum>>>);

impl LossTally {
    /// A stretch more. That a camera sent nothing is no loss of the recorder's: the channel says so. What a mirror has is not lost.
    pub(crate) fn add(&self, loss: &Loss) {
        if loss.elsewhere {
            return;
        }
        let cause = match loss.cause {
            LossCause::DiskFailed => LostBy::DiskFailed,
            LossCause::Overrun => LostBy::DiskSlow,
            LossCause::Refused => LostBy::Refused,
            LossCause::Silence => return,
        };
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sums.entry((loss.stream, cause)).or_insert_with(|| LossSum {
            channel: loss.stream.channel,
            stream: loss.stream.kind,
            cause,
            times: 0,
            micros: 0,
            last: loss.end,
        });
        sum.times = sum.times.saturating_add(1);
        sum.micros += u64::try_from(loss.end.micros_since(loss.start)).unwrap_or_default();
        sum.last = sum.last.max(loss.end);
    }

    /// In the order of channels.
    pub(crate) fn sums(&self) -> Vec<LossSum> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use hal::{ChannelId, StreamKind, WallTime};

    use super::*;

    #[test]
    fn stretches_of_one_stream_and_cause_are_one_sum() {
        let tally = LossTally::default();
        let at = |seconds: i64| WallTime::from_unix_micros(seconds * 1_000_000);
        let loss = |channel, start, end, cause| Loss {
            stream: StreamId::new(ChannelId::new(channel).unwrap(), StreamKind::Main),
            start: at(start),
            end: at(end),
            units: 1,
            cause,
            elsewhere: false,
        };
        tally.add(&loss(2, 30, 32, LossCause::DiskFailed));
        tally.add(&loss(2, 10, 20, LossCause::DiskFailed));
        tally.add(&loss(2, 40, 41, LossCause::Overrun));
        tally.add(&loss(1, 40, 41, LossCause::Refused));
        tally.add(&loss(1, 0, 100, LossCause::Silence));
        tally.add(&Loss { elsewhere: true, ..loss(1, 50, 60, LossCause::Overrun) });
        let sums: Vec<_> = tally
            .sums()
            .iter()
            .map(|sum| (sum.channel.get(), sum.cause, sum.times, sum.micros, sum.last))
            .collect();
        let wanted = [
            (1, LostBy::Refused, 1, 1_000_000, at(41)),
            (2, LostBy::DiskFailed, 2, 12_000_000, at(32)),
            (2, LostBy::DiskSlow, 1, 1_000_000, at(41)),
        ];
        assert_eq!(sums, wanted);
    }
}
