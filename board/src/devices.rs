//! The devices on a board: pins, buses, inputs, alarms, lines, watchdogs.
//!
//! Buzzers, LEDs, relays and watchdogs are abstract: on some boards they are pins, on others a microcontroller on
//! a serial line answers for them (`Panel`). Does not belong here: drivers (`hal-linux`, `hal-himpp`).

use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::address::Address;

/// GPIO groups of 8 lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpio {
    /// The controller.
    pub controller: GpioController,
    /// The first group's registers.
    pub base: Option<Address>,
    /// From one group's registers to the next one's.
    pub stride: Option<u32>,
    /// How many groups there are.
    pub groups: u8,
}

/// GPIO controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpioController {
    /// ARM PL061.
    Pl061,
    /// Linux's simulated one.
    GpioSim,
}

/// A line as HiSilicon's schematics name it: `GPIO10_4` is bit 4 of group 10.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GpioLine {
    /// The group.
    pub group: u8,
    /// The line in it, 0 to 7.
    pub bit: u8,
}

impl fmt::Display for GpioLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GPIO{}_{}", self.group, self.bit)
    }
}

impl fmt::Debug for GpioLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for GpioLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts = text.strip_prefix("GPIO").and_then(|rest| rest.split_once('_'));
        let line =
            parts.and_then(|(group, bit)| Some(Self { group: group.parse().ok()?, bit: bit.parse().ok()? }));
        line.filter(|line| line.bit < 8).ok_or_else(|| {
            de::Error::invalid_value(
                de::Unexpected::Str(&text),
                &"a line such as \"GPIO10_4\": group 10, bit 4 (0 to 7)",
            )
        })
    }
}

/// A line with a use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// What devices call it.
    pub name: String,
    /// Where it is.
    pub line: GpioLine,
    /// The level that means "on"; high where not given.
    #[serde(default)]
    pub active: ActiveLevel,
}

/// Which level means "on".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActiveLevel {
    /// High is on.
    #[default]
    High,
    /// Low is on.
    Low,
}

/// A pin control register and what is to be written there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinMux {
    /// The register.
    pub register: Address,
    /// Its value.
    pub value: u32,
    /// What for.
    pub function: String,
}

/// An I2C bus.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct I2cBus {
    /// What devices call it.
    pub name: String,
    /// How it is driven.
    pub kind: I2cKind,
    /// The controller's registers.
    pub base: Option<Address>,
    /// The data pin of a bit-banged bus.
    pub sda: Option<String>,
    /// The clock pin of a bit-banged bus.
    pub scl: Option<String>,
}

/// How an I2C bus is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum I2cKind {
    /// By the SoC's controller.
    Soc,
    /// By two pins.
    Gpio,
}

/// An analog decoder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontEnd {
    /// What inputs call it.
    pub name: String,
    /// The chip.
    pub chip: DecoderChip,
    /// The bus it is on.
    pub i2c: Option<String>,
    /// The 8-bit I2C addresses to look for it at.
    #[serde(default)]
    pub addresses: Vec<u8>,
    /// The device of the vendor's kernel driver, such as `/dev/nc_vdec`, where that one has the chip for itself.
    pub device: Option<String>,
    /// Which of that driver's chips it is, from 0; the first where not given.
    pub device_chip: Option<u8>,
}

/// Analog decoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderChip {
    /// Nextchip NVP6124.
    Nvp6124,
    /// Nextchip NVP6134.
    Nvp6134,
    /// Nextchip NVP6134C.
    Nvp6134c,
    /// Techwell TW2865.
    Tw2865,
    /// Techwell TW2868.
    Tw2868,
    /// Techwell TW2960.
    Tw2960,
    /// Techpoint TP2823.
    Tp2823,
    /// Techpoint TP2827.
    Tp2827,
    /// Techpoint TP2853.
    Tp2853,
}

/// A video input.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What channels call it: `video0`, `sim3`.
    pub name: String,
    /// The decoder behind it, where there is one and it is known.
    pub front_end: Option<String>,
    /// The decoder's port, from 0.
    pub port: Option<u8>,
    /// The media platform's number of its picture (`VI_CHN`).
    pub video_input: Option<u8>,
    /// The media platform's number of its sound, on the first audio device (`AI`).
    pub audio_input: Option<u8>,
}

