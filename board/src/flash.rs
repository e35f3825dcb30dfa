//! Flash chips and their partitions.
//!
//! Does not belong here: whether partitions fit (`check_flash.rs`), and access (`hal`'s flash trait).

use serde::Deserialize;

use crate::address::{Address, ByteSize};

/// A flash chip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// NOR or NAND.
    pub kind: FlashKind,
    /// The kernel's name for it, as in `mtdparts=`.
    pub mtd: Option<String>,
    /// The chip's marking.
    pub chip: Option<String>,
    /// The chip's size.
    pub size: ByteSize,
    /// What is erased at once; absent where not known.
    pub erase_block: Option<ByteSize>,
    /// The partitions in their order; a gap is what no partition covers.
    #[serde(default, rename = "partition")]
    pub partitions: Vec<Partition>,
}

impl Flash {
    /// The kernel's argument for these partitions: `hi_sfc:2M(boot)`; `None` where the kernel's name is not known.
    /// What starts the board is `ro`: the kernel refuses to write it.
    #[must_use]
    pub fn mtdparts(&self) -> Option<String> {
        let mut next = 0;
        let parts: Vec<String> = self
            .partitions
            .iter()
            .map(|p| {
                let place = if p.offset() == next { String::new() } else { format!("@{:#x}", p.offset()) };
                next = p.offset() + p.size.bytes();
                let mode = if p.role.is_some_and(PartitionRole::is_write_protected) { "ro" } else { "" };
                format!("{}{place}({}){mode}", p.size, p.name)
            })
            .collect();
        Some(format!("{}:{}", self.mtd.as_ref()?, parts.join(",")))
    }

    /// The partition of a role.
    #[must_use]
    pub fn partition(&self, role: PartitionRole) -> Option<&Partition> {
        self.partitions.iter().find(|p| p.role == Some(role))
    }
}

/// The kinds of flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlashKind {
    /// Read in place, no bad blocks.
    Nor,
    /// With bad blocks.
    Nand,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its name, as in `mtdparts=`.
    pub name: String,
    /// What we keep there; absent in a vendor's layout.
    pub role: Option<PartitionRole>,
    /// Where it begins. Filled in by the reader where the file leaves it out: behind the one before.
    #[serde(rename = "offset")]
    pub(crate) start: Option<Address>,
    /// Its size.
    pub size: ByteSize,
}

impl Partition {
    /// Where it begins, in bytes from the chip's start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.start.map_or(0, |start| start.0)
    }
}

/// What we keep in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionRole {
    /// The boot loader.
    Boot,
    /// The boot loader's environment.
    Environment,
    /// The stage: kernel and loader, which the boot loader starts. The loader is also what recovers.
    Recovery,
    /// The stage again, for when the first cannot be read.
    RecoveryB,
    /// The main image, or slot A of two.
    Main,
    /// Slot B.
    MainB,
    /// Keys, settings, tries.
    State,
}

impl PartitionRole {
    /// Whether the running system must not write there: what the boot loader needs to start the board.
    #[must_use]
    pub const fn is_write_protected(self) -> bool {
        matches!(self, Self::Boot | Self::Environment | Self::Recovery | Self::RecoveryB)
    }
}
