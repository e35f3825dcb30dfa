//! Where recorded units stand in the time of playing.
//!
//! RFC 2326 appendix B and ONVIF Streaming Specification section 6.4: where the server controls the rate, RTP time is when
//! a unit shall be shown; where it does not, RTP time is that of recording. Gaps are jumped over in the former.
//!
//! Does not belong here: clocks, RTP's origin and rate (`replay.rs`).
//!
//! Invariant: all tracks of a presentation stand in one timeline.

use hal::{Pts90k, WallTime};

use crate::archive::RecordedUnit;

/// Wall time less presentation time varies by less than this within one timeline of a source, microseconds.
const SPREAD_MICROS: i64 = 250_000;

/// A unit behind a gap of its own track that is this near to where the others are belongs there: they had no gap, or were
/// behind it earlier. 90 kHz.
const NEAR: i64 = 180_000;

/// From one unit to the next where nothing tells: a picture at 25 a second. 90 kHz.
pub(crate) const STEP: i64 = 3600;

/// Where a unit stands, in ticks of 90 kHz of the time of playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// When it is shown.
    pub(crate) shown: i64,
    /// When it is sent.
    pub(crate) sent: i64,
    /// A gap was jumped over.
    pub(crate) jumped: bool,
}

/// The time of playing, from one PLAY to the next.
#[derive(Debug)]
pub(crate) struct Timeline {
    scale: f64,
    /// RTP time is the time of recording.
    original: bool,
    anchor: Anchor,
    begun: bool,
    /// The farthest position so far, and its moment.
    front: (i64, WallTime),
    /// Backwards: position of the present group's first picture, when that is shown, and when the group began to be sent.
    group: (i64, i64, i64),
}

/// A moment whose position is known. Positions are footage without gaps, 90 kHz.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    position: i64,
    pts: Pts90k,
    wall: WallTime,
    /// Wall time less presentation time, microseconds.
    shift: i64,
}

impl Timeline {
    /// `from` is where playing begins: its first moment, or backwards its last.
    pub(crate) fn new(scale: f64, rate_control: bool, from: WallTime) -> Self {
        let anchor = Anchor { position: 0, pts: Pts90k(0), wall: from, shift: 0 };
        Self { scale, original: !rate_control, anchor, begun: false, front: (0, from), group: (0, 0, 0) }
    }

    /// The next unit's place.
    pub(crate) fn place(&mut self, unit: &RecordedUnit) -> Place {
        let began = std::mem::replace(&mut self.begun, true);
        if self.original {
            let shown = self.original_position(unit, began);
            return Place { shown, sent: 0, jumped: false };
        }
        if self.scale < 0.0 { self.backwards(unit, began) } else { self.forwards(unit, began) }
    }

    fn original_position(&mut self, unit: &RecordedUnit, began: bool) -> i64 {
        let position = match self.mapped(unit) {
            _ if !began => 0,
            Some(mapped) => mapped,
            None => self.anchor.position + ticks(unit.wall.micros_since(self.anchor.wall)),
        };
        self.settle(unit, position);
        position
    }

    fn forwards(&mut self, unit: &RecordedUnit, began: bool) -> Place {
        let (front, front_wall) = self.front;
        let gap = unit.missing_micros.is_some();
        let mapped = self.mapped(unit).filter(|mapped| !gap || (mapped - front).abs() <= NEAR);
        let (position, jumped) = match mapped {
            _ if !began => (0, false),
            Some(mapped) => (mapped, false),
            None if gap => (front + STEP, true),
            // The source began anew, or its clock was set.
            None => (front + ticks(unit.wall.micros_since(front_wall)).clamp(1, NEAR), true),
        };
        self.settle(unit, position);
        if position >= front {
            self.front = (position, unit.wall);
        }
        let shown = self.played(position);
        Place { shown, sent: shown, jumped }
    }

    fn backwards(&mut self, unit: &RecordedUnit, began: bool) -> Place {
        let missing = unit.missing_micros;
        let mapped = self.mapped(unit).filter(|_| began && missing.is_none());
        let begins = unit.keyframe;
        let position = mapped.unwrap_or_else(|| {
            // From the later group's first picture, or where playing began.
            let (position, wall) = self.front;
            let passed = wall.micros_since(unit.wall).saturating_sub(missing.unwrap_or(0));
            position - ticks(passed).max(if began { 1 } else { 0 })
        });
        self.settle(unit, position);
        let shown = self.played(position);
        if begins {
            // A group is sent while the one before it is shown, forwards as it is decoded.
            self.group = (position, shown, self.group.1);
            self.front = (position, unit.wall);
        }
        let (first, _, sent) = self.group;
        Place { shown, sent: sent + self.played(first - position), jumped: began && mapped.is_none() }
    }

    /// Its position, where it is of the present timeline.
    fn mapped(&self, unit: &RecordedUnit) -> Option<i64> {
        let near = (shift(unit) - self.anchor.shift).abs() <= SPREAD_MICROS;
        near.then(|| self.anchor.position.saturating_add(unit.pts - self.anchor.pts))
    }

    /// What comes next is measured from here.
    fn settle(&mut self, unit: &RecordedUnit, position: i64) {
        self.anchor = Anchor { position, pts: unit.pts, wall: unit.wall, shift: shift(unit) };
    }

    fn played(&self, position: i64) -> i64 {
        (position as f64 / self.scale).round() as i64
    }
}

fn shift(unit: &RecordedUnit) -> i64 {
    unit.wall.as_unix_micros().wrapping_sub(unit.pts.as_micros())
}