/// A microcontroller on a serial line that answers for other devices.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// What other devices call it.
    pub name: String,
    /// The chip's marking.
    pub chip: Option<String>,
    /// The device's name under /dev.
    pub serial: String,
    /// Bits a second.
    pub baud: u32,
    /// What it understands.
    pub protocol: PanelProtocol,
    /// What it answers for.
    pub controls: Vec<PanelControl>,
}

/// What panels understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PanelProtocol {
    /// TVT's: frames `A0 cmd d1 d2 sum` to it, `0A ...` from it.
    Tvt,
}

impl PanelProtocol {
    /// How the panel counts the devices of a kind. Relays, alarm inputs and the buzzer: as the terminals are labelled,
    /// from 1. LEDs: the bit in the panel's word for them.
    #[must_use]
    pub const fn numbers(self, control: PanelControl) -> RangeInclusive<u8> {
        match (self, control) {
            (Self::Tvt, PanelControl::Relays | PanelControl::AlarmInputs) => 1..=4,
            (Self::Tvt, PanelControl::Leds) => 2..=6,
            (Self::Tvt, PanelControl::Buzzer | PanelControl::Watchdog) => 1..=1,
        }
    }
}

/// What a panel can answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PanelControl {
    /// The LEDs of the front.
    Leds,
    /// Relay outputs.
    Relays,
    /// The buzzer.
    Buzzer,
    /// Digital alarm inputs.
    AlarmInputs,
    /// A watchdog.
    Watchdog,
}

/// An LED, a buzzer, a digital alarm input or a relay output, and what it is attached to: a pin, or a panel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its pin.
    pub pin: Option<String>,
    /// The panel that answers for it.
    pub panel: Option<String>,
    /// Which of the panel's it is, as [`PanelProtocol::numbers`] counts them; 1 where not given.
    pub number: Option<u8>,
}

/// What a device is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// The pin of this name.
    Pin(&'a str),
    /// A panel.
    Panel {
        /// The panel's name.
        panel: &'a str,
        /// Which of its devices of that kind.
        number: u8,
    },
}

impl Attached {
    /// What it is attached to; `None` for nothing or for both, which no checked description has.
    #[must_use]
    pub fn place(&self) -> Option<Place<'_>> {
        match (&self.pin, &self.panel) {
            (Some(pin), None) => Some(Place::Pin(pin)),
            (None, Some(panel)) => Some(Place::Panel { panel, number: self.number.unwrap_or(1) }),
            _ => None,
        }
    }
}

/// The button that gives a recorder back to whoever holds it: see `system`'s.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// Its pin.
    pub pin: String,
}

/// An RS-485 port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rs485 {
    /// Its name.
    pub name: String,
    /// The device's name under /dev.
    pub serial: String,
    /// Whether both sides can send at once.
    pub duplex: Duplex,
    /// The pin that turns the driver on for sending; absent where the hardware does it.
    pub direction_pin: Option<String>,
}

/// Whether both sides can send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplex {
    /// One at a time, on one pair of wires.
    Half,
    /// Both, on two pairs.
    Full,
}

/// A hardware watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: WatchdogKind,
    /// Its registers.
    pub base: Option<Address>,
    /// Its clock in Hz.
    pub clock_hz: Option<u32>,
    /// The panel that holds it, for [`WatchdogKind::Panel`].
    pub panel: Option<String>,
    /// How long it waits, where that is fixed.
    pub timeout_sec: Option<u16>,
    /// How often to feed it, where that is prescribed.
    pub feed_every_sec: Option<u16>,
}

/// Kinds of watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchdogKind {
    /// ARM SP805.
    Sp805,
    /// Intel 6300ESB, as QEMU has it.
    I6300esb,
    /// In a panel's microcontroller.
    Panel,
}

/// A clock that runs without power.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rtc {
    /// The chip.
    pub chip: RtcChip,
    /// The bus it is on.
    pub i2c: Option<String>,
    /// Its 7-bit I2C address.
    pub address: Option<u8>,
    /// Its registers.
    pub base: Option<Address>,
    /// The register, from `base`, that must be written before it can be set.
    pub unlock_offset: Option<u32>,
    /// What must be written there.
    pub unlock_value: Option<u32>,
}

/// Clock chips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtcChip {
    /// Dallas DS1307.
    Ds1307,
    /// ARM PL031.
    Pl031,
}
