//! The board's indicators: the LED `status` tells whether all is well.
//!
//! | LED | Means |
//! |---|---|
//! | on | something is recorded, nothing is wrong |
//! | blinking | something is wrong: the disk, or a role that ended or is stuck |
//! | dark | nothing is recorded, and nothing is wrong |
//!
//! Buzzers are silenced at the start and stay so: nothing asks for one yet. Does not belong here: what is wrong (the health page).

use std::sync::Arc;
use std::time::Duration;

use board::Board;
use hal::{Buzzer, HalError, Led};
use tokio::time::{MissedTickBehavior, interval};

use super::desk::Desk;
use super::devices::Devices;
use crate::messages::{DiskState, RoleState, Snapshot};

/// The LED that tells; a board's others are not used.
const STATUS: &str = "status";
/// On for so long and dark for so long, a light is seen to blink.
const HALF_BLINK: Duration = Duration::from_millis(500);

/// What the light tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Idle,
    Recording,
    Fault,
}

/// Shows it for as long as the program runs.
pub(super) async fn show(desk: Arc<Desk>, board: Board, devices: Arc<Devices>) {
    let snapshot = desk.watch_snapshot();
    let mut every = interval(HALF_BLINK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut indicators, mut told) = (None, String::new());
    loop {
        every.tick().await;
        let condition = if desk.progress.stuck(desk.clock.mono()).is_some() {
            Condition::Fault
        } else {
            condition(&snapshot.borrow())
        };
        let shown = match &mut indicators {
            None => Indicators::open(&board, &devices).map(|opened| indicators = Some(opened)),
            Some(opened) => opened.turn(condition),
        };
        if let Err(error) = shown {
            indicators = None;
            let error = error.to_string();
            if error != told {
                tracing::warn!(error, "no status light for now");
                told = error;
            }
        }
    }
}

fn condition(snapshot: &Snapshot) -> Condition {
    let ended = snapshot.roles.iter().any(|role| role.state == RoleState::Restarting);
    if snapshot.record.disk != DiskState::Ok || ended {
        Condition::Fault
    } else if snapshot.record.recording.is_empty() {
        Condition::Idle
    } else {
        Condition::Recording
    }
}

struct Indicators {
    status: Option<Box<dyn Led>>,
    /// Kept, so that they stay silent.
    _buzzers: Vec<Box<dyn Buzzer>>,
    lit: bool,
}

impl Indicators {
    fn open(board: &Board, devices: &Devices) -> Result<Self, HalError> {
        let buzzers = board.buzzers.iter().map(|buzzer| devices.buzzer(buzzer));
        let status = board.leds.iter().find(|led| led.name == STATUS);
        Ok(Self {
            _buzzers: buzzers.collect::<Result<_, _>>()?,
            status: status.map(|led| devices.led(led)).transpose()?,
            lit: false,
        })
    }

    /// Once each [`HALF_BLINK`].
    fn turn(&mut self, condition: Condition) -> Result<(), HalError> {
        let lit = match condition {
            Condition::Idle => false,
            Condition::Recording => true,
            Condition::Fault => !self.lit,
        };
        if lit != self.lit
            && let Some(status) = &mut self.status
        {
            status.light(lit)?;
        }
        self.lit = lit;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use board::ActiveLevel;
    use hal::{ChannelId, PinLed, WallTime};
    use hal_sim::SimPin;

    use super::*;
    use crate::messages::{RecordStatus, RoleView};
    use crate::role::Role;

    #[test]
    fn the_light_is_on_while_recording_and_blinks_on_a_fault() {
        let pin = SimPin::default();
        let led = PinLed::new(STATUS, pin.clone(), ActiveLevel::Low).unwrap();
        let mut indicators = Indicators { status: Some(Box::new(led)), _buzzers: Vec::new(), lit: false };
        let mut lit = |conditions: &[Condition]| -> Vec<bool> {
            let turns = conditions.iter().map(|condition| {
                indicators.turn(*condition).unwrap();
                !pin.level()
            });
            turns.collect()
        };
        assert_eq!(lit(&[Condition::Idle, Condition::Recording, Condition::Recording]), [false, true, true]);
        assert_eq!(lit(&[Condition::Fault; 4]), [false, true, false, true]);
        assert_eq!(lit(&[Condition::Recording, Condition::Idle]), [true, false]);
        pin.set_broken(true);
        assert!(indicators.turn(Condition::Idle).is_ok(), "nothing is to be switched");
        assert!(indicators.turn(Condition::Recording).is_err());
    }

    #[test]
    fn a_fault_goes_before_recording() {
        let record =
            |disk| RecordStatus { recording: vec![ChannelId::new(1).unwrap()], disk, ..Default::default() };
        let role = |state| RoleView {
            role: Role::Capture,
            state,
            pid: None,
            restarts: 0,
            since: WallTime::default(),
            memory_bytes: 0,
            note: String::new(),
        };
        let of = |disk, state| {
            condition(&Snapshot { record: record(disk), roles: vec![role(state)], ..Default::default() })
        };
        assert_eq!(of(DiskState::Ok, RoleState::Running), Condition::Recording);
        assert_eq!(of(DiskState::Missing, RoleState::Running), Condition::Fault);
        assert_eq!(of(DiskState::Ok, RoleState::Restarting), Condition::Fault);
        assert_eq!(condition(&Snapshot::default()), Condition::Idle);
    }
}
