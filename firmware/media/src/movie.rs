//! Progressive MP4: what stands before the samples of a file that plays on loading.
//!
//! ISO/IEC 14496-12 section 8. The caller has frame tables and knows where the samples are; here they become
//! ftyp, moov and the mdat header, with absolute offsets, so that the rest of the file is the samples as they
//! lie on disk. Does not belong here: where that is.
//!
//! Invariants
//! - Media time of a track is presentation time less the track's first one; edit lists put the tracks on the
//!   movie's timeline, so that movie time 0 is exactly [`Track::start`].

use bytes::Bytes;
use hal::Pts90k;
use mp4_atom::{
    Co64, Ctts, CttsEntry, Elst, ElstEntry, Encode, FixedPoint, FourCC, Ftyp, Header, Stco, Stsc, StscEntry,
    Stss, Stsz, StszSamples, Stts, SttsEntry,
};

use crate::boxes::{ChunkOffsets, MOVIE_TIMESCALE, SampleTables, TrackBox, encode_moov};
use crate::entry::SampleEntry;
use crate::error::MediaError;
use crate::timeline::{decode_times, media_time};

/// The most samples in one track: 4 days of AAC frames, 6 days of 30 frames a second. Bounds the memory of an
/// export (16 bytes a sample here, about 20 in the moov).
pub const MAX_TRACK_SAMPLES: usize = 1 << 24;

/// The longest movie. Bounds all arithmetic on times, which come from outside.
const MAX_MOVIE_TICKS: i64 = 366 * 86_400 * Pts90k::PER_SECOND;

/// One track of a movie. Presentation times are on one timeline for all tracks of the movie.
#[derive(Clone, Debug)]
pub struct Track {
    /// What players call it; may be empty.
    pub name: String,
    /// At least one, all video or all audio of one sample rate. Samples point at them.
    pub entries: Vec<SampleEntry>,
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// Which samples lie together; in order, covering every sample.
    pub chunks: Vec<ChunkRef>,
    /// Movie time 0: the same for every track.
    pub start: Pts90k,
    /// The first presented moment of this track, not before `start`. Samples before it are there to decode from and not
    /// shown; what lies between `start` and it, or the first sample, is an empty edit.
    pub shown_from: Pts90k,
    /// The end of the presentation. The last sample lasts until then; `None`: as long as the one before it, or
    /// one tick if it is alone.
    pub end: Option<Pts90k>,
}

/// One access unit of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When to present it. Need not grow from sample to sample: B-frames.
    pub pts: Pts90k,
    /// Its bytes in the file.
    pub size: u32,
    /// Decoding can start here.
    pub keyframe: bool,
    /// Index into [`Track::entries`].
    pub entry: u16,
}

/// Samples that lie one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// Index into [`Track::samples`].
    pub first_sample: u32,
    /// How many.
    pub samples: u32,
    /// From the first byte of the mdat payload.
    pub offset: u64,
}

/// What stands before the samples: ftyp, moov, and the header of an mdat with `mdat_payload_bytes`.
///
/// Tracks without samples are left out; the others are numbered from 1.
///
/// # Errors
/// [`MediaError::Inconsistent`] when chunks, samples and entries do not fit together,
/// [`MediaError::TooMany`] beyond [`MAX_TRACK_SAMPLES`], [`MediaError::Unsupported`] when a gap between
/// samples is longer than the tables can say (13 hours of video), or the movie is longer than a year.
pub fn movie_header(tracks: &[Track], mdat_payload_bytes: u64) -> Result<Bytes, MediaError> {
    movie_header_branded(tracks, mdat_payload_bytes, None)
}

