//! The factory-reset button: held for long, never by accident.
//!
//! Pure: levels and times go in. Does not belong here: what a reset removes.

use std::time::Duration;

use hal::MonoTime;

/// Held for so long, it says what it will do.
pub const WARN_AFTER: Duration = Duration::from_secs(3);
/// Held for so long, it does it.
pub const ACT_AFTER: Duration = Duration::from_secs(10);

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ButtonAct {
    /// Say what happens at [`ACT_AFTER`].
    Warn,
    /// It was let go of before: say that nothing happens.
    Spared,
    /// Do it.
    Act,
}

/// A button. One that is down from the first look on is stuck: it counts after it was seen up.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeldButton {
    seen_up: bool,
    down_since: Option<MonoTime>,
    warned: bool,
}

impl HeldButton {
    /// Takes a look at the level.
    pub fn look(&mut self, down: bool, now: MonoTime) -> Option<ButtonAct> {
        if !down {
            let spared = self.warned;
            *self = Self { seen_up: true, ..Self::default() };
            return spared.then_some(ButtonAct::Spared);
        }
        if !self.seen_up {
            return None;
        }
        let held = now.since(*self.down_since.get_or_insert(now));
        if held >= ACT_AFTER {
            // Once: it has to be let go of before it counts again.
            *self = Self::default();
            return Some(ButtonAct::Act);
        }
        let warn = held >= WARN_AFTER && !self.warned;
        self.warned |= warn;
        warn.then_some(ButtonAct::Warn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(down: impl Fn(u64) -> bool) -> Vec<(u64, ButtonAct)> {
        let mut button = HeldButton::default();
        let looks = (0..40_000).step_by(50);
        looks
            .filter_map(|millis| {
                let now = MonoTime::from_start(Duration::from_millis(millis));
                button.look(down(millis), now).map(|act| (millis, act))
            })
            .collect()
    }

    #[test]
    fn it_warns_and_acts_once() {
        let held = acts(|millis| millis >= 1_000);
        assert_eq!(held, [(4_000, ButtonAct::Warn), (11_000, ButtonAct::Act)]);
    }

    #[test]
    fn let_go_of_in_time_it_spares() {
        assert_eq!(acts(|millis| (1_000..3_500).contains(&millis)), []);
        let held = acts(|millis| (1_000..10_900).contains(&millis));
        assert_eq!(held, [(4_000, ButtonAct::Warn), (10_900, ButtonAct::Spared)]);
    }

    #[test]
    fn a_stuck_one_does_nothing() {
        assert_eq!(acts(|_| true), []);
    }
}
