//! Board descriptions: TOML files and their typed, validated model.
//!
//! A board is data: its SoC, how memory is split, inputs, pins, alarm and RS-485 devices, flash partitions and
//! budgets. The descriptions that ship are under `boards/` and compiled in. What is not known of a board is absent, never
//! guessed; a comment in the file gives each fact's source. docs/boards.md explains every table.
//!
//! Does not belong here: any I/O (callers read files), and any behaviour that depends on a board.
//!
//! ```
//! let board = board::Board::builtin("virt-a7")?;
//! assert_eq!(board.name, "virt-a7-16");
//! # Ok::<(), board::BoardError>(())
//! ```

mod address;
mod builtin;
mod check;
mod check_attached;
mod check_flash;
mod check_media;
mod description;
mod devices;
mod error;
mod fault;
mod flash;
mod media;
mod parse;

pub use address::{Address, ByteSize};
pub use description::{
    Board, Budget, CaptureBackend, Console, MAX_INPUTS, Memory, MemoryRegion, MemoryZone, Soc, SocModel,
};
pub use devices::{
    ActiveLevel, Attached, Button, DecoderChip, Duplex, FrontEnd, Gpio, GpioController, GpioLine, I2cBus,
    I2cKind, Input, Panel, PanelControl, PanelProtocol, Pin, PinMux, Place, Rs485, Rtc, RtcChip, Watchdog,
    WatchdogKind,
};
pub use error::{BoardError, ErrorKind};
pub use flash::{Flash, FlashKind, Partition, PartitionRole};
pub use media::{KernelModule, Media, MediaDevice, MonitorMode, VideoInterface};
