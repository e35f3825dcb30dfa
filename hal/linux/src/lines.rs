//! A board's GPIO lines: from `GPIO10_4` to a chip of the kernel and a line of it.
//!
//! | Controller | The kernel's chip | Its line |
//! |---|---|---|
//! | `gpio-sim` | the one labelled `gpio-sim` | group x 8 + bit |
//! | `pl061` | one a group, labelled by its registers: `20210000.gpio`, `12150000.gpio_chip` | bit |
//!
//! A PL061's label is its device's name, which begins with its address: the board's `base` + group x `stride`. Where no label fits,
//! because a vendor's kernel names them otherwise or the board's description has no `base`, numbers decide, but only where the
//! kernel numbers every group of the board from 0 on without a gap, 8 lines each, as HiSilicon's kernels do. Anything else might
//! drive another group's pins.
//!
//! The character device is asked first; kernels before 4.8 have only /sys/class/gpio.

use std::path::PathBuf;

use board::{Gpio, GpioController, GpioLine};
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use hal::{ErrorKind, HalError};

use crate::gpio::{GpioChip, GpioError, GpioInput, GpioOutput};
use crate::sysfs_gpio::{self, SysfsChip, SysfsPin};

/// Lines of a group.
const GROUP_LINES: u32 = 8;
/// The kernel's label of its simulated chip.
const SIMULATED: &str = "gpio-sim";
/// Where kernels of all ages show their lines.
const SYSFS_CLASS: &str = "/sys/class/gpio";

/// All GPIO lines of a board.
#[derive(Clone, Debug)]
pub struct GpioLines {
    gpio: Gpio,
    sysfs: PathBuf,
    /// Whether character devices are asked at all: not where tests play the old kernel.
    devices: bool,
}

/// A line that is read.
#[derive(Debug)]
pub enum LineInput {
    /// Through the character device.
    Device(GpioInput),
    /// Through /sys.
    Sysfs(SysfsPin),
}

/// A line that is driven.
#[derive(Debug)]
pub enum LineOutput {
    /// Through the character device.
    Device(GpioOutput),
    /// Through /sys.
    Sysfs(SysfsPin),
}

/// Where a line is.
#[derive(Debug)]
enum Found {
    Device(GpioChip, u32),
    Sysfs(u32),
}

impl GpioLines {
    /// The lines of a board with this `[gpio]`.
    #[must_use]
    pub fn new(gpio: Gpio) -> Self {
        Self { gpio, sysfs: SYSFS_CLASS.into(), devices: true }
    }

    /// Takes a line to read.
    ///
    /// # Errors
    /// `NotFound` when the kernel has no such line (yet: drivers come up late), `Busy` when somebody else has it.
    pub fn input(&self, line: GpioLine) -> Result<LineInput, HalError> {
        Ok(match self.find(line)? {
            Found::Device(chip, offset) => LineInput::Device(chip.input(offset)?),
            Found::Sysfs(number) => LineInput::Sysfs(SysfsPin::input(&self.sysfs, number)?),
        })
    }

    /// Takes a line to drive, with `high` from the first moment on. It keeps its level when it is given back.
    ///
    /// # Errors
    /// As [`GpioLines::input`].
    pub fn output(&self, line: GpioLine, high: bool) -> Result<LineOutput, HalError> {
        Ok(match self.find(line)? {
            Found::Device(chip, offset) => LineOutput::Device(chip.output(offset, high)?),
            Found::Sysfs(number) => LineOutput::Sysfs(SysfsPin::output(&self.sysfs, number, high)?),
        })
    }

    fn find(&self, line: GpioLine) -> Result<Found, HalError> {
        let mut devices = if self.devices { GpioChip::list()? } else { Vec::new() };
        if let Some((chip, offset)) = self.labelled(line, devices.iter().map(GpioChip::label)) {
            return Ok(Found::Device(devices.swap_remove(chip), offset));
        }
        let chips = sysfs_gpio::chips(&self.sysfs)?;
        if let Some((chip, offset)) = self.labelled(line, chips.iter().map(|chip| chip.label.as_str())) {
            return Ok(Found::Sysfs(chips[chip].base + offset));
        }
        if let Some(number) = self.numbered(line, &chips) {
            return Ok(Found::Sysfs(number));
        }
        let devices = devices.iter().map(GpioChip::label);
        let mut known: Vec<&str> = devices.chain(chips.iter().map(|chip| chip.label.as_str())).collect();
        known.dedup();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = format!("no GPIO chip for {line}; the kernel has: {known}");
        Err(HalError::new(ErrorKind::NotFound, message))
    }

