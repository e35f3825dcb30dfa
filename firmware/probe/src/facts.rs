//! What was found out of a board: the report's and the JSON's content.
//!
//! Sizes are in bytes unless a name says otherwise. Does not belong here: finding out (`gather.rs`), words (`report.rs`).

use serde::Serialize;

use crate::cmdline::CommandLine;
use crate::devices::{Disk, GpioChip, KernelModule, NamedDevice, UmapVersion};
use crate::i2c::I2cFindings;
use crate::inspect::Inspected;
use crate::storage::FlashChip;
use crate::tree::Missed;

/// All that was found, and what was not.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Facts {
    /// `/proc/version`.
    pub kernel: Option<String>,
    /// The kernel's command line.
    pub command_line: CommandLine,
    /// The processor.
    pub cpu: Cpu,
    /// The chip.
    pub soc: SocFinding,
    /// RAM and zones.
    pub memory: Memory,
    /// Flash.
    pub flash: Vec<FlashChip>,
    /// Modules that the kernel has loaded.
    pub modules: Vec<KernelModule>,
    /// What the media platform says in `/proc/umap`.
    pub umap: Vec<UmapVersion>,
    /// The media platform's library, each copy of it.
    pub libraries: Vec<Library>,
    /// C libraries and loaders, by their file names.
    pub libc: Vec<String>,
    /// I2C.
    pub i2c: I2cFindings,
    /// Nodes in /dev of vendors' decoder drivers.
    pub decoder_nodes: Vec<String>,
    /// GPIO chips.
    pub gpio: Vec<GpioChip>,
    /// Watchdogs, and nodes in /dev that are named like one.
    pub watchdogs: Vec<NamedDevice>,
    /// Clocks.
    pub rtcs: Vec<NamedDevice>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// Network interfaces, without the loopback; no addresses.
    pub networks: Vec<NamedDevice>,
    /// Serial lines in /dev.
    pub serials: Vec<String>,
    /// What was looked for in vain.
    pub missed: Vec<Missed>,
}

/// The processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// The kernel's name for the machine.
    pub hardware: Option<String>,
    /// The core: `cortex-a7`.
    pub core: Option<&'static str>,
    /// How many cores Linux uses.
    pub cores: u8,
    /// What the cores can do: `vfp neon`.
    pub features: Vec<String>,
}

/// Which chip it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SocFinding {
    /// The name as descriptions have it.
    pub model: Option<&'static str>,
    /// What says so.
    pub source: Option<SocSource>,
    /// The chip's own number, where it was read.
    pub chip_id: Option<u32>,
    /// Another chip has the same number or the same modules.
    pub ambiguous: bool,
}

/// What a chip's name was read from, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocSource {
    /// Its identity register.
    ChipId,
    /// `/proc/cpuinfo` or the device tree.
    Kernel,
    /// The names of the vendor's modules: they name a family.
    Modules,
}

/// RAM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// What Linux can use, in KiB: less than its part, the kernel itself is not counted.
    pub total_kib: Option<u64>,
    /// Linux's parts.
    pub system_ram: Vec<Region>,
    /// The media zones, as the vendor's allocator lists them.
    pub zones: Vec<Zone>,
}

/// A piece of RAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Its first byte.
    pub base: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// A media zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its first byte.
    pub base: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// A copy of the media platform's library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    /// Where it is.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// What is in it.
    #[serde(flatten)]
    pub inspected: Inspected,
}
