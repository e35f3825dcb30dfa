//! A panel on a pseudo-terminal, played by the test.

use hal::SystemClock;

use super::super::frames::{Command, FRAME_BYTES, status};
use super::super::link;
use super::*;
use crate::tty::pair::{FarEnd, PATIENCE, line};

fn described() -> Panel {
    Panel {
        name: "mcu".to_owned(),
        chip: None,
        serial: "ttyAMA1".to_owned(),
        baud: 9600,
        protocol: PanelProtocol::Tvt,
        controls: Vec::new(),
    }
}

/// The microcontroller.
struct Mcu {
    line: FarEnd,
}

impl Mcu {
    /// Waits for a frame and does what it says.
    fn obey(&mut self) -> Vec<u8> {
        let frame = self.line.receive(FRAME_BYTES);
        self.line.send(&frame);
        frame
    }

    fn expect(&mut self, commands: &[Command]) {
        for command in commands {
            assert_eq!(self.obey(), command.frame(), "{command:?}");
        }
    }
}

/// A panel that was told that everything is off.
fn begun() -> (TvtPanel, Mcu) {
    let (line, path) = line();
    let panel = TvtPanel::start_at(&described(), path, Arc::new(SystemClock::new())).unwrap();
    let mut mcu = Mcu { line };
    mcu.expect(&[Command::Relays(0), Command::Buzzer(false), Command::Leds(0)]);
    (panel, mcu)
}

/// Asks until the answer is this one: the thread has what the test sent when it has read it.
fn becomes(mut is_so: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    let start = clock.mono();
    while !is_so() {
        assert!(clock.mono().since(start) < PATIENCE, "it never became so");
        thread::yield_now();
    }
}

#[test]
fn each_device_is_its_own_bit() {
    let (panel, mut mcu) = begun();
    let (mut first, mut fourth) = (panel.relay(1).unwrap(), panel.relay(4).unwrap());
    first.set(true).unwrap();
    mcu.expect(&[Command::Relays(0b0001)]);
    fourth.set(true).unwrap();
    mcu.expect(&[Command::Relays(0b1001)]);
    becomes(|| first.is_on().unwrap() && fourth.is_on().unwrap());
    first.set(false).unwrap();
    mcu.expect(&[Command::Relays(0b1000)]);
    becomes(|| !first.is_on().unwrap());
    panel.led(5).unwrap().light(true).unwrap();
    mcu.expect(&[Command::Leds(0x20)]);
    panel.led(6).unwrap().light(true).unwrap();
    mcu.expect(&[Command::Leds(0x60)]);
    panel.buzzer().sound(true).unwrap();
    mcu.expect(&[Command::Buzzer(true)]);
    panel.buzzer().sound(false).unwrap();
    mcu.expect(&[Command::Buzzer(false)]);
    for number in [0, 5] {
        assert_eq!(panel.relay(number).err().unwrap().kind(), ErrorKind::NotFound);
        assert_eq!(panel.alarm_input(number).err().unwrap().kind(), ErrorKind::NotFound);
    }
    assert!(panel.led(1).is_err() && panel.led(7).is_err());
}

#[test]
fn alarm_inputs_are_what_the_panel_says_whatever_is_between() {
    let (panel, mut mcu) = begun();
    let mut inputs: Vec<_> = (1..=4).map(|number| panel.alarm_input(number).unwrap()).collect();
    let mut levels = || -> Vec<bool> { inputs.iter_mut().map(|input| input.is_active().unwrap()).collect() };
    assert_eq!(levels(), [false; 4]);
    for closed in [0b0001, 0b1010, 0] {
        let mut bytes = vec![0x0A, 0xA0, 0x55];
        bytes.extend([0; 4]);
        bytes.extend(status(closed));
        mcu.line.send(&bytes);
        let expected: Vec<bool> = (0..4).map(|bit| closed >> bit & 1 == 1).collect();
        becomes(|| levels() == expected);
    }
}

#[test]
fn the_watchdog_is_fed_and_stopped() {
    let (panel, mut mcu) = begun();
    let mut dog = panel.watchdog();
    assert_eq!(dog.start(Duration::from_secs(30)).unwrap(), WATCHDOG_TIMEOUT);
    mcu.expect(&[Command::Kick]);
    // A feeding before the echo of the one before is the same one.
    becomes(|| panel.owner.0.lock().link.next_at().is_none());
    dog.feed().unwrap();
    mcu.expect(&[Command::Kick]);
    dog.stop().unwrap();
    mcu.expect(&[Command::Disarm]);
}

#[test]
fn a_panel_that_does_not_answer_is_an_error_until_it_does() {
    let (panel, mut mcu) = begun();
    let mut relay = panel.relay(2).unwrap();
    relay.set(true).unwrap();
    for _ in 0..link::TRIES {
        assert_eq!(mcu.line.receive(FRAME_BYTES), Command::Relays(0b0010).frame());
    }
    becomes(|| relay.is_on().is_err());
    let error = relay.is_on().unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Device, "panel mcu does not answer for its relays")
    );
    mcu.expect(&[Command::Relays(0b0010)]);
    becomes(|| relay.is_on().is_ok_and(|on| on));
}

#[test]
fn a_port_that_is_not_there_is_waited_for() {
    let (line, path) = line();
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("ttyAMA1");
    let panel = TvtPanel::start_at(&described(), place.clone(), Arc::new(SystemClock::new())).unwrap();
    let mut led = panel.led(3).unwrap();
    becomes(|| led.light(true).is_err());
    let error = led.light(true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().starts_with("panel mcu: opening"), "{error}");
    std::os::unix::fs::symlink(path, &place).unwrap();
    let mut mcu = Mcu { line };
    mcu.expect(&[Command::Relays(0), Command::Buzzer(false), Command::Leds(0x08)]);
    becomes(|| led.light(true).is_ok());
}

#[test]
fn the_port_is_given_back_with_the_last_handle() {
    let (panel, mcu) = begun();
    let shared = Arc::downgrade(&panel.owner.0);
    let relay = panel.relay(1).unwrap();
    drop(panel);
    assert!(shared.upgrade().is_some_and(|shared| !shared.ended.load(Ordering::Acquire)));
    drop(relay);
    becomes(|| shared.upgrade().is_none());
    drop(mcu);
}
