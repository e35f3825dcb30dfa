//! A partition of a flash image as flash, to be written as recorders write it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use hal::{ErrorKind, FlashGeometry, HalError, NorFlash};

/// What erased NOR flash reads as.
pub(super) const ERASED: u8 = 0xff;

/// Part of a file.
pub(super) struct FlashFile<'a> {
    file: &'a File,
    at: u64,
    geometry: FlashGeometry,
}

impl<'a> FlashFile<'a> {
    /// The part that begins `at` so many bytes.
    pub(super) fn new(file: &'a File, at: u64, geometry: FlashGeometry) -> Self {
        Self { file, at, geometry }
    }

    fn place(&self, offset: u32, length: usize) -> Result<u64, HalError> {
        if u64::from(offset) + length as u64 > u64::from(self.geometry.size) {
            return Err(HalError::new(ErrorKind::Device, "beyond the partition's end"));
        }
        Ok(self.at + u64::from(offset))
    }
}

impl NorFlash for FlashFile<'_> {
    fn geometry(&self) -> FlashGeometry {
        self.geometry
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError> {
        let at = self.place(offset, into.len())?;
        self.file.read_exact_at(into, at).map_err(|error| device(&error))
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError> {
        let at = self.place(offset, data.len())?;
        self.file.write_all_at(data, at).map_err(|error| device(&error))
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError> {
        let at = self.place(offset, length as usize)?;
        self.file.write_all_at(&vec![ERASED; length as usize], at).map_err(|error| device(&error))
    }
}

fn device(error: &std::io::Error) -> HalError {
    HalError::new(ErrorKind::Device, error.to_string())
}
