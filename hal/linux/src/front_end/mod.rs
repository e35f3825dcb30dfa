//! Front ends: drivers of analog decoders.
//!
//! A decoder is reached over I2C, by one driver a family, or through the device node of its vendor's kernel driver where that one has
//! the chip for itself. The HAL's trait is the same; what a driver cannot do, its file's head says.
//!
//! Does not belong here: which decoder is where (a board's description), and how often to look (the caller).

mod coax;
mod nvp6134;
mod nvp6134_chip;
mod nvp6134_coax;
mod nvp6134_formats;
mod open;
mod ports;
mod registers;
mod tp28xx;
mod tp28xx_coax;
mod tp28xx_modes;
mod tw286x;
mod vendor_modes;
mod vendor_node;
mod vendor_nvp;
mod vendor_tp;
mod vendor_tw;

#[cfg(test)]
mod chip_double;

pub use nvp6134::Nvp6134;
pub use nvp6134_chip::NvpChip;
pub use open::{DecoderFamily, open_front_end, probe_decoder};
pub use tp28xx::Tp28xx;
pub use tp28xx_modes::TpChip;
pub use tw286x::{Tw286x, TwChip};
