//! What a decoder must know before a chunk's first unit, and its bytes.
//!
//! Stored once in each chunk's header (docs/storage.md, "Sample entry"). Does not belong here: the units.
//!
//! Invariant: equal entries have equal bytes, so that their CRC tells whether the format changed.

use bytes::Bytes;
use hal::{AudioCodec, AudioFormat, MAX_AAC_CONFIG_BYTES, StreamFormat, VideoCodec};
use media::{MAX_PARAMETER_SET_BYTES, MAX_PARAMETER_SETS, ParameterSets};

use crate::layout::{Fields, PutFields};

const H264: u8 = 1;
const H265: u8 = 2;
const AAC: u8 = 16;
const G711_A: u8 = 17;
const G711_U: u8 = 18;

/// The largest encoded entry: every parameter set of every kind at its limit would be 192 KiB; no stream comes
/// near a third of it, and a chunk header must stay small beside its payload.
pub const MAX_ENTRY_BYTES: usize = 64 << 10;

/// The format of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    /// Video, and the parameter sets that its units go with.
    Video(VideoCodec, ParameterSets),
    /// Audio.
    Audio(AudioFormat),
}

impl SampleFormat {
    /// The format as publishers declare it.
    #[must_use]
    pub fn stream_format(&self) -> StreamFormat {
        match self {
            Self::Video(codec, _) => StreamFormat::Video(*codec),
            Self::Audio(format) => StreamFormat::Audio(format.clone()),
        }
    }

    /// Whether chunks of both formats fit into one MP4 track: sound has one codec and one sample rate.
    #[must_use]
    pub fn shares_track_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Video(..), Self::Video(..)) => true,
            (Self::Audio(one), Self::Audio(other)) => {
                one.codec == other.codec && one.sample_rate == other.sample_rate
            }
            _ => false,
        }
    }

    /// The bytes of docs/storage.md, "Sample entry".
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Video(codec, sets) => {
                out.put_u8(match codec {
                    VideoCodec::H264 => H264,
                    VideoCodec::H265 => H265,
                });
                for list in [&sets.vps, &sets.sps, &sets.pps] {
                    out.put_u8(u8::try_from(list.len()).unwrap_or(u8::MAX));
                }
                for nal in sets.iter() {
                    out.put_u16(u16::try_from(nal.len()).unwrap_or(u16::MAX));
                    out.put(nal);
                }
            }
            Self::Audio(format) => {
                out.put_u8(match format.codec {
                    AudioCodec::Aac => AAC,
                    AudioCodec::G711A => G711_A,
                    AudioCodec::G711U => G711_U,
                });
                out.put_u8(format.channels);
                out.put_u16(u16::try_from(format.config.len()).unwrap_or(u16::MAX));
                out.put_u32(format.sample_rate);
                out.put(&format.config);
            }
        }
        out
    }

    /// Reads [`SampleFormat::encode`]'s bytes.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "the sample entry is cut short";
        let mut fields = Fields(bytes);
        let format = match fields.u8().ok_or(SHORT)? {
            codec @ (H264 | H265) => {
                let counts: [u8; 3] = fields.array().ok_or(SHORT)?;
                let mut lists: [Vec<Bytes>; 3] = Default::default();
                for (count, list) in counts.into_iter().zip(&mut lists) {
                    if usize::from(count) > MAX_PARAMETER_SETS {
                        return Err("the sample entry has too many parameter sets");
                    }
                    for _ in 0..count {
                        let len = usize::from(fields.u16().ok_or(SHORT)?);
                        if len > MAX_PARAMETER_SET_BYTES {
                            return Err("the sample entry has too large a parameter set");
                        }
                        list.push(Bytes::copy_from_slice(fields.bytes(len).ok_or(SHORT)?));
                    }
                }
                let [vps, sps, pps] = lists;
                let codec = if codec == H264 { VideoCodec::H264 } else { VideoCodec::H265 };
                Self::Video(codec, ParameterSets { vps, sps, pps })
            }
            codec @ (AAC | G711_A | G711_U) => {
                let channels = fields.u8().ok_or(SHORT)?;
                let len = usize::from(fields.u16().ok_or(SHORT)?);
                let sample_rate = fields.u32().ok_or(SHORT)?;
                if len > MAX_AAC_CONFIG_BYTES {
                    return Err("the sample entry has too long an AudioSpecificConfig");
                }
                let config = fields.bytes(len).ok_or(SHORT)?.to_vec();
                let codec = match codec {
                    AAC => AudioCodec::Aac,
                    G711_A => AudioCodec::G711A,
                    _ => AudioCodec::G711U,
                };
                Self::Audio(AudioFormat { codec, sample_rate, channels, config })
            }
            _ => return Err("the sample entry names an unknown codec"),
        };
        if fields.0.is_empty() { Ok(format) } else { Err("the sample entry has bytes left over") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nals() -> impl Strategy<Value = Vec<Bytes>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40).prop_map(Bytes::from), 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn entries_come_back(vps in nals(), sps in nals(), pps in nals(), rate in any::<u32>(), config in
            proptest::collection::vec(any::<u8>(), 0..MAX_AAC_CONFIG_BYTES)) {
            let video = SampleFormat::Video(VideoCodec::H265, ParameterSets { vps, sps, pps });
            prop_assert_eq!(SampleFormat::decode(&video.encode()).unwrap(), video);
            let audio = AudioFormat { codec: AudioCodec::Aac, sample_rate: rate, channels: 2, config };
            let audio = SampleFormat::Audio(audio);
            let bytes = audio.encode();
            for cut in 0..bytes.len() {
                prop_assert!(SampleFormat::decode(&bytes[..cut]).is_err());
            }
            prop_assert_eq!(SampleFormat::decode(&bytes).unwrap(), audio);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(format) = SampleFormat::decode(&bytes) {
                prop_assert_eq!(format.encode(), bytes);
            }
        }
    }
}
