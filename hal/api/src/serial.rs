//! Serial: RS-485 ports, for PTZ cameras.
//!
//! Does not belong here: what is said on the line (PELCO-D and kin: `system`), consoles and panels.
//!
//! For driver authors: on a half-duplex line the driver must be off again before the other side answers, 1 ms
//! at 9600 baud; use the kernel's RS-485 mode or the direction pin that the board names.

use std::time::Duration;

use crate::error::HalError;

/// The longest frame sent at once: no PTZ protocol has frames above 32 bytes, and a line must not be held long.
pub const MAX_SERIAL_FRAME_BYTES: usize = 256;

/// How bits go over the line. There are always 8 data bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialConfig {
    /// Bits a second: 1200 to 115 200.
    pub baud: u32,
    /// The parity bit.
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
}

/// The parity bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parity {
    /// None is sent.
    #[default]
    None,
    /// Makes the number of ones even.
    Even,
    /// Makes the number of ones odd.
    Odd,
}

/// An RS-485 port.
pub trait Rs485: Send {
    /// Whether it can receive while it sends.
    fn duplex(&self) -> board::Duplex;

    /// Changes rate and framing; takes effect before this returns.
    ///
    /// # Errors
    /// `Unsupported` for what the hardware cannot do, `Device` when it fails.
    fn configure(&mut self, config: SerialConfig) -> Result<(), HalError>;

    /// Sends a frame of 1 to [`MAX_SERIAL_FRAME_BYTES`], and returns when its last bit is out and the driver is off.
    ///
    /// # Errors
    /// `Unsupported` for a frame of another size, `Device` when the port fails.
    fn send(&mut self, frame: &[u8]) -> Result<(), HalError>;

    /// Waits for bytes, at most `timeout`; gives how many were put into `into`, 0 when none came.
    ///
    /// # Errors
    /// `Device` when the port fails.
    fn receive(&mut self, into: &mut [u8], timeout: Duration) -> Result<usize, HalError>;
}
