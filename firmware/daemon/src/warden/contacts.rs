//! The board's contacts: alarm inputs, relays, the factory-reset button.
//!
//! One thread looks at all of them. When one of them fails, all are opened anew, relays off. Does not belong here: what levels mean
//! (`system`), and which pin or panel is behind each (`devices.rs`).

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use board::Board;
use hal::{AlarmInput, HalError, RelayOutput};
use system::{ButtonAct, DebouncedInput, HeldButton, TimedRelay};

use super::alarm_events::AlarmEvents;
use super::desk::Desk;
use super::devices::Devices;
use crate::announcer::Announcer;

/// How often contacts are looked at: several times within the time that they may bounce.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A chip or panel that is not there yet is looked for again after this: drivers come up late.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Starts the thread, where the board has contacts; it lives as long as the program.
pub(super) fn start(
    desk: &Arc<Desk>,
    board: &Board,
    devices: &Arc<Devices>,
    say: fn(&str),
) -> std::io::Result<()> {
    if board.alarm_inputs.is_empty() && board.relays.is_empty() && board.button.is_none() {
        return Ok(());
    }
    let (desk, board, devices) = (Arc::clone(desk), board.clone(), Arc::clone(devices));
    thread::Builder::new().name("contacts".to_owned()).spawn(move || {
        let mut told = String::new();
        let mut events = AlarmEvents::new(Announcer::new(desk.run_dir(), "contacts"));
        loop {
            let error = match Contacts::open(&board, &devices) {
                Ok(mut contacts) => {
                    tracing::info!("alarm inputs and relays are ready");
                    contacts.run(&desk, &mut events, say)
                }
                Err(error) => error,
            };
            events.silence(desk.clock.wall());
            let error = error.to_string();
            if error != told {
                tracing::warn!(error, "no alarm inputs and relays for now");
                told = error;
            }
            thread::sleep(RETRY_AFTER);
        }
    })?;
    Ok(())
}

struct Contacts {
    inputs: Vec<(String, Box<dyn AlarmInput>, DebouncedInput)>,
    relays: Vec<(String, Box<dyn RelayOutput>, TimedRelay)>,
    button: Option<(Box<dyn AlarmInput>, HeldButton)>,
}

impl Contacts {
    fn open(board: &Board, devices: &Devices) -> Result<Self, HalError> {
        let mut contacts = Self { inputs: Vec::new(), relays: Vec::new(), button: None };
        for input in &board.alarm_inputs {
            let opened = devices.alarm_input(input)?;
            contacts.inputs.push((input.name.clone(), opened, DebouncedInput::default()));
        }
        for relay in &board.relays {
            contacts.relays.push((relay.name.clone(), devices.relay(relay)?, TimedRelay::default()));
        }
        if let Some(button) = &board.button {
            contacts.button = Some((devices.pin_input("button", &button.pin)?, HeldButton::default()));
        }
        Ok(contacts)
    }

    /// Until one fails: then why.
    fn run(&mut self, desk: &Desk, events: &mut AlarmEvents, say: fn(&str)) -> HalError {
        let mut settings = desk.watch_settings();
        settings.mark_changed();
        let mut on = vec![false; self.relays.len()];
        loop {
            // The desk lives as long as the program.
            let changed = settings.has_changed().unwrap_or(false);
            let current = settings.borrow_and_update();
            match self.turn(desk, &current.alarms, &mut on, say) {
                Ok(news) if news || changed => self.tell(&current.alarms, desk, events),
                Ok(_) => {}
                Err(error) => return error,
            }
            drop(current);
            thread::sleep(LOOK_EVERY);
        }
    }

    fn tell(&self, rules: &[crate::settings::Alarm], desk: &Desk, events: &mut AlarmEvents) {
        let inputs = self.inputs.iter().map(|(name, _, input)| (name.as_str(), input.is_active()));
        events.look(rules, inputs, desk.clock.wall());
    }

