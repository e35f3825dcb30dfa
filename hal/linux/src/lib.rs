//! The Linux kernel's devices: flash, watchdog, GPIO, I2C, network.
//!
//! Each file is one kernel interface, named for the peripheral; what the kernel answers is turned into the HAL's one
//! error in `fault.rs`. Where a call has no safe form in nix, the file that makes it allows `unsafe` for that. Drivers of analog
//! decoders are in `front_end/`.
//!
//! Does not belong here: which device is for what (a board's description), and what vendors' media libraries offer
//! (`hal-himpp`).

mod dev_mem;
mod ds1307;
mod ext4;
mod fault;
mod front_end;
mod gpio;
mod i2c;
mod kernel_module;
mod lines;
mod mtd;
mod net;
mod panel;
mod rs485;
mod rtc;
mod sysfs_gpio;
mod tty;
mod watchdog;

pub use dev_mem::DevMem;
pub use ext4::grow_ext4;
pub use front_end::{
    DecoderFamily, Nvp6134, NvpChip, Tp28xx, TpChip, Tw286x, TwChip, open_front_end, probe_decoder,
};
pub use gpio::{GpioChip, GpioError, GpioInput, GpioOutput};
pub use i2c::{I2cBus, I2cBusError};
pub use kernel_module::load_kernel_module;
pub use lines::{GpioLines, LineInput, LineOutput};
pub use mtd::{Mtd, MtdPartition};
pub use net::NetInterface;
pub use panel::TvtPanel;
pub use rs485::{DirectionPin, LinuxRs485};
pub use rtc::{BoardRtc, open_rtcs};
pub use sysfs_gpio::SysfsPin;
pub use watchdog::LinuxWatchdog;
