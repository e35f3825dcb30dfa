//! The tracks of a movie while it is planned.
//!
//! Does not belong here: media time (`timeline`), where samples lie in the file (`movie`).

use evidence::SampleFormat;
use hal::{Pts90k, StreamId, StreamKind};
use media::{ChunkRef, Sample, SampleEntry, Track, VideoParams};

use crate::lane::Selected;

/// Distances between pictures that are looked at for the frame rate: enough for half of them to be the usual one.
const FRAME_RATE_SAMPLES: usize = 512;

/// A track while it is planned.
pub(crate) struct TrackPlan {
    pub(crate) stream: StreamId,
    entries: Vec<(Vec<u8>, SampleEntry)>,
    samples: Vec<Sample>,
    chunks: Vec<ChunkRef>,
}

/// The units of one chunk within a track.
pub(crate) struct Placed {
    /// Media time of the first one in decoding order.
    pub(crate) media: i64,
    pub(crate) first_sample: u32,
    pub(crate) samples: u32,
}

impl TrackPlan {
    pub(crate) fn new(stream: StreamId) -> Self {
        Self { stream, entries: Vec::new(), samples: Vec::new(), chunks: Vec::new() }
    }

    /// Takes a chunk's units; `None` when the track cannot have them.
    ///
    /// # Errors
    /// What is wrong with the chunk's sample entry.
    pub(crate) fn add(&mut self, chunk: &Selected, shift: i64) -> Result<Option<Placed>, String> {
        let Some(entry) = self.entry(&chunk.header.entry)? else { return Ok(None) };
        let first_sample = self.samples.len() as u32;
        let base = chunk.entry.pts.0 + shift;
        let frames = chunk.frames();
        self.samples.extend(frames.iter().map(|frame| Sample {
            pts: Pts90k(base + i64::from(frame.pts_offset)),
            size: frame.size,
            keyframe: frame.keyframe,
            entry,
        }));
        Ok(Some(Placed {
            media: base + i64::from(frames.first().map_or(0, |frame| frame.pts_offset)),
            first_sample,
            samples: frames.len() as u32,
        }))
    }

    /// Says where in the file the units of a chunk are; in the order in which they were added.
    pub(crate) fn lies_at(&mut self, placed: &Placed, offset: u64) {
        let Placed { first_sample, samples, .. } = *placed;
        self.chunks.push(ChunkRef { first_sample, samples, offset });
    }

    fn entry(&mut self, stored: &[u8]) -> Result<Option<u16>, String> {
        // Most chunks have the entry of the one before.
        if let Some(known) = self.entries.iter().rposition(|(bytes, _)| bytes == stored) {
            return Ok(Some(known as u16));
        }
        let fresh = sample_entry(stored)?;
        if self.entries.first().is_some_and(|(_, first)| !same_track(first, &fresh)) {
            return Ok(None);
        }
        let number = u16::try_from(self.entries.len()).map_err(|_| "too many formats")?;
        self.entries.push((stored.to_vec(), fresh));
        Ok(Some(number))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The codecs as RFC 6381 writes them, each once.
    pub(crate) fn codecs(&self) -> Vec<String> {
        each_once(self.entries.iter().map(|(_, entry)| entry.rfc6381()))
    }

    /// From the middle one of the distances between presentations.
    pub(crate) fn frame_rate(&self) -> Option<f64> {
        if self.stream.kind == StreamKind::Audio {
            return None;
        }
        let mut pts: Vec<i64> =
            self.samples.iter().take(FRAME_RATE_SAMPLES).map(|sample| sample.pts.0).collect();
        pts.sort_unstable();
        let mut gaps: Vec<i64> =
            pts.windows(2).map(|pair| pair[1] - pair[0]).filter(|&gap| gap > 0).collect();
        if gaps.is_empty() {
            return None;
        }
        let middle = gaps.len() / 2;
        let (_, gap, _) = gaps.select_nth_unstable(middle);
        Some(Pts90k::PER_SECOND as f64 / *gap as f64)
    }

    /// The track, shown from `from` to `end`. A picture stays until the end; sound ends when it ends.
    pub(crate) fn finish(self, name: &str, from: i64, end: i64) -> Track {
        let sound_end = match self.samples[..] {
            [.., before, last] => last.pts.0 + (last.pts.0 - before.pts.0),
            _ => i64::MIN,
        };
        let video = self.stream.kind != StreamKind::Audio;
        Track {
            name: name.to_owned(),
            entries: self.entries.into_iter().map(|(_, entry)| entry).collect(),
            samples: self.samples,
            chunks: self.chunks,
            start: Pts90k(0),
            shown_from: Pts90k(from),
            end: (video || sound_end >= end).then_some(Pts90k(end)),
        }
    }
}

/// The content type of these codecs, each once (RFC 6381).
pub(crate) fn mime(codecs: impl IntoIterator<Item = String>) -> String {
    format!("video/mp4; codecs=\"{}\"", each_once(codecs).join(","))
}

fn each_once(codecs: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for codec in codecs {
        if !all.contains(&codec) {
            all.push(codec);
        }
    }
    all
}

/// The box for a chunk's sample entry.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn sample_entry(stored: &[u8]) -> Result<SampleEntry, String> {
    Ok(match SampleFormat::decode(stored)? {
        SampleFormat::Video(codec, sets) => {
            SampleEntry::Video(VideoParams::new(codec, &sets).map_err(|error| error.to_string())?)
        }
        SampleFormat::Audio(format) => SampleEntry::Audio(format),
    })
}

/// Whether two formats can be in one track: an audio track has one sample rate and codec.
fn same_track(one: &SampleEntry, other: &SampleEntry) -> bool {
    match (one, other) {
        (SampleEntry::Video(_), SampleEntry::Video(_)) => true,
        (SampleEntry::Audio(one), SampleEntry::Audio(other)) => {
            one.codec == other.codec && one.sample_rate == other.sample_rate
        }
        _ => false,
    }
}
