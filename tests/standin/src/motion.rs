//! `VDA`: what moved, as a grid of sums of differences.
//!
//! Of the scene nothing but its block is looked at: blocks that it left or came to have a large sum, all others a small one.

use std::collections::{BTreeMap, VecDeque};

use hal::{FrameRate, Resolution};
use hal_sim::{SCENE_BLOCK_MBS, scene_block};
use mpp_abi::{ErrorCode, value};

use crate::limits::Limits;
use crate::memory::Memory;
use crate::refusal::{Module, Outcome};

/// The sum of a block in which the scene's block moved, of 255.
const MOVED: u8 = 180;
/// The largest sum of a block in which nothing did: noise.
const NOISE: u64 = 4;

/// A channel that looks for motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DetectorAttr {
    pub(crate) work_mode: i32,
    pub(crate) algorithm: i32,
    pub(crate) block_size: i32,
    pub(crate) sad_bits: i32,
    pub(crate) reference: i32,
    pub(crate) buffers: u32,
    pub(crate) interval: u32,
    pub(crate) threshold: u32,
    pub(crate) max_objects: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl DetectorAttr {
    fn side(&self) -> u32 {
        if self.block_size == value::VDA_BLOCK_8 { 8 } else { 16 }
    }

    fn bytes_per_sum(&self) -> u32 {
        if self.sad_bits == value::VDA_SAD_8_BIT { 1 } else { 2 }
    }
}

/// One look's result as the caller gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) attr: DetectorAttr,
    pub(crate) columns: u32,
    pub(crate) rows: u32,
    pub(crate) stride: u32,
    pub(crate) address: u32,
    /// Where the objects' rectangle is, and whether there is one.
    pub(crate) object: u32,
    pub(crate) objects: u32,
    pub(crate) object_pixels: u32,
    pub(crate) alarm_pixels: u32,
    pub(crate) pts: u64,
}

#[derive(Debug)]
struct Detector {
    attr: DetectorAttr,
    running: bool,
    pictures: u32,
    waiting: VecDeque<(Memory, Look)>,
    held: VecDeque<(Memory, Look)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Detectors(BTreeMap<i32, Detector>);

impl Detectors {
    /// `VDA_CreateChn`.
    pub(crate) fn create(&mut self, limits: &Limits, channel: i32, attr: DetectorAttr) -> Outcome {
        Module::Vda.channel(channel, limits.detectors)?;
        if self.0.contains_key(&channel) {
            return Module::Vda.refuse(ErrorCode::Exists, format_args!("channel {channel}"));
        }
        if attr.work_mode != value::VDA_MOTION {
            return Module::Vda.refuse(ErrorCode::Unsupported, "the stand-in looks for motion alone");
        }
        let require = |holds: bool, why: std::fmt::Arguments<'_>| Module::Vda.require(holds, why);
        let size = [attr.width, attr.height].iter().all(|side| side % 16 == 0 && (32..=960).contains(side));
        require(size, format_args!("a picture of {}x{}", attr.width, attr.height))?;
        for (name, number) in
            [("algorithm", attr.algorithm), ("block size", attr.block_size), ("bits", attr.sad_bits)]
        {
            require((0..=1).contains(&number), format_args!("{name} {number}"))?;
        }
        require((0..=2).contains(&attr.reference), format_args!("reference {}", attr.reference))?;
        require((1..=16).contains(&attr.buffers), format_args!("{} buffers", attr.buffers))?;
        require(attr.interval <= 256, format_args!("interval {}", attr.interval))?;
        require((1..=128).contains(&attr.max_objects), format_args!("{} objects", attr.max_objects))?;
        let detector =
            Detector { attr, running: false, pictures: 0, waiting: VecDeque::new(), held: VecDeque::new() };
        self.0.insert(channel, detector);
        Ok(())
    }

    /// `VDA_DestroyChn`.
    pub(crate) fn destroy(&mut self, limits: &Limits, channel: i32, bound: bool) -> Outcome {
        let detector = self.detector(limits, channel)?;
        let (running, held) = (detector.running, !detector.held.is_empty());
        Module::Vda.permit(!running, "VDA_DestroyChn before VDA_StopRecvPic")?;
        Module::Vda.permit(!bound, "VDA_DestroyChn while it is bound")?;
        if held {
            return Module::Vda.refuse(ErrorCode::Busy, "VDA_DestroyChn while data is not released");
        }
        self.0.remove(&channel);
        Ok(())
    }

