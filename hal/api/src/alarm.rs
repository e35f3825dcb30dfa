//! Alarm: digital inputs and relay outputs.
//!
//! On some boards these are GPIO lines, on others a microcontroller answers for them; above these traits nobody
//! can tell. [`PinInput`] and [`PinRelay`] make them from any `embedded_hal::digital` pin. Does not belong here:
//! debouncing, and what an alarm leads to (`system`).
//!
//! For driver authors: "active" is what the owner means by an alarm, whatever the level; a relay is off when its
//! driver starts, and stays as it is when the driver ends.

use board::ActiveLevel;
use embedded_hal::digital::{InputPin, OutputPin, StatefulOutputPin};

use crate::error::HalError;
use crate::pin::{SwitchedPin, pin_error};

/// A digital alarm input.
pub trait AlarmInput: Send {
    /// Whether it is active now. Not debounced.
    ///
    /// # Errors
    /// `Device` when it cannot be read.
    fn is_active(&mut self) -> Result<bool, HalError>;
}

/// A relay output.
pub trait RelayOutput: Send {
    /// Switches it.
    ///
    /// # Errors
    /// `Device` when it cannot be switched.
    fn set(&mut self, on: bool) -> Result<(), HalError>;

    /// What it was last switched to, as the hardware says.
    ///
    /// # Errors
    /// `Device` when it cannot be read.
    fn is_on(&mut self) -> Result<bool, HalError>;
}

/// An alarm input on a pin.
#[derive(Debug)]
pub struct PinInput<P> {
    name: String,
    pin: P,
    active: ActiveLevel,
}

impl<P: InputPin> PinInput<P> {
    /// `name` is the board's, for messages.
    pub fn new(name: impl Into<String>, pin: P, active: ActiveLevel) -> Self {
        Self { name: name.into(), pin, active }
    }
}

impl<P: InputPin + Send> AlarmInput for PinInput<P> {
    fn is_active(&mut self) -> Result<bool, HalError> {
        let high = self.pin.is_high().map_err(|e| pin_error("alarm input", &self.name, &e))?;
        Ok(high == (self.active == ActiveLevel::High))
    }
}

/// A relay on a pin.
#[derive(Debug)]
pub struct PinRelay<P>(SwitchedPin<P>);

impl<P: OutputPin> PinRelay<P> {
    /// Takes over the pin and switches the relay off. `name` is the board's, for messages.
    ///
    /// # Errors
    /// `Device` when it cannot be switched.
    pub fn new(name: impl Into<String>, pin: P, active: ActiveLevel) -> Result<Self, HalError> {
        SwitchedPin::off("relay", name.into(), pin, active).map(Self)
    }
}

impl<P: StatefulOutputPin + Send> RelayOutput for PinRelay<P> {
    fn set(&mut self, on: bool) -> Result<(), HalError> {
        self.0.switch(on)
    }

    fn is_on(&mut self) -> Result<bool, HalError> {
        self.0.is_on()
    }
}
