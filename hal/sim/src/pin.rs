//! Pins: lines in memory that `embedded_hal::digital` drives and tests pull.
//!
//! Clones share the line: one goes into a `hal::PinInput`, `PinRelay`, `PinLed` or `PinBuzzer`, one stays with the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use embedded_hal::digital::{Error, ErrorKind, ErrorType, InputPin, OutputPin, StatefulOutputPin};

/// A simulated line, low at first.
#[derive(Clone, Debug, Default)]
pub struct SimPin {
    line: Arc<Line>,
}

#[derive(Debug, Default)]
struct Line {
    high: AtomicBool,
    broken: AtomicBool,
}

/// The driver of a broken pin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinBroken;

impl SimPin {
    /// The line's level.
    #[must_use]
    pub fn level(&self) -> bool {
        self.line.high.load(Ordering::Acquire)
    }

    /// Pulls the line high or low, as the outside world does.
    pub fn pull(&self, high: bool) {
        self.line.high.store(high, Ordering::Release);
    }

    /// Makes every access through `embedded_hal` fail, or work again.
    pub fn set_broken(&self, broken: bool) {
        self.line.broken.store(broken, Ordering::Release);
    }

    fn working(&self) -> Result<&Line, PinBroken> {
        if self.line.broken.load(Ordering::Acquire) { Err(PinBroken) } else { Ok(&self.line) }
    }
}

impl Error for PinBroken {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for SimPin {
    type Error = PinBroken;
}

impl InputPin for SimPin {
    fn is_high(&mut self) -> Result<bool, PinBroken> {
        Ok(self.working()?.high.load(Ordering::Acquire))
    }

    fn is_low(&mut self) -> Result<bool, PinBroken> {
        self.is_high().map(|high| !high)
    }
}

impl OutputPin for SimPin {
    fn set_low(&mut self) -> Result<(), PinBroken> {
        self.working()?.high.store(false, Ordering::Release);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), PinBroken> {
        self.working()?.high.store(true, Ordering::Release);
        Ok(())
    }
}

impl StatefulOutputPin for SimPin {
    fn is_set_high(&mut self) -> Result<bool, PinBroken> {
        InputPin::is_high(self)
    }

    fn is_set_low(&mut self) -> Result<bool, PinBroken> {
        InputPin::is_low(self)
    }
}

#[cfg(test)]
mod tests {
    use board::ActiveLevel;
    use hal::{AlarmInput, Buzzer, Led, PinBuzzer, PinInput, PinLed, PinRelay, RelayOutput};

    use super::*;

    #[test]
    fn alarm_inputs_follow_their_active_level() {
        for (active, quiet) in [(ActiveLevel::High, false), (ActiveLevel::Low, true)] {
            let pin = SimPin::default();
            let mut input = PinInput::new("alarm1", pin.clone(), active);
            pin.pull(quiet);
            assert!(!input.is_active().unwrap());
            pin.pull(!quiet);
            assert!(input.is_active().unwrap());
        }
    }

    #[test]
    fn relays_are_off_when_taken_over_and_drive_their_level() {
        for (active, off) in [(ActiveLevel::High, false), (ActiveLevel::Low, true)] {
            let pin = SimPin::default();
            pin.pull(!off);
            let mut relay = PinRelay::new("relay1", pin.clone(), active).unwrap();
            assert_eq!(pin.level(), off);
            relay.set(true).unwrap();
            assert_eq!(pin.level(), !off);
            assert!(relay.is_on().unwrap());
        }
    }

    #[test]
    fn indicators_are_off_when_taken_over_and_drive_their_level() {
        for (active, off) in [(ActiveLevel::High, false), (ActiveLevel::Low, true)] {
            let (light, tone) = (SimPin::default(), SimPin::default());
            light.pull(!off);
            tone.pull(!off);
            let mut led = PinLed::new("status", light.clone(), active).unwrap();
            let mut buzzer = PinBuzzer::new("buzzer", tone.clone(), active).unwrap();
            assert_eq!((light.level(), tone.level()), (off, off));
            led.light(true).unwrap();
            buzzer.sound(true).unwrap();
            assert_eq!((light.level(), tone.level()), (!off, !off));
            led.light(false).unwrap();
            buzzer.sound(false).unwrap();
            assert_eq!((light.level(), tone.level()), (off, off));
        }
    }

    #[test]
    fn a_broken_pin_is_named() {
        let pin = SimPin::default();
        pin.set_broken(true);
        let error = PinInput::new("alarm7", pin.clone(), ActiveLevel::High).is_active().unwrap_err();
        assert_eq!(error.kind(), hal::ErrorKind::Device);
        assert!(error.to_string().contains("alarm7"), "{error}");
        assert!(PinRelay::new("relay1", pin, ActiveLevel::High).is_err());
    }
}
