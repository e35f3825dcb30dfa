//! What a track carries in RTP, and the packetiser that numbers and times it.
//!
//! Does not belong here: the payload formats themselves (`video.rs`, `audio.rs`, `onvif.rs`).
//!
//! Invariants: sequence numbers of a track have no gap; RTP time never stands still or goes back at a
//! discontinuity, whatever the source's timeline does.

use hal::{AccessUnit, AudioCodec, AudioFormat, Pts90k, StreamFormat, VideoCodec, WallTime};
use ring::rand::{SecureRandom, SystemRandom};

use crate::archive::RecordedUnit;
use crate::audio;
use crate::extension::EXTENSION_BYTES;
use crate::onvif;
use crate::packet::{PacketWriter, Packets, Stream};
use crate::video::{self, ParameterSets};

/// A track of a presentation: 0 is video, 1 is sound, 2 is metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TrackId {
    /// `trackID=0`.
    Video,
    /// `trackID=1`.
    Audio,
    /// `trackID=2`; of live streams alone.
    Metadata,
}

impl TrackId {
    /// The number in control URLs.
    #[must_use]
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Video => 0,
            Self::Audio => 1,
            Self::Metadata => 2,
        }
    }

    /// The reverse of [`Self::number`].
    #[must_use]
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Video),
            1 => Some(Self::Audio),
            2 => Some(Self::Metadata),
            _ => None,
        }
    }

    /// The interleaved channel that clients usually choose for its RTP; RTCP has the next.
    #[must_use]
    pub(crate) const fn usual_channel(self) -> u8 {
        self.number() * 2
    }
}

/// A payload format with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Video(VideoCodec),
    Audio(AudioFormat),
    /// ONVIF's documents.
    Metadata,
}

impl From<StreamFormat> for Payload {
    fn from(format: StreamFormat) -> Self {
        match format {
            StreamFormat::Video(codec) => Self::Video(codec),
            StreamFormat::Audio(format) => Self::Audio(format),
        }
    }
}

impl Payload {
    /// RFC 3551 section 6: static for G.711 at 8 kHz mono, else dynamic.
    pub(crate) fn payload_type(&self) -> u8 {
        match self {
            Self::Video(_) => 96,
            Self::Audio(AudioFormat { codec: AudioCodec::G711U, sample_rate: 8000, channels: 1, .. }) => 0,
            Self::Audio(AudioFormat { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1, .. }) => 8,
            Self::Audio(_) => 97,
            Self::Metadata => 98,
        }
    }

    /// RTP ticks a second.
    pub(crate) fn clock_rate(&self) -> u32 {
        match self {
            Self::Video(_) | Self::Metadata => 90_000,
            Self::Audio(format) => format.sample_rate,
        }
    }
}

/// Random starting points (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

impl Seeds {
    /// `None` without randomness.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 10];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let [a, b, c, d, e, f, g, h, i, j] = bytes;
        Some(Self {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence: u16::from_be_bytes([e, f]),
            timestamp: u32::from_be_bytes([g, h, i, j]),
        })
    }
}

/// Turns a stream's units into packets, once for all clients.
#[derive(Debug)]
pub(crate) struct Packetiser {
    payload: Payload,
    stream: Stream,
    /// RTP time of pts 0.
    origin: u32,
    last: Option<Last>,
    parameter_sets: Option<ParameterSets>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    wall: WallTime,
}

impl Packetiser {
    pub(crate) fn new(payload: Payload, track: TrackId, seeds: Seeds) -> Self {
        let stream = Stream {
            ssrc: seeds.ssrc,
            payload_type: payload.payload_type(),
            channel: track.usual_channel(),
            next_sequence: seeds.sequence,
            rollovers: 0,
        };
        Self { payload, stream, origin: seeds.timestamp, last: None, parameter_sets: None }
    }

    /// Those of the last keyframe that had any.
    pub(crate) fn parameter_sets(&self) -> Option<&ParameterSets> {
        self.parameter_sets.as_ref()
    }

    /// `None` for a unit that has nothing to send.
    pub(crate) fn packetise(&mut self, unit: &AccessUnit<'_>) -> Option<Packets> {
        let timestamp = self.timestamp(unit);
        let mut writer = PacketWriter::new(&mut self.stream, timestamp, unit.data.len());
        match &self.payload {
            Payload::Video(codec) => {
                let nals: Vec<&[u8]> = media::annexb::nal_units(unit.data).collect();
                if unit.keyframe
                    && let Some(sets) = ParameterSets::find(*codec, &nals)
                {
                    self.parameter_sets = Some(sets);
                }
                video::packetise(*codec, &nals, &mut writer);
            }
            Payload::Audio(format) => audio::packetise(format, unit.data, &mut writer),
            Payload::Metadata => onvif::packetise(unit.data, &mut writer),
        }
        let packets = writer.finish(unit.wall, unit.keyframe)?;
        self.last = Some(Last { timestamp, wall: unit.wall });
        Some(packets)
    }

