//! Parameter sets, and what they say about the video.
//!
//! Does not belong here: the bit syntax (`h264`, `h265`), what an SPS says (`sps`), the boxes (`entry`).

use bytes::Bytes;
use hal::{FrameRate, Resolution, VideoCodec};

use crate::error::MediaError;
use crate::nal::NalKind;
use crate::sps::DecoderConfig;
use crate::{h264, h265};

/// The most parameter sets kept of one kind. Encoders send one or two; avcC counts SPS in 5 bits
/// (ISO/IEC 14496-15 section 5.3.3.1).
pub const MAX_PARAMETER_SETS: usize = 16;

/// The largest parameter set kept. With every scaling list and HRD spelled out an SPS stays below 2 KB.
pub const MAX_PARAMETER_SET_BYTES: usize = 4096;

/// The parameter sets of a stream: NAL units with header and emulation prevention, without start code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ParameterSets {
    /// Video parameter sets; H.265 only.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

impl ParameterSets {
    /// Whether there is none of any kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vps.is_empty() && self.sps.is_empty() && self.pps.is_empty()
    }

    /// Whether a decoder of `codec` has all it needs to start.
    #[must_use]
    pub fn is_complete(&self, codec: VideoCodec) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty() && (codec == VideoCodec::H264 || !self.vps.is_empty())
    }

    /// Every set in the order in which a decoder wants them: VPS, SPS, PPS.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.vps.iter().chain(&self.sps).chain(&self.pps)
    }

    /// Adds one; a byte-exact repetition is dropped.
    ///
    /// # Errors
    /// [`MediaError::TooMany`] beyond [`MAX_PARAMETER_SETS`] of a kind or [`MAX_PARAMETER_SET_BYTES`],
    /// [`MediaError::Inconsistent`] when `kind` is no parameter set.
    pub fn push(&mut self, kind: NalKind, nal: Bytes) -> Result<(), MediaError> {
        let (sets, what) = match kind {
            NalKind::Vps => (&mut self.vps, "video parameter sets"),
            NalKind::Sps => (&mut self.sps, "sequence parameter sets"),
            NalKind::Pps => (&mut self.pps, "picture parameter sets"),
            _ => return Err(MediaError::Inconsistent(format!("{kind:?} is no parameter set"))),
        };
        if nal.len() > MAX_PARAMETER_SET_BYTES {
            return Err(MediaError::TooMany {
                what: "bytes in one parameter set",
                limit: MAX_PARAMETER_SET_BYTES,
            });
        }
        if sets.contains(&nal) {
            return Ok(());
        }
        if sets.len() == MAX_PARAMETER_SETS {
            return Err(MediaError::TooMany { what, limit: MAX_PARAMETER_SETS });
        }
        sets.push(nal);
        Ok(())
    }
}

/// What a player must know about a video stream before its first access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoParams {
    /// The codec.
    pub codec: VideoCodec,
    /// The size to show, cropping applied.
    pub resolution: Resolution,
    /// Frames a second as the stream itself says; many do not.
    pub frame_rate: Option<FrameRate>,
    /// How many pictures may precede a picture in decoding order and follow it in output order; `None` where
    /// the stream does not say. 0: no B-frames out of order.
    pub reorder_frames: Option<u8>,
    /// The codec as RFC 6381 section 3.3 writes it: `avc1.64001f`, `hvc1.1.6.L93.B0`.
    pub rfc6381: String,
    /// The parameter sets.
    pub sets: ParameterSets,
    /// What avcC or hvcC say beside the sets.
    pub(crate) config: DecoderConfig,
}

impl VideoParams {
    /// Reads the first SPS of `sets`.
    ///
    /// # Errors
    /// [`MediaError::Missing`] when a set that a decoder needs is not there, [`MediaError::ParameterSet`] or
    /// [`MediaError::Unsupported`] when the SPS cannot be read.
    pub fn new(codec: VideoCodec, sets: &ParameterSets) -> Result<Self, MediaError> {
        let sps = sets.sps.first().ok_or(MediaError::Missing("sequence parameter set"))?;
        if sets.pps.is_empty() {
            return Err(MediaError::Missing("picture parameter set"));
        }
        let facts = match codec {
            VideoCodec::H264 => h264::read_sps(sps)?,
            VideoCodec::H265 if sets.vps.is_empty() => {
                return Err(MediaError::Missing("video parameter set"));
            }
            VideoCodec::H265 => h265::read_sps(sps)?,
        };
        Ok(Self {
            codec,
            resolution: facts.resolution,
            frame_rate: facts.frame_rate,
            reorder_frames: facts.reorder_frames,
            rfc6381: facts.rfc6381,
            sets: sets.clone(),
            config: facts.config,
        })
    }
}
