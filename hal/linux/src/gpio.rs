//! GPIO: lines of the kernel's GPIO character devices, as embedded-hal pins.
//!
//! A chip is found by its label, which its driver gives it; numbers under /dev follow the order of probing. Levels are the electrical
//! ones: what "active" means is the board's description's to say (`hal::PinInput`, `hal::PinRelay`).
//!
//! The character device's second interface is asked first, its first (kernels 4.8 to 5.9) where that is all there is.
//! Older kernels have neither: `sysfs_gpio.rs`. Which of them a board's line is found in: `lines.rs`.

use std::fmt;
use std::path::{Path, PathBuf};

use embedded_hal::digital::{
    Error, ErrorKind as PinErrorKind, ErrorType, InputPin, OutputPin, StatefulOutputPin,
};
use gpiocdev::line::Value;
use gpiocdev::request::Request;
use hal::{ErrorKind, HalError};

/// Who the kernel says holds a line.
const CONSUMER: &str = "candor";

/// A chip with GPIO lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpioChip {
    path: PathBuf,
    label: String,
    lines: u32,
}

impl GpioChip {
    /// All that the kernel has.
    ///
    /// # Errors
    /// `Device` when one of them cannot be asked.
    pub fn list() -> Result<Vec<Self>, HalError> {
        let failed = |error: gpiocdev::Error| gpio_fault("listing GPIO chips", &error);
        let mut chips = Vec::new();
        for path in gpiocdev::chip::chips().map_err(failed)? {
            let info = gpiocdev::chip::Chip::from_path(&path).and_then(|chip| chip.info()).map_err(failed)?;
            chips.push(Self { path, label: info.label, lines: info.num_lines });
        }
        Ok(chips)
    }

    /// The chip with that label.
    ///
    /// # Errors
    /// `NotFound` without it, with those there are in the message.
    pub fn find(label: &str) -> Result<Self, HalError> {
        let mut chips = Self::list()?;
        match chips.iter().position(|chip| chip.label == label) {
            Some(found) => Ok(chips.swap_remove(found)),
            None => {
                let known: Vec<String> = chips.into_iter().map(|chip| chip.label).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!("no GPIO chip labelled {label}; the kernel has: {known}");
                Err(HalError::new(ErrorKind::NotFound, message))
            }
        }
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How many lines it has; they count from 0.
    #[must_use]
    pub fn lines(&self) -> u32 {
        self.lines
    }

    /// Takes a line to read.
    ///
    /// # Errors
    /// `NotFound` when there is no such line, `Busy` when somebody else has it.
    pub fn input(&self, line: u32) -> Result<GpioInput, HalError> {
        let request = self.request(line, None)?;
        Ok(GpioInput { line: Line { chip: self.label.clone(), offset: line, request } })
    }

    /// Takes a line to drive, with `high` from the first moment on. When it is given back, the chip decides what becomes of
    /// the level; most keep it.
    ///
    /// # Errors
    /// As [`GpioChip::input`].
    pub fn output(&self, line: u32, high: bool) -> Result<GpioOutput, HalError> {
        let request = self.request(line, Some(high))?;
        Ok(GpioOutput { line: Line { chip: self.label.clone(), offset: line, request } })
    }

    fn request(&self, line: u32, output: Option<bool>) -> Result<Request, HalError> {
        let what = format!("taking line {line} of GPIO chip {}", self.label);
        if line >= self.lines {
            let message = format!("{what}: it has {} lines", self.lines);
            return Err(HalError::new(ErrorKind::NotFound, message));
        }
        let mut builder = Request::builder();
        builder.on_chip(Path::new(&self.path)).with_consumer(CONSUMER).with_line(line);
        match output {
            None => builder.as_input(),
            Some(high) => builder.as_output(value(high)),
        };
        builder.request().map_err(|error| gpio_fault(&what, &error))
    }
}

/// A line that is read.
#[derive(Debug)]
pub struct GpioInput {
    line: Line,
}

/// A line that is driven.
#[derive(Debug)]
pub struct GpioOutput {
    line: Line,
}

#[derive(Debug)]
struct Line {
    chip: String,
    offset: u32,
    request: Request,
}

impl Line {
    fn is_high(&self) -> Result<bool, GpioError> {
        let value = self.request.lone_value().map_err(|error| self.fault("reading", &error))?;
        Ok(value == Value::Active)
    }

    fn fault(&self, what: &str, error: &gpiocdev::Error) -> GpioError {
        GpioError(gpio_fault(&format!("{what} line {} of GPIO chip {}", self.offset, self.chip), error))
    }
}

/// A line that could not be read or driven.
#[derive(Clone, Debug)]
pub struct GpioError(HalError);

impl GpioError {
    pub(crate) fn new(error: HalError) -> Self {
        Self(error)
    }
}

impl Error for GpioError {
    fn kind(&self) -> PinErrorKind {
        PinErrorKind::Other
    }
}

impl fmt::Display for GpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ErrorType for GpioInput {
    type Error = GpioError;
}

impl InputPin for GpioInput {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        self.line.is_high()
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        self.line.is_high().map(|high| !high)
    }
}

impl ErrorType for GpioOutput {
    type Error = GpioError;
}

impl GpioOutput {
    fn drive(&self, high: bool) -> Result<(), GpioError> {
        self.line.request.set_lone_value(value(high)).map_err(|error| self.line.fault("driving", &error))
    }
}

impl OutputPin for GpioOutput {
    fn set_low(&mut self) -> Result<(), GpioError> {
        self.drive(false)
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        self.drive(true)
    }
}

impl StatefulOutputPin for GpioOutput {
    fn is_set_high(&mut self) -> Result<bool, GpioError> {
        self.line.is_high()
    }

    fn is_set_low(&mut self) -> Result<bool, GpioError> {
        self.line.is_high().map(|high| !high)
    }
}

fn value(high: bool) -> Value {
    if high { Value::Active } else { Value::Inactive }
}

fn gpio_fault(what: &str, error: &gpiocdev::Error) -> HalError {
    // The crate keeps the kernel's number where it made the call itself, and words elsewhere.
    let text = error.to_string();
    let kind =
        if text.contains("EBUSY") || text.contains("busy") { ErrorKind::Busy } else { ErrorKind::Device };
    HalError::new(kind, format!("{what}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_that_is_not_there_is_told_with_those_that_are() {
        let error = GpioChip::find("no-such-chip").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains("no-such-chip"), "{error}");
    }

    #[test]
    fn a_line_beyond_the_chip_is_refused_before_the_kernel_is_asked() {
        let chip = GpioChip { path: "/dev/no-such-chip".into(), label: "gpio-sim".into(), lines: 8 };
        assert_eq!(chip.input(8).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(chip.output(8, false).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(chip.input(7).unwrap_err().to_string().contains("line 7 of GPIO chip gpio-sim"));
    }
}
