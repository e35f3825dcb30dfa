//! The reading side of a ring: copy, then validate; lose whole GOPs.
//!
//! Does not belong here: what a record means (ring, events).
//!
//! Invariants: nothing is handed out that has not been validated after it was copied; a unit is never handed out
//! under a format that is not its own; whatever shared memory says, a reader ends in bounded time and reads
//! inside the mapping.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use hal::{MAX_UNIT_BYTES, Pts90k, WallTime};

use crate::area::{Area, SlotEntry};
use crate::error::BusError;
use crate::layout::{Content, FLAG_DISCONTINUITY, FLAG_KEYFRAME};
use crate::unit::{Next, Start, UnitMeta};

/// A reader's place in a ring.
#[derive(Debug)]
pub(crate) struct RingReader {
    area: Arc<Area>,
    /// Sequence of the next unit to hand out.
    next: u64,
    /// Only a keyframe will do, and there is none below `scanned`.
    seeking: bool,
    scanned: u64,
    /// The first unit is known, so that what is skipped from now on is a loss.
    started: bool,
    /// GOPs accounted for, as handed out whole or as lost.
    settled_gops: u64,
    /// Discontinuities up to the unit handed out last.
    discontinuities: u32,
    /// Asks for a keyframe when it has to wait for one.
    asks: bool,
    format: (u32, Vec<u8>),
    bell: u32,
}

enum Copied {
    Unit(SlotEntry),
    Overrun,
}

impl RingReader {
    pub(crate) fn open(path: &Path, content: Content, start: Start) -> Result<Self, BusError> {
        let area = Area::open(path, content, false)?;
        let format = area
            .format()
            .ok_or_else(|| area.damaged("its publisher ended while it was changing the format"))?;
        let bell = area.bell();
        let head = area.head().load(Ordering::Acquire);
        let mut reader = Self {
            area: Arc::new(area),
            next: head,
            seeking: true,
            scanned: head,
            started: false,
            settled_gops: 0,
            discontinuities: 0,
            asks: start != Start::Next && head > 0,
            format,
            bell,
        };
        match start {
            Start::Next => {}
            Start::Oldest => reader.enter((reader.oldest(head)..head).find_map(|at| reader.keyframe(at))),
            Start::LatestKeyframe => {
                reader.enter((reader.oldest(head)..head).rev().find_map(|at| reader.keyframe(at)));
            }
        }
        Ok(reader)
    }

    /// Starts at a keyframe; from now on it counts as lost when it is overrun.
    fn enter(&mut self, keyframe: Option<(u64, SlotEntry)>) {
        let Some((sequence, entry)) = keyframe else { return };
        self.next = sequence;
        self.seeking = false;
        self.started = true;
        self.settled_gops = entry.gop.wrapping_sub(1);
        self.discontinuities = entry.discontinuities;
    }

    pub(crate) fn area(&self) -> &Arc<Area> {
        &self.area
    }

    /// The format of the unit handed out last, or the ring's when it was opened.
    pub(crate) fn format(&self) -> &(u32, Vec<u8>) {
        &self.format
    }

    /// Records and payload bytes since the file was made.
    pub(crate) fn published(&self) -> (u64, u64) {
        (self.area.head().load(Ordering::Acquire), self.area.reserved().load(Ordering::Relaxed))
    }

