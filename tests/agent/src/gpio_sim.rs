//! The board's pins: a chip of the kernel's `gpio-sim`, made through configfs.
//!
//! Pulls are what is wired to an input; values are what an output drives.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::failure::Failure;

/// Where the kernel's objects are made.
const CONFIGFS: &str = "/sys/kernel/config";
/// The chip's label, as the board's description has it, and the names of its objects.
const LABEL: &str = "gpio-sim";
/// One group of 8.
const LINES: u32 = 8;
/// Lines that something outside pulls up: with nothing pressed and no alarm, active-low inputs are high.
const PULLED_UP: [u32; 3] = [0, 1, 4];

/// Makes the chip.
pub(crate) fn create() -> Result<(), Failure> {
    let config = Path::new(CONFIGFS);
    if !config.join("gpio-sim").exists() {
        mount(Some("configfs"), config, Some("configfs"), MsFlags::empty(), None::<&str>)?;
    }
    let bank = bank();
    fs::create_dir_all(&bank)?;
    fs::write(bank.join("num_lines"), LINES.to_string())?;
    fs::write(bank.join("label"), LABEL)?;
    fs::write(device().join("live"), "1")?;
    for line in PULLED_UP {
        pull(line, true)?;
    }
    Ok(())
}

/// Pulls a line up or down from outside.
pub(crate) fn pull(line: u32, up: bool) -> Result<(), Failure> {
    let word = if up { "pull-up" } else { "pull-down" };
    Ok(fs::write(line_folder(line)?.join("pull"), word)?)
}

/// The level of a line.
pub(crate) fn level(line: u32) -> Result<bool, Failure> {
    Ok(fs::read_to_string(line_folder(line)?.join("value"))?.trim() == "1")
}

fn line_folder(line: u32) -> Result<PathBuf, Failure> {
    let attribute =
        |path: PathBuf| -> Result<String, Failure> { Ok(fs::read_to_string(path)?.trim().to_owned()) };
    let device = attribute(device().join("dev_name"))?;
    let chip = attribute(bank().join("chip_name"))?;
    Ok(Path::new("/sys/devices/platform").join(device).join(chip).join(format!("sim_gpio{line}")))
}

fn device() -> PathBuf {
    Path::new(CONFIGFS).join("gpio-sim").join("board")
}

fn bank() -> PathBuf {
    device().join("bank0")
}