    /// Whether an input became another.
    fn turn(
        &mut self,
        desk: &Desk,
        rules: &[crate::settings::Alarm],
        on: &mut [bool],
        say: fn(&str),
    ) -> Result<bool, HalError> {
        let now = desk.clock.mono();
        let mut news = false;
        for (name, pin, input) in &mut self.inputs {
            let Some(active) = input.look(pin.is_active()?, now) else { continue };
            tracing::info!(input = *name, active, "alarm input");
            news = true;
            if !active {
                continue;
            }
            for rule in rules.iter().filter(|rule| rule.input == *name) {
                let of_rule = |relay: &str| rule.relay.as_deref() == Some(relay);
                for (_, _, relay) in self.relays.iter_mut().filter(|(relay, ..)| of_rule(relay)) {
                    relay.hold(Duration::from_secs(u64::from(rule.relay_sec)), now);
                }
            }
        }
        for ((name, pin, relay), was_on) in self.relays.iter_mut().zip(on) {
            let wanted = relay.is_on(now);
            if wanted != *was_on {
                pin.set(wanted)?;
                tracing::info!(relay = *name, on = wanted, "relay");
                *was_on = wanted;
            }
        }
        if let Some((pin, button)) = &mut self.button {
            match button.look(pin.is_active()?, now) {
                Some(ButtonAct::Warn) => say(
                    "The button is held: in 7 s settings, accounts and the owner's key are removed and the board \
                     restarts. Footage is kept. Let go now and nothing happens.",
                ),
                Some(ButtonAct::Spared) => say("The button was let go of: nothing is removed."),
                Some(ButtonAct::Act) => desk.factory_reset(),
                None => {}
            }
        }
        Ok(news)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::sync::{Mutex, mpsc};

    use hal::{Clock, SystemClock, WallTime};
    use hal_sim::SimClock;
    use nix::pty::openpty;
    use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

    use super::*;
    use crate::settings::Alarm;
    use crate::warden::desk::tests::desk_with_clock;

    #[derive(Clone, Default)]
    struct Level(Arc<Mutex<bool>>);

    impl AlarmInput for Level {
        fn is_active(&mut self) -> Result<bool, HalError> {
            Ok(*self.0.lock().unwrap())
        }
    }

    impl RelayOutput for Level {
        fn set(&mut self, on: bool) -> Result<(), HalError> {
            *self.0.lock().unwrap() = on;
            Ok(())
        }

        fn is_on(&mut self) -> Result<bool, HalError> {
            Ok(*self.0.lock().unwrap())
        }
    }

    fn rule(relay: &str, relay_sec: u32) -> Alarm {
        let (input, relay) = ("alarm1".to_owned(), Some(relay.to_owned()));
        Alarm { input, channels: Vec::new(), relay, relay_sec }
    }

    #[test]
    fn an_alarm_switches_its_relay_for_its_time_and_the_button_resets() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let desk = desk_with_clock(dir.path(), Arc::<SimClock>::clone(&clock));
        let (contact, relay, button) = (Level::default(), Level::default(), Level::default());
        let mut contacts = Contacts {
            inputs: vec![("alarm1".to_owned(), Box::new(contact.clone()), DebouncedInput::default())],
            relays: vec![("relay1".to_owned(), Box::new(relay.clone()), TimedRelay::default())],
            button: Some((Box::new(button.clone()), HeldButton::default())),
        };
        let rules = [rule("relay1", 2)];
        let mut on = [false];
        let mut run = |millis: u64| {
            for _ in 0..millis / 10 {
                contacts.turn(&desk, &rules, &mut on, |_| {}).unwrap();
                clock.advance(LOOK_EVERY);
            }
            *relay.0.lock().unwrap()
        };
        assert!(!run(500));
        *contact.0.lock().unwrap() = true;
        assert!(!run(50), "it may still bounce");
        assert!(run(100));
        *contact.0.lock().unwrap() = false;
        assert!(run(1_800));
        assert!(!run(300));
        *button.0.lock().unwrap() = true;
        run(9_900);
        assert!(!desk.is_reset());
        run(200);
        assert!(desk.is_reset());
    }

    /// A DHB_AX whose microcontroller is the test: it echoes what it is told and says that terminal 1 is shorted.
    #[test]
    fn a_panels_alarm_input_switches_the_panels_relay() {
        let pty = openpty(None, None).unwrap();
        let mut raw = tcgetattr(&pty.slave).unwrap();
        cfmakeraw(&mut raw);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &raw).unwrap();
        let path = std::fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
        let mut board = Board::builtin("dhb-ax").unwrap();
        board.panels[0].serial = path.strip_prefix("/dev").unwrap().to_str().unwrap().to_owned();
        let mut line = File::from(pty.master);
        let (told, heard) = mpsc::channel();
        thread::spawn(move || {
            let mut frame = [0; 5];
            // Ends with the line, or with whoever listens.
            while line.read_exact(&mut frame).is_ok()
                && line.write_all(&frame).is_ok()
                && line.write_all(&[0x0A, 0x05, 0xFF, 0xFE, 0x0C]).is_ok()
                && told.send(frame).is_ok()
            {}
        });
        let system: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let devices = Devices::new(&board, &system);
        let mut contacts = Contacts::open(&board, &devices).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let desk = desk_with_clock(dir.path(), Arc::<SimClock>::clone(&clock));
        let rules = [rule("relay3", 3600)];
        let mut on = [false; 4];
        let start = system.mono();
        let closed_third = [0xA0, 0x04, 0x04, 0x00, 0xA8];
        while !heard.try_iter().any(|frame| frame == closed_third) {
            assert!(system.mono().since(start) < Duration::from_secs(30), "relay 3 was not switched on");
            contacts.turn(&desk, &rules, &mut on, |_| {}).unwrap();
            clock.advance(LOOK_EVERY);
            thread::yield_now();
        }
        assert_eq!(on, [false, false, true, false]);
    }
}