    pub(crate) fn request_keyframe(&self) {
        self.area.keyframe_request().store(1, Ordering::Release);
    }

    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        self.area.wait_bell(self.bell, timeout)
    }

    pub(crate) fn next(&mut self, into: &mut Vec<u8>) -> Result<Next, BusError> {
        into.clear();
        // In this order: the bell before the head, so that waiting misses nothing; the state before the head,
        // so that a retired ring's head is its last.
        self.bell = self.area.bell();
        let retired = self.area.retired();
        let head = self.area.head().load(Ordering::Acquire);
        self.area.check_whole()?;
        if head.wrapping_sub(self.next) > i64::MAX as u64 {
            return Err(self.area.damaged(format!("it went back from unit {} to {head}", self.next)));
        }
        let nothing = if retired { Next::Retired } else { Next::Empty };
        if self.next == head {
            return Ok(nothing);
        }
        if !self.seeking {
            if let Copied::Unit(entry) = self.copy(self.next, into)? {
                return Ok(self.hand_out(&entry));
            }
            self.settle_boundary();
            self.seeking = true;
            self.scanned = self.next;
        }
        // Twice at most: what is found may be overrun before it is copied, and then the caller is told.
        self.scanned = self.scanned.max(self.oldest(head));
        let Some((sequence, entry)) = (self.scanned..head).find_map(|at| self.keyframe(at)) else {
            self.area.check_whole()?;
            self.scanned = head;
            if retired && self.started {
                let gops = self.area.gops().load(Ordering::Relaxed);
                return Ok(self.lose(head, gops));
            }
            if self.asks {
                self.asks = false;
                self.request_keyframe();
            }
            return Ok(nothing);
        };
        self.seeking = false;
        self.asks = true;
        let before = entry.gop.wrapping_sub(1);
        if self.started && sequence != self.next {
            return Ok(self.lose(sequence, before));
        }
        self.next = sequence;
        self.settled_gops = before;
        match self.copy(sequence, into)? {
            Copied::Unit(entry) => Ok(self.hand_out(&entry)),
            Copied::Overrun => {
                // Overrun between search and copy. The bell has rung since, so a caller that waits returns at once.
                self.seeking = true;
                self.scanned = self.next;
                Ok(Next::Empty)
            }
        }
    }

    fn hand_out(&mut self, entry: &SlotEntry) -> Next {
        // Also when the unit that bore the flag was lost.
        let broken = self.started && entry.discontinuities != self.discontinuities;
        self.discontinuities = entry.discontinuities;
        let meta = UnitMeta {
            sequence: self.next,
            pts: Pts90k(entry.pts),
            wall: WallTime::from_unix_micros(entry.wall),
            keyframe: entry.flags & FLAG_KEYFRAME != 0,
            discontinuity: broken || entry.flags & FLAG_DISCONTINUITY != 0,
            len: entry.len,
        };
        self.next = self.next.wrapping_add(1);
        self.started = true;
        // The GOP it belongs to is not whole yet.
        self.settled_gops = entry.gop.wrapping_sub(1);
        Next::Unit(meta)
    }

    /// Continues at `sequence`, before which `gops` keyframes were published.
    fn lose(&mut self, sequence: u64, gops: u64) -> Next {
        let units = sequence.wrapping_sub(self.next);
        let gops_lost = gops.wrapping_sub(self.settled_gops).clamp(1, units.max(1));
        self.next = sequence;
        self.settled_gops = gops;
        Next::Lost { units, gops: gops_lost }
    }

    /// When the first lost unit is still known as a keyframe, the GOP before it was handed out whole.
    fn settle_boundary(&mut self) {
        if let Some(entry) = self.entry(self.next)
            && entry.flags & FLAG_KEYFRAME != 0
        {
            self.settled_gops = entry.gop.wrapping_sub(1);
        }
    }

    /// The oldest sequence that the index can still hold.
    fn oldest(&self, head: u64) -> u64 {
        head.saturating_sub(self.area.geometry().slots())
    }

    /// A slot's entry, validated; `None` when it holds another unit.
    fn entry(&self, sequence: u64) -> Option<SlotEntry> {
        let slot = self.area.slot(sequence);
        let stamp = sequence.wrapping_add(1);
        if slot.stamp().load(Ordering::Acquire) != stamp {
            return None;
        }
        let entry = slot.load();
        fence(Ordering::Acquire);
        (slot.stamp().load(Ordering::Relaxed) == stamp).then_some(entry)
    }

    /// Whether the bytes at `position` have not been written to since.
    fn intact(&self, position: u64) -> bool {
        let written = self.area.reserved().load(Ordering::Relaxed).wrapping_sub(position);
        written <= self.area.geometry().payload_bytes()
    }

    /// The entry of `sequence` if it is a keyframe that can be read, and in a format that is known.
    fn keyframe(&self, sequence: u64) -> Option<(u64, SlotEntry)> {
        let entry = self.entry(sequence)?;
        let readable = entry.flags & FLAG_KEYFRAME != 0
            && (entry.format == self.format.0 || entry.format == self.area.format_generation())
            && self.intact(entry.position);
        readable.then_some((sequence, entry))
    }

    fn copy(&mut self, sequence: u64, into: &mut Vec<u8>) -> Result<Copied, BusError> {
        let Some(entry) = self.entry(sequence) else {
            return Ok(Copied::Overrun);
        };
        let len = entry.len as usize;
        if len == 0 || len > self.area.geometry().unit_limit().min(MAX_UNIT_BYTES) {
            return Err(self.area.damaged(format!("unit {sequence} claims {len} bytes")));
        }
        if !self.intact(entry.position) || !self.know_format(entry.format) {
            return Ok(Copied::Overrun);
        }
        self.area.read_payload(entry.position, len, into);
        // Whatever was stored before the bytes just read is visible from here on; see RingWriter::publish.
        fence(Ordering::Acquire);
        self.area.check_whole().inspect_err(|_| into.clear())?;
        if self.intact(entry.position) {
            return Ok(Copied::Unit(entry));
        }
        into.clear();
        Ok(Copied::Overrun)
    }

    /// Makes `generation`'s format the reader's; false when it has been replaced already.
    fn know_format(&mut self, generation: u32) -> bool {
        if self.format.0 == generation {
            return true;
        }
        match self.area.format() {
            Some(format) if format.0 == generation => {
                self.format = format;
                true
            }
            _ => false,
        }
    }
}
