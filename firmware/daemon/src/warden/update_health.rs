//! Whether a new version is healthy: a pure machine over what the warden sees.
//!
//! Healthy is: every role has been running for a while, the web page's port answers, and of every channel that has a
//! picture footage was written; with no disk or no picture there is nothing to write, and the roles must run for
//! longer instead. What is not so in time has failed, in words for the owner.
//!
//! Does not belong here: looking (`update_trial.rs`) and what follows from a verdict.

use std::time::Duration;

use hal::{ChannelId, MonoTime};

use crate::messages::{ChannelState, RoleState, Snapshot};
use crate::role::Role;

/// In which a new version must be healthy. A camera that starts with the recorder needs a minute.
pub(super) const TRIAL: Duration = Duration::from_secs(180);
/// For how long every role must have been running: longer than one that ends at its first work does.
const STEADY: Duration = Duration::from_secs(10);
/// The same while no footage can show it.
const STEADY_WITHOUT_FOOTAGE: Duration = Duration::from_secs(60);

/// What is known so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not yet; what it waits for.
    Waiting(String),
    /// It is.
    Healthy,
    /// It is not, and why: `serve did not start`.
    Failed(String),
}

/// One trial.
#[derive(Debug)]
pub(super) struct Health {
    started: MonoTime,
    roles: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    role: Role,
    pid: Option<u32>,
    running_since: Option<MonoTime>,
    ever: bool,
    restarts: u32,
}

/// What the warden sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// The whole recorder.
    pub(super) snapshot: &'a Snapshot,
    /// Whether there is a disk for footage.
    pub(super) disk: bool,
    /// Whether the web page's port answers.
    pub(super) answers: bool,
}

impl Health {
    pub(super) fn new(started: MonoTime) -> Self {
        let watched = |role| Watched { role, pid: None, running_since: None, ever: false, restarts: 0 };
        Self { started, roles: Role::ALL.into_iter().map(watched).collect() }
    }

    /// Looks once more.
    pub(super) fn look(&mut self, now: MonoTime, seen: Seen<'_>) -> Verdict {
        for watched in &mut self.roles {
            watched.see(now, seen.snapshot);
        }
        let Some(missing) = self.missing(now, seen) else { return Verdict::Healthy };
        if now.since(self.started) >= TRIAL { Verdict::Failed(missing) } else { Verdict::Waiting(missing) }
    }

    /// What is not yet as it should be, the weightiest first.
    fn missing(&self, now: MonoTime, seen: Seen<'_>) -> Option<String> {
        let unrecorded: Vec<ChannelId> = with_picture(seen.snapshot)
            .filter(|channel| !seen.snapshot.record.recording.contains(channel))
            .collect();
        let shown_by_footage = seen.disk && with_picture(seen.snapshot).next().is_some();
        let steady = if shown_by_footage { STEADY } else { STEADY_WITHOUT_FOOTAGE };
        let role = self.roles.iter().find_map(|watched| watched.missing(now, steady));
        role.or_else(|| (!seen.answers).then(|| "the web page did not answer".to_owned())).or_else(|| {
            let first = unrecorded.first().filter(|_| seen.disk)?;
            Some(format!("channel {} had a picture, and nothing of it was recorded", first.get()))
        })
    }
}

impl Watched {
    fn see(&mut self, now: MonoTime, snapshot: &Snapshot) {
        let view = snapshot.roles.iter().find(|view| view.role == self.role);
        let running = view.is_some_and(|view| view.state == RoleState::Running);
        let pid = view.and_then(|view| view.pid);
        if !running {
            self.running_since = None;
        } else if self.running_since.is_none() || self.pid != pid {
            // Another process begins anew, even when nobody looked in between.
            self.running_since = Some(now);
            self.ever = true;
        }
        self.pid = pid;
        self.restarts = view.map_or(0, |view| view.restarts);
    }

    fn missing(&self, now: MonoTime, steady: Duration) -> Option<String> {
        let role = self.role;
        match self.running_since {
            Some(since) if now.since(since) >= steady => None,
            _ if !self.ever => Some(format!("{role} did not start")),
            _ if self.restarts > 0 => Some(format!("{role} ended again and again")),
            Some(_) => Some(format!("{role} did not run for long enough")),
            None => Some(format!("{role} stopped")),
        }
    }
}

fn with_picture(snapshot: &Snapshot) -> impl Iterator<Item = ChannelId> {
    let ok = snapshot.channels.iter().filter(|status| status.state == ChannelState::Ok);
    ok.map(|status| status.channel)
}

#[cfg(test)]
mod tests {
    use hal::WallTime;

