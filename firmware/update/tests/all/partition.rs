//! Flash that counts: a partition, and where a power cut can hit it.

use std::sync::{Arc, Mutex};

use hal::{FlashGeometry, HalError, NorFlash};
use hal_sim::SimFlash;

/// One operation on the chip, as `SimFlash::cut_power_after` counts: a byte programmed, a byte erased.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) erase: bool,
    pub(crate) bytes: u64,
}

/// A partition of a chip whose power is one.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) chip: SimFlash,
    pub(crate) start: u32,
    pub(crate) size: u32,
    pub(crate) ops: Arc<Mutex<Vec<Op>>>,
}

impl Partition {
    pub(crate) fn whole(size: u32, erase_block: u32, seed: u64) -> Self {
        let chip = SimFlash::new(FlashGeometry { size, erase_block }, seed).unwrap();
        Self { chip, start: 0, size, ops: Arc::default() }
    }

    pub(crate) fn part(&self, start: u32, size: u32) -> Self {
        Self { start: self.start + start, size, ..self.clone() }
    }

    /// All that it holds.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size as usize];
        self.clone().read(0, &mut bytes).unwrap();
        bytes
    }

    fn count(&self, erase: bool, bytes: u64) {
        self.ops.lock().unwrap().push(Op { erase, bytes });
    }
}

impl NorFlash for Partition {
    fn geometry(&self) -> FlashGeometry {
        FlashGeometry { size: self.size, ..self.chip.geometry() }
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError> {
        assert!(offset as usize + into.len() <= self.size as usize, "a read beyond the partition");
        self.chip.read(self.start + offset, into)
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError> {
        assert!(offset as usize + data.len() <= self.size as usize, "a write beyond the partition");
        let mut held = vec![0; data.len()];
        // With the power gone, there is nothing to look at.
        if self.chip.read(self.start + offset, &mut held).is_ok() {
            assert!(held.iter().all(|&byte| byte == 0xFF), "a word is programmed twice");
        }
        self.count(false, data.len() as u64);
        self.chip.program(self.start + offset, data)
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError> {
        assert!(offset + length <= self.size, "an erase beyond the partition");
        for _ in 0..length / self.chip.geometry().erase_block {
            self.count(true, u64::from(self.chip.geometry().erase_block));
        }
        self.chip.erase(self.start + offset, length)
    }
}

/// The cuts that differ: at each edge between operations, within each erase, and after bytes of each program: all of a
/// short one; of a long one each `step`th, and each of the first and last 40.
pub(crate) fn cuts(ops: &[Op], step: u64) -> Vec<u64> {
    let mut cuts = Vec::new();
    let mut before = 0;
    for op in ops {
        let inside: Vec<u64> = if op.erase {
            vec![0, 1, op.bytes / 2, op.bytes - 1]
        } else {
            (0..op.bytes)
                .filter(|at| op.bytes <= 512 || *at < 40 || op.bytes - at <= 40 || at % step == 0)
                .collect()
        };
        cuts.extend(inside.into_iter().map(|at| before + at));
        before += op.bytes;
    }
    cuts.push(before);
    cuts
}
