//! Front end: the analog decoder, and whether it sees a picture.
//!
//! A decoder turns the signals of a few sockets into digital video for the SoC. Drivers are generic over
//! `embedded_hal::i2c::I2c`, so that one driver serves a SoC's controller, a bit-banged bus and a test's transcript.
//! Which chip is on which bus is the board's description's to say. Does not belong here: the encoder (`capture.rs`).
//!
//! For driver authors: lock is what the chip says, never what missing frames suggest: the SoC goes on delivering
//! frames without a signal. Report a format only once the chip holds it steadily; a caller polls each 200 ms or so.

use crate::error::{ErrorKind, HalError};
use crate::video::{FrameRate, Resolution};

/// The transmission standards of analog cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnalogStandard {
    /// Composite, 625 lines, 50 fields a second.
    Pal,
    /// Composite, 525 lines, 60000/1001 fields a second.
    Ntsc,
    /// Analog High Definition (Nextchip).
    Ahd,
    /// Transport Video Interface (Techpoint).
    Tvi,
    /// Composite Video Interface (Dahua).
    Cvi,
}

/// The signal that a port has locked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnalogFormat {
    /// How it is transmitted.
    pub standard: AnalogStandard,
    /// The active picture, both fields together when interlaced.
    pub resolution: Resolution,
    /// Frames, not fields, a second.
    pub frame_rate: FrameRate,
    /// Whether a frame comes as two fields.
    pub interlaced: bool,
}

/// An analog decoder.
pub trait FrontEnd: Send {
    /// How many ports it has; they count from 0.
    fn ports(&self) -> u8;

    /// What `port` has locked to, `None` without a signal.
    ///
    /// # Errors
    /// `NotFound` for a port that is not there, `Device` when the chip does not answer.
    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError>;
}

/// The error for a failed I2C transfer. `what` says what was asked of which chip: `lock of port 2 of the NVP6124`.
///
/// No acknowledge is `NotFound` (no such chip at this address), a lost arbitration `Busy`, all else `Device`.
pub fn i2c_error(what: &str, error: &impl embedded_hal::i2c::Error) -> HalError {
    use embedded_hal::i2c::ErrorKind as I2c;
    let (kind, words) = match error.kind() {
        I2c::NoAcknowledge(_) => (ErrorKind::NotFound, "no chip answers"),
        I2c::ArbitrationLoss => (ErrorKind::Busy, "another master has the bus"),
        I2c::Bus => (ErrorKind::Device, "the bus failed"),
        I2c::Overrun => (ErrorKind::Device, "the controller could not keep up"),
        _ => (ErrorKind::Device, "the transfer failed"),
    };
    HalError::new(kind, format!("{what}: {words} ({error:?})"))
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind as I2c, NoAcknowledgeSource};

    use super::*;

    #[test]
    fn i2c_errors_say_what_a_caller_can_do() {
        let missing = i2c_error("chip id of the decoder", &I2c::NoAcknowledge(NoAcknowledgeSource::Address));
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().starts_with("chip id of the decoder: no chip answers"));
        assert_eq!(i2c_error("x", &I2c::ArbitrationLoss).kind(), ErrorKind::Busy);
        assert_eq!(i2c_error("x", &I2c::Bus).kind(), ErrorKind::Device);
    }
}