    use super::*;
    use crate::messages::{ChannelStatus, RecordStatus, RoleView};

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_secs(seconds))
    }

    fn channel(number: u16, state: ChannelState) -> ChannelStatus {
        ChannelStatus {
            channel: ChannelId::new(number).unwrap(),
            state,
            since: WallTime::default(),
            message: String::new(),
            streams: Vec::new(),
            motion_percent: None,
        }
    }

    fn snapshot(channels: &[(u16, ChannelState)], recording: &[u16]) -> Snapshot {
        let role = |(n, role)| RoleView {
            role,
            state: RoleState::Running,
            pid: Some(100 + n as u32),
            restarts: 0,
            since: WallTime::default(),
            memory_bytes: 0,
            note: String::new(),
        };
        Snapshot {
            roles: Role::ALL.into_iter().enumerate().map(role).collect(),
            channels: channels.iter().map(|(number, state)| channel(*number, *state)).collect(),
            record: RecordStatus {
                recording: recording.iter().map(|number| ChannelId::new(*number).unwrap()).collect(),
                ..RecordStatus::default()
            },
            ..Snapshot::default()
        }
    }

    fn seen(snapshot: &Snapshot) -> Seen<'_> {
        Seen { snapshot, disk: true, answers: true }
    }

    fn waiting(words: &str) -> Verdict {
        Verdict::Waiting(words.to_owned())
    }

    #[test]
    fn roles_that_run_and_footage_of_every_picture_are_healthy_after_a_while() {
        use ChannelState::{NoSignal, Ok, Unreachable};
        let good = snapshot(&[(1, Ok), (2, NoSignal), (3, Unreachable), (4, Ok)], &[1, 4]);
        let mut health = Health::new(at(0));
        assert_eq!(health.look(at(2), seen(&good)), waiting("record did not run for long enough"));
        assert_eq!(health.look(at(11), seen(&good)), waiting("record did not run for long enough"));
        assert_eq!(health.look(at(12), seen(&good)), Verdict::Healthy);
    }

    #[test]
    fn a_picture_that_is_not_recorded_fails_the_trial_at_its_end() {
        let bad = snapshot(&[(1, ChannelState::Ok), (7, ChannelState::Ok)], &[1]);
        let words = "channel 7 had a picture, and nothing of it was recorded";
        let mut health = Health::new(at(5));
        health.look(at(6), seen(&bad));
        assert_eq!(health.look(at(184), seen(&bad)), waiting(words));
        assert_eq!(health.look(at(185), seen(&bad)), Verdict::Failed(words.to_owned()));
    }

    #[test]
    fn what_comes_in_time_is_healthy() {
        let late = snapshot(&[(1, ChannelState::Ok)], &[]);
        let good = snapshot(&[(1, ChannelState::Ok)], &[1]);
        let mut health = Health::new(at(0));
        health.look(at(1), seen(&late));
        assert!(matches!(health.look(at(170), seen(&late)), Verdict::Waiting(_)));
        assert_eq!(health.look(at(179), seen(&good)), Verdict::Healthy);
    }

    #[test]
    fn without_a_disk_or_a_picture_the_roles_run_for_a_minute_instead() {
        let no_channel = snapshot(&[], &[]);
        let no_signal = snapshot(&[(1, ChannelState::NoSignal)], &[]);
        let no_disk = snapshot(&[(1, ChannelState::Ok)], &[]);
        for (snapshot, disk) in [(&no_channel, true), (&no_signal, true), (&no_disk, false)] {
            let mut health = Health::new(at(0));
            let seen = Seen { snapshot, disk, answers: true };
            health.look(at(1), seen);
            assert_eq!(health.look(at(60), seen), waiting("record did not run for long enough"));
            assert_eq!(health.look(at(61), seen), Verdict::Healthy);
        }
    }

    #[test]
    fn a_role_that_never_starts_or_never_stays_is_named() {
        let mut never = snapshot(&[(1, ChannelState::Ok)], &[1]);
        never.roles[3].state = RoleState::Starting;
        let mut health = Health::new(at(0));
        health.look(at(1), seen(&never));
        assert_eq!(health.look(at(180), seen(&never)), Verdict::Failed("serve did not start".to_owned()));

        let mut health = Health::new(at(0));
        let mut crashing = snapshot(&[(1, ChannelState::Ok)], &[1]);
        for second in 0..180 {
            // Ends every 5 s and is started again so fast that every look finds it running.
            crashing.roles[3].pid = Some(200 + second as u32 / 5);
            crashing.roles[3].restarts = second as u32 / 5;
            let verdict = health.look(at(second), seen(&crashing));
            assert!(matches!(verdict, Verdict::Waiting(_)), "{second} {verdict:?}");
        }
        let end = health.look(at(180), seen(&crashing));
        assert_eq!(end, Verdict::Failed("serve ended again and again".to_owned()));
    }

    #[test]
    fn a_web_page_that_does_not_answer_is_not_healthy() {
        let good = snapshot(&[(1, ChannelState::Ok)], &[1]);
        let silent = Seen { answers: false, ..seen(&good) };
        let mut health = Health::new(at(0));
        health.look(at(1), silent);
        assert_eq!(health.look(at(100), silent), waiting("the web page did not answer"));
        assert_eq!(health.look(at(101), seen(&good)), Verdict::Healthy);
    }
}
