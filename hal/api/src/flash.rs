//! Flash: a NOR chip or one of its partitions.
//!
//! Erasing sets every bit of a block; programming can only clear bits. Power may fail in the middle of either, and
//! then the block or page holds anything. Does not belong here: NAND (its bad blocks are UBI's), slots and state
//! (`update`).
//!
//! For driver authors: report a failed erase or program; never retry silently. Do not buffer: when a call returns, the
//! chip has it.

use crate::error::HalError;

/// A chip's measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashGeometry {
    /// The size in bytes, a multiple of the erase block.
    pub size: u32,
    /// What is erased at once, in bytes.
    pub erase_block: u32,
}

/// A NOR flash.
pub trait NorFlash: Send {
    /// Its measures.
    fn geometry(&self) -> FlashGeometry;

    /// Fills `into` from `offset` on.
    ///
    /// # Errors
    /// `Unsupported` beyond the end, `Device` when the chip fails.
    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError>;

    /// Clears the bits that are 0 in `data`; where it asks to set one, the chip holds the AND of both.
    ///
    /// # Errors
    /// `Unsupported` beyond the end, `Device` when the chip fails: then any part may be programmed.
    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError>;

    /// Sets all bits of `length` bytes. Both must be multiples of the erase block.
    ///
    /// # Errors
    /// `Unsupported` beyond the end or inside a block, `Device` when the chip fails: then a block may hold anything.
    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError>;
}

/// Whoever takes any flash takes one behind a pointer too.
impl<F: NorFlash + ?Sized> NorFlash for Box<F> {
    fn geometry(&self) -> FlashGeometry {
        (**self).geometry()
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError> {
        (**self).read(offset, into)
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError> {
        (**self).program(offset, data)
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError> {
        (**self).erase(offset, length)
    }
}
