//! Emptying the ring: packs to the channels that they belong to.
//!
//! Does not belong here: whether a pack is delivered (`channel.rs`).

use std::sync::Arc;

use hal::{MAX_GRID_SIDE, MonoTime, MotionGrid, WallTime};
use mpp_wire::{Order, Pack, PackKind};

use crate::channel::Channel;
use crate::counters::Counters;
use crate::shared::Shared;
use crate::supervisor::{Pending, Supervisor};

/// A turn takes out at most so many, so that orders are heard in between.
const MAX_PACKS: usize = 512;

impl Supervisor {
    /// Takes out what is there, and asks to be told of more. A damaged ring ends its host.
    pub(crate) fn drain(&mut self) {
        let (mono, wall) = self.now();
        let mut keyframes = Vec::new();
        let shared = Arc::clone(&self.shared);
        let mut counters = shared.counters();
        // The ring is the host's and the channels are ours: taken apart for the loop.
        let mut channels = std::mem::take(&mut self.channels);
        let mut damage = None;
        if let Some(ring) = self.ring() {
            for _ in 0..MAX_PACKS {
                match ring.take() {
                    Ok(Some(pack)) => match channels.get_mut(&pack.head.channel) {
                        Some(channel) => {
                            keyframes.extend(deliver(channel, &pack, (mono, wall), &shared, &mut counters));
                        }
                        None => counters.unknown += 1,
                    },
                    Ok(None) => {
                        // What came since is told by nobody.
                        if !ring.wish() {
                            break;
                        }
                    }
                    Err(error) => {
                        damage = Some(error);
                        break;
                    }
                }
            }
        }
        drop(counters);
        self.channels = channels;
        if let Some(error) = damage {
            self.lose_ring(error);
        }
        for order in keyframes {
            self.order(order, Pending::Logged("a keyframe", 0));
        }
        self.count_lost();
    }

    /// What found no room. Which streams it broke is seen by the gaps in their numbers.
    fn count_lost(&mut self) {
        let Some(lost) = self.ring().map(|ring| ring.lost()) else { return };
        let new = lost.wrapping_sub(std::mem::replace(&mut self.lost, lost));
        if new > 0 {
            tracing::warn!(packs = new, "the ring of packs was full");
            self.shared.counters().lost += u64::from(new);
        }
    }
}

/// Hands a pack to its channel; an order for a keyframe may follow.
fn deliver(
    channel: &mut Channel,
    pack: &Pack<'_>,
    now: (MonoTime, WallTime),
    shared: &Shared,
    counters: &mut Counters,
) -> Option<Order> {
    match pack.head.kind {
        PackKind::Video(stream) => return channel.take(Some(stream), (&pack.head, pack.data), now, counters),
        PackKind::Audio => return channel.take(None, (&pack.head, pack.data), now, counters),
        PackKind::Snapshot => channel.take_snapshot(pack.data, counters),
        PackKind::Motion { columns, rows } => {
            let is_side = |side: u16| (1..=MAX_GRID_SIDE).contains(&side);
            match shared.grids().get_mut(&channel.id) {
                Some(newest) if is_side(columns) && is_side(rows) => {
                    let pts = channel.presented(pack.head.pts_micros);
                    let wall = now.1.offset_micros(-i64::from(pack.head.age_micros));
                    *newest = Some(MotionGrid { pts, wall, columns, rows, levels: pack.data.to_vec() });
                }
                Some(_) => counters.invalid += 1,
                None => counters.unknown += 1,
            }
        }
    }
    None
}
