//! A NOR flash in memory whose power can fail in the middle.
//!
//! Erasing sets the bits of whole blocks, programming clears bits.
//!
//! Clones share the chip: one goes to the code under test, one stays with the test. Does not belong here: wear, and
//! the time that erasing takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hal::{ErrorKind, FlashGeometry, HalError, NorFlash};

use crate::random;

/// A simulated NOR flash, erased at first.
#[derive(Clone, Debug)]
pub struct SimFlash {
    geometry: FlashGeometry,
    chip: Arc<Mutex<Chip>>,
}

#[derive(Debug)]
struct Chip {
    bytes: Vec<u8>,
    /// Bytes that can still be programmed or erased before the power fails.
    until_power_cut: Option<u64>,
    power: bool,
    noise: u64,
}

impl SimFlash {
    /// A chip of that geometry; `seed` decides what a cut leaves behind.
    ///
    /// # Errors
    /// `Unsupported` unless the erase block is a power of two that divides the size.
    pub fn new(geometry: FlashGeometry, seed: u64) -> Result<Self, HalError> {
        if !geometry.erase_block.is_power_of_two() || !geometry.size.is_multiple_of(geometry.erase_block) {
            return Err(HalError::new(
                ErrorKind::Unsupported,
                format!("a flash of {} bytes in blocks of {}", geometry.size, geometry.erase_block),
            ));
        }
        let bytes = vec![0xFF; geometry.size as usize];
        let chip = Chip { bytes, until_power_cut: None, power: true, noise: seed };
        Ok(Self { geometry, chip: Arc::new(Mutex::new(chip)) })
    }

    /// Lets the power fail once `bytes` more have been programmed or erased: the operation then under way
    /// ends there with an error, and so do all until [`SimFlash::restore_power`]. A block whose erasing is cut
    /// holds noise.
    pub fn cut_power_after(&self, bytes: u64) {
        self.lock().until_power_cut = Some(bytes);
    }

    /// Turns the power on again. What the chip holds, it holds.
    pub fn restore_power(&self) {
        let mut chip = self.lock();
        chip.power = true;
        chip.until_power_cut = None;
    }

    fn lock(&self) -> MutexGuard<'_, Chip> {
        self.chip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of an access, if it is inside the chip and the chip has power.
    fn place(&self, chip: &Chip, offset: u32, length: usize) -> Result<std::ops::Range<usize>, HalError> {
        if !chip.power {
            return Err(power_cut());
        }
        let start = offset as usize;
        match start.checked_add(length) {
            Some(end) if end <= chip.bytes.len() => Ok(start..end),
            _ => Err(HalError::new(
                ErrorKind::Unsupported,
                format!("{length} bytes at {offset:#x} of a flash of {:#x}", self.geometry.size),
            )),
        }
    }
}

impl Chip {
    /// How many of `wanted` bytes are done before the power fails.
    fn spend(&mut self, wanted: usize) -> usize {
        let Some(left) = &mut self.until_power_cut else { return wanted };
        let done = (wanted as u64).min(*left);
        *left -= done;
        if *left == 0 {
            self.power = false;
        }
        done as usize
    }
}

