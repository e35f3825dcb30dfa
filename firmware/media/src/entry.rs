//! Sample entries: how a track says what its samples are.
//!
//! ISO/IEC 14496-12 section 8.5.2; avcC and hvcC: 14496-15; esds: 14496-14. Does not belong here: the boxes
//! around them (`boxes`).

use hal::{AudioCodec, AudioFormat, MAX_AAC_CONFIG_BYTES, Pts90k};
use mp4_atom::{
    Atom, Audio, Avc1, Avcc, AvccExt, Buf, BufMut, Encode, FixedPoint, FourCC, Hvc1, HvcCArray, Hvcc, Mp4a,
    Visual, esds,
};

use crate::error::MediaError;
use crate::params::VideoParams;
use crate::sps::{AvcFields, DecoderConfig, HevcFields};

/// The highest audio sample rate taken; cameras stay below 48 kHz.
const MAX_SAMPLE_RATE: u32 = 192_000;

/// Samples of a track share one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleEntry {
    /// Length-prefixed access units; the parameter sets are in the entry alone (`avc1`, `hvc1`).
    Video(VideoParams),
    /// Audio units as they come (`mp4a`, `alaw`, `ulaw`).
    Audio(AudioFormat),
}

impl SampleEntry {
    /// Ticks a second of a track with this entry: 90 000 for video, the sample rate for audio.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        match self {
            Self::Video(_) => Pts90k::PER_SECOND as u32,
            Self::Audio(format) => format.sample_rate,
        }
    }

    /// The codec as RFC 6381 writes it in the `codecs` parameter.
    #[must_use]
    pub fn rfc6381(&self) -> String {
        match self {
            Self::Video(params) => params.rfc6381.clone(),
            Self::Audio(format) => match format.codec {
                AudioCodec::Aac => format!("mp4a.40.{}", audio_object_type(&format.config)),
                AudioCodec::G711A => "alaw".into(),
                AudioCodec::G711U => "ulaw".into(),
            },
        }
    }

    /// Whether this is video.
    #[must_use]
    pub fn is_video(&self) -> bool {
        matches!(self, Self::Video(_))
    }

    /// Refuses what the boxes cannot express.
    pub(crate) fn check(&self) -> Result<(), MediaError> {
        let Self::Audio(format) = self else { return Ok(()) };
        if format.sample_rate == 0 || format.sample_rate > MAX_SAMPLE_RATE {
            return Err(MediaError::Unsupported(format!("audio of {} samples a second", format.sample_rate)));
        }
        if format.codec == AudioCodec::Aac && format.config.is_empty() {
            return Err(MediaError::Missing("AudioSpecificConfig"));
        }
        if format.config.len() > MAX_AAC_CONFIG_BYTES {
            return Err(MediaError::TooMany {
                what: "bytes of AudioSpecificConfig",
                limit: MAX_AAC_CONFIG_BYTES,
            });
        }
        Ok(())
    }

    pub(crate) fn encode(&self, buf: &mut Vec<u8>) -> Result<(), MediaError> {
        match self {
            Self::Video(params) => encode_video(params, buf)?,
            Self::Audio(format) => encode_audio(format, buf)?,
        }
        Ok(())
    }
}

fn encode_video(params: &VideoParams, buf: &mut Vec<u8>) -> mp4_atom::Result<()> {
    let visual = Visual {
        data_reference_index: 1,
        width: params.resolution.width,
        height: params.resolution.height,
        ..Visual::default()
    };
    match &params.config {
        DecoderConfig::H264(config) => {
            Avc1 { visual, avcc: avcc(params, config), ..Avc1::default() }.encode(buf)
        }
        DecoderConfig::H265(config) => {
            Hvc1 { visual, hvcc: hvcc(params, config), ..Hvc1::default() }.encode(buf)
        }
    }
}

fn avcc(params: &VideoParams, config: &AvcFields) -> Avcc {
    // Section 5.3.3.1.2 asks for the extension for these profiles: High and the professional ones.
    let ext = matches!(config.profile, 100 | 110 | 122 | 144 | 244 | 44).then(|| AvccExt {
        chroma_format: config.chroma_format,
        bit_depth_luma: config.bit_depth_luma,
        bit_depth_chroma: config.bit_depth_chroma,
        sequence_parameter_sets_ext: Vec::new(),
    });
    Avcc {
        configuration_version: 1,
        avc_profile_indication: config.profile,
        profile_compatibility: config.compatibility,
        avc_level_indication: config.level,
        length_size: 4,
        sequence_parameter_sets: params.sets.sps.iter().map(|nal| nal.to_vec()).collect(),
        picture_parameter_sets: params.sets.pps.iter().map(|nal| nal.to_vec()).collect(),
        ext,
    }
}

