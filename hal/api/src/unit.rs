//! The access unit: the one thing that flows from cameras to disk and viewers.

use crate::stream::StreamId;
use crate::time::{Pts90k, WallTime};

/// The largest access unit taken from any source. An intra picture of 8 megapixels at high quality is about
/// 2 MB; whatever is larger than 4 MiB is a broken or hostile source.
pub const MAX_UNIT_BYTES: usize = 4 << 20;

/// One coded picture, or one coded run of sound, as a backend delivers it.
///
/// Video is Annex B (ISO 14496-10 annex B, 23008-2 annex B), every NAL unit behind a 4-byte start code, and a
/// keyframe carries its parameter sets before it. Units come in decoding order.
#[derive(Clone, Copy, Debug)]
pub struct AccessUnit<'a> {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// When to present it, on the timeline that the channel's streams share.
    pub pts: Pts90k,
    /// The wall time of that presentation, as well as the source knows it.
    pub wall: WallTime,
    /// Decoding can start here (IDR or IRAP picture). Always set for audio.
    pub keyframe: bool,
    /// The first unit after the source began anew: `pts` does not continue.
    pub discontinuity: bool,
    /// The coded bytes, 1 to [`MAX_UNIT_BYTES`].
    pub data: &'a [u8],
}
