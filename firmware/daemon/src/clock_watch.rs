//! Whether the clock was set.
//!
//! Does not belong here: setting it (`warden::time`), what days mean to footage (crate `store`).

use hal::{MonoTime, WallTime};
use ledger::Event;

/// What the wall clock may gain or lose on the monotonic one between two looks: servers that are asked correct it by less.
const LEAST_STEP_MICROS: i64 = 1_000_000;

/// Looks at both clocks now and then.
pub(crate) struct ClockWatch {
    wall: WallTime,
    mono: MonoTime,
}

impl ClockWatch {
    pub(crate) fn new(wall: WallTime, mono: MonoTime) -> Self {
        Self { wall, mono }
    }

    /// What the ledger is to be told, if the wall clock did not go on as the monotonic one did since the last look.
    pub(crate) fn look(&mut self, wall: WallTime, mono: MonoTime) -> Option<Event> {
        let ran = i64::try_from(mono.since(self.mono).as_micros()).unwrap_or(i64::MAX);
        let before = self.wall.offset_micros(ran);
        *self = Self { wall, mono };
        let step = wall.micros_since(before);
        (step.saturating_abs() > LEAST_STEP_MICROS).then_some(Event::ClockStep { before, after: wall })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOON: i64 = 1_795_168_800_000_000;

    fn wall(micros: i64) -> WallTime {
        WallTime::from_unix_micros(micros)
    }

    fn mono(micros: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_micros(micros))
    }

    #[test]
    fn a_recorder_that_begins_in_1970_and_is_set_by_a_server_tells_of_one_step() {
        let mut watch = ClockWatch::new(wall(5_000_000), mono(0));
        let mut told = Vec::new();
        for second in 1..100_u64 {
            let micros = second as i64 * 1_000_000;
            let now = if second < 40 { 5_000_000 + micros } else { NOON + micros };
            told.extend(watch.look(wall(now), mono(second * 1_000_000)));
        }
        let before = wall(5_000_000 + 40_000_000);
        assert_eq!(told, [Event::ClockStep { before, after: wall(NOON + 40_000_000) }]);
    }

    #[test]
    fn steps_back_are_told_and_what_a_clock_drifts_is_not() {
        let mut watch = ClockWatch::new(wall(NOON), mono(0));
        // Slewed by half a second in each of a hundred looks.
        for look in 1..=100 {
            let at = look * 60_000_000;
            assert_eq!(watch.look(wall(NOON + at + look * 500_000), mono(at as u64)), None);
        }
        let at = 101 * 60_000_000;
        let back = watch.look(wall(NOON + at + 50_000_000 - 3_600_000_000), mono(at as u64));
        let Some(Event::ClockStep { before, after }) = back else { panic!("an hour back") };
        assert_eq!(before.micros_since(after), 3_600_000_000);
        assert_eq!(
            watch.look(wall(NOON + at + 51_000_000 - 3_600_000_000), mono(at as u64 + 1_000_000)),
            None
        );
    }
}
