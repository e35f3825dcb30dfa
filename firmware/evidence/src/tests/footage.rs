//! Made-up footage: a second of it is a chunk.

use bytes::Bytes;
use hal::{AudioCodec, AudioFormat, ChannelId, Pts90k, StreamId, StreamKind, VideoCodec, WallTime};
use media::{NalKind, ParameterSets};

use crate::chunk::{CHUNK_DISCONTINUITY, CHUNK_KEYFRAME, ChunkHeader, Frame, Placement};
use crate::layout::{Hash, sha256};
use crate::sample::SampleFormat;

/// High profile at 1920x1080 (x264).
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04,
    0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

pub(super) const UNITS: usize = 5;
pub(super) const SECOND: i64 = 1_000_000;

/// 2026-11-20T10:00:00Z and `seconds`.
pub(super) fn at(seconds: f64) -> WallTime {
    WallTime::from_unix_micros(1_795_168_800_000_000 + (seconds * SECOND as f64).round() as i64)
}

pub(super) fn stream(channel: u16, kind: StreamKind) -> StreamId {
    StreamId::new(ChannelId::new(channel).unwrap(), kind)
}

pub(super) fn h264() -> SampleFormat {
    let mut sets = ParameterSets::default();
    sets.push(NalKind::Sps, Bytes::from_static(SPS)).unwrap();
    sets.push(NalKind::Pps, Bytes::from_static(PPS)).unwrap();
    SampleFormat::Video(VideoCodec::H264, sets)
}

pub(super) fn g711(codec: AudioCodec) -> SampleFormat {
    SampleFormat::Audio(AudioFormat { codec, sample_rate: 8000, channels: 1, config: Vec::new() })
}

/// A chunk as it lies on a disk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) header: ChunkHeader,
    pub(super) encoded: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

impl Chunk {
    pub(super) fn hash(&self) -> Hash {
        ChunkHeader::hash_of(&self.encoded)
    }
}

/// One stream, and where its chain has come to.
pub(super) struct Camera {
    pub(super) stream: StreamId,
    pub(super) format: SampleFormat,
    pub(super) sequence: u64,
    pub(super) previous: Hash,
    pub(super) unit_bytes: usize,
    pub(super) begins_anew: bool,
}

impl Camera {
    pub(super) fn new(stream: StreamId, format: SampleFormat, unit_bytes: usize) -> Self {
        Self { stream, format, sequence: 1, previous: [0; 32], unit_bytes, begins_anew: true }
    }

    /// The second from `start`; pictures are coded out of their order, and every other second begins with a keyframe.
    pub(super) fn second(&mut self, start: WallTime, segment: u64) -> Chunk {
        let video = self.stream.kind != StreamKind::Audio;
        let order: [i32; UNITS] = if video { [0, 2, 1, 4, 3] } else { [0, 1, 2, 3, 4] };
        let keyframe = |unit| !video || (unit == 0 && self.sequence % 2 == 1);
        let frames: Vec<Frame> = order
            .iter()
            .enumerate()
            .map(|(unit, place)| Frame {
                size: (self.unit_bytes + unit * 3) as u32,
                pts_offset: place * (Pts90k::PER_SECOND as i32 / UNITS as i32),
                keyframe: keyframe(unit),
                discontinuity: self.begins_anew && unit == 0,
            })
            .collect();
        let bytes: u32 = frames.iter().map(|frame| frame.size).sum();
        let seed = (self.sequence * 1009)
            ^ u64::from(self.stream.kind.code()) << 32
            ^ u64::from(self.stream.channel.get()) << 40;
        let payload: Vec<u8> = (0..u64::from(bytes)).map(|n| noise(seed ^ n << 44) as u8).collect();
        let anew = if self.begins_anew { CHUNK_DISCONTINUITY } else { 0 };
        let header = ChunkHeader {
            placement: Placement { segment, commit: self.sequence, writer: 5, index: 0, count: 1 },
            stream: self.stream,
            sequence: self.sequence,
            pts: Pts90k(self.sequence as i64 * Pts90k::PER_SECOND),
            wall: start,
            start_offset: 0,
            end_offset: Pts90k::PER_SECOND as i32,
            flags: CHUNK_KEYFRAME | anew,
            payload_crc: crc32c::crc32c(&payload),
            payload_hash: sha256(&payload),
            previous: self.previous,
            key: None,
            entry: self.format.encode(),
            frames,
            payload_bytes: bytes,
        };
        let encoded = header.encode();
        self.previous = ChunkHeader::hash_of(&encoded);
        self.sequence += 1;
        self.begins_anew = false;
        Chunk { header, encoded, payload }
    }
}

/// splitmix64.
pub(super) fn noise(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