    /// `VDA_StartRecvPic` and `VDA_StopRecvPic`.
    pub(crate) fn start(&mut self, limits: &Limits, channel: i32, running: bool) -> Outcome {
        self.detector(limits, channel)?.running = running;
        Ok(())
    }

    /// Whether that channel is there.
    pub(crate) fn check(&mut self, limits: &Limits, channel: i32) -> Outcome {
        self.detector(limits, channel).map(drop)
    }

    /// Whether data waits to be fetched.
    pub(crate) fn has_data(&self, channel: i32) -> bool {
        self.0.get(&channel).is_some_and(|detector| !detector.waiting.is_empty())
    }

    /// `VDA_GetData`.
    pub(crate) fn fetch(&mut self, limits: &Limits, channel: i32) -> Outcome<Look> {
        let detector = self.detector(limits, channel)?;
        let Some((memory, look)) = detector.waiting.pop_front() else {
            return Module::Vda.refuse(ErrorCode::Empty, "no data waits");
        };
        detector.held.push_back((memory, look));
        Ok(look)
    }

    /// `VDA_ReleaseData`.
    pub(crate) fn release(&mut self, limits: &Limits, channel: i32, address: u32) -> Outcome {
        let detector = self.detector(limits, channel)?;
        let oldest = detector.held.front().is_some_and(|(_, look)| look.address == address);
        Module::Vda.require(oldest, "the data is not the oldest that was fetched")?;
        detector.held.pop_front();
        Ok(())
    }

    /// A picture of an input comes in: its number, its size and rate; `blank` if there is nothing to see.
    pub(crate) fn take(
        &mut self,
        channel: i32,
        number: u64,
        size: Resolution,
        rate: u32,
        blank: bool,
        pts: u64,
    ) {
        let Some(detector) = self.0.get_mut(&channel).filter(|detector| detector.running) else { return };
        detector.pictures += 1;
        if !detector.pictures.is_multiple_of(detector.attr.interval + 1)
            || detector.waiting.len() + detector.held.len() >= detector.attr.buffers as usize
        {
            return;
        }
        let rate = FrameRate { numerator: rate, denominator: 1 };
        let step = u64::from(detector.attr.interval) + 1;
        let places =
            [number.saturating_sub(step), number].map(|number| scene_block(size, number as u32, rate));
        let moved = !blank && places[0] != places[1];
        let made = look(&detector.attr, if moved { &places } else { &[] }, size, number, pts);
        detector.waiting.push_back(made);
    }

    fn detector(&mut self, limits: &Limits, channel: i32) -> Outcome<&mut Detector> {
        Module::Vda.channel(channel, limits.detectors)?;
        match self.0.get_mut(&channel) {
            Some(detector) => Ok(detector),
            None => Module::Vda.refuse(ErrorCode::Unexists, format_args!("channel {channel}")),
        }
    }
}

/// The grid, and behind it the rectangle of what moved.
fn look(attr: &DetectorAttr, moved: &[(u32, u32)], size: Resolution, seed: u64, pts: u64) -> (Memory, Look) {
    let side = attr.side();
    let (columns, rows) = (attr.width / side, attr.height / side);
    let bytes = attr.bytes_per_sum();
    let stride = (columns * bytes).next_multiple_of(16);
    let scale = |place: u32, from: u16, to: u32| place * 16 * to / u32::from(from);
    let inside = |column: u32, row: u32| {
        moved.iter().any(|&(left, top)| {
            let x =
                scale(left, size.width, attr.width)..scale(left + SCENE_BLOCK_MBS, size.width, attr.width);
            let y =
                scale(top, size.height, attr.height)..scale(top + SCENE_BLOCK_MBS, size.height, attr.height);
            (column * side < x.end && (column + 1) * side > x.start)
                && (row * side < y.end && (row + 1) * side > y.start)
        })
    };
    let mut grid = vec![0; (stride * rows) as usize + 8];
    let (mut over, mut bounds) = (0, [u32::MAX, u32::MAX, 0, 0]);
    for row in 0..rows {
        for column in 0..columns {
            let noise = (seed * 7 + u64::from(row * columns + column) * 13) % NOISE;
            let sum = if inside(column, row) { MOVED } else { noise as u8 };
            let at = (row * stride + column * bytes) as usize;
            // Of 16 bits the sum is the upper half, so that both widths mean the same.
            grid[at + bytes as usize - 1] = sum;
            let wide = u32::from(sum) << (8 * (bytes - 1));
            if wide >= attr.threshold && inside(column, row) {
                over += 1;
                let (left, top) = (column * side, row * side);
                bounds = [
                    bounds[0].min(left),
                    bounds[1].min(top),
                    bounds[2].max(left + side - 1),
                    bounds[3].max(top + side - 1),
                ];
            }
        }
    }
    let behind = (stride * rows) as usize;
    for (place, bound) in grid[behind..].chunks_exact_mut(2).zip(bounds) {
        place.copy_from_slice(&(bound as u16).to_le_bytes());
    }
    let memory = Memory::of(&grid);
    let pixels = over * side * side;
    let look = Look {
        attr: *attr,
        columns,
        rows,
        stride,
        address: memory.address(0),
        object: memory.address(behind),
        objects: u32::from(over > 0),
        object_pixels: pixels,
        alarm_pixels: pixels,
        pts,
    };
    (memory, look)
}

#[cfg(test)]
mod tests {
    use mpp_abi::Generation;

