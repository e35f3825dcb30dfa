//! Bitstreams and boxes: NAL units, parameter sets, fMP4 and MP4.
//!
//! The one place that looks inside coded video. Everything here works on bytes that the caller holds: no
//! files, no sockets, no clock. Every parser takes hostile bytes and answers with a [`MediaError`], never a
//! panic, and every count has a named limit.
//!
//! Does not belong here: RTP payload formats (crate `rtsp`), where footage lies on disk (crate `store`).
//!
//! Invariants
//! - NAL units pass through bit-exact, emulation prevention bytes included.
//! - Times are converted from the origin of a track, never by adding rounded durations.

pub mod annexb;
mod boxes;
mod decode_clock;
mod entry;
mod error;
mod fragment;
mod h264;
mod h265;
mod movie;
mod nal;
mod params;
mod reader;
mod sps;
mod timeline;

pub use decode_clock::{DecodeClock, MAX_REORDER};
pub use entry::SampleEntry;
pub use error::{ErrorKind, MediaError};
pub use fragment::{
    FragmentHead, FragmentSample, FragmentTrack, SampleHead, TrackInit, fragment, fragment_head, init_segment,
};
pub use movie::{ChunkRef, MAX_TRACK_SAMPLES, Sample, Track, movie_header, movie_header_branded};
pub use nal::NalKind;
pub use params::{MAX_PARAMETER_SET_BYTES, MAX_PARAMETER_SETS, ParameterSets, VideoParams};
pub use timeline::media_time;

#[cfg(test)]
mod tests;
