//! RTC: a clock that runs without power. It keeps UTC, in whole seconds.
//!
//! A board may have two, and one of them without a battery. Does not belong here: which one is believed (the warden's).

use crate::error::HalError;
use crate::time::WallTime;

/// A battery-backed clock.
pub trait Rtc: Send {
    /// What it shows; `None` when it says itself that it was stopped, or shows no date.
    ///
    /// # Errors
    /// `Device` when it does not answer.
    fn read(&mut self) -> Result<Option<WallTime>, HalError>;

    /// Sets it, rounded down to a whole second, and starts it if it stood still.
    ///
    /// # Errors
    /// `Unsupported` for a year that it cannot show, `Device` when it does not take it.
    fn set(&mut self, time: WallTime) -> Result<(), HalError>;
}
