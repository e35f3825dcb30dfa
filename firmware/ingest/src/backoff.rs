//! Back-off: how long to wait before the next attempt.
//!
//! Doubles from attempt to attempt up to a bound, with jitter so that the cameras of one site that lost its power
//! do not all come back in the same moment. No clock and no system randomness inside.

use std::time::Duration;

use crate::status::CameraState;

/// First and longest pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    first: Duration,
    longest: Duration,
}

/// The network or the camera: try soon, a camera starts in 20 to 60 s.
const FAULT: Bounds = Bounds { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

/// The settings: only people change this, and cameras lock an account after five to seven wrong passwords
/// within some 30 minutes.
const REFUSED: Bounds = Bounds { first: Duration::from_secs(60), longest: Duration::from_secs(600) };

/// The camera is there and offers something else: it may be reconfigured.
const UNSUITED: Bounds = Bounds { first: Duration::from_secs(5), longest: Duration::from_secs(120) };

/// A connection that delivered for this long counts as good: the next pause is short again.
pub(crate) const STABLE_AFTER: Duration = Duration::from_secs(30);

/// Pauses between attempts; see the module.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    failures: u32,
    last: CameraState,
    random: u64,
}

impl Backoff {
    /// The same seed gives the same pauses.
    pub(crate) fn new(seed: u64) -> Self {
        Self { failures: 0, last: CameraState::Connecting, random: seed }
    }

    /// The connection has been good.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after an attempt that ended in `state`: 75 to 100 % of the doubled one.
    pub(crate) fn pause(&mut self, state: &CameraState) -> Duration {
        if *state != self.last {
            // Another reason is another story: a camera that starts up answers "not found" for a while.
            self.failures = 0;
            self.last = state.clone();
        }
        let bounds = match state {
            CameraState::WrongPassword => REFUSED,
            CameraState::NotFound | CameraState::UnsupportedCodec => UNSUITED,
            _ => FAULT,
        };
        let full = bounds.first.saturating_mul(1 << self.failures.min(16)).min(bounds.longest);
        self.failures = self.failures.saturating_add(1);
        // 53 bits fill a double exactly.
        let fraction = (self.next_random() >> 11) as f64 / (1u64 << 53) as f64;
        full.mul_f64(0.75 + 0.25 * fraction)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): jitter needs to differ, not to be unguessable.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seed: u64, state: &CameraState, count: usize) -> Vec<Duration> {
        let mut backoff = Backoff::new(seed);
        (0..count).map(|_| backoff.pause(state)).collect()
    }

    #[test]
    fn pauses_double_to_their_bound_and_jitter_stays_within_a_quarter() {
        let pauses = pauses(1, &CameraState::Unreachable, 40);
        for (number, pause) in pauses.iter().enumerate() {
            let full = FAULT.first.saturating_mul(1 << number.min(16)).min(FAULT.longest);
            assert!(*pause <= full && *pause >= full.mul_f64(0.75), "{number}: {pause:?} beside {full:?}");
        }
        assert!(pauses[39] <= Duration::from_secs(30));
    }

    #[test]
    fn the_seed_decides_and_seeds_differ() {
        let state = CameraState::Stalled;
        assert_eq!(pauses(7, &state, 9), pauses(7, &state, 9));
        assert_ne!(pauses(7, &state, 9), pauses(8, &state, 9));
    }

    #[test]
    fn a_good_connection_or_another_reason_begins_anew() {
        let mut backoff = Backoff::new(3);
        for _ in 0..9 {
            backoff.pause(&CameraState::Unreachable);
        }
        backoff.reset();
        assert!(backoff.pause(&CameraState::Unreachable) <= FAULT.first);
        for _ in 0..9 {
            backoff.pause(&CameraState::Unreachable);
        }
        assert!(backoff.pause(&CameraState::Stalled) <= FAULT.first);
    }

    #[test]
    fn a_wrong_password_is_not_tried_until_the_camera_locks_the_account() {
        let tries = pauses(5, &CameraState::WrongPassword, 5).iter().take(4).sum::<Duration>();
        assert!(tries > Duration::from_secs(10 * 60), "five tries within {tries:?}");
    }
}
