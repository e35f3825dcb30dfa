//! The stream: shaped like H.264 of 1080p25 at 4 Mbit/s, a keyframe every 2 s.
//!
//! A unit's number, time and size stand right behind the header of its slice, so that they come whole in the first
//! packet, however it was packetised. Nobody decodes the rest.
//!
//! Invariant: a stamp has no byte below 0x80, so that no start code arises.

use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

const UNITS_PER_SEC: u64 = 25;
/// Units from keyframe to keyframe.
const GOP_UNITS: u64 = 2 * UNITS_PER_SEC;
const GOP_BYTES: usize = 4_000_000 / 8 * 2;
/// As usual of cameras: five times the others.
const KEYFRAME_BYTES: usize = 100_000;

/// Parameter sets of 1920x1080, High profile.
const SETS: [u8; 45] = [
    0, 0, 0, 1, 0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00,
    0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58, 0, 0, 0, 1, 0x68, 0xeb, 0xe3,
    0xcb, 0x22, 0xc0, 0, 0, 0, 1,
];

/// Seven bits a byte.
const NUMBER_BYTES: usize = 5;
const TIME_BYTES: usize = 8;
const SIZE_BYTES: usize = 4;
pub(crate) const STAMP_BYTES: usize = NUMBER_BYTES + TIME_BYTES + SIZE_BYTES;

/// What a unit says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Counted from 0.
    pub(crate) number: u64,
    /// When it was published, in microseconds of the machine's monotonic clock.
    pub(crate) published: u64,
    /// Of the unit, Annex B.
    pub(crate) bytes: u64,
}

impl Stamp {
    pub(crate) fn keyframe(&self) -> bool {
        self.number.is_multiple_of(GOP_UNITS)
    }

    pub(crate) fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        let (number, rest) = bytes.split_at_mut(NUMBER_BYTES);
        let (time, size) = rest.split_at_mut(TIME_BYTES);
        for (place, value) in [(number, self.number), (time, self.published), (size, self.bytes)] {
            for (at, byte) in place.iter_mut().enumerate() {
                *byte = 0x80 | (value >> (7 * at) & 0x7f) as u8;
            }
        }
        bytes
    }

    /// From the beginning of `bytes`; `None` when there is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<STAMP_BYTES>()?;
        if bytes.iter().any(|byte| byte & 0x80 == 0) {
            return None;
        }
        let value =
            |part: &[u8]| part.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
        let (number, rest) = bytes.split_at(NUMBER_BYTES);
        let (time, size) = rest.split_at(TIME_BYTES);
        Some(Self { number: value(number), published: value(time), bytes: value(size) })
    }
}

/// Microseconds of the clock that all processes share.
pub(crate) fn now() -> u64 {
    // It fails for clocks that do not exist.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec().cast_unsigned() * 1_000_000 + time.tv_nsec().cast_unsigned() / 1000)
}

/// Makes the units, in real time.
pub(crate) struct Stream {
    keyframe: Vec<u8>,
    picture: Vec<u8>,
    began: u64,
    number: u64,
}

impl Stream {
    /// Begins now.
    pub(crate) fn new() -> Self {
        let mut keyframe = SETS.to_vec();
        keyframe.push(0x65);
        keyframe.resize(KEYFRAME_BYTES, 0x55);
        let mut picture = vec![0, 0, 0, 1, 0x41];
        picture.resize((GOP_BYTES - KEYFRAME_BYTES) / (GOP_UNITS as usize - 1), 0x55);
        Self { keyframe, picture, began: now(), number: 0 }
    }

    /// Sleeps until the next unit is due.
    pub(crate) fn next(&mut self) -> (Stamp, &[u8]) {
        let due = self.began + self.number * 1_000_000 / UNITS_PER_SEC;
        thread::sleep(Duration::from_micros(due.saturating_sub(now())));
        let keyframe = self.number.is_multiple_of(GOP_UNITS);
        let (unit, at) = if keyframe { (&mut self.keyframe, SETS.len() + 1) } else { (&mut self.picture, 5) };
        let stamp = Stamp { number: self.number, published: now(), bytes: unit.len() as u64 };
        unit[at..at + STAMP_BYTES].copy_from_slice(&stamp.to_bytes());
        self.number += 1;
        (stamp, unit)
    }
}
