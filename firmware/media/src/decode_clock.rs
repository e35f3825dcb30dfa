//! Decoding times of a stream whose end is not known, unit by unit.
//!
//! A stream has presentation times only. Where at most n pictures are presented later than one that is decoded
//! after them (max_num_reorder_frames, ITU-T H.264 E.2.1; sps_max_num_reorder_pics, H.265 7.4.3.2.1), the i-th unit
//! may decode at the presentation time that is (i - n)-th in order: known when unit i comes, never later than its
//! own presentation, and strictly growing.
//!
//! Does not belong here: durations, timescales, and files whose units are all known (`timeline`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most pictures in a DPB, and so out of order (ITU-T H.264 A.3.1, H.265 A.4.2).
pub const MAX_REORDER: usize = 16;

/// Gives decoding times to units in decoding order.
#[derive(Debug)]
pub struct DecodeClock {
    reorder: usize,
    /// Presentation times that no unit decodes at yet; at most `reorder` between two calls.
    pending: BinaryHeap<Reverse<i64>>,
    /// The first presentation time, and how many units came before `pending` was full.
    start: Option<(i64, i64)>,
    last: Option<i64>,
}

impl DecodeClock {
    /// For a stream with this many pictures out of order; 0 where that is not known: it is then learnt.
    #[must_use]
    pub fn new(reorder: usize) -> Self {
        Self { reorder: reorder.min(MAX_REORDER), pending: BinaryHeap::new(), start: None, last: None }
    }

    /// The stream goes on after a loss: what is pending will not come in order any more.
    pub fn restart(&mut self) {
        self.pending.clear();
        self.start = None;
    }

    /// The stream goes on with another number of pictures out of order.
    #[must_use]
    pub fn with_reorder(self, reorder: usize) -> Self {
        Self { last: self.last, ..Self::new(reorder) }
    }

    /// The decoding time of the next unit, in the same ticks; `interval` is about the time between two units.
    ///
    /// Later than `pts` only where the stream has more pictures out of order than it said.
    pub fn decode_time(&mut self, pts: i64, interval: i64) -> i64 {
        self.pending.push(Reverse(pts));
        let (first, early_units) = *self.start.get_or_insert((pts, 0));
        let mut time = if self.pending.len() > self.reorder {
            self.pending.pop().map_or(pts, |Reverse(time)| time)
        } else {
            // The first ones decode before anything is presented.
            self.start = Some((first, early_units + 1));
            first - (self.reorder as i64 - early_units) * interval
        };
        if let Some(last) = self.last {
            time = time.max(last + 1);
        }
        self.last = Some(time);
        if time > pts && self.reorder < MAX_REORDER {
            self.reorder += 1;
        }
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(clock: &mut DecodeClock, pts: &[i64]) -> Vec<i64> {
        pts.iter().map(|&pts| clock.decode_time(pts, 10)).collect()
    }

    #[test]
    fn without_b_frames_units_decode_when_presented() {
        assert_eq!(times(&mut DecodeClock::new(0), &[100, 110, 125, 130]), [100, 110, 125, 130]);
    }

    #[test]
    fn b_frames_as_announced() {
        // I P B B P B B, in decoding order; one picture out of order.
        let pts = [100, 130, 110, 120, 160, 140, 150];
        assert_eq!(times(&mut DecodeClock::new(1), &pts), [90, 100, 110, 120, 130, 140, 150]);
        // A pyramid, two out of order.
        let pts = [100, 140, 120, 110, 130, 180, 160, 150, 170];
        assert_eq!(times(&mut DecodeClock::new(2), &pts), [80, 90, 100, 110, 120, 130, 140, 150, 160]);
    }

    #[test]
    fn b_frames_that_nobody_announced_are_learnt() {
        let mut clock = DecodeClock::new(0);
        let pts: Vec<i64> =
            (0..20).flat_map(|gop| [40, 20, 10, 30].map(|offset| 100 + gop * 40 + offset)).collect();
        let times = times(&mut clock, &pts);
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        let late = times.iter().zip(&pts).filter(|(time, pts)| time > pts).count();
        assert!(late <= 4, "{times:?}");
        assert!(times[20..].iter().zip(&pts[20..]).all(|(time, pts)| time <= pts), "{times:?}");
    }

    #[test]
    fn a_loss_starts_it_anew_behind_what_was() {
        let mut clock = DecodeClock::new(1);
        times(&mut clock, &[100, 130, 110, 120, 160]);
        clock.restart();
        assert_eq!(times(&mut clock, &[400, 430, 410]), [390, 400, 410]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn times_grow_whatever_comes(
            pts in proptest::collection::vec(-1_000_000..1_000_000_i64, 0..100),
            reorder in 0..40_usize,
        ) {
            let mut clock = DecodeClock::new(reorder);
            let times = times(&mut clock, &pts);
            proptest::prop_assert!(times.is_sorted_by(|a, b| a < b));
            proptest::prop_assert!(clock.pending.len() <= MAX_REORDER);
        }
    }
}
