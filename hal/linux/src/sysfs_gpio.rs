//! GPIO through /sys/class/gpio, for kernels before 4.8.
//!
//! Linux's `Documentation/gpio/sysfs.txt` has the files.
//!
//! Lines have one number for the whole system, the chip's base and the offset in it. A line that is taken stays exported when its
//! pin is dropped: giving it back could change a relay's level. Whoever comes next takes it over as it is.
//!
//! Does not belong here: which chip a board's group is (`lines.rs`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use hal::{ErrorKind, HalError};

use crate::fault::fault;
use crate::gpio::GpioError;

/// A chip as this interface shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SysfsChip {
    pub(crate) label: String,
    /// The number of its first line.
    pub(crate) base: u32,
    pub(crate) lines: u32,
}

/// All that the kernel shows, lowest numbers first; none where it has no such interface.
pub(crate) fn chips(class: &Path) -> Result<Vec<SysfsChip>, HalError> {
    let what = || format!("listing GPIO chips in {}", class.display());
    let entries = match fs::read_dir(class) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(&what(), &error)),
    };
    let mut chips = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| fault(&what(), &error))?;
        if !entry.file_name().to_string_lossy().starts_with("gpiochip") {
            continue;
        }
        let number = |name| -> Result<u32, HalError> {
            let text = attribute(&entry.path().join(name))?;
            text.parse()
                .map_err(|_| HalError::new(ErrorKind::Device, format!("{}: {name} is {text:?}", what())))
        };
        let label = attribute(&entry.path().join("label"))?;
        chips.push(SysfsChip { label, base: number("base")?, lines: number("ngpio")? });
    }
    chips.sort_by_key(|chip| chip.base);
    Ok(chips)
}

/// A line by its number. Its level is read and written at the file's first byte.
#[derive(Debug)]
pub struct SysfsPin {
    number: u32,
    value: File,
}

impl SysfsPin {
    /// Takes a line to read.
    pub(crate) fn input(class: &Path, number: u32) -> Result<Self, HalError> {
        Self::take(class, number, "in")
    }

    /// Takes a line to drive, with `high` from the first moment on.
    pub(crate) fn output(class: &Path, number: u32, high: bool) -> Result<Self, HalError> {
        Self::take(class, number, if high { "high" } else { "low" })
    }

    fn take(class: &Path, number: u32, direction: &str) -> Result<Self, HalError> {
        let failed = |error: io::Error| fault(&format!("taking GPIO line {number}"), &error);
        let folder = class.join(format!("gpio{number}"));
        if !folder.exists() {
            export(class, number).map_err(failed)?;
        }
        // "high" and "low" make an output of that level at once; they cannot glitch.
        attribute_file(folder.join("direction"), false)
            .and_then(|file| file.write_all_at(direction.as_bytes(), 0))
            .map_err(failed)?;
        let value = attribute_file(folder.join("value"), true).map_err(failed)?;
        Ok(Self { number, value })
    }

    fn level(&self) -> Result<bool, GpioError> {
        let mut digit = [0];
        let read = self.value.read_at(&mut digit, 0);
        match read {
            Ok(1) => Ok(digit != *b"0"),
            Ok(_) => Err(self.fault("reading", &io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(self.fault("reading", &error)),
        }
    }

    fn drive(&self, high: bool) -> Result<(), GpioError> {
        let digit = if high { b"1" } else { b"0" };
        self.value.write_all_at(digit, 0).map_err(|error| self.fault("driving", &error))
    }

    fn fault(&self, what: &str, error: &io::Error) -> GpioError {
        GpioError::new(fault(&format!("{what} GPIO line {}", self.number), error))
    }
}

/// The kernel makes the line's folder before this returns. Busy: a driver of the kernel has the line.
fn export(class: &Path, number: u32) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(class.join("export"))?;
    file.write_all_at(number.to_string().as_bytes(), 0)
}

fn attribute_file(path: PathBuf, readable: bool) -> io::Result<File> {
    OpenOptions::new().read(readable).write(true).open(path)
}

fn attribute(path: &Path) -> Result<String, HalError> {
    let text =
        fs::read_to_string(path).map_err(|error| fault(&format!("reading {}", path.display()), &error))?;
    Ok(text.trim().to_owned())
}

impl ErrorType for SysfsPin {
    type Error = GpioError;
}

impl InputPin for SysfsPin {
    fn is_high(&mut self) -> Result<bool, GpioError> {
        self.level()
    }

