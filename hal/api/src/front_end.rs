//! Front end: the analog decoder, and whether it sees a picture.
//!
//! A decoder turns the signals of a few sockets into digital video for the SoC. Drivers are generic over
//! `embedded_hal::i2c::I2c`, so that one driver serves a SoC's controller, a bit-banged bus and a test's transcript.
//! Which chip is on which bus is the board's description's to say. Does not belong here: the encoder (`capture.rs`), PTZ cameras on
//! a serial line (`serial.rs`).
//!
//! For driver authors: lock is what the chip says, never what missing frames suggest: the SoC goes on delivering
//! frames without a signal. Report a format only once the chip holds it steadily; a caller polls each 200 ms or so, and that
//! is when a port in [`AnalogMode::Auto`] follows its camera: no driver has a thread.

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

impl AnalogFormat {
    /// Composite video of 625 lines ([`AnalogStandard::Pal`]) or 525 (all else), sampled at `width` points a line.
    #[must_use]
    pub fn composite(standard: AnalogStandard, width: u16) -> Self {
        let (height, frame_rate) = match standard {
            AnalogStandard::Pal => (576, FrameRate { numerator: 25, denominator: 1 }),
            _ => (480, FrameRate { numerator: 30_000, denominator: 1001 }),
        };
        Self { standard, resolution: Resolution { width, height }, frame_rate, interlaced: true }
    }

    /// Whole frames of the usual width for `height` (720, 1080, 1440, 1536 or 1944 lines), `rate` a second.
    #[must_use]
    pub fn progressive(standard: AnalogStandard, height: u16, rate: u32) -> Self {
        let width = match height {
            720 => 1280,
            1440 => 2560,
            1536 => 2048,
            1944 => 2592,
            _ => 1920,
        };
        let frame_rate = FrameRate { numerator: rate, denominator: 1 };
        Self { standard, resolution: Resolution { width, height }, frame_rate, interlaced: false }
    }
}

/// What a port is to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnalogMode {
    /// Whatever the camera sends, as far as the chip can tell.
    Auto,
    /// This and nothing else.
    Fixed(AnalogFormat),
}

/// An analog decoder.
pub trait FrontEnd: Send {
    /// The chip that was found, in words: `TP2853C, revision 0`.
    fn chip(&self) -> String;

    /// How many ports it has; they count from 0.
    fn ports(&self) -> u8;

    /// What `port` has locked to, `None` without a signal.
    ///
    /// # Errors
    /// `NotFound` for a port that is not there, `Device` when the chip does not answer.
    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError>;

    /// Says what `port` is to expect. Until then a port is as start-up code left it, and is only looked at.
    ///
    /// # Errors
    /// `NotFound` for a port that is not there, `Unsupported` for what the chip or its driver cannot be set to, `Device` when
    /// the chip does not answer.
    fn set_mode(&mut self, port: u8, mode: AnalogMode) -> Result<(), HalError>;

    /// Camera control over the cables, `None` where the chip or its driver has none.
    fn coax(&mut self) -> Option<&mut dyn CoaxControl> {
        None
    }
}

/// The fastest [`CoaxSpeed`].
pub const MAX_COAX_SPEED: u8 = 63;

/// How fast a camera turns: 0 to [`MAX_COAX_SPEED`], PELCO-D's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoaxSpeed(u8);

impl CoaxSpeed {
    /// `speed`, or the fastest when it is faster.
    #[must_use]
    pub fn new(speed: u8) -> Self {
        Self(speed.min(MAX_COAX_SPEED))
    }

    /// 0 to [`MAX_COAX_SPEED`].
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// What a camera on a coaxial cable can be asked. Movement goes on until [`CoaxCommand::Stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoaxCommand {
    /// Ends movement, zoom, focus and iris.
    Stop,
    /// Tilts up; in a menu: the line above.
    Up(CoaxSpeed),
    /// Tilts down; in a menu: the line below.
    Down(CoaxSpeed),
    /// Pans left; in a menu: the value before.
    Left(CoaxSpeed),
    /// Pans right; in a menu: the value after.
    Right(CoaxSpeed),
    /// Towards the telephoto end.
    ZoomIn,
    /// Towards the wide end.
    ZoomOut,
    /// Focuses nearer.
    FocusNear,
    /// Focuses farther.
    FocusFar,
    /// Opens the iris; in a menu: enters.
    IrisOpen,
    /// Closes the iris.
    IrisClose,
    /// Opens the camera's menu.
    Menu,
    /// Goes to a preset, counted from 1.
    GoToPreset(u8),
    /// Stores where the camera looks as a preset, counted from 1.
    SetPreset(u8),
}

/// Camera control over the coaxial cable that carries the picture ("up the coax", UTC). It goes one way: nobody learns whether a
/// camera obeyed.
pub trait CoaxControl {
    /// Sends a command in the way of the format that `port` has locked to. Blocks until the frame is out, up to 0.3 s.
    ///
    /// # Errors
    /// `NotFound` for a port that is not there or has no signal, `Unsupported` for a command or a format without a known frame,
    /// `Device` when the chip does not answer or does not finish.
    fn send(&mut self, port: u8, command: CoaxCommand) -> Result<(), HalError>;
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
    fn usual_formats_have_their_usual_sizes() {
        let pal = AnalogFormat::composite(AnalogStandard::Pal, 960);
        assert_eq!((pal.resolution.height, pal.frame_rate.numerator, pal.interlaced), (576, 25, true));
        let ntsc = AnalogFormat::composite(AnalogStandard::Ntsc, 720);
        assert_eq!(
            (ntsc.resolution, ntsc.frame_rate.denominator),
            (Resolution { width: 720, height: 480 }, 1001)
        );
        for (height, width) in [(720, 1280), (1080, 1920), (1440, 2560), (1536, 2048), (1944, 2592)] {
            let format = AnalogFormat::progressive(AnalogStandard::Ahd, height, 25);
            assert_eq!((format.resolution.width, format.interlaced), (width, false));
        }
    }

    #[test]
    fn a_speed_stays_in_its_scale() {
        assert_eq!([0, 63, 64, 255].map(|speed| CoaxSpeed::new(speed).get()), [0, 63, 63, 63]);
    }

    #[test]
    fn i2c_errors_say_what_a_caller_can_do() {
        let missing = i2c_error("chip id of the decoder", &I2c::NoAcknowledge(NoAcknowledgeSource::Address));
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().starts_with("chip id of the decoder: no chip answers"));
        assert_eq!(i2c_error("x", &I2c::ArbitrationLoss).kind(), ErrorKind::Busy);
        assert_eq!(i2c_error("x", &I2c::Bus).kind(), ErrorKind::Device);
    }
}