/// As [`movie_header`], with one more compatible brand: what else a reader can expect of the file.
///
/// # Errors
/// Those of [`movie_header`].
pub fn movie_header_branded(
    tracks: &[Track],
    mdat_payload_bytes: u64,
    brand: Option<[u8; 4]>,
) -> Result<Bytes, MediaError> {
    let mut boxes = Vec::with_capacity(tracks.len());
    let mut runs = Vec::with_capacity(tracks.len());
    for track in tracks.iter().filter(|track| !track.samples.is_empty()) {
        let id = u32::try_from(boxes.len() + 1).expect("fewer tracks than 2^32");
        check_track(track)?;
        runs.push(split_chunks(track, mdat_payload_bytes)?);
        boxes.push(track_box(track, id)?);
    }
    if boxes.is_empty() {
        return Err(MediaError::Inconsistent("a movie without samples".into()));
    }
    for (track, runs) in boxes.iter_mut().zip(&runs) {
        track.tables.stsc = sample_to_chunk(runs);
    }
    let highest = runs.iter().flatten().map(|run| run.offset).max().unwrap_or(0);

    // Tables are as long whatever the offsets are, so a first writing tells where the samples begin.
    let mut long = false;
    let mut header = write_header(&mut boxes, &runs, 0, long, mdat_payload_bytes, brand)?;
    if (header.len() as u64).saturating_add(highest) > u64::from(u32::MAX) {
        long = true;
        header = write_header(&mut boxes, &runs, 0, long, mdat_payload_bytes, brand)?;
    }
    let payload_at = header.len() as u64;
    write_header(&mut boxes, &runs, payload_at, long, mdat_payload_bytes, brand).map(Bytes::from)
}

/// A chunk as the file knows it: all its samples have one sample entry.
struct Run {
    /// From the first byte of the mdat payload.
    offset: u64,
    samples: u32,
    entry: u16,
}

fn check_track(track: &Track) -> Result<(), MediaError> {
    let Some(first) = track.entries.first() else {
        return Err(MediaError::Inconsistent("a track without sample entry".into()));
    };
    for entry in &track.entries {
        entry.check()?;
        if entry.is_video() != first.is_video() || entry.timescale() != first.timescale() {
            return Err(MediaError::Inconsistent(
                "a track of video and audio, or of several sample rates".into(),
            ));
        }
    }
    if track.samples.len() > MAX_TRACK_SAMPLES {
        return Err(MediaError::TooMany { what: "samples in one track", limit: MAX_TRACK_SAMPLES });
    }
    let times = || {
        track.samples.iter().map(|sample| sample.pts).chain([track.start, track.shown_from]).chain(track.end)
    };
    let (earliest, latest) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    if latest.0.checked_sub(earliest.0).is_none_or(|span| span > MAX_MOVIE_TICKS) {
        return Err(MediaError::Unsupported(format!("a movie from {earliest:?} to {latest:?}")));
    }
    Ok(())
}

/// Checks the chunks against the samples, and splits them where the sample entry changes.
fn split_chunks(track: &Track, mdat_payload_bytes: u64) -> Result<Vec<Run>, MediaError> {
    let mut runs: Vec<Run> = Vec::with_capacity(track.chunks.len());
    let mut next_sample = 0_usize;
    for chunk in &track.chunks {
        let end = next_sample.saturating_add(chunk.samples as usize);
        let samples = track
            .samples
            .get(next_sample..end)
            .filter(|samples| chunk.first_sample as usize == next_sample && !samples.is_empty())
            .ok_or_else(|| {
                MediaError::Inconsistent(format!("{chunk:?} where sample {next_sample} is next"))
            })?;
        next_sample = end;
        let mut offset = chunk.offset;
        for of_one_entry in samples.chunk_by(|a, b| a.entry == b.entry) {
            let entry = of_one_entry[0].entry;
            if usize::from(entry) >= track.entries.len() {
                return Err(MediaError::Inconsistent(format!("sample entry {entry} does not exist")));
            }
            let count = u32::try_from(of_one_entry.len()).expect("as many as the chunk says, or fewer");
            runs.push(Run { offset, samples: count, entry });
            let bytes: u64 = of_one_entry.iter().map(|sample| u64::from(sample.size)).sum();
            offset = offset.saturating_add(bytes);
        }
        if offset > mdat_payload_bytes {
            return Err(MediaError::Inconsistent(format!(
                "{chunk:?} ends at {offset} of {mdat_payload_bytes} bytes"
            )));
        }
    }
    if next_sample != track.samples.len() {
        return Err(MediaError::Inconsistent(format!("sample {next_sample} and later are in no chunk")));
    }
    Ok(runs)
}

