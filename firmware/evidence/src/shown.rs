//! How a file shows its samples, against how they were recorded.
//!
//! The file's header is signed as a whole; this is looked at when it is not the signed one, to tell what is different.
//! Does not belong here: a verdict. Anything found here is wrong already.

use hal::{AudioCodec, Pts90k, VideoCodec, WallTime};
use mp4_atom::{Codec, Hvcc, Trak};

use crate::chunk::{ChunkHeader, Frame};
use crate::sample::SampleFormat;
use crate::samples::Sample;

/// Media time strays from wall time by less: the store begins a new piece then.
const MAX_STRAY_TICKS: i64 = Pts90k::PER_SECOND / 4;
/// Two roundings to the track's ticks, and two of wall time.
const ROUNDING_TICKS: i64 = 4;

/// A track as players take it.
#[derive(Debug)]
pub(crate) struct Shown {
    codecs: Vec<Codec>,
    timescale: i64,
    /// Movie time is media time and this, in 1/90 000 s; by the edit list.
    delay: i64,
    /// Where the edit list ends, 1/90 000 s of movie time.
    ends: i64,
    movie_start: WallTime,
    movie_ticks: i64,
    /// How far the clock went back so far: later footage is shown as much later.
    back: i64,
    /// How much later than recorded the chunk's first sample is shown.
    chunk_shift: Option<i64>,
    /// Reported once: what follows is moved as well.
    moved: bool,
    entry_told: bool,
    edits: Edits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edits {
    Plain,
    Odd,
}

impl Shown {
    /// `movie_timescale` is that of `mvhd`.
    pub(crate) fn new(trak: &Trak, movie_timescale: u32, start: WallTime, end: WallTime) -> Self {
        let timescale = i64::from(trak.mdia.mdhd.timescale.max(1));
        let list = trak.edts.as_ref().and_then(|edts| edts.elst.as_ref());
        let entries = list.map(|list| list.entries.as_slice()).unwrap_or_default();
        let movie = |ticks: u64| scaled(i64::try_from(ticks).unwrap_or(i64::MAX), movie_timescale.into());
        // As we write it: perhaps an empty edit, then one of all that is shown.
        let (waiting, shown) = match entries {
            [shown] => (0, Some(shown)),
            [empty, shown] if empty.media_time.is_none() => (movie(empty.segment_duration), Some(shown)),
            _ => (0, None),
        };
        let begins = shown.and_then(|shown| shown.media_time);
        let duration = shown.map_or(0, |shown| movie(shown.segment_duration));
        let normal = shown.is_some_and(|shown| shown.media_rate == mp4_atom::FixedPoint::from(1));
        let begins_at = scaled(i64::try_from(begins.unwrap_or(0)).unwrap_or(i64::MAX), timescale);
        Self {
            codecs: trak.mdia.minf.stbl.stsd.codecs.clone(),
            timescale,
            delay: waiting.saturating_sub(begins_at),
            ends: waiting.saturating_add(duration),
            movie_start: start,
            movie_ticks: Pts90k::from_micros(end.micros_since(start)).0,
            back: 0,
            chunk_shift: None,
            moved: false,
            entry_told: false,
            edits: if normal && begins.is_some() { Edits::Plain } else { Edits::Odd },
        }
    }

    pub(crate) fn clock_went_back(&mut self, micros: i64) {
        self.back = self.back.saturating_add(Pts90k::from_micros(micros).0);
    }

    pub(crate) fn begin_chunk(&mut self) {
        self.chunk_shift = None;
    }

    /// What is wrong with when a sample is shown.
    pub(crate) fn check(&mut self, sample: &Sample, header: &ChunkHeader, frame: &Frame) -> Option<String> {
        let shown = scaled(sample.time, self.timescale).saturating_add(self.delay);
        let recorded = Pts90k::from_micros(header.wall_of(frame.pts_offset).micros_since(self.movie_start)).0;
        let shift = shown.saturating_sub(recorded);
        let first = *self.chunk_shift.get_or_insert(shift);
        let strays = shift < -MAX_STRAY_TICKS || shift > MAX_STRAY_TICKS.saturating_add(self.back);
        let apart = shift.saturating_sub(first).saturating_abs() > ROUNDING_TICKS;
        if self.moved || !(strays || apart) {
            return None;
        }
        self.moved = true;
        let seconds = shift as f64 / Pts90k::PER_SECOND as f64;
        Some(format!("sample {} is shown {seconds:+.3} s from when it was recorded", sample.number))
    }

    /// What is wrong with how its samples are to be decoded.
    pub(crate) fn check_entry(&mut self, entry: &[u8]) -> Option<String> {
        let format = SampleFormat::decode(entry).ok()?;
        if self.entry_told || self.codecs.iter().any(|codec| is(codec, &format)) {
            return None;
        }
        self.entry_told = true;
        Some("no sample entry of the track has the chunk's codec and parameter sets".into())
    }

    /// What is wrong with the edit list.
    pub(crate) fn finish(&self) -> Option<String> {
        let ends = self.ends as f64 / Pts90k::PER_SECOND as f64;
        let movie = self.movie_ticks as f64 / Pts90k::PER_SECOND as f64;
        match self.edits {
            Edits::Odd => Some("the track's edit list is none that the recorder writes".into()),
            // Sound may end before the picture.
            Edits::Plain if self.ends > self.movie_ticks + ROUNDING_TICKS => {
                Some(format!("the track's edit list ends at {ends:.3} s of {movie:.3} s"))
            }
            Edits::Plain if self.is_video() && self.ends < self.movie_ticks - ROUNDING_TICKS => {
                Some(format!("the track's edit list ends at {ends:.3} s of {movie:.3} s: it hides the rest"))
            }
            Edits::Plain => None,
        }
    }

    fn is_video(&self) -> bool {
        self.codecs.iter().any(|codec| codec.visual().is_some())
    }
}

/// Ticks of 1/90 000 s.
fn scaled(ticks: i64, timescale: i64) -> i64 {
    let scaled = i128::from(ticks) * i128::from(Pts90k::PER_SECOND) / i128::from(timescale.max(1));
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}

/// Whether an entry of the file is the chunk's format.
fn is(codec: &Codec, format: &SampleFormat) -> bool {
    match (codec, format) {
        (Codec::Avc1(avc1), SampleFormat::Video(VideoCodec::H264, sets)) => {
            let (sps, pps) = (&avc1.avcc.sequence_parameter_sets, &avc1.avcc.picture_parameter_sets);
            sps.iter().eq(sets.sps.iter()) && pps.iter().eq(sets.pps.iter())
        }
        (Codec::Hvc1(hvc1), SampleFormat::Video(VideoCodec::H265, sets)) => {
            nals(&hvc1.hvcc).eq(sets.iter().map(|nal| &nal[..]))
        }
        (Codec::Mp4a(mp4a), SampleFormat::Audio(format)) => {
            let config = mp4a.esds.es_desc.dec_config.dec_specific.as_ref();
            format.codec == AudioCodec::Aac && config.is_some_and(|config| config.raw == format.config)
        }
        (Codec::Unknown(kind, _), SampleFormat::Audio(format)) => match format.codec {
            AudioCodec::G711A => *kind == mp4_atom::FourCC::new(b"alaw"),
            AudioCodec::G711U => *kind == mp4_atom::FourCC::new(b"ulaw"),
            AudioCodec::Aac => false,
        },
        _ => false,
    }
}

fn nals(hvcc: &Hvcc) -> impl Iterator<Item = &[u8]> {
    hvcc.arrays.iter().flat_map(|array| &array.nalus).map(Vec::as_slice)
}
