//! Restart and power-off, in order.
//!
//! Does not belong here: stopping the roles first, which is the warden's.

use std::convert::Infallible;

use nix::sys::reboot::{RebootMode, reboot};

use crate::error::SystemError;

/// How a board's life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerAct {
    /// Begin again through the boot loader.
    Restart,
    /// Switch off, where the board can.
    PowerOff,
}

/// Writes out what the kernel still holds and ends; returns only when the kernel refuses.
///
/// # Errors
/// `Device` without the right to do it.
pub fn end(act: PowerAct) -> Result<Infallible, SystemError> {
    nix::unistd::sync();
    let mode = match act {
        PowerAct::Restart => RebootMode::RB_AUTOBOOT,
        PowerAct::PowerOff => RebootMode::RB_POWER_OFF,
    };
    reboot(mode).map_err(|error| SystemError::io("the board cannot be restarted", error))
}