    fn is_low(&mut self) -> Result<bool, GpioError> {
        self.level().map(|high| !high)
    }
}

impl OutputPin for SysfsPin {
    fn set_low(&mut self) -> Result<(), GpioError> {
        self.drive(false)
    }

    fn set_high(&mut self) -> Result<(), GpioError> {
        self.drive(true)
    }
}

impl StatefulOutputPin for SysfsPin {
    fn is_set_high(&mut self) -> Result<bool, GpioError> {
        self.level()
    }

    fn is_set_low(&mut self) -> Result<bool, GpioError> {
        self.level().map(|high| !high)
    }
}

/// A folder of files that looks like /sys/class/gpio, for tests.
#[cfg(test)]
pub(crate) mod mimic {
    use super::*;

    pub(crate) fn chip(class: &Path, label: &str, base: u32, lines: u32) {
        let folder = class.join(format!("gpiochip{base}"));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in
            [("label", label.to_owned()), ("base", base.to_string()), ("ngpio", lines.to_string())]
        {
            fs::write(folder.join(name), text + "\n").unwrap();
        }
    }

    /// A line that is exported already.
    pub(crate) fn line(class: &Path, number: u32, value: &str) -> PathBuf {
        let folder = class.join(format!("gpio{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("direction"), "").unwrap();
        fs::write(folder.join("value"), value).unwrap();
        folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_are_found_by_what_the_kernel_shows() {
        let class = tempfile::tempdir().unwrap();
        mimic::chip(class.path(), "12160000.gpio", 8, 8);
        mimic::chip(class.path(), "12150000.gpio", 0, 8);
        mimic::line(class.path(), 3, "0\n");
        let found = chips(class.path()).unwrap();
        assert_eq!(
            found.iter().map(|chip| (chip.label.as_str(), chip.base)).collect::<Vec<_>>(),
            [("12150000.gpio", 0), ("12160000.gpio", 8)]
        );
        fs::write(class.path().join("gpiochip8/base"), "eight\n").unwrap();
        assert_eq!(chips(class.path()).unwrap_err().kind(), ErrorKind::Device);
        assert_eq!(chips(&class.path().join("none")).unwrap(), []);
    }

    #[test]
    fn an_input_is_read_each_time() {
        let class = tempfile::tempdir().unwrap();
        let folder = mimic::line(class.path(), 66, "0\n");
        let mut pin = SysfsPin::input(class.path(), 66).unwrap();
        assert_eq!(fs::read_to_string(folder.join("direction")).unwrap(), "in");
        assert!(pin.is_low().unwrap());
        fs::write(folder.join("value"), "1\n").unwrap();
        assert!(pin.is_high().unwrap());
        fs::write(folder.join("value"), "").unwrap();
        let error = pin.is_high().unwrap_err();
        assert!(error.to_string().contains("GPIO line 66"), "{error}");
    }

    #[test]
    fn an_output_has_its_level_from_the_first_moment_on() {
        let class = tempfile::tempdir().unwrap();
        for (high, word) in [(true, "high"), (false, "low")] {
            let folder = mimic::line(class.path(), 84, "");
            let mut pin = SysfsPin::output(class.path(), 84, high).unwrap();
            assert_eq!(fs::read_to_string(folder.join("direction")).unwrap(), word);
            pin.set_high().unwrap();
            assert_eq!(fs::read_to_string(folder.join("value")).unwrap(), "1");
            assert!(pin.is_set_high().unwrap());
            pin.set_low().unwrap();
            assert_eq!(fs::read_to_string(folder.join("value")).unwrap(), "0");
        }
    }

    #[test]
    fn a_line_that_nobody_exported_is_asked_for() {
        let class = tempfile::tempdir().unwrap();
        assert_eq!(SysfsPin::input(class.path(), 5).unwrap_err().kind(), ErrorKind::NotFound);
        // A file does not make the line's folder as the kernel does; it keeps what was asked.
        fs::write(class.path().join("export"), "").unwrap();
        assert!(SysfsPin::input(class.path(), 5).is_err());
        assert_eq!(fs::read_to_string(class.path().join("export")).unwrap(), "5");
    }
}
