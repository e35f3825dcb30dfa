//! Budget: how much of the media memory (MMZ) a configuration takes.
//!
//! The platform takes its memory piece by piece and fails in the middle when there is no more; then some channels run and
//! others do not. So the sum is made before anything is asked of it. What a piece takes follows the platform's documents
//! and samples: a picture in 4:2:0 with both sides rounded up to 16, a stream's buffer of two bytes a sample.
//!
//! Does not belong here: Linux's memory (`board`'s budget).

use std::collections::BTreeMap;

use board::{Memory, MonitorMode};
use hal::HalError;
use mpp_wire::{ChannelPlan, Codec, PoolPlan};

use crate::error::unsupported;

/// Pictures of the input at once: one being captured, one waiting, one being scaled.
const INPUT_PICTURES: u32 = 3;
/// Pictures of a stream's size at once: one being scaled, one being encoded.
const STREAM_PICTURES: u32 = 2;
/// Pictures of the monitor's size: what is shown, what is being put together, and tiles on their way.
const MONITOR_PICTURES: u32 = 5;
/// What an encoder looks back at.
const REFERENCES_H264: u64 = 2;
const REFERENCES_H265: u64 = 3;
/// As many pools as `HI_MPI_VB_SetConf` takes.
const MAX_POOLS: usize = 16;

/// What a configuration takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The common video buffers, smallest first.
    pub(crate) pools: Vec<PoolPlan>,
    stream_buffers: u64,
    references: u64,
}

impl Budget {
    /// Sound takes some kilobytes a channel, which do not count.
    pub(crate) fn of<'a>(
        channels: impl IntoIterator<Item = &'a ChannelPlan>,
        monitor: Option<MonitorMode>,
    ) -> Self {
        let mut budget = Self::default();
        let mut pools: BTreeMap<u32, u32> = BTreeMap::new();
        let mut pool = |bytes, blocks| *pools.entry(bytes).or_default() += blocks;
        for channel in channels {
            pool(picture_bytes(channel.input.width, channel.input.height), INPUT_PICTURES);
            for stream in &channel.streams {
                let picture = picture_bytes(stream.width, stream.height);
                pool(picture, STREAM_PICTURES);
                budget.stream_buffers += u64::from(stream.width) * u64::from(stream.height) * 2;
                let references = match stream.codec {
                    Codec::H264 => REFERENCES_H264,
                    Codec::H265 => REFERENCES_H265,
                };
                budget.references += u64::from(picture) * references;
            }
        }
        if let Some(monitor) = monitor {
            pool(picture_bytes(monitor.width, monitor.height), MONITOR_PICTURES);
        }
        // A block may be larger than its picture: the smallest pools join the next larger ones.
        while pools.len() > MAX_POOLS {
            if let Some((_, blocks)) = pools.pop_first()
                && let Some(mut next) = pools.first_entry()
            {
                *next.get_mut() += blocks;
            }
        }
        budget.pools =
            pools.into_iter().map(|(block_bytes, blocks)| PoolPlan { block_bytes, blocks }).collect();
        budget
    }

    /// The sum in bytes.
    pub(crate) fn total(&self) -> u64 {
        self.video_buffers() + self.stream_buffers + self.references
    }

    /// Whether a platform that was set up for `other` has the buffers for this.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        // Larger blocks serve smaller pictures, so what counts is how many there are from each size on.
        let from = |pools: &[PoolPlan], bytes| -> u32 {
            pools.iter().filter(|pool| pool.block_bytes >= bytes).map(|pool| pool.blocks).sum()
        };
        self.pools
            .iter()
            .all(|pool| from(&self.pools, pool.block_bytes) <= from(&other.pools, pool.block_bytes))
    }

    /// Whether the board has that much. One whose zones are not known has whatever is asked.
    ///
    /// # Errors
    /// `Unsupported`, with the parts and the sum.
    pub(crate) fn check(&self, memory: Option<&Memory>) -> Result<(), HalError> {
        let Some(zones) = zone_bytes(memory) else { return Ok(()) };
        if self.total() <= zones {
            return Ok(());
        }
        Err(unsupported(format!(
            "these channels take {} MiB of media memory, and the board has {} MiB: {} MiB for pictures, {} MiB for coded \
             streams, {} MiB for what encoders look back at; ask for smaller pictures, or leave out sub streams",
            up_mib(self.total()),
            zones >> 20,
            up_mib(self.video_buffers()),
            up_mib(self.stream_buffers),
            up_mib(self.references)
        )))
    }

    fn video_buffers(&self) -> u64 {
        self.pools.iter().map(|pool| u64::from(pool.block_bytes) * u64::from(pool.blocks)).sum()
    }
}

