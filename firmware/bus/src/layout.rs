//! The ring file's byte layout, version 1 (docs/ring-format.md).
//!
//! Offsets, geometry and their limits, and the fixed part of the header that is read before anything is mapped.
//!
//! Does not belong here: access to shared memory (mapping, area).
//!
//! Invariant: a [`Geometry`] that exists is within its limits, so every offset derived from it is in the file.

use std::path::Path;

use hal::{ChannelId, MAX_UNIT_BYTES, StreamId, StreamKind};

use crate::error::BusError;

/// The first eight bytes of every file of the bus.
pub(crate) const MAGIC: [u8; 8] = *b"CANDRING";
/// Changes with every change of the layout; a reader refuses what it does not know.
pub(crate) const VERSION: u32 = 1;
/// The header is one page, because it alone is mapped writable by readers.
pub(crate) const HEADER_BYTES: usize = 4096;
/// One slot of the index: a cache line, so that publishing one unit does not disturb readers of another.
pub(crate) const SLOT_BYTES: usize = 64;
/// Payload starts and ends on a page, so that it can be mapped and is a whole number of machine words.
pub(crate) const PAYLOAD_ALIGN: u32 = 4096;
/// Units start on this boundary, so that copies go by machine words.
pub(crate) const UNIT_ALIGN: u64 = 8;
/// Enough for 20 minutes of 50 units a second, and it bounds a search through the index.
pub(crate) const MAX_SLOTS: u32 = 65_536;
/// A minute of 32 Mbit/s; a larger number in a header is a mistake or an attack.
pub(crate) const MAX_PAYLOAD_BYTES: u32 = 256 << 20;
/// The format area: an `AudioFormat` with the longest AudioSpecificConfig (64 bytes) needs under 80 bytes.
pub(crate) const MAX_FORMAT_BYTES: usize = 240;

// The format is little-endian and shared words are read as they are.
const _: () = assert!(cfg!(target_endian = "little"));

/// The publisher's state word: it may publish.
pub(crate) const STATE_LIVE: u32 = 1;
/// The publisher's state word: nothing more will come.
pub(crate) const STATE_RETIRED: u32 = 2;

/// Decoding can start here.
pub(crate) const FLAG_KEYFRAME: u32 = 1;
/// `pts` does not continue.
pub(crate) const FLAG_DISCONTINUITY: u32 = 2;

/// Offsets in the header of the words that change.
pub(crate) mod header {
    /// u32: lives of publishers on this file; on a doorbell, publishers ever created.
    pub(crate) const EPOCH: usize = 64;
    /// u32: the publisher's process id, for people.
    pub(crate) const PID: usize = 68;
    /// u32: `STATE_LIVE` or `STATE_RETIRED`.
    pub(crate) const STATE: usize = 72;
    /// u64: the sequence of the next unit.
    pub(crate) const HEAD: usize = 128;
    /// u64: the payload position up to which bytes may have been written.
    pub(crate) const RESERVED: usize = 136;
    /// u64: keyframes published.
    pub(crate) const GOPS: usize = 144;
    /// u32: discontinuities published.
    pub(crate) const DISCONTINUITIES: usize = 152;
    /// u32: the futex word: bit 0 somebody sleeps, the rest counts rings of the bell.
    pub(crate) const BELL: usize = 192;
    /// u32: set by readers, taken by the publisher.
    pub(crate) const KEYFRAME_REQUEST: usize = 256;
    /// u32: the format's seqlock: odd while it is being written; even, it is the format's generation.
    pub(crate) const FORMAT_SEQUENCE: usize = 320;
    /// u32: bytes of the format.
    pub(crate) const FORMAT_LEN: usize = 324;
    /// The format, postcard.
    pub(crate) const FORMAT: usize = 328;
}

/// Offsets in a slot.
pub(crate) mod slot {
    /// u64: sequence + 1, 0 while it is being written.
    pub(crate) const STAMP: usize = 0;
    /// u64: payload position of the first byte.
    pub(crate) const POSITION: usize = 8;
    /// u32: bytes.
    pub(crate) const LEN: usize = 16;
    /// u32: flags.
    pub(crate) const FLAGS: usize = 20;
    /// i64: 1/90 000 s.
    pub(crate) const PTS: usize = 24;
    /// i64: microseconds since the Unix epoch.
    pub(crate) const WALL: usize = 32;
    /// u64: keyframes published, this one included.
    pub(crate) const GOP: usize = 40;
    /// u32: generation of the format it is in.
    pub(crate) const FORMAT: usize = 48;
    /// u32: discontinuities published, this one included.
    pub(crate) const DISCONTINUITIES: usize = 52;
}