impl NorFlash for SimFlash {
    fn geometry(&self) -> FlashGeometry {
        self.geometry
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError> {
        let chip = self.lock();
        let place = self.place(&chip, offset, into.len())?;
        into.copy_from_slice(&chip.bytes[place]);
        Ok(())
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError> {
        let mut chip = self.lock();
        let place = self.place(&chip, offset, data.len())?;
        let done = chip.spend(data.len());
        for (byte, new) in chip.bytes[place].iter_mut().zip(&data[..done]) {
            *byte &= new;
        }
        if done < data.len() { Err(power_cut()) } else { Ok(()) }
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError> {
        let mut chip = self.lock();
        let place = self.place(&chip, offset, length as usize)?;
        let block = self.geometry.erase_block;
        if !offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            return Err(HalError::new(
                ErrorKind::Unsupported,
                format!("erasing {length:#x} bytes at {offset:#x}: both must be multiples of {block:#x}"),
            ));
        }
        let block = block as usize;
        for start in place.step_by(block) {
            let done = chip.spend(block);
            if done == block {
                chip.bytes[start..start + block].fill(0xFF);
            } else if done > 0 {
                for at in start..start + block {
                    chip.noise = random::mix(chip.noise);
                    // Some of the bits have been set, anywhere in the block.
                    chip.bytes[at] |= chip.noise as u8;
                }
            }
            if done < block {
                return Err(power_cut());
            }
        }
        Ok(())
    }
}

fn power_cut() -> HalError {
    HalError::new(ErrorKind::Device, "the simulated flash has no power")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: u32 = 64;
    const SIZE: u32 = 4 * BLOCK;

    fn flash() -> SimFlash {
        SimFlash::new(FlashGeometry { size: SIZE, erase_block: BLOCK }, 1).unwrap()
    }

    fn whole(flash: &mut SimFlash) -> Vec<u8> {
        let mut bytes = vec![0; SIZE as usize];
        flash.read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn programming_clears_bits_and_erasing_sets_them() {
        let mut flash = flash();
        flash.program(3, &[0b1100, 0xFF]).unwrap();
        flash.program(3, &[0b0110]).unwrap();
        assert_eq!(whole(&mut flash)[2..5], [0xFF, 0b0100, 0xFF]);
        flash.program(BLOCK, &[0]).unwrap();
        flash.erase(0, BLOCK).unwrap();
        assert_eq!(whole(&mut flash)[3], 0xFF);
        assert_eq!(whole(&mut flash)[BLOCK as usize], 0, "another block is left alone");
    }

    #[test]
    fn accesses_outside_and_across_blocks_are_refused() {
        let mut flash = flash();
        for result in [
            flash.program(SIZE - 1, &[0, 0]),
            flash.read(u32::MAX, &mut [0]),
            flash.erase(1, BLOCK),
            flash.erase(0, BLOCK - 1),
            flash.erase(0, SIZE + BLOCK),
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert!(SimFlash::new(FlashGeometry { size: 100, erase_block: 64 }, 1).is_err());
        assert!(SimFlash::new(FlashGeometry { size: 0, erase_block: 0 }, 1).is_err());
    }

    #[test]
    fn a_cut_erase_leaves_noise_in_one_block() {
        let mut flash = flash();
        flash.program(0, &[0; SIZE as usize]).unwrap();
        flash.cut_power_after(u64::from(BLOCK) + 1);
        assert_eq!(flash.erase(0, SIZE).unwrap_err().kind(), ErrorKind::Device);
        assert!(flash.read(0, &mut [0]).is_err(), "without power nothing answers");
        flash.restore_power();
        let bytes = whole(&mut flash);
        let blocks: Vec<&[u8]> = bytes.chunks(BLOCK as usize).collect();
        assert!(blocks[0].iter().all(|&b| b == 0xFF));
        assert!(blocks[1].iter().any(|&b| b != 0xFF) && blocks[1].iter().any(|&b| b != 0));
        assert!(blocks[2..].concat().iter().all(|&b| b == 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_cut_program_keeps_a_prefix(data in prop::collection::vec(any::<u8>(), 1..64), cut in 0u64..64) {
            let mut flash = flash();
            flash.cut_power_after(cut);
            let result = flash.program(0, &data);
            prop_assert_eq!(result.is_err(), cut < data.len() as u64);
            flash.restore_power();
            let kept = data.len().min(cut as usize);
            let bytes = whole(&mut flash);
            prop_assert_eq!(&bytes[..kept], &data[..kept]);
            prop_assert!(bytes[kept..].iter().all(|&b| b == 0xFF));
        }
    }
}
