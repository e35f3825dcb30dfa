//! Gate: which packs of a video stream are delivered.
//!
//! A decoder can begin at a keyframe only, and what was lost breaks what depends on it. So a stream starts at a keyframe, and
//! after a gap in the library's numbers waits for the next one; the client asks for it, but not in each turn. Does not
//! belong here: times (`timeline.rs`).

use std::time::Duration;

use hal::MonoTime;
use mpp_wire::PackHead;

/// A keyframe costs many times an ordinary frame.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Why a pack is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It is no access unit.
    Invalid,
    /// No keyframe came yet, or none since something was lost.
    NoKeyframe,
}

/// A stream's gate; closed at first.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: bool,
    next: Option<u32>,
    asked: Option<MonoTime>,
    /// Gaps seen.
    pub(crate) gaps: u64,
}

impl Gate {
    /// Whether this pack goes through.
    pub(crate) fn pass(&mut self, head: &PackHead, data: &[u8]) -> Result<(), Closed> {
        let gap = self.next.is_some_and(|next| next != head.sequence);
        self.next = Some(head.sequence.wrapping_add(1));
        self.gaps += u64::from(gap);
        // The HAL's Annex B has start codes of 4 bytes.
        let unit = data.len() > 4 && data.starts_with(&[0, 0, 0, 1]) && data.len() <= hal::MAX_UNIT_BYTES;
        self.open = unit && (head.keyframe || (self.open && !gap));
        match (unit, self.open) {
            (false, _) => Err(Closed::Invalid),
            (true, false) => Err(Closed::NoKeyframe),
            (true, true) => Ok(()),
        }
    }

    /// Whether to ask for a keyframe now.
    pub(crate) fn ask(&mut self, now: MonoTime) -> bool {
        let ask = !self.open && self.asked.is_none_or(|asked| now.since(asked) >= ASK_EVERY);
        if ask {
            self.asked = Some(now);
        }
        ask
    }
}

#[cfg(test)]
mod tests {
    use mpp_wire::{PackKind, StreamTag};

    use super::*;

    const UNIT: &[u8] = &[0, 0, 0, 1, 0x65, 1];

    fn head(sequence: u32, keyframe: bool) -> PackHead {
        let kind = PackKind::Video(StreamTag::Main);
        PackHead { kind, channel: 1, keyframe, sequence, pts_micros: 0, age_micros: 0 }
    }

    #[test]
    fn a_stream_starts_at_a_keyframe() {
        let mut gate = Gate::default();
        assert_eq!(gate.pass(&head(7, false), UNIT), Err(Closed::NoKeyframe));
        assert_eq!(gate.pass(&head(8, true), UNIT), Ok(()));
        assert_eq!(gate.pass(&head(9, false), UNIT), Ok(()));
        assert_eq!(gate.gaps, 0);
    }

    #[test]
    fn after_a_loss_only_a_keyframe_goes_on() {
        let mut gate = Gate::default();
        gate.pass(&head(u32::MAX, true), UNIT).unwrap();
        assert_eq!(gate.pass(&head(0, false), UNIT), Ok(()), "numbers start over");
        assert_eq!(gate.pass(&head(2, false), UNIT), Err(Closed::NoKeyframe));
        assert_eq!(gate.pass(&head(3, false), UNIT), Err(Closed::NoKeyframe));
        assert_eq!(gate.pass(&head(4, true), UNIT), Ok(()));
        assert_eq!(gate.pass(&head(6, true), UNIT), Ok(()), "a keyframe needs nothing before it");
        assert_eq!(gate.gaps, 2);
    }

    #[test]
    fn what_is_no_access_unit_is_a_loss() {
        let mut gate = Gate::default();
        gate.pass(&head(0, true), UNIT).unwrap();
        let long = [UNIT, &vec![0; hal::MAX_UNIT_BYTES]].concat();
        for (sequence, bad) in [&[][..], &[0, 0, 0, 1], &[0, 0, 1, 0x65, 1], &long].into_iter().enumerate() {
            assert_eq!(gate.pass(&head(1 + sequence as u32, true), bad), Err(Closed::Invalid));
        }
        assert_eq!(gate.pass(&head(5, false), UNIT), Err(Closed::NoKeyframe));
    }

    #[test]
    fn a_keyframe_is_asked_for_once_a_second_while_it_is_missing() {
        let at = |ms| MonoTime::from_start(Duration::from_millis(ms));
        let mut gate = Gate::default();
        assert!(gate.ask(at(0)) && !gate.ask(at(999)) && gate.ask(at(1_000)));
        gate.pass(&head(0, true), UNIT).unwrap();
        assert!(!gate.ask(at(9_000)));
    }
}