    /// Which of the chips with these labels has the line, and as which.
    fn labelled<'a>(
        &self,
        line: GpioLine,
        mut labels: impl Iterator<Item = &'a str>,
    ) -> Option<(usize, u32)> {
        let (group, bit) = (u32::from(line.group), u32::from(line.bit));
        match self.gpio.controller {
            GpioController::GpioSim => {
                Some((labels.position(|label| label == SIMULATED)?, group * GROUP_LINES + bit))
            }
            GpioController::Pl061 => {
                let stride = u64::from(self.gpio.stride?);
                let start = format!("{:08x}.", self.gpio.base?.0 + u64::from(group) * stride);
                Some((labels.position(|label| label.starts_with(&start))?, bit))
            }
        }
    }

    /// The line's number where every group of the board has the one that it should have.
    fn numbered(&self, line: GpioLine, chips: &[SysfsChip]) -> Option<u32> {
        if self.gpio.controller != GpioController::Pl061 {
            return None;
        }
        let in_order = (0..u32::from(self.gpio.groups)).all(|group| {
            chips.iter().any(|chip| chip.base == group * GROUP_LINES && chip.lines == GROUP_LINES)
        });
        in_order.then(|| u32::from(line.group) * GROUP_LINES + u32::from(line.bit))
    }
}

impl ErrorType for LineInput {
    type Error = GpioError;
}

impl InputPin for LineInput {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        match self {
            Self::Device(pin) => pin.is_high(),
            Self::Sysfs(pin) => pin.is_high(),
        }
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        self.is_high().map(|high| !high)
    }
}

impl ErrorType for LineOutput {
    type Error = GpioError;
}

impl OutputPin for LineOutput {
    fn set_low(&mut self) -> Result<(), GpioError> {
        match self {
            Self::Device(pin) => pin.set_low(),
            Self::Sysfs(pin) => pin.set_low(),
        }
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        match self {
            Self::Device(pin) => pin.set_high(),
            Self::Sysfs(pin) => pin.set_high(),
        }
    }
}

impl StatefulOutputPin for LineOutput {
    fn is_set_high(&mut self) -> Result<bool, GpioError> {
        match self {
            Self::Device(pin) => pin.is_set_high(),
            Self::Sysfs(pin) => pin.is_set_high(),
        }
    }

    fn is_set_low(&mut self) -> Result<bool, GpioError> {
        self.is_set_high().map(|high| !high)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use board::Address;

    use super::*;
    use crate::sysfs_gpio::mimic;

    const HI3531: Gpio = Gpio {
        controller: GpioController::Pl061,
        base: Some(Address(0x2015_0000)),
        stride: Some(0x1_0000),
        groups: 19,
    };

    fn old_kernel(gpio: Gpio, class: &Path) -> GpioLines {
        GpioLines { gpio, sysfs: class.to_owned(), devices: false }
    }

    #[test]
    fn a_group_is_the_chip_with_its_address() {
        let lines = GpioLines::new(HI3531);
        let labels = ["gpio-sim", "20150000.gpio", "20210000.gpio"];
        let of = |group, bit| lines.labelled(GpioLine { group, bit }, labels.into_iter());
        assert_eq!(of(0, 3), Some((1, 3)));
        assert_eq!(of(12, 4), Some((2, 4)));
        assert_eq!(of(1, 0), None);
        let unknown = GpioLines::new(Gpio { base: None, stride: None, ..HI3531 });
        assert_eq!(unknown.labelled(GpioLine { group: 0, bit: 0 }, labels.into_iter()), None);
        let simulated = GpioLines::new(Gpio { controller: GpioController::GpioSim, ..HI3531 });
        assert_eq!(simulated.labelled(GpioLine { group: 1, bit: 2 }, labels.into_iter()), Some((0, 10)));
    }

    #[test]
    fn on_an_old_kernel_a_label_decides_whatever_the_number() {
        let class = tempfile::tempdir().unwrap();
        mimic::chip(class.path(), "20210000.gpio_chip", 152, 8);
        mimic::chip(class.path(), "20150000.gpio_chip", 248, 8);
        let folder = mimic::line(class.path(), 156, "1\n");
        let lines = old_kernel(HI3531, class.path());
        assert!(lines.input(GpioLine { group: 12, bit: 4 }).unwrap().is_high().unwrap());
        let mut relay = lines.output(GpioLine { group: 12, bit: 4 }, false).unwrap();
        assert_eq!(fs::read_to_string(folder.join("direction")).unwrap(), "low");
        relay.set_high().unwrap();
        assert!(relay.is_set_high().unwrap());
    }

    #[test]
    fn without_labels_numbers_decide_only_where_they_are_in_order() {
        let class = tempfile::tempdir().unwrap();
        let gpio = Gpio { base: None, stride: None, groups: 3, ..HI3531 };
        mimic::line(class.path(), 12, "1\n");
        let lines = old_kernel(gpio, class.path());
        let wanted = GpioLine { group: 1, bit: 4 };
        for group in 0..2 {
            mimic::chip(class.path(), &format!("gpio{group}"), group * 8, 8);
        }
        let error = lines.input(wanted).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "no GPIO chip for GPIO1_4; the kernel has: gpio0, gpio1");
        mimic::chip(class.path(), "gpio2", 16, 8);
        assert!(lines.input(wanted).unwrap().is_high().unwrap());
    }
}