fn hvcc(params: &VideoParams, config: &HevcFields) -> Hvcc {
    let sets = &params.sets;
    // Table 7-1 of H.265: the NAL unit types of VPS, SPS, PPS. `completeness`: all of them are here, none in
    // the samples.
    let arrays = [(32, &sets.vps), (33, &sets.sps), (34, &sets.pps)]
        .into_iter()
        .map(|(nal_unit_type, nals)| HvcCArray {
            completeness: true,
            nal_unit_type,
            nalus: nals.iter().map(|nal| nal.to_vec()).collect(),
        })
        .collect();
    Hvcc {
        general_profile_space: config.ptl.profile_space,
        general_tier_flag: config.ptl.high_tier,
        general_profile_idc: config.ptl.profile,
        general_profile_compatibility_flags: config.ptl.compatibility.to_be_bytes(),
        general_constraint_indicator_flags: config.ptl.constraints,
        general_level_idc: config.ptl.level,
        chroma_format_idc: config.chroma_format,
        bit_depth_luma_minus8: config.bit_depth_luma_minus8,
        bit_depth_chroma_minus8: config.bit_depth_chroma_minus8,
        num_temporal_layers: config.temporal_layers,
        temporal_id_nested: config.temporal_id_nested,
        length_size_minus_one: 3,
        arrays,
        // Segmentation, parallelism and frame rate stay 0: unknown.
        ..Hvcc::new()
    }
}

fn encode_audio(format: &AudioFormat, buf: &mut Vec<u8>) -> mp4_atom::Result<()> {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: u16::from(format.channels),
        // 16 for every compressed format (14496-12 section 12.2.3.2).
        sample_size: 16,
        // 0 where the 16 bits do not reach; the media header has the true rate (14496-12 section 12.2.3.1).
        sample_rate: FixedPoint::from(u16::try_from(format.sample_rate).unwrap_or(0)),
    };
    match format.codec {
        AudioCodec::Aac => {
            let dec_config = esds::DecoderConfig {
                object_type_indication: 0x40, // MPEG-4 audio (14496-1 table 5)
                stream_type: 5,               // audio (14496-1 table 6)
                dec_specific: Some(esds::DecoderSpecific {
                    raw: format.config.clone(),
                    ..esds::DecoderSpecific::default()
                }),
                ..esds::DecoderConfig::default()
            };
            let es_desc = esds::EsDescriptor { dec_config, ..esds::EsDescriptor::default() };
            Mp4a { audio, esds: esds::Esds { es_desc }, btrt: None, taic: None }.encode(buf)
        }
        AudioCodec::G711A => Alaw(audio).encode(buf),
        AudioCodec::G711U => Ulaw(audio).encode(buf),
    }
}

/// The audioObjectType of an AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1), 2 (AAC-LC) if it is empty.
fn audio_object_type(config: &[u8]) -> u8 {
    match *config {
        [first, second, ..] if first >> 3 == 31 => 32 + ((first & 7) << 3 | second >> 5),
        [first, ..] => first >> 3,
        [] => 2,
    }
}

/// `alaw` and `ulaw` (QuickTime File Format, sound sample descriptions; registered at mp4ra.org), which
/// mp4-atom lacks: a plain AudioSampleEntry, written through its `Atom` trait.
macro_rules! g711_entry {
    ($name:ident, $kind:literal) => {
        struct $name(Audio);

        impl Atom for $name {
            const KIND: FourCC = FourCC::new($kind);

            fn decode_body<B: Buf>(buf: &mut B) -> mp4_atom::Result<Self> {
                <Audio as mp4_atom::Decode>::decode(buf).map(Self)
            }

            fn encode_body<B: BufMut>(&self, buf: &mut B) -> mp4_atom::Result<()> {
                self.0.encode(buf)
            }
        }
    };
}

g711_entry!(Alaw, b"alaw");
g711_entry!(Ulaw, b"ulaw");
