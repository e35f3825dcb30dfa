//! Timeline: from the platform's microseconds to presentation and wall time.
//!
//! The platform's clock has an origin of its own, runs at its own speed, and jumps when its library is started again or
//! when somebody sets its base. A pack comes with its age, so the moment of its capture is known by our clocks too. The
//! streams of a channel share one timeline; a life of the host has a mapping onto it, and where the platform jumps, a new one
//! begins, so that presentation time goes on at the pace of monotonic time.
//!
//! Does not belong here: which packs are delivered at all (`gate.rs`).

use std::collections::BTreeMap;

use hal::{MonoTime, Pts90k, StreamKind, WallTime};

/// The platform may be this far off the pace of our clock between two packs; more is a jump. Packs can wait in the host for some
/// hundred milliseconds, and their ages tell of it only roughly.
const MAX_OFF_PACE_MICROS: i64 = 2_000_000;

/// A wall clock that is this far from what the mapping says was set.
const WALL_STEP_MICROS: i64 = 500_000;

/// How much of a wall time that seems too late is taken over at once: delays only ever make it later.
const WALL_SLEW: i64 = 256;

/// When a unit is to be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) pts: Pts90k,
    pub(crate) wall: WallTime,
    pub(crate) discontinuity: bool,
}

/// A channel's timeline.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    mapping: Option<Mapping>,
    /// Counts mappings.
    epoch: u64,
    streams: BTreeMap<StreamKind, Last>,
}

#[derive(Debug)]
struct Mapping {
    /// To be added to the platform's microseconds for those of the timeline, and of the wall.
    to_timeline: i64,
    to_wall: i64,
    /// The last pack of any stream: the platform's microseconds, and our own for the same moment.
    platform: i64,
    moment: i64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    epoch: u64,
    platform: i64,
    pts: Pts90k,
}

impl Timeline {
    /// The host began anew, or the channel did: whatever comes next does not continue.
    pub(crate) fn begin_anew(&mut self) {
        // Forgotten, so that the next pack begins a mapping at its own moment; the streams' ends stay, to stay behind them.
        self.mapping = None;
    }

    /// Places a pack that was captured at `platform_micros` of the platform's clock and is `age_micros` old now.
    pub(crate) fn place(
        &mut self,
        stream: StreamKind,
        platform_micros: u64,
        age_micros: u32,
        (mono, wall): (MonoTime, WallTime),
    ) -> Stamp {
        let age = i64::from(age_micros);
        let since_start = mono.since(MonoTime::default()).as_micros();
        let moment = i64::try_from(since_start).unwrap_or(i64::MAX).saturating_sub(age);
        let wall = wall.offset_micros(-age);
        let platform = in_range(platform_micros);
        self.follow(stream, platform, moment, wall);
        let Some(mapping) = &mut self.mapping else { unreachable!("follow leaves one") };

        mapping.platform = platform;
        mapping.moment = moment;
        mapping.follow_wall(wall.as_unix_micros().saturating_sub(platform));
        let mut pts = Pts90k::from_micros(platform.saturating_add(mapping.to_timeline));
        let last = self.streams.get(&stream);
        let discontinuity = last.is_none_or(|last| last.epoch != self.epoch);
        if let Some(last) = last {
            pts = pts.max(Pts90k(last.pts.0 + 1));
        }
        self.streams.insert(stream, Last { epoch: self.epoch, platform, pts });
        let wall = WallTime::from_unix_micros(platform.saturating_add(mapping.to_wall));
        Stamp { pts, wall, discontinuity }
    }

    /// Where that moment is, without a pack of a stream; `None` before the first.
    pub(crate) fn at(&self, platform_micros: u64) -> Option<Pts90k> {
        let mapping = self.mapping.as_ref()?;
        Some(Pts90k::from_micros(in_range(platform_micros).saturating_add(mapping.to_timeline)))
    }

    /// Begins another mapping where the present one does not hold.
    fn follow(&mut self, stream: StreamKind, platform: i64, moment: i64, wall: WallTime) {
        let last = self.streams.get(&stream).filter(|last| last.epoch == self.epoch);
        let timeline = match &self.mapping {
            Some(mapping) => {
                let elapsed = moment - mapping.moment;
                let off_pace = (platform - mapping.platform).saturating_sub(elapsed).saturating_abs();
                if off_pace <= MAX_OFF_PACE_MICROS && last.is_none_or(|last| platform > last.platform) {
                    return;
                }
                mapping.platform.saturating_add(mapping.to_timeline).saturating_add(elapsed.max(0))
            }
            None => moment,
        };
        self.epoch += 1;
        self.mapping = Some(Mapping {
            to_timeline: timeline.saturating_sub(platform),
            to_wall: wall.as_unix_micros().saturating_sub(platform),
            platform,
            moment,
        });
    }
}

impl Mapping {
    /// The earliest arrivals tell the wall time best; later ones were delayed. A step of the wall clock is followed at once.
    fn follow_wall(&mut self, seen: i64) {
        let late = seen.saturating_sub(self.to_wall);
        if !(0..=WALL_STEP_MICROS).contains(&late) {
            self.to_wall = seen;
        } else {
            self.to_wall += late / WALL_SLEW;
        }
    }
}