    use super::*;
    use crate::limits;

    const SIZE: Resolution = Resolution { width: 704, height: 576 };
    const ATTR: DetectorAttr = DetectorAttr {
        work_mode: 0,
        algorithm: 1,
        block_size: 1,
        sad_bits: 0,
        reference: 0,
        buffers: 8,
        interval: 4,
        threshold: 100,
        max_objects: 128,
        width: 352,
        height: 288,
    };

    #[test]
    fn blocks_are_large_where_the_scenes_block_moved_and_nowhere_when_there_is_nothing_to_see() {
        let (limits, mut detectors) = (limits::of(Generation::G2), Detectors::default());
        detectors.create(&limits, 0, ATTR).unwrap();
        detectors.take(0, 0, SIZE, 25, false, 0);
        assert!(!detectors.has_data(0), "not started");
        detectors.start(&limits, 0, true).unwrap();
        for number in 5..15 {
            detectors.take(0, number, SIZE, 25, number > 9, number * 40_000);
        }
        let (seen, blank) = (detectors.fetch(&limits, 0).unwrap(), detectors.fetch(&limits, 0).unwrap());
        assert_eq!((seen.columns, seen.rows, seen.stride), (22, 18, 32));
        assert_eq!((seen.objects, blank.objects), (1, 0));
        // The block is two macroblocks wide in the picture, one in the grid, and seen where it was and where it is.
        let grid = detectors.0[&0].held[0].0.read(0, (32 * 18) as usize);
        let large = grid.iter().filter(|sum| **sum > 100).count();
        assert!((2..=12).contains(&large), "{large}");
        assert_eq!(detectors.release(&limits, 0, blank.address).unwrap_err().code, ErrorCode::BadParameter);
        assert_eq!(detectors.destroy(&limits, 0, false).unwrap_err().code, ErrorCode::NotPermitted);
        detectors.start(&limits, 0, false).unwrap();
        assert_eq!(detectors.destroy(&limits, 0, false).unwrap_err().code, ErrorCode::Busy);
        detectors.release(&limits, 0, seen.address).unwrap();
        detectors.release(&limits, 0, blank.address).unwrap();
        detectors.destroy(&limits, 0, false).unwrap();
    }

    #[test]
    fn flaws_are_refused() {
        let (limits, mut detectors) = (limits::of(Generation::G1), Detectors::default());
        for attr in [
            DetectorAttr { width: 350, ..ATTR },
            DetectorAttr { height: 1024, ..ATTR },
            DetectorAttr { buffers: 0, ..ATTR },
            DetectorAttr { max_objects: 129, ..ATTR },
        ] {
            assert_eq!(detectors.create(&limits, 0, attr).unwrap_err().code, ErrorCode::BadParameter);
        }
        let other = DetectorAttr { work_mode: 1, ..ATTR };
        assert_eq!(detectors.create(&limits, 0, other).unwrap_err().code, ErrorCode::Unsupported);
    }
}
