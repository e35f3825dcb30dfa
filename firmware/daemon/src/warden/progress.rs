//! Whether every role makes progress, by which the hardware watchdog lives.
//!
//! Does not belong here: ending a role that is stuck (`supervisor.rs`, well before this says no).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hal::MonoTime;

use crate::role::Role;

/// A role that was stuck is ended after 10 s and started again within 10 s more; one that says nothing for this
/// long could not be helped that way.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each role was last heard of.
#[derive(Debug)]
pub(super) struct Progress {
    heard: Mutex<[MonoTime; Role::ALL.len()]>,
}

impl Progress {
    /// Every role counts as heard of at the start.
    pub(super) fn new(now: MonoTime) -> Self {
        Self { heard: Mutex::new([now; Role::ALL.len()]) }
    }

    /// `role` said something.
    pub(super) fn made(&self, role: Role, now: MonoTime) {
        if let Some(place) = Role::ALL.iter().position(|other| *other == role) {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner)[place] = now;
        }
    }

    /// The role that was silent for too long, if one was.
    pub(super) fn stuck(&self, now: MonoTime) -> Option<Role> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Role::ALL.into_iter().zip(heard).find(|(_, at)| now.since(*at) > PATIENCE).map(|(role, _)| role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_silent_role_is_enough() {
        let at = |seconds| MonoTime::from_start(Duration::from_secs(seconds));
        let progress = Progress::new(at(0));
        assert_eq!(progress.stuck(at(30)), None);
        for role in Role::ALL {
            progress.made(role, at(20));
        }
        assert_eq!(progress.stuck(at(50)), None);
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Capture) {
            progress.made(role, at(50));
        }
        assert_eq!(progress.stuck(at(51)), Some(Role::Capture));
    }
}