/// A quarter of the range, so that no sum overflows.
fn in_range(platform_micros: u64) -> i64 {
    (platform_micros & (u64::MAX >> 2)) as i64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: i64 = 1_700_000_000_000_000;

    struct Run {
        timeline: Timeline,
        at_ms: u64,
    }

    impl Run {
        fn new() -> Self {
            Self { timeline: Timeline::default(), at_ms: 1_000 }
        }

        /// `span_ms` later, a pack that the platform stamped so.
        fn after(
            &mut self,
            span_ms: u64,
            stream: StreamKind,
            platform_ms: u64,
            age_ms: u32,
        ) -> (i64, i64, bool) {
            self.at_ms += span_ms;
            let now = (
                MonoTime::from_start(Duration::from_millis(self.at_ms)),
                WallTime::from_unix_micros(START + self.at_ms as i64 * 1_000),
            );
            let stamp = self.timeline.place(stream, platform_ms * 1_000, age_ms * 1_000, now);
            (stamp.pts.0 / 90, (stamp.wall.as_unix_micros() - START) / 1_000, stamp.discontinuity)
        }
    }

    #[test]
    fn a_channel_s_streams_share_a_timeline_without_the_jitter_of_arrival() {
        let mut run = Run::new();
        assert_eq!(run.after(0, StreamKind::Main, 70_000, 40), (960, 960, true));
        assert_eq!(run.after(2, StreamKind::Sub, 70_000, 42), (960, 960, true), "the same picture");
        assert_eq!(run.after(10, StreamKind::Audio, 70_020, 32), (980, 980, true));
        // 30 ms late, which its age does not tell.
        assert_eq!(run.after(58, StreamKind::Main, 70_040, 40), (1_000, 1_000, false));
        assert_eq!(run.after(10, StreamKind::Main, 70_080, 40), (1_040, 1_040, false));
    }

    #[test]
    fn a_base_that_jumps_is_a_discontinuity_and_time_goes_on() {
        for base in [5_000_000, 3] {
            let mut run = Run::new();
            assert_eq!(run.after(0, StreamKind::Main, 70_000, 0), (1_000, 1_000, true));
            assert_eq!(run.after(40, StreamKind::Main, 70_040, 0), (1_040, 1_040, false));
            assert_eq!(run.after(40, StreamKind::Main, base, 0), (1_080, 1_080, true), "to {base}");
            assert_eq!(run.after(0, StreamKind::Sub, base, 0), (1_080, 1_080, true));
            assert_eq!(run.after(40, StreamKind::Main, base + 40, 0), (1_120, 1_120, false));
        }
    }

    #[test]
    fn a_small_step_back_is_a_discontinuity_too_and_presentation_never_goes_back() {
        let mut run = Run::new();
        run.after(0, StreamKind::Main, 70_000, 0);
        run.after(40, StreamKind::Main, 70_040, 0);
        assert_eq!(run.after(40, StreamKind::Main, 70_030, 0), (1_080, 1_080, true));
        assert_eq!(run.after(40, StreamKind::Main, 70_070, 0), (1_120, 1_120, false));
        let (pts, _, discontinuity) = run.after(0, StreamKind::Main, 70_070, 0);
        assert!(pts >= 1_120 && discontinuity, "the same stamp twice");
    }

    #[test]
    fn a_late_pack_of_before_a_jump_keeps_its_place() {
        let mut run = Run::new();
        run.after(0, StreamKind::Main, 70_000, 0);
        run.after(0, StreamKind::Sub, 70_000, 0);
        assert_eq!(run.after(40, StreamKind::Main, 5, 0), (1_040, 1_040, true));
        assert_eq!(run.after(0, StreamKind::Sub, 70_040, 0), (1_040, 1_040, true));
        assert_eq!(run.after(40, StreamKind::Main, 45, 0), (1_080, 1_080, true));
    }

    #[test]
    fn a_clock_that_drifts_is_no_jump() {
        let mut run = Run::new();
        run.after(0, StreamKind::Main, 70_000, 0);
        // A per mille fast over ten hours: 36 s.
        for hour_part in 1..=36_000_u64 {
            let (_, wall, discontinuity) = run.after(1_000, StreamKind::Main, 70_000 + hour_part * 1_001, 0);
            assert!(!discontinuity);
            assert!(wall.abs_diff(run.at_ms as i64) <= 300, "the wall time follows: {wall} at {}", run.at_ms);
        }
    }

    #[test]
    fn the_wall_clock_is_followed_when_it_is_set() {
        let mut run = Run::new();
        run.after(0, StreamKind::Main, 70_000, 0);
        let later = MonoTime::from_start(Duration::from_millis(1_040));
        let set = WallTime::from_unix_micros(START + 3_600_000_000);
        let stamp = run.timeline.place(StreamKind::Main, 70_040_000, 0, (later, set));
        assert_eq!((stamp.pts, stamp.wall, stamp.discontinuity), (Pts90k(1_040 * 90), set, false));
    }

    #[test]
    fn after_a_restart_time_goes_on_behind_what_was() {
        let mut run = Run::new();
        run.after(0, StreamKind::Main, 70_000, 0);
        run.timeline.begin_anew();
        assert_eq!(run.after(700, StreamKind::Main, 12, 40), (1_660, 1_660, true));
        run.timeline.begin_anew();
        // Captured before the last one was, by our clock: it still comes after it.
        let (pts, _, discontinuity) = run.after(10, StreamKind::Main, 12, 500);
        assert!(pts >= 1_660 && discontinuity);
    }

    #[test]
    fn stamps_without_sense_do_not_end_the_program() {
        let mut run = Run::new();
        for platform in [u64::MAX / 1_000, 0, 1 << 50, u64::MAX / 2_000, 7] {
            let (_, _, discontinuity) = run.after(1, StreamKind::Main, platform, 4_000_000);
            assert!(discontinuity);
        }
    }
}
