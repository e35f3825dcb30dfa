//! The set-up code: proof of standing before the recorder, for the first owner.
//!
//! Random, shown on the screen or console only, good for ten minutes and five tries; then a new one must be
//! made. Forty bits against five tries leave a guesser one chance in 200 thousand million.
//!
//! Does not belong here: showing it, and whether the recorder has an owner.

use std::fmt;
use std::time::Duration;

use hal::{Clock, MonoTime};
use subtle::ConstantTimeEq;

use crate::error::AuthError;
use crate::random;

/// How long a code is good: time to walk from the screen to the desk.
pub const SETUP_CODE_LIFETIME: Duration = Duration::from_secs(600);
/// How often one may be wrong.
pub const SETUP_CODE_TRIES: u8 = 5;

/// 40 bits are 8 signs of 5 bits.
const CODE_BYTES: usize = 5;
const CODE_SIGNS: usize = 8;

/// What a try led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// It was the code. It is not good any more.
    Right,
    /// It was not, and there are so many tries left; with none, a new code must be made.
    Wrong {
        /// Tries left.
        left: u8,
    },
    /// The code was not good any more, and was not compared.
    Expired,
}

/// A set-up code; `Debug` shows nothing of it.
pub struct SetupCode {
    signs: String,
    made: MonoTime,
    tries_left: u8,
}

impl SetupCode {
    /// A new code.
    ///
    /// # Errors
    /// `Internal` without randomness.
    pub fn new(clock: &dyn Clock) -> Result<Self, AuthError> {
        let signs = random::word::<CODE_BYTES>()?;
        Ok(Self { signs, made: clock.mono(), tries_left: SETUP_CODE_TRIES })
    }

    /// For the screen: `XXXX-XXXX`.
    #[must_use]
    pub fn shown(&self) -> String {
        let (left, right) = self.signs.split_at(CODE_SIGNS / 2);
        format!("{left}-{right}")
    }

    /// Whether it is still good; if not, a new one must be made.
    #[must_use]
    pub fn is_good(&self, clock: &dyn Clock) -> bool {
        !self.remaining(clock).is_zero()
    }

    /// How long it is still good.
    #[must_use]
    pub fn remaining(&self, clock: &dyn Clock) -> Duration {
        if self.tries_left == 0 {
            return Duration::ZERO;
        }
        SETUP_CODE_LIFETIME.saturating_sub(clock.mono().since(self.made))
    }

    /// Compares in constant time. Case, spaces and dashes do not matter; O is read as 0, I and L as 1.
    pub fn try_code(&mut self, clock: &dyn Clock, typed: &str) -> Try {
        if !self.is_good(clock) {
            return Try::Expired;
        }
        self.tries_left -= 1;
        let typed = read(typed);
        // Short, long or wrong: the same comparison of the same length.
        let right = typed.ct_eq(self.signs.as_bytes());
        if bool::from(right) {
            self.tries_left = 0;
            Try::Right
        } else {
            Try::Wrong { left: self.tries_left }
        }
    }
}

impl fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetupCode").field("tries_left", &self.tries_left).finish_non_exhaustive()
    }
}

/// The signs of what was typed; zeros, which no sign is, where there are too few or too many.
fn read(typed: &str) -> [u8; CODE_SIGNS] {
    let mut signs = [0; CODE_SIGNS];
    for (count, sign) in typed.bytes().filter(|sign| !b"- ".contains(sign)).enumerate() {
        let Some(place) = signs.get_mut(count) else {
            return [0; CODE_SIGNS];
        };
        *place = match sign.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
    }
    signs
}

#[cfg(test)]
mod tests {
    use hal_sim::SimClock;

    use super::*;

    fn clock() -> SimClock {
        SimClock::new(hal::WallTime::from_unix_micros(1_795_168_800_000_000))
    }

    fn code(signs: &str, clock: &dyn Clock) -> SetupCode {
        SetupCode { signs: signs.into(), made: clock.mono(), tries_left: SETUP_CODE_TRIES }
    }

    #[test]
    fn the_shown_code_is_right_once() {
        let clock = clock();
        let mut code = SetupCode::new(&clock).unwrap();
        let shown = code.shown();
        assert_eq!((shown.len(), &shown[4..5]), (9, "-"));
        assert_eq!(code.try_code(&clock, &shown), Try::Right);
        assert_eq!(code.try_code(&clock, &shown), Try::Expired);
        assert_ne!(shown, SetupCode::new(&clock).unwrap().shown());
        assert!(!format!("{code:?}").contains(&shown[..4]));
    }

    #[test]
    fn what_people_type_is_understood() {
        let clock = clock();
        for typed in ["01A1-B2C3", "01a1b2c3", "OIAL-B2C3", " ola1 b2c3 "] {
            assert_eq!(code("01A1B2C3", &clock).try_code(&clock, typed), Try::Right, "{typed}");
        }
        for typed in ["", "01A1-B2C", "01A1-B2C34", "01A1-B2C4", "\0\0\0\0\0\0\0\0", "０１Ａ１"] {
            assert_eq!(code("01A1B2C3", &clock).try_code(&clock, typed), Try::Wrong { left: 4 }, "{typed}");
        }
    }

    #[test]
    fn five_tries_and_ten_minutes() {
        let clock = clock();
        let mut tried = code("01A1B2C3", &clock);
        for left in (0..SETUP_CODE_TRIES).rev() {
            assert_eq!(tried.try_code(&clock, "00000000"), Try::Wrong { left });
        }
        assert!(!tried.is_good(&clock));
        assert_eq!(tried.try_code(&clock, "01A1B2C3"), Try::Expired);

        let mut old = code("01A1B2C3", &clock);
        clock.advance(SETUP_CODE_LIFETIME - Duration::from_secs(1));
        assert_eq!(old.remaining(&clock), Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(old.try_code(&clock, "01A1B2C3"), Try::Expired);
    }
}