fn sample_to_chunk(runs: &[Run]) -> Stsc {
    let mut entries: Vec<StscEntry> = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let sample_description_index = u32::from(run.entry) + 1;
        let same = entries.last().is_some_and(|last| {
            last.samples_per_chunk == run.samples && last.sample_description_index == sample_description_index
        });
        if !same {
            let first_chunk = u32::try_from(at + 1).expect("no more chunks than samples");
            entries.push(StscEntry { first_chunk, samples_per_chunk: run.samples, sample_description_index });
        }
    }
    Stsc { entries }
}

/// The track box, its chunk tables still to come.
fn track_box(track: &Track, id: u32) -> Result<TrackBox<'_>, MediaError> {
    let timescale = track.entries[0].timescale();
    let origin = track.samples.iter().map(|sample| sample.pts).min().expect("there are samples");
    let times: Vec<i64> =
        track.samples.iter().map(|sample| media_time(sample.pts, origin, timescale)).collect();
    let decode = decode_times(&times);
    let last = *decode.last().expect("there are samples");
    let latest = track.samples.iter().map(|sample| sample.pts).max().expect("there are samples");
    let last_duration = match track.end {
        Some(end) => media_time(end.max(latest), origin, timescale) - last,
        None => decode.len().checked_sub(2).map_or(0, |before| last - decode[before]),
    }
    .max(1);

    let mut durations = Vec::with_capacity(decode.len());
    durations.extend(decode.windows(2).map(|pair| pair[1] - pair[0]));
    durations.push(last_duration);
    let stts = run_length(durations)
        .map(|(sample_count, delta)| {
            u32::try_from(delta)
                .map(|sample_delta| SttsEntry { sample_count, sample_delta })
                .map_err(|_| gap_too_long())
        })
        .collect::<Result<_, _>>()?;
    let ctts = run_length(times.iter().zip(&decode).map(|(&pts, &dts)| pts - dts))
        .map(|(sample_count, sample_offset)| {
            i32::try_from(sample_offset)
                .map(|offset| CttsEntry { sample_count, sample_offset: offset.into() })
                .map_err(|_| gap_too_long())
        })
        .collect::<Result<Vec<_>, _>>()?;

    let media_duration = (last + last_duration).unsigned_abs();
    let end =
        track.end.unwrap_or_else(|| Pts90k(latest.0.saturating_add(to_movie(last_duration, timescale))));
    let (edits, movie_duration) = edit_list(track.start, track.shown_from, end, origin, timescale)?;
    Ok(TrackBox {
        id,
        name: &track.name,
        movie_duration,
        media_duration,
        edits: Some(edits),
        entries: &track.entries,
        tables: SampleTables {
            stts: Stts { entries: stts },
            ctts: ctts.iter().any(|entry| entry.sample_offset != 0).then_some(Ctts { entries: ctts }),
            stss: sync_samples(&track.samples),
            stsc: Stsc::default(),
            stsz: Stsz {
                samples: StszSamples::Different {
                    sizes: track.samples.iter().map(|sample| sample.size).collect(),
                },
            },
            offsets: ChunkOffsets::default(),
        },
    })
}

/// 8.6.6: what of the media is shown, and when; and how long that is, in [`MOVIE_TIMESCALE`].
fn edit_list(
    start: Pts90k,
    shown_from: Pts90k,
    end: Pts90k,
    origin: Pts90k,
    timescale: u32,
) -> Result<(Elst, u64), MediaError> {
    let from = start.max(shown_from).max(origin);
    let shown = u64::try_from(end - from).ok().filter(|&ticks| ticks > 0).ok_or_else(|| {
        MediaError::Inconsistent(format!(
            "a track that ends at {end:?}, before it begins to be shown at {from:?}"
        ))
    })?;
    let waiting = (from - start).unsigned_abs();
    let mut entries = Vec::with_capacity(2);
    if waiting > 0 {
        // An empty edit: this track begins later than the movie.
        entries.push(ElstEntry {
            segment_duration: waiting,
            media_time: None,
            media_rate: FixedPoint::from(1),
        });
    }
    entries.push(ElstEntry {
        segment_duration: shown,
        media_time: Some(media_time(from, origin, timescale).unsigned_abs()),
        media_rate: FixedPoint::from(1),
    });
    Ok((Elst { entries }, waiting + shown))
}

