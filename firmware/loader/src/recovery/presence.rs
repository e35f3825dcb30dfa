//! Presence: the code on the console, and the cookie that a browser has for it.
//!
//! One code a start, good for ten minutes and five tries (`auth::SetupCode`); after that, switching the recorder off and on
//! makes a new one: being able to do that is what the code proves.

use auth::{AuthError, SetupCode, Try};
use data_encoding::HEXLOWER;
use hal::Clock;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::error::LoaderError;

/// The cookie's name. `__Host-`: browsers take it from this address over HTTPS only, for all paths.
pub(super) const COOKIE: &str = "__Host-candor-recovery";

/// What a session's name is made of: nobody guesses 256 bits.
const TOKEN_BYTES: usize = 32;

/// Who has shown to be there.
pub(super) struct Presence {
    code: SetupCode,
    token: Option<String>,
}

/// What a try led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was the code; this is the cookie's value.
    Unlocked(String),
    /// It was not; so many tries are left.
    Wrong(u8),
    /// The code is used up.
    UsedUp,
}

impl Presence {
    pub(super) fn new(clock: &dyn Clock) -> Result<Self, AuthError> {
        Ok(Self { code: SetupCode::new(clock)?, token: None })
    }

    /// For the console.
    pub(super) fn shown(&self) -> String {
        self.code.shown()
    }

    pub(super) fn is_good(&self, clock: &dyn Clock) -> bool {
        self.code.is_good(clock)
    }

    /// Tries a code. The last who was right has the session: there is one.
    pub(super) fn try_code(&mut self, clock: &dyn Clock, typed: &str) -> Result<Answer, LoaderError> {
        Ok(match self.code.try_code(clock, typed) {
            Try::Right => {
                let token = token()?;
                self.token = Some(token.clone());
                Answer::Unlocked(token)
            }
            Try::Wrong { left: 0 } | Try::Expired => Answer::UsedUp,
            Try::Wrong { left } => Answer::Wrong(left),
        })
    }

    /// Whether a request's `Cookie` header has the session's cookie.
    pub(super) fn admits(&self, cookies: Option<&str>) -> bool {
        let (Some(token), Some(cookies)) = (&self.token, cookies) else {
            return false;
        };
        let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == COOKIE && bool::from(value.as_bytes().ct_eq(token.as_bytes())))
    }
}

fn token() -> Result<String, LoaderError> {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| LoaderError::system("making a session", "the kernel gives no random numbers"))?;
    Ok(HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use hal::WallTime;
    use hal_sim::SimClock;

    use super::*;

    #[test]
    fn the_right_code_gives_a_cookie_that_admits() {
        let clock = SimClock::new(WallTime::default());
        let mut presence = Presence::new(&clock).unwrap();
        assert!(!presence.admits(Some(&format!("{COOKIE}="))), "no session admits nobody");
        assert_eq!(presence.try_code(&clock, "00000000").unwrap(), Answer::Wrong(4));
        let shown = presence.shown();
        let Answer::Unlocked(token) = presence.try_code(&clock, &shown).unwrap() else { panic!("right") };
        assert_eq!(token.len(), 2 * TOKEN_BYTES);
        assert!(presence.admits(Some(&format!("other=1; {COOKIE}={token}"))));
        for cookies in [None, Some(""), Some(token.as_str()), Some("__Host-candor-recovery=00")] {
            assert!(!presence.admits(cookies), "{cookies:?}");
        }
        assert_eq!(presence.try_code(&clock, &shown).unwrap(), Answer::UsedUp, "once");
        assert!(presence.admits(Some(&format!("{COOKIE}={token}"))), "the session stays");
    }

    #[test]
    fn five_wrong_codes_are_all() {
        let clock = SimClock::new(WallTime::default());
        let mut presence = Presence::new(&clock).unwrap();
        for left in (1..5).rev() {
            assert_eq!(presence.try_code(&clock, "00000000").unwrap(), Answer::Wrong(left));
        }
        assert_eq!(presence.try_code(&clock, "00000000").unwrap(), Answer::UsedUp);
        let shown = presence.shown();
        assert_eq!(presence.try_code(&clock, &shown).unwrap(), Answer::UsedUp, "the sixth, though right");
        assert!(!presence.is_good(&clock));
    }
}
