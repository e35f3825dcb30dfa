//! Pins that are switched: what relays, LEDs and buzzers have in common.
//!
//! Does not belong here: what is switched (`alarm.rs`, `indicator.rs`).

use board::ActiveLevel;
use embedded_hal::digital::{self, OutputPin, StatefulOutputPin};

use crate::error::{ErrorKind, HalError};

/// An output pin, its level for "on", and whose it is.
#[derive(Debug)]
pub(crate) struct SwitchedPin<P> {
    what: &'static str,
    name: String,
    pin: P,
    active: ActiveLevel,
}

impl<P: OutputPin> SwitchedPin<P> {
    /// Takes over the pin and switches it off. `what` and the board's `name` are for messages.
    pub(crate) fn off(
        what: &'static str,
        name: String,
        pin: P,
        active: ActiveLevel,
    ) -> Result<Self, HalError> {
        let mut switched = Self { what, name, pin, active };
        switched.switch(false)?;
        Ok(switched)
    }

    pub(crate) fn switch(&mut self, on: bool) -> Result<(), HalError> {
        let high = on == (self.active == ActiveLevel::High);
        self.pin.set_state(high.into()).map_err(|e| pin_error(self.what, &self.name, &e))
    }
}

impl<P: StatefulOutputPin> SwitchedPin<P> {
    pub(crate) fn is_on(&mut self) -> Result<bool, HalError> {
        let high = self.pin.is_set_high().map_err(|e| pin_error(self.what, &self.name, &e))?;
        Ok(high == (self.active == ActiveLevel::High))
    }
}

pub(crate) fn pin_error(what: &str, name: &str, error: &impl digital::Error) -> HalError {
    HalError::new(ErrorKind::Device, format!("{what} {name}: its pin failed ({error:?})"))
}
