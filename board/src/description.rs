//! The description of a board: what it is, its memory and budgets.
//!
//! Does not belong here: devices (`devices.rs`), flash (`flash.rs`), rules between values (`check.rs`).

use serde::Deserialize;

use crate::address::{Address, ByteSize};
use crate::devices::{
    Attached, Button, FrontEnd, Gpio, I2cBus, Input, Panel, Pin, PinMux, Rs485, Rtc, Watchdog,
};
use crate::flash::Flash;
use crate::media::Media;

/// The most inputs a board has: as many as there are channels (`hal::MAX_CHANNELS`).
pub const MAX_INPUTS: usize = 64;

/// A board. Made by [`Board::builtin`] and [`Board::parse`] only, so what is here has been checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Board {
    /// The name to ask for it by: small letters, digits and `-`. A variant's is `name-variant`.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// The system on chip.
    pub soc: Soc,
    /// What captures the inputs.
    pub capture: CaptureBackend,
    /// How memory is split; absent where Linux has all of it, or where it is not known.
    pub memory: Option<Memory>,
    /// The vendor's media platform, for [`CaptureBackend::Himpp`].
    pub media: Option<Media>,
    /// The serial console.
    pub console: Option<Console>,
    /// GPIO groups.
    pub gpio: Option<Gpio>,
    /// GPIO lines with a use.
    #[serde(default, rename = "pin")]
    pub pins: Vec<Pin>,
    /// Pins to be switched to another function.
    #[serde(default, rename = "pin_mux")]
    pub pin_muxes: Vec<PinMux>,
    /// I2C buses.
    #[serde(default, rename = "i2c")]
    pub i2c_buses: Vec<I2cBus>,
    /// Analog decoders.
    #[serde(default, rename = "front_end")]
    pub front_ends: Vec<FrontEnd>,
    /// Video inputs, in the order of their sockets.
    #[serde(default, rename = "input")]
    pub inputs: Vec<Input>,
    /// Microcontrollers that stand between the SoC and LEDs, relays and the like.
    #[serde(default, rename = "panel")]
    pub panels: Vec<Panel>,
    /// LEDs. The one named `status` tells whether all is well.
    #[serde(default, rename = "led")]
    pub leds: Vec<Attached>,
    /// Buzzers.
    #[serde(default, rename = "buzzer")]
    pub buzzers: Vec<Attached>,
    /// Digital alarm inputs.
    #[serde(default, rename = "alarm_input")]
    pub alarm_inputs: Vec<Attached>,
    /// Relay outputs.
    #[serde(default, rename = "relay")]
    pub relays: Vec<Attached>,
    /// The factory-reset button on a pin.
    pub button: Option<Button>,
    /// RS-485 ports.
    #[serde(default)]
    pub rs485: Vec<Rs485>,
    /// Hardware watchdogs: all of them are to be fed.
    #[serde(default, rename = "watchdog")]
    pub watchdogs: Vec<Watchdog>,
    /// Clocks that run without power, the one to believe first.
    #[serde(default, rename = "rtc")]
    pub rtcs: Vec<Rtc>,
    /// Flash chips.
    #[serde(default)]
    pub flash: Vec<Flash>,
    /// What the software may use.
    pub budget: Option<Budget>,
    /// The variants, for [`Board::parse`]; empty afterwards.
    #[serde(default, rename = "variant")]
    pub(crate) variants: Vec<Variant>,
}

/// A board's other build: other flash chips, all else alike. The first is the default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) flash: Vec<Flash>,
}

/// A system on chip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soc {
    /// Which.
    pub model: SocModel,
    /// The core's name as QEMU and GCC write it: `cortex-a7`.
    pub cpu: Option<String>,
    /// Cores.
    pub cores: Option<u8>,
}

/// The systems on chip that descriptions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocModel {
    /// No particular one: a PC.
    Generic,
    /// QEMU's `virt` machine.
    QemuVirt,
    /// HiSilicon Hi3520DV200.
    Hi3520dv200,
    /// HiSilicon Hi3520DV300.
    Hi3520dv300,
    /// HiSilicon Hi3520DV400.
    Hi3520dv400,
    /// HiSilicon Hi3521A.
    Hi3521a,
    /// HiSilicon Hi3521DV100.
    Hi3521dv100,
    /// HiSilicon Hi3531.
    Hi3531,
    /// HiSilicon Hi3531A.
    Hi3531a,
    /// HiSilicon Hi3531DV100.
    Hi3531dv100,
    /// HiSilicon Hi3536CV100.
    Hi3536cv100,
    /// HiSilicon Hi3536DV100.
    Hi3536dv100,
}

impl SocModel {
    /// Where its RAM begins, where known.
    #[must_use]
    pub const fn ram_base(self) -> Option<Address> {
        match self {
            Self::Generic | Self::Hi3531 | Self::Hi3536cv100 => None,
            Self::QemuVirt | Self::Hi3531a | Self::Hi3531dv100 => Some(Address(0x4000_0000)),
            Self::Hi3520dv200
            | Self::Hi3520dv300
            | Self::Hi3520dv400
            | Self::Hi3521a
            | Self::Hi3521dv100
            | Self::Hi3536dv100 => Some(Address(0x8000_0000)),
        }
    }
}

/// What captures a board's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptureBackend {
    /// The vendor's media platform (HiMPP).
    Himpp,
    /// GStreamer.
    Gst,
    /// The simulator.
    Sim,
    /// Nothing: the board has no video inputs, or none of its own encoders.
    None,
}

/// How RAM is divided between Linux and the media zones (MMZ).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The banks of RAM, lowest first.
    pub bank: Vec<MemoryRegion>,
    /// Linux's part, from the first bank's start: the kernel's `mem=`.
    pub linux: ByteSize,
    /// The media zones, where known.
    #[serde(default)]
    pub mmz: Vec<MemoryZone>,
}

/// A piece of RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRegion {
    /// Its first byte.
    pub base: Address,
    /// Its size.
    pub size: ByteSize,
}

/// A media zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryZone {
    /// The name that the vendor's allocator uses.
    pub name: String,
    /// Its first byte, where known.
    pub base: Option<Address>,
    /// Its size.
    pub size: ByteSize,
}

/// The serial console: 8 data bits, no parity, 1 stop bit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// The device's name under /dev.
    pub serial: String,
    /// Bits a second.
    pub baud: u32,
}

/// What the software may use of the board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Resident memory of all roles together, without the rings.
    pub resident: ByteSize,
    /// Memory for the rings.
    pub rings: ByteSize,
    /// The main image, UI included.
    pub main_image: Option<ByteSize>,
}
