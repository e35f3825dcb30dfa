//! Indicators: LEDs and the buzzer.
//!
//! On some boards these are GPIO lines, on others a microcontroller answers for them. Does not belong here: what they tell, and
//! blinking (`system`).
//!
//! For driver authors: an indicator is dark or silent when its driver starts, and stays as it is when the driver ends.

use board::ActiveLevel;
use embedded_hal::digital::OutputPin;

use crate::error::HalError;
use crate::pin::SwitchedPin;

/// A light with two states.
pub trait Led: Send {
    /// Lights it, or makes it dark.
    ///
    /// # Errors
    /// `Device` when it cannot be switched.
    fn light(&mut self, on: bool) -> Result<(), HalError>;
}

/// A buzzer with one tone.
pub trait Buzzer: Send {
    /// Sounds it until it is silenced.
    ///
    /// # Errors
    /// `Device` when it cannot be switched.
    fn sound(&mut self, on: bool) -> Result<(), HalError>;
}

/// An LED on a pin.
#[derive(Debug)]
pub struct PinLed<P>(SwitchedPin<P>);

impl<P: OutputPin> PinLed<P> {
    /// Takes over the pin and makes the LED dark. `name` is the board's, for messages.
    ///
    /// # Errors
    /// `Device` when it cannot be switched.
    pub fn new(name: impl Into<String>, pin: P, active: ActiveLevel) -> Result<Self, HalError> {
        SwitchedPin::off("LED", name.into(), pin, active).map(Self)
    }
}

impl<P: OutputPin + Send> Led for PinLed<P> {
    fn light(&mut self, on: bool) -> Result<(), HalError> {
        self.0.switch(on)
    }
}

/// A buzzer on a pin that makes its tone itself.
#[derive(Debug)]
pub struct PinBuzzer<P>(SwitchedPin<P>);

impl<P: OutputPin> PinBuzzer<P> {
    /// Takes over the pin and silences the buzzer. `name` is the board's, for messages.
    ///
    /// # Errors
    /// `Device` when it cannot be switched.
    pub fn new(name: impl Into<String>, pin: P, active: ActiveLevel) -> Result<Self, HalError> {
        SwitchedPin::off("buzzer", name.into(), pin, active).map(Self)
    }
}

impl<P: OutputPin + Send> Buzzer for PinBuzzer<P> {
    fn sound(&mut self, on: bool) -> Result<(), HalError> {
        self.0.switch(on)
    }
}
