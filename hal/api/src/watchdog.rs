//! Watchdog: hardware that resets the board unless it is fed.
//!
//! A board may have two, in the SoC and in a microcontroller; each is one of these. Does not belong here: when to
//! feed (the warden does while every role reports progress).
//!
//! For driver authors: it may be running already when the driver starts, armed by the boot loader; take it
//! over without a pause. Dropping a driver must not stop it.

use std::time::Duration;

use crate::error::HalError;

/// A hardware watchdog.
pub trait Watchdog: Send {
    /// Starts it, or changes a running one's time-out; counts as feeding. Gives the time-out that the hardware
    /// really has: the nearest it can do that is not shorter, or its longest.
    ///
    /// # Errors
    /// `Device` when it cannot be started.
    fn start(&mut self, timeout: Duration) -> Result<Duration, HalError>;

    /// Begins the time-out anew.
    ///
    /// # Errors
    /// `Device` when it does not answer: a reset is near.
    fn feed(&mut self) -> Result<(), HalError>;

    /// Stops it, for an orderly power-off.
    ///
    /// # Errors
    /// `Unsupported` where nothing but a reset can.
    fn stop(&mut self) -> Result<(), HalError>;
}