/// 8.6.2; absent where every sample is one.
fn sync_samples(samples: &[Sample]) -> Option<Stss> {
    if samples.iter().all(|sample| sample.keyframe) {
        return None;
    }
    let numbers = (1_u32..).zip(samples).filter(|(_, sample)| sample.keyframe).map(|(number, _)| number);
    Some(Stss { entries: numbers.collect() })
}

/// A duration in [`MOVIE_TIMESCALE`].
fn to_movie(ticks: i64, timescale: u32) -> i64 {
    let ticks = i128::from(ticks) * i128::from(MOVIE_TIMESCALE) / i128::from(timescale);
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

/// Runs of equal values: how many, and which.
fn run_length(values: impl IntoIterator<Item = i64>) -> impl Iterator<Item = (u32, i64)> {
    let mut values = values.into_iter().peekable();
    std::iter::from_fn(move || {
        let value = values.next()?;
        let mut count = 1;
        while values.next_if_eq(&value).is_some() {
            count += 1;
        }
        Some((count, value))
    })
}

fn gap_too_long() -> MediaError {
    MediaError::Unsupported("a gap between two samples is too long for an MP4 file".into())
}

fn write_header(
    boxes: &mut [TrackBox<'_>],
    runs: &[Vec<Run>],
    payload_at: u64,
    long: bool,
    mdat_payload_bytes: u64,
    brand: Option<[u8; 4]>,
) -> Result<Vec<u8>, MediaError> {
    for (track, runs) in boxes.iter_mut().zip(runs) {
        let at = runs.iter().map(|run| payload_at.saturating_add(run.offset));
        track.tables.offsets = if long {
            ChunkOffsets::Long(Co64 { entries: at.collect() })
        } else {
            // The first writing only measures: what does not fit is written long afterwards.
            ChunkOffsets::Short(Stco { entries: at.map(|at| u32::try_from(at).unwrap_or(0)).collect() })
        };
    }
    let mut buf = Vec::new();
    // iso4: signed composition offsets (annex E).
    let brands = [*b"isom", *b"iso2", *b"iso4", *b"mp41"].into_iter().chain(brand);
    Ftyp {
        major_brand: b"isom".into(),
        minor_version: 0x200,
        compatible_brands: brands.map(FourCC::from).collect(),
    }
    .encode(&mut buf)?;
    encode_moov(&mut buf, boxes, None)?;
    encode_mdat_header(mdat_payload_bytes, &mut buf)?;
    Ok(buf)
}

/// mp4-atom's `Header` counts in `usize`, which is 32 bits on the boards, so the long form is spelled out
/// with its `Encode` (4.2: size 1, then the size in 64 bits, header included).
fn encode_mdat_header(payload_bytes: u64, buf: &mut Vec<u8>) -> Result<(), MediaError> {
    const SHORT_HEADER: u64 = 8;
    const LONG_HEADER: u64 = 16;
    let kind = FourCC::new(b"mdat");
    if payload_bytes <= u64::from(u32::MAX) - SHORT_HEADER {
        let size = usize::try_from(payload_bytes).expect("32 bits");
        Header { kind, size: Some(size) }.encode(buf)?;
    } else {
        let size = payload_bytes
            .checked_add(LONG_HEADER)
            .ok_or(MediaError::TooMany { what: "bytes in one file", limit: usize::MAX })?;
        1_u32.encode(buf)?;
        kind.encode(buf)?;
        size.encode(buf)?;
    }
    Ok(())
}
