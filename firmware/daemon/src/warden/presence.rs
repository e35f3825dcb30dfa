//! Presence: the proof that an owner stands before the recorder.
//!
//! A code on the console, good for ten minutes and five tries. A stolen session could ask for code after code and
//! guess at each, so that a new one is made only a while after the last.
//!
//! Does not belong here: what presence is asked for.

use std::time::Duration;

use auth::{AuthError, SetupCode, Try};
use hal::{Clock, MonoTime};

/// Between two codes. With five tries each of 40 bits, guessing for a year is one chance in 400 000.
const PAUSE: Duration = Duration::from_secs(60);

/// The code of now, if any.
#[derive(Debug, Default)]
pub(super) struct Presence {
    code: Option<SetupCode>,
    made: Option<MonoTime>,
}

/// What a request for a code led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Show this.
    Code(String),
    /// Too soon after the last one.
    TooSoon,
}

impl Presence {
    /// A code to show: the one of now, or a new one.
    pub(super) fn show(&mut self, clock: &dyn Clock) -> Result<Shown, AuthError> {
        if let Some(code) = self.code.as_ref().filter(|code| code.is_good(clock)) {
            return Ok(Shown::Code(code.shown()));
        }
        if self.made.is_some_and(|made| clock.mono().since(made) < PAUSE) {
            return Ok(Shown::TooSoon);
        }
        let code = SetupCode::new(clock)?;
        let shown = code.shown();
        self.made = Some(clock.mono());
        self.code = Some(code);
        Ok(Shown::Code(shown))
    }

    /// Whether that is the code. A right one is spent.
    pub(super) fn proves(&mut self, clock: &dyn Clock, typed: &str) -> bool {
        self.code.as_mut().is_some_and(|code| code.try_code(clock, typed) == Try::Right)
    }
}

#[cfg(test)]
mod tests {
    use hal::WallTime;
    use hal_sim::SimClock;

    use super::*;

    fn code(presence: &mut Presence, clock: &SimClock) -> String {
        match presence.show(clock).unwrap() {
            Shown::Code(code) => code,
            Shown::TooSoon => panic!("no code"),
        }
    }

    #[test]
    fn a_code_is_good_once_for_five_tries_and_ten_minutes() {
        let clock = SimClock::new(WallTime::default());
        let mut presence = Presence::default();
        assert!(!presence.proves(&clock, "0000-0000"), "there is none yet");
        let first = code(&mut presence, &clock);
        assert_eq!(code(&mut presence, &clock), first, "asking again shows the same");
        assert!(presence.proves(&clock, &first.to_lowercase()));
        assert!(!presence.proves(&clock, &first), "it is spent");

        clock.advance(PAUSE);
        let second = code(&mut presence, &clock);
        for _ in 0..5 {
            assert!(!presence.proves(&clock, "0000-0000"));
        }
        assert!(!presence.proves(&clock, &second), "after five tries it is not compared");
        assert_eq!(presence.show(&clock).unwrap(), Shown::TooSoon);

        clock.advance(PAUSE);
        let third = code(&mut presence, &clock);
        clock.advance(Duration::from_secs(600));
        assert!(!presence.proves(&clock, &third), "ten minutes are over");
    }
}