/// All zones of a board together; `None` where its description does not know them.
pub(crate) fn zone_bytes(memory: Option<&Memory>) -> Option<u64> {
    let zones = memory.map(|memory| &memory.mmz).filter(|zones| !zones.is_empty())?;
    Some(zones.iter().map(|zone| zone.size.bytes()).sum())
}

/// A picture in 4:2:0, both sides rounded up to 16.
fn picture_bytes(width: u16, height: u16) -> u32 {
    let side = |samples: u16| u32::from(samples).next_multiple_of(16);
    side(width) * side(height) / 2 * 3
}

fn up_mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use board::Board;
    use hal::ErrorKind;

    use super::*;
    use crate::plan::tests::config;
    use crate::plan::{self, Place};

    const MONITOR: MonitorMode = MonitorMode { width: 1280, height: 720, frame_rate: 60 };

    fn plans(width: u16, height: u16, channels: usize) -> Vec<ChannelPlan> {
        let place = Place { input: 0, device: 0, way: 0, audio: None, audio_channels: 1 };
        let one = plan::channel(place, &config(width, height), None, &[], false, None).unwrap();
        vec![one; channels]
    }

    #[test]
    fn a_channel_takes_what_its_pictures_take() {
        let one = Budget::of(&plans(1280, 720, 1), None);
        // 1280x720: 1,382,400 bytes; 320x180 rounded up to 320x192: 92,160 bytes.
        let pools =
            [PoolPlan { block_bytes: 92_160, blocks: 2 }, PoolPlan { block_bytes: 1_382_400, blocks: 5 }];
        assert_eq!(one.pools, pools);
        assert_eq!(one.stream_buffers, (1280 * 720 + 320 * 180) * 2);
        assert_eq!(one.references, 2 * (1_382_400 + 92_160));
        assert_eq!(one.total(), 2 * 92_160 + 5 * 1_382_400 + 1_958_400 + 2_949_120);
        let mut h265 = plans(1280, 720, 1);
        h265[0].streams[0].codec = Codec::H265;
        assert_eq!(Budget::of(&h265, None).total(), one.total() + 1_382_400);
        let shown = Budget::of(&plans(1280, 720, 1), Some(MONITOR));
        assert_eq!(shown.total(), one.total() + 5 * 1_382_400);
    }

    #[test]
    fn eight_channels_fit_the_emulated_board_and_full_hd_does_not() {
        let board = Board::builtin("virt-mpp").unwrap();
        let memory = board.memory.as_ref();
        Budget::of(&plans(1280, 720, 8), Some(MONITOR)).check(memory).unwrap();
        let refused = Budget::of(&plans(1920, 1080, 8), Some(MONITOR)).check(memory).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert_eq!(
            refused.to_string(),
            "these channels take 210 MiB of media memory, and the board has 128 MiB: 128 MiB for pictures, 33 MiB for \
             coded streams, 50 MiB for what encoders look back at; ask for smaller pictures, or leave out sub streams"
        );
        Budget::of(&plans(1920, 1080, 64), None).check(None).unwrap();
    }

    #[test]
    fn more_or_larger_pictures_need_another_set_up_and_fewer_do_not() {
        let four = Budget::of(&plans(1280, 720, 4), None);
        assert!(four.is_within(&four));
        assert!(Budget::of(&plans(1280, 720, 3), None).is_within(&four));
        assert!(Budget::of(&plans(704, 576, 4), None).is_within(&four), "larger blocks serve as well");
        assert!(!Budget::of(&plans(1280, 720, 5), None).is_within(&four));
        assert!(!Budget::of(&plans(1920, 1080, 1), None).is_within(&four));
        assert!(Budget::default().is_within(&Budget::default()));
    }

    #[test]
    fn there_are_at_most_sixteen_pools() {
        let many: Vec<ChannelPlan> = (0..20).flat_map(|n| plans(640 + 32 * n, 480, 1)).collect();
        let budget = Budget::of(&many, None);
        assert_eq!(budget.pools.len(), MAX_POOLS);
        assert_eq!(budget.pools.iter().map(|pool| pool.blocks).sum::<u32>(), 20 * (3 + 2 + 2));
    }
}