/// A ring's size. Everything that the bus holds in shared memory follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSpec {
    /// Bytes for units: a multiple of 4096, at most 256 MiB. A unit may take half of it.
    pub payload_bytes: u32,
    /// Units remembered: 1 to 65 536.
    pub slots: u32,
}

/// 12 s of 4 Mbit/s, which is pre-record time and the time that a restarting reader may take.
const MAIN_HISTORY_BYTES: u32 = 6 << 20;
/// 12 s of 512 kbit/s (768 KiB), and an intra picture of the same size again, in whole MiB.
const SUB_BYTES: u32 = 2 << 20;
/// 32 s of G.711, 16 s of AAC at 128 kbit/s.
const AUDIO_BYTES: u32 = 256 << 10;
/// A smaller ring holds nothing worth following: 4 s of G.711.
const LEAST_BYTES: u32 = 32 << 10;
/// 17 s of 60 pictures a second; 20 s of G.711 or AAC at 50 units a second.
const DEFAULT_SLOTS: u32 = 1024;

impl RingSpec {
    /// The size for recorders with memory to spare. Boards with 64 MB give their own.
    #[must_use]
    pub const fn for_stream(kind: StreamKind) -> Self {
        let payload_bytes = match kind {
            // Beside the history there is room for the largest unit, which also makes half of it suffice for one.
            StreamKind::Main => MAIN_HISTORY_BYTES + MAX_UNIT_BYTES as u32,
            StreamKind::Sub => SUB_BYTES,
            StreamKind::Audio => AUDIO_BYTES,
        };
        Self { payload_bytes, slots: DEFAULT_SLOTS }
    }

    /// The size on a board with little memory: the rings of one channel, main, sub and audio, together take at
    /// most `channel_bytes`, files and all. At 5 MiB, main holds 14 s of 2 Mbit/s and units of 1.8 MiB.
    #[must_use]
    pub const fn within(kind: StreamKind, channel_bytes: u32) -> Self {
        let whole = Self::for_stream(kind);
        let share = match kind {
            StreamKind::Main => channel_bytes / 16 * 12,
            StreamKind::Sub => channel_bytes / 16 * 3,
            StreamKind::Audio => channel_bytes / 16,
        };
        let beside = (HEADER_BYTES + DEFAULT_SLOTS as usize * SLOT_BYTES) as u32;
        let payload_bytes = share.saturating_sub(beside) / PAYLOAD_ALIGN * PAYLOAD_ALIGN;
        if payload_bytes > whole.payload_bytes {
            whole
        } else if payload_bytes < LEAST_BYTES {
            Self { payload_bytes: LEAST_BYTES, slots: DEFAULT_SLOTS }
        } else {
            Self { payload_bytes, slots: DEFAULT_SLOTS }
        }
    }
}

/// What a file of the bus holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Access units of a stream.
    Units(StreamId),
    /// Events of one publisher.
    Events,
    /// Nothing but a bell that all publishers of events ring.
    Doorbell,
}

impl Content {
    fn encode(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        match self {
            Self::Units(stream) => {
                bytes[0] = 1;
                bytes[4..6].copy_from_slice(&stream.channel.get().to_le_bytes());
                bytes[6] = stream.kind.code();
            }
            Self::Events => bytes[0] = 2,
            Self::Doorbell => bytes[0] = 3,
        }
        bytes
    }

    fn decode(bytes: [u8; 8]) -> Option<Self> {
        let content = match bytes[0] {
            1 => Self::Units(StreamId::new(
                ChannelId::new(u16::from_le_bytes([bytes[4], bytes[5]]))?,
                StreamKind::from_code(bytes[6])?,
            )),
            2 => Self::Events,
            3 => Self::Doorbell,
            _ => return None,
        };
        (content.encode() == bytes).then_some(content)
    }
}

/// Where everything is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    content: Content,
    spec: RingSpec,
}

/// Bytes of the header that never change.
pub(crate) const FIXED_BYTES: usize = 40;

impl Geometry {
    pub(crate) fn new(content: Content, spec: RingSpec) -> Result<Self, BusError> {
        Self::checked(content, spec).map_err(|what| BusError::Invalid { what })
    }

