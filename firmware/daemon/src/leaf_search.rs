//! Which leaves of a ledger the proof of an export needs.
//!
//! Does not belong here: what they prove (crate `evidence`), the ledger's own work (`record_ledger`).
//!
//! Invariant: most leaves are passed over without being understood, and no more than [`MAX_LOOKED_AT`] are looked at.

use std::collections::BTreeSet;

use hal::WallTime;
use ledger::{Event, Leaf, LedgerError, MAX_LEAVES_AT_ONCE, Reader, VolumeId};

use crate::ledger_seals::{is_seal, mentions};

/// More than are written in 12 hours of a busy day.
const MAX_LOOKED_AT: usize = 65_536;
/// Something that explains a gap is written down this long before or after it at most, microseconds: two checkpoints.
const AROUND_MICROS: i64 = 120_000_000;
/// Kinds that tell why footage is gone, whenever they were written.
const TOMBSTONES: [&[u8]; 3] = [b"\"segment_removed\"", b"\"volume_erased\"", b"\"footage_deleted\""];

/// What is exported.
pub(crate) struct Wanted {
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    /// The segments that it comes from, as far as they are sealed.
    pub(crate) sealed: BTreeSet<(VolumeId, u64)>,
    /// Footage is missing, which may have been removed at any later time.
    pub(crate) gaps: bool,
}

impl Wanted {
    /// The indexes of the leaves by which segments were sealed, and of those that may explain a gap.
    ///
    /// Times grow with the index but where the clock was set back: what was written while it ran ahead may not be found.
    pub(crate) fn find(mut self, reader: &Reader) -> Result<Vec<u64>, LedgerError> {
        let (from, to) = (self.start.offset_micros(-AROUND_MICROS), self.end.offset_micros(AROUND_MICROS));
        let (mut low, mut high) = (reader.first_kept(), reader.size());
        while low < high {
            let middle = low + (high - low) / 2;
            if Leaf::decode(&reader.leaf(middle)?)?.time < from { low = middle + 1 } else { high = middle }
        }
        let (mut found, mut is_past) = (Vec::new(), false);
        for _ in 0..MAX_LOOKED_AT.div_ceil(MAX_LEAVES_AT_ONCE) {
            let leaves = reader.leaves(low, MAX_LEAVES_AT_ONCE)?;
            let Some((last, _)) = leaves.last() else { break };
            low = last + 1;
            for (index, bytes) in leaves {
                if is_past && !self.may_want_late(&bytes) {
                    continue;
                }
                let Leaf { time, event } = Leaf::decode(&bytes)?;
                is_past |= time > to;
                if self.wants(&event, is_past) {
                    found.push(index);
                }
                if is_past && self.sealed.is_empty() && !self.gaps {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Of what was written after the export's end.
    fn may_want_late(&self, leaf: &[u8]) -> bool {
        (!self.sealed.is_empty() && is_seal(leaf))
            || (self.gaps && TOMBSTONES.iter().any(|kind| mentions(leaf, kind)))
    }

    fn wants(&mut self, event: &Event, is_past: bool) -> bool {
        match event {
            Event::SegmentSealed { volume, segment, .. } => self.sealed.remove(&(*volume, *segment)),
            Event::SegmentRemoved { streams, .. } => {
                self.gaps && streams.iter().any(|range| self.meets(range.start, range.end))
            }
            Event::VolumeErased { streams, .. } | Event::FootageDeleted { streams, .. } => {
                self.gaps && streams.iter().any(|span| self.meets(span.start, span.end))
            }
            Event::FootageLost { .. }
            | Event::ClockStep { .. }
            | Event::RecorderStarted { .. }
            | Event::RecorderStopped
            | Event::VolumeFailed { .. }
            | Event::VolumeOpened { .. }
            | Event::VolumeClosed { .. } => !is_past,
            _ => false,
        }
    }

    fn meets(&self, start: WallTime, end: WallTime) -> bool {
        start <= self.end && end >= self.start
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hal::{ChannelId, Clock, StreamKind, SystemClock};
    use ledger::{Hex, LossReason, RemovalReason, StreamRange, StreamSpan};

    use super::*;
    use crate::messages::LedgerKey;
    use crate::record_ledger::RecordLedger;

    const MINUTE: i64 = 60_000_000;
    const VOLUME: VolumeId = Hex([9; 16]);

    fn removed(segment: u64, start: WallTime, end: WallTime) -> Event {
        let (channel, stream) = (ChannelId::new(1).unwrap(), StreamKind::Main);
        let range =
            StreamRange { channel, stream, first_sequence: 1, last_sequence: 9, start, end, head: None };
        let reason = RemovalReason::Overwritten;
        Event::SegmentRemoved { volume: VOLUME, segment, reason, streams: vec![range] }
    }

    fn sealed(segment: u64) -> Event {
        Event::SegmentSealed { volume: VOLUME, segment, class: 0, streams: Vec::new() }
    }

    /// All leaves are written long after the footage.
    #[test]
    fn late_leaves_are_wanted_for_seals_and_where_footage_is_missing_for_removals() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock::new().wall();
        let ago = |minutes: i64| now.offset_micros(-minutes * MINUTE);
        let key = LedgerKey { recorder: "0123abcd".to_owned(), seed: [7; 32] };
        let ledger = RecordLedger::new(key, Arc::new(SystemClock::new()));
        ledger.move_to(Some(dir.path().to_owned()));
        ledger.look_after();
        let (channel, stream) = (ChannelId::new(1).unwrap(), StreamKind::Main);
        let erased = |start, end| Event::VolumeErased {
            volume: VOLUME,
            by: "ann".into(),
            streams: vec![StreamSpan { channel, stream, start, end }],
        };
        let deleted = |start, end| Event::FootageDeleted {
            volume: VOLUME,
            by: "ann".into(),
            streams: vec![StreamSpan { channel, stream, start, end }],
        };
        let lost = Event::FootageLost {
            volume: None,
            channel,
            stream,
            start: ago(60),
            end: ago(50),
            units: 1,
            reason: LossReason::Other,
        };
        for event in [
            removed(1, ago(60), ago(59)),
            removed(2, ago(20), ago(10)),
            sealed(3),
            sealed(4),
            erased(ago(55), ago(40)),
            erased(ago(45), ago(40)),
            lost,
            deleted(ago(52), ago(51)),
            deleted(ago(45), ago(44)),
        ] {
            ledger.keep(&event).unwrap();
        }
        let found = |gaps| {
            let mut found = Vec::new();
            let wanted = Wanted { start: ago(60), end: ago(50), sealed: BTreeSet::from([(VOLUME, 3)]), gaps };
            let vouched = ledger.vouch(wanted, |leaves| {
                found = leaves;
                Event::RecorderStopped
            });
            vouched.unwrap();
            found
        };
        assert_eq!(found(false), [2]);
        assert_eq!(found(true), [0, 2, 4, 7]);
    }
}