    /// As [`Self::packetise`], of a recorded unit that is shown `shown` ticks of 90 kHz after a moment of the caller's; `None`
    /// for one of another format, too. The first packet bears `extension`.
    pub(crate) fn packetise_recorded(
        &mut self,
        unit: &RecordedUnit,
        shown: i64,
        extension: [u8; EXTENSION_BYTES],
    ) -> Option<Packets> {
        if self.payload != Payload::from(unit.format.format.clone()) {
            return None;
        }
        let timestamp = self.timestamp_at(shown);
        let mut writer =
            PacketWriter::new(&mut self.stream, timestamp, unit.data.len()).with_extension(extension);
        match &self.payload {
            Payload::Video(codec) => {
                let sets = &unit.format.parameter_sets;
                // They are stored apart from the pictures; a stream has them before every keyframe.
                let sets = sets.iter().filter(|_| unit.keyframe).map(AsRef::as_ref);
                let stored = media::annexb::length_prefixed_units(&unit.data).map_while(Result::ok);
                let nals: Vec<&[u8]> = sets.chain(stored).collect();
                video::packetise(*codec, &nals, &mut writer);
            }
            Payload::Audio(format) => audio::packetise(format, &unit.data, &mut writer),
            // None is recorded yet.
            Payload::Metadata => {}
        }
        writer.finish(unit.wall, unit.keyframe)
    }

    /// The RTP time of `shown`, as [`Self::packetise_recorded`] has it.
    pub(crate) fn timestamp_at(&self, shown: i64) -> u32 {
        self.origin.wrapping_add(ticks_of(Pts90k(shown), self.payload.clock_rate()))
    }

    /// The sequence number of the next packet.
    pub(crate) fn next_sequence(&self) -> u16 {
        self.stream.next_sequence
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.stream.ssrc
    }

    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    fn timestamp(&mut self, unit: &AccessUnit<'_>) -> u32 {
        let rate = self.payload.clock_rate();
        let ticks = ticks_of(unit.pts, rate);
        if let (true, Some(last)) = (unit.discontinuity, self.last) {
            // The source began anew and its pts may be anywhere: go on by the wall clock, at least one tick.
            let passed = i128::from(unit.wall.micros_since(last.wall)) * i128::from(rate) / 1_000_000;
            let passed = passed.clamp(1, i128::from(u32::MAX / 2)) as u32;
            self.origin = last.timestamp.wrapping_add(passed).wrapping_sub(ticks);
        }
        self.origin.wrapping_add(ticks)
    }
}

/// Rounded to the nearest tick, modulo 2^32.
fn ticks_of(pts: Pts90k, rate: u32) -> u32 {
    let per_second = i128::from(Pts90k::PER_SECOND);
    (i128::from(pts.0) * i128::from(rate) + per_second / 2).div_euclid(per_second) as u32
}

#[cfg(test)]
mod tests {
    use hal::{ChannelId, StreamId, StreamKind};

    use super::*;

    const SEEDS: Seeds = Seeds { ssrc: 7, sequence: 65_535, timestamp: u32::MAX - 10 };

    fn unit(pts: i64, wall_ms: i64, discontinuity: bool, data: &[u8]) -> AccessUnit<'_> {
        let stream = StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Main);
        let wall = WallTime::from_unix_micros(wall_ms * 1000);
        AccessUnit { stream, pts: Pts90k(pts), wall, keyframe: true, discontinuity, data }
    }

    const KEYFRAME: &[u8] = &[0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 0, 0, 0, 1, 0x65, 5, 6];

    #[test]
    fn time_and_sequence_wrap() {
        let mut packetiser = Packetiser::new(Payload::Video(VideoCodec::H264), TrackId::Video, SEEDS);
        let first = packetiser.packetise(&unit(0, 0, false, KEYFRAME)).unwrap();
        let second = packetiser.packetise(&unit(3600, 40, false, KEYFRAME)).unwrap();
        assert_eq!((first.sequence, second.sequence), (65_535, 1));
        assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 3600);
        assert_eq!(packetiser.parameter_sets().unwrap().sps, [vec![0x67, 1, 2, 3]]);
    }

    #[test]
    fn a_new_publisher_life_goes_on_by_the_wall_clock() {
        let mut packetiser = Packetiser::new(Payload::Video(VideoCodec::H264), TrackId::Video, SEEDS);
        let before = packetiser.packetise(&unit(900_000, 10_000, false, KEYFRAME)).unwrap();
        let after = packetiser.packetise(&unit(-5, 12_000, true, KEYFRAME)).unwrap();
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 180_000);
        let stepped_back = packetiser.packetise(&unit(7, 11_000, true, KEYFRAME)).unwrap();
        assert_eq!(stepped_back.timestamp.wrapping_sub(after.timestamp), 1);
        let next = packetiser.packetise(&unit(3607, 11_040, false, KEYFRAME)).unwrap();
        assert_eq!(next.timestamp.wrapping_sub(stepped_back.timestamp), 3600);
    }

    #[test]
    fn sound_ticks_in_samples() {
        let format = AudioFormat {
            codec: AudioCodec::Aac,
            sample_rate: 44_100,
            channels: 2,
            config: vec![0x12, 0x10],
        };
        let mut packetiser = Packetiser::new(Payload::Audio(format), TrackId::Audio, SEEDS);
        let mut last = None;
        for frame in 0..500i64 {
            let pts = (frame * 1024 * 90_000 + 22_050) / 44_100;
            let packets = packetiser.packetise(&unit(pts, frame * 23, false, &[1, 2, 3])).unwrap();
            if let Some(last) = last.replace(packets.timestamp) {
                assert_eq!(packets.timestamp.wrapping_sub(last), 1024);
            }
        }
    }
}
