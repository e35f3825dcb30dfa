//! The board's small devices, opened: on a pin, or behind a panel.
//!
//! Does not belong here: what they are for (`contacts.rs`, `indicators.rs`, `watchdog.rs`).

use std::sync::Arc;

use board::{ActiveLevel, Attached, Board, Pin, Place};
use hal::{
    AlarmInput, Buzzer, Clock, ErrorKind, HalError, Led, PinBuzzer, PinInput, PinLed, PinRelay, RelayOutput,
};
use hal_linux::{GpioLines, LineInput, LineOutput, TvtPanel};

/// The way to all of them. Panels are shared: each has one port for everything behind it.
pub(super) struct Devices {
    pins: Vec<Pin>,
    lines: Option<GpioLines>,
    panels: Vec<(String, Result<TvtPanel, HalError>)>,
}

impl Devices {
    /// Begins to speak with the panels; pins are taken when they are asked for.
    pub(super) fn new(board: &Board, clock: &Arc<dyn Clock>) -> Self {
        let panels = board.panels.iter();
        Self {
            pins: board.pins.clone(),
            lines: board.gpio.map(GpioLines::new),
            panels: panels
                .map(|panel| (panel.name.clone(), TvtPanel::start(panel, Arc::clone(clock))))
                .collect(),
        }
    }

    /// An alarm input.
    pub(super) fn alarm_input(&self, input: &Attached) -> Result<Box<dyn AlarmInput>, HalError> {
        Ok(match place(input)? {
            Place::Pin(pin) => self.pin_input(&input.name, pin)?,
            Place::Panel { panel, number } => Box::new(self.panel(panel)?.alarm_input(number)?),
        })
    }

    /// A pin that is read: alarm inputs and the button.
    pub(super) fn pin_input(&self, name: &str, pin: &str) -> Result<Box<dyn AlarmInput>, HalError> {
        let (pin, line) = self.input(pin)?;
        Ok(Box::new(PinInput::new(name, line, pin.active)))
    }

    /// A relay, switched off.
    pub(super) fn relay(&self, relay: &Attached) -> Result<Box<dyn RelayOutput>, HalError> {
        let mut output: Box<dyn RelayOutput> = match place(relay)? {
            Place::Pin(pin) => {
                let (pin, line) = self.output(pin)?;
                Box::new(PinRelay::new(&relay.name, line, pin.active)?)
            }
            Place::Panel { panel, number } => Box::new(self.panel(panel)?.relay(number)?),
        };
        output.set(false)?;
        Ok(output)
    }

    /// An LED, dark.
    pub(super) fn led(&self, led: &Attached) -> Result<Box<dyn Led>, HalError> {
        let mut light: Box<dyn Led> = match place(led)? {
            Place::Pin(pin) => {
                let (pin, line) = self.output(pin)?;
                Box::new(PinLed::new(&led.name, line, pin.active)?)
            }
            Place::Panel { panel, number } => Box::new(self.panel(panel)?.led(number)?),
        };
        light.light(false)?;
        Ok(light)
    }

    /// A buzzer, silent.
    pub(super) fn buzzer(&self, buzzer: &Attached) -> Result<Box<dyn Buzzer>, HalError> {
        let mut tone: Box<dyn Buzzer> = match place(buzzer)? {
            Place::Pin(pin) => {
                let (pin, line) = self.output(pin)?;
                Box::new(PinBuzzer::new(&buzzer.name, line, pin.active)?)
            }
            Place::Panel { panel, .. } => Box::new(self.panel(panel)?.buzzer()),
        };
        tone.sound(false)?;
        Ok(tone)
    }

    /// A panel.
    pub(super) fn panel(&self, name: &str) -> Result<&TvtPanel, HalError> {
        match self.panels.iter().find(|(panel, _)| panel == name) {
            Some((_, panel)) => panel.as_ref().map_err(Clone::clone),
            None => Err(HalError::new(ErrorKind::NotFound, format!("the board has no panel {name}"))),
        }
    }

    fn input(&self, name: &str) -> Result<(&Pin, LineInput), HalError> {
        let (pin, lines) = self.pin(name)?;
        Ok((pin, lines.input(pin.line)?))
    }

    /// Off from the first moment on.
    fn output(&self, name: &str) -> Result<(&Pin, LineOutput), HalError> {
        let (pin, lines) = self.pin(name)?;
        Ok((pin, lines.output(pin.line, pin.active == ActiveLevel::Low)?))
    }

    fn pin(&self, name: &str) -> Result<(&Pin, &GpioLines), HalError> {
        let pin = self.pins.iter().find(|pin| pin.name == name);
        pin.zip(self.lines.as_ref())
            .ok_or_else(|| HalError::new(ErrorKind::NotFound, format!("the board has no pin {name}")))
    }
}

fn place(device: &Attached) -> Result<Place<'_>, HalError> {
    device.place().ok_or_else(|| {
        HalError::new(ErrorKind::NotFound, format!("the board does not say where {} is", device.name))
    })
}

#[cfg(test)]
mod tests {
    use hal::SystemClock;

    use super::*;

    /// Nothing of a DHB_AX is on this machine: each device says what is missing.
    #[test]
    fn a_board_whose_devices_are_not_there_says_so() {
        let board = Board::builtin("dhb-ax").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut described = board.clone();
        described.panels[0].serial = "no-such-tty".to_owned();
        let devices = Devices::new(&described, &clock);
        let error = |error: Option<HalError>| error.map(|error| error.to_string());
        // The panel's thread says why once it has tried.
        let (mut waited, start) = (None, clock.mono());
        while waited.is_none() && clock.mono().since(start).as_secs() < 30 {
            waited = error(devices.relay(&board.relays[0]).err());
            std::thread::yield_now();
        }
        assert!(waited.is_some_and(|error| error.starts_with("panel mcu: opening /dev/no-such-tty")));
        let button = devices.pin_input("button", "no-such-pin").err();
        assert_eq!(error(button).as_deref(), Some("the board has no pin no-such-pin"));
        let pin = devices.pin_input("sda", "i2c-sda").err().map(|error| error.kind());
        assert_eq!(pin, Some(ErrorKind::NotFound));
        assert!(devices.panel("mcu").is_ok() && devices.panel("front").is_err());
    }
}