fn ticks(micros: i64) -> i64 {
    Pts90k::from_micros(micros).0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use hal::{StreamFormat, VideoCodec};
    use media::ParameterSets;

    use super::*;
    use crate::archive::RecordedFormat;

    /// A picture `at` ms, of a source whose presentation time began `ahead` ms before.
    fn unit(at: i64, ahead: i64, keyframe: bool, missing_ms: Option<i64>) -> RecordedUnit {
        let format = RecordedFormat {
            format: StreamFormat::Video(VideoCodec::H264),
            parameter_sets: ParameterSets::default(),
        };
        RecordedUnit {
            format: Arc::new(format),
            pts: Pts90k((at + ahead) * 90),
            wall: WallTime::from_unix_micros(at * 1000),
            keyframe,
            missing_micros: missing_ms.map(|missing| missing * 1000),
            ends_section: false,
            is_last: false,
            data: Bytes::new(),
        }
    }

    fn wall(at: i64) -> WallTime {
        WallTime::from_unix_micros(at * 1000)
    }

    /// When each is shown and sent, ms.
    fn places(timeline: &mut Timeline, units: &[RecordedUnit]) -> Vec<(i64, i64)> {
        units
            .iter()
            .map(|unit| timeline.place(unit))
            .map(|place| (place.shown / 90, place.sent / 90))
            .collect()
    }

    #[test]
    fn forwards_at_a_scale() {
        let units: Vec<_> = (0..4).map(|n| unit(5000 + n * 40, 77, n == 0, None)).collect();
        let shown = |scale| places(&mut Timeline::new(scale, true, wall(5000)), &units);
        assert_eq!(shown(1.0), [(0, 0), (40, 40), (80, 80), (120, 120)]);
        assert_eq!(shown(2.0), [(0, 0), (20, 20), (40, 40), (60, 60)]);
        assert_eq!(shown(0.25), [(0, 0), (160, 160), (320, 320), (480, 480)]);
    }

    #[test]
    fn gaps_are_jumped_over_by_all_tracks_together() {
        // Pictures at 0 and 40, a gap of 10 s, and again; sound (a gap of its own) beside it.
        let units = [
            unit(0, 0, true, None),
            unit(10, 0, true, None),
            unit(40, 0, false, None),
            unit(10_080, 0, true, Some(10_000)),
            unit(10_090, 0, true, Some(10_060)),
            unit(10_120, 0, false, None),
        ];
        let mut timeline = Timeline::new(1.0, true, wall(0));
        let shown: Vec<i64> = places(&mut timeline, &units).iter().map(|place| place.0).collect();
        assert_eq!(shown, [0, 10, 40, 80, 90, 120]);
        // Sound alone was away for a minute: nothing is jumped over.
        let mut timeline = Timeline::new(1.0, true, wall(0));
        let units =
            [unit(0, 0, true, None), unit(60_000, 0, true, None), unit(60_010, 0, true, Some(60_000))];
        assert_eq!(places(&mut timeline, &units)[2].0, 60_010);
        // As it was recorded, with the gap.
        let mut timeline = Timeline::new(1.0, false, wall(0));
        let units = [unit(0, 0, true, None), unit(40, 0, false, None), unit(10_080, 0, true, Some(10_000))];
        let shown: Vec<i64> = units.iter().map(|unit| timeline.place(unit).shown / 90).collect();
        assert_eq!(shown, [0, 40, 10_080]);
    }

    #[test]
    fn a_source_that_began_anew_goes_on_by_the_wall_clock() {
        let mut timeline = Timeline::new(1.0, true, wall(0));
        let units = [
            unit(0, 0, true, None),
            unit(40, 0, false, None),
            unit(100, 900_000, true, None),
            unit(140, 900_000, false, None),
        ];
        let shown: Vec<i64> = places(&mut timeline, &units).iter().map(|place| place.0).collect();
        assert_eq!(shown, [0, 40, 100, 140]);
    }

    #[test]
    fn backwards_the_last_picture_is_shown_first() {
        // Two groups of three pictures, and one more behind a gap of 5 s before them.
        let units = [
            unit(10_120, 0, true, None),
            unit(10_160, 0, false, None),
            unit(10_200, 0, false, None),
            unit(10_000, 0, true, None),
            unit(10_040, 0, false, None),
            unit(10_080, 0, false, None),
            unit(4920, 0, true, Some(5000)),
            unit(4960, 0, false, None),
        ];
        let mut timeline = Timeline::new(-1.0, true, wall(10_240));
        let all = places(&mut timeline, &units);
        let shown: Vec<i64> = all.iter().map(|place| place.0).collect();
        assert_eq!(shown, [120, 80, 40, 240, 200, 160, 320, 280]);
        // Each group is sent while the one before is shown.
        let sent: Vec<i64> = all.iter().map(|place| place.1).collect();
        assert_eq!(sent, [0, 40, 80, 120, 160, 200, 240, 280]);
        let mut timeline = Timeline::new(-2.0, true, wall(10_240));
        assert_eq!(places(&mut timeline, &units)[3], (120, 60));
        // Without rate control: the time of recording, which goes back from group to group.
        let mut timeline = Timeline::new(-1.0, false, wall(10_240));
        let shown: Vec<i64> = units.iter().map(|unit| timeline.place(unit).shown / 90).collect();
        assert_eq!(shown, [0, 40, 80, -120, -80, -40, -5200, -5160]);
    }
}
