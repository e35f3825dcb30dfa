//! What is not a file, as who calls reaches it.

/// What is not a file: registers, and chips on a bus. Who calls says how they are reached.
pub trait Hardware {
    /// Reads a 32-bit register by its physical address, without writing.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn register(&mut self, address: u64) -> Result<u32, String>;

    /// Whether chips on I2C buses are to be asked at all.
    fn i2c_asked(&self) -> bool;

    /// Whether somebody on a bus answers at this 7-bit address, by reading a byte.
    ///
    /// # Errors
    /// In words, when the bus cannot be asked.
    fn i2c_answers(&mut self, bus: u32, address: u8) -> Result<bool, String>;
}