    fn checked(content: Content, spec: RingSpec) -> Result<Self, String> {
        let RingSpec { payload_bytes, slots } = spec;
        if content == Content::Doorbell {
            return if payload_bytes == 0 && slots == 0 {
                Ok(Self { content, spec })
            } else {
                Err("a doorbell has no payload".to_owned())
            };
        }
        if payload_bytes == 0 || payload_bytes > MAX_PAYLOAD_BYTES || payload_bytes % PAYLOAD_ALIGN != 0 {
            return Err(format!(
                "a ring's payload of {payload_bytes} bytes is not a multiple of {PAYLOAD_ALIGN} up to {MAX_PAYLOAD_BYTES}"
            ));
        }
        if slots == 0 || slots > MAX_SLOTS {
            return Err(format!("a ring of {slots} slots is not between 1 and {MAX_SLOTS}"));
        }
        Ok(Self { content, spec })
    }

    pub(crate) fn content(self) -> Content {
        self.content
    }

    pub(crate) fn slots(self) -> u64 {
        u64::from(self.spec.slots)
    }

    pub(crate) fn payload_bytes(self) -> u64 {
        u64::from(self.spec.payload_bytes)
    }

    /// The largest unit: half the payload, so that a reader has the time of half a ring to copy any unit.
    pub(crate) fn unit_limit(self) -> usize {
        self.spec.payload_bytes as usize / 2
    }

    pub(crate) fn slot_offset(self, sequence: u64) -> usize {
        HEADER_BYTES + (sequence % self.slots()) as usize * SLOT_BYTES
    }

    pub(crate) fn payload_offset(self) -> usize {
        (HEADER_BYTES + self.spec.slots as usize * SLOT_BYTES).next_multiple_of(PAYLOAD_ALIGN as usize)
    }

    pub(crate) fn file_bytes(self) -> usize {
        self.payload_offset() + self.spec.payload_bytes as usize
    }

    /// The part of the header that never changes.
    pub(crate) fn encode(self) -> [u8; FIXED_BYTES] {
        let mut bytes = [0; FIXED_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.spec.payload_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.spec.slots.to_le_bytes());
        bytes[20..24].copy_from_slice(&(SLOT_BYTES as u32).to_le_bytes());
        bytes[24..28].copy_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        bytes[28..32].copy_from_slice(&(self.payload_offset() as u32).to_le_bytes());
        bytes[32..40].copy_from_slice(&self.content.encode());
        bytes
    }

    /// The reverse; refuses whatever this version would not have written.
    pub(crate) fn decode(path: &Path, bytes: &[u8; FIXED_BYTES]) -> Result<Self, BusError> {
        let foreign = |what: String| BusError::Foreign { path: path.to_owned(), what };
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[0..8] != MAGIC {
            return Err(foreign("it does not begin with the bus's magic".to_owned()));
        }
        let version = u32_at(8);
        if version != VERSION {
            return Err(foreign(format!("its version is {version}, not {VERSION}")));
        }
        let mut content = [0; 8];
        content.copy_from_slice(&bytes[32..40]);
        let content =
            Content::decode(content).ok_or_else(|| foreign("it holds something unknown".to_owned()))?;
        let spec = RingSpec { payload_bytes: u32_at(12), slots: u32_at(16) };
        let geometry = Self::checked(content, spec).map_err(foreign)?;
        if geometry.encode() != *bytes {
            return Err(BusError::Foreign {
                path: path.to_owned(),
                what: "its offsets are not those of its version".to_owned(),
            });
        }
        Ok(geometry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rings_of_a_channel_stay_within_what_it_may_take() {
        let file =
            |spec: RingSpec| HEADER_BYTES + spec.slots as usize * SLOT_BYTES + spec.payload_bytes as usize;
        for channel_bytes in [2 << 20, 5 << 20, 40 << 20] {
            let kinds = [StreamKind::Main, StreamKind::Sub, StreamKind::Audio];
            let specs = kinds.map(|kind| RingSpec::within(kind, channel_bytes));
            for (kind, spec) in kinds.into_iter().zip(specs) {
                assert!(
                    Geometry::new(Content::Units(StreamId::new(ChannelId::new(1).unwrap(), kind)), spec)
                        .is_ok()
                );
                assert!(spec.payload_bytes <= RingSpec::for_stream(kind).payload_bytes);
            }
            assert!(specs.map(file).iter().sum::<usize>() <= channel_bytes as usize, "{channel_bytes}");
        }
        let main = RingSpec::within(StreamKind::Main, 5 << 20);
        assert!(main.payload_bytes / 2 >= 1_800_000 && u64::from(main.payload_bytes) * 8 / 2_000_000 >= 14);
    }
}
