//! What a board is, read from the system on it; a description to start from.
//!
//! `candor probe` in a vendor's shell: [`Facts::gather`] looks at files of `/proc`, `/sys`, `/dev` and of the library's
//! folders, [`report`] tells a person, [`draft`] writes a board description that `board` accepts, with what is unknown marked.
//! Nothing is ever written, opened for writing or executed. `inspect` also serves who takes vendors' files from a dump.
//!
//! Does not belong here: changing anything, registers that must be written to be read (a decoder's bank), the network, and
//! how registers and buses are reached (`hal-linux`, through [`Hardware`]).

mod cmdline;
mod devices;
mod draft;
mod draft_parts;
mod facts;
mod gather;
mod hardware;
mod i2c;
mod inspect;
mod libraries;
mod memory;
mod report;
mod soc;
mod storage;
mod tree;

pub use cmdline::{CommandLine, FlashParts, PartSize, PartSpec};
pub use devices::{Disk, GpioChip, KernelModule, NamedDevice, UmapVersion};
pub use draft::draft;
pub use facts::{Cpu, Facts, Library, Memory, Region, SocFinding, SocSource, Zone};
pub use hardware::Hardware;
pub use i2c::{I2cAnswer, I2cDevice, I2cFindings};
pub use inspect::{FloatAbi, Inspected, inspect};
pub use report::report;
pub use storage::{FlashChip, FlashPartition};
pub use tree::Missed;
