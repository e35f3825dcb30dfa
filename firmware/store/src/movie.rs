//! A stretch of footage as an MP4 file that is never written.
//!
//! The plan is made from frame tables alone; ranges are served from the chunks as they lie on disk. Does not belong
//! here: boxes (crate `media`), HTTP ranges (crate `web`).
//!
//! Invariants
//! - Media time is wall time less the movie's start, to within [`MAX_STRAY_TICKS`]; within a piece it follows the
//!   presentation times exactly.
//! - The same footage gives the same bytes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use evidence::layout::sha256;
use evidence::{CHUNK_DISCONTINUITY, SampleFormat};
use hal::{ChannelId, Pts90k, StreamId, StreamKind, WallTime};
use media::{ChunkRef, Sample, SampleEntry, Track, VideoParams, movie_header};

use crate::catalog::fetch;
use crate::error::{ErrorKind, StoreError};
use crate::reader::Reader;
use crate::runs::RUN_GAP_MICROS;
use crate::segment::Entry;
use crate::select::{Selected, Selection};
use crate::volume::{Volume, hex};

/// How far media time may stray from wall time before a new piece begins: the picture and the clock beside it must
/// agree, and a camera's clock drifts by this in an hour.
const MAX_STRAY_TICKS: i64 = Pts90k::PER_SECOND / 4;

/// Chunks kept while a range is served: the one being read of each track.
const KEPT_CHUNKS: usize = 4;

/// The longest stretch of one movie. Its tables are then some 30 MB at 25 frames a second, and over a gap its last
/// picture stays, which an MP4 sample cannot do for longer than 13 hours (32 bits of 1/90 000 s).
const MAX_MOVIE_MICROS: i64 = 12 * 3_600_000_000;

/// Footage without a gap within a movie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The wall time of its first presentation.
    pub start: WallTime,
    /// The wall time of its end.
    pub end: WallTime,
    /// Where `start` is in the movie, microseconds.
    pub media_start_micros: i64,
}

/// Samples of one chunk within the file.
struct Extent {
    /// From the first byte of the samples.
    offset: u64,
    bytes: u64,
    segment: u64,
    entry: Entry,
    /// Where they begin in the chunk's payload.
    skip_bytes: u64,
}

/// A planned MP4.
pub struct Movie {
    volume: Volume,
    header: Bytes,
    extents: Vec<Extent>,
    len: u64,
    start: WallTime,
    end: WallTime,
    pieces: Vec<Piece>,
    mime: String,
    frame_rate: Option<f64>,
    etag: String,
    kept: Mutex<VecDeque<(usize, Bytes)>>,
}

impl Movie {
    /// Plans the movie of a channel's main stream, with its audio where there is some, from `start` to `end`.
    ///
    /// It begins with the picture that is shown at `start`, or with the first one after it: see [`Movie::start`].
    /// What must be decoded before is in the file, and an edit list hides it to the tick. Where footage is missing the last picture stays until it goes on, so that
    /// media time remains wall time. Audio of another codec or sample rate than the stretch begins with is left out.
    ///
    /// # Errors
    /// `NoFootage` when there is none, `Invalid` for a stretch that is empty or longer than 12 hours, `Index`,
    /// `Io`, `Damaged`.
    pub fn plan(
        reader: &Reader,
        channel: ChannelId,
        start: WallTime,
        end: WallTime,
    ) -> Result<Self, StoreError> {
        let dir = &reader.catalog.volume.dir;
        if end <= start || end.micros_since(start) > MAX_MOVIE_MICROS {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                dir,
                None,
                "a stretch of at most 12 hours is needed",
            ));
        }
        let video = select(reader, StreamId::new(channel, StreamKind::Main), start, end)?;
        let start = first_shown(&video, start);
        let audio = select(reader, StreamId::new(channel, StreamKind::Audio), start, end)?;
        if video.is_empty() && audio.is_empty() {
            let what = format!("channel {channel} has no footage in this time");
            return Err(StoreError::new(ErrorKind::NoFootage, dir, None, what));
        }
        let start = if video.is_empty() { first_shown(&audio, start) } else { start };

        let mut timeline = Timeline { start, pieces: Vec::new() };
        let mut plans: Vec<ChunkPlan> = Vec::new();
        let mut tracks = vec![TrackPlan::new(&reader.catalog.volume), TrackPlan::new(&reader.catalog.volume)];
        for chunk in &video {
            let shift = timeline.place(chunk);
            plans.extend(tracks[0].add(0, chunk, shift)?);
        }
        if video.is_empty() {
            for chunk in &audio {
                timeline.place(chunk);
            }
        }
        for chunk in &audio {
            plans.extend(tracks[1].add(1, chunk, timeline.shift_of(chunk))?);
        }
        let end = end.min(timeline.pieces.last().map_or(start, |piece| piece.end));

        // Interleaved by time, so that a player reads forward; within a track in decoding order, which is not
        // that of the presentations where there are B-frames.
        let mut latest = [i64::MIN; 2];
        for plan in &mut plans {
            let latest = &mut latest[plan.track];
            *latest = plan.media.max(*latest);
            plan.media = *latest;
        }
        plans.sort_by_key(|plan| (plan.media, plan.track));
        let mut offset = 0;
        let mut extents = Vec::with_capacity(plans.len());
        for plan in &plans {
            tracks[plan.track].chunks.push(ChunkRef {
                first_sample: plan.first_sample,
                samples: plan.samples,
                offset,
            });
            extents.push(Extent {
                offset,
                bytes: plan.bytes,
                segment: plan.segment,
                entry: plan.entry,
                skip_bytes: plan.skip_bytes,
            });
            offset += plan.bytes;
        }
        let frame_rate = tracks[0].frame_rate();
        let tracks: Vec<Track> =
            tracks.into_iter().map(|track| track.finish(ticks(end.micros_since(start)))).collect();
        let header = movie_header(&tracks, offset).map_err(|error| {
            StoreError::new(ErrorKind::Damaged, dir, None, format!("no movie can be made of it: {error}"))
        })?;
        Ok(Self {
            volume: reader.catalog.volume.clone(),
            len: header.len() as u64 + offset,
            etag: etag(&header, &extents),
            mime: mime(&tracks),
            header,
            extents,
            start,
            end,
            pieces: timeline.pieces.iter().filter_map(|piece| piece.piece(start, end)).collect(),
            frame_rate,
            kept: Mutex::default(),
        })
    }

    /// The file's size in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a movie is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The wall time of media time 0.
    #[must_use]
    pub fn start(&self) -> WallTime {
        self.start
    }

    /// The wall time of the end.
    #[must_use]
    pub fn end(&self) -> WallTime {
        self.end
    }

    /// Which stretches have footage, and where they are in the movie; in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The content type with its codecs (RFC 6381): `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
    #[must_use]
    pub fn mime(&self) -> &str {
        &self.mime
    }

    /// Frames a second: what most frames keep to; `None` without video or with a single frame.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        self.frame_rate
    }

    /// Changes when the bytes do; without quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Reads at `offset` until `into` is full or the file ends; returns how many bytes.
    ///
    /// # Errors
    /// `Recycled` when newer footage has taken the place, `NoKey`, `Damaged`, `Io`.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        let mut done = 0;
        while done < into.len() {
            let at = offset.saturating_add(done as u64);
            let rest = &mut into[done..];
            let copied = match at.checked_sub(self.header.len() as u64) {
                None => copy(&self.header[at as usize..], rest),
                Some(at) => {
                    let Some(number) =
                        self.extents.partition_point(|extent| extent.offset <= at).checked_sub(1)
                    else {
                        break;
                    };
                    let extent = &self.extents[number];
                    if at >= extent.offset + extent.bytes {
                        break;
                    }
                    let payload = self.payload(number)?;
                    let begin = (extent.skip_bytes + at - extent.offset) as usize;
                    copy(&payload[begin..(extent.skip_bytes + extent.bytes) as usize], rest)
                }
            };
            done += copied;
        }
        Ok(done)
    }

    fn payload(&self, number: usize) -> Result<Bytes, StoreError> {
        // Not held while reading: two readers of one movie may read a chunk twice, but do not wait.
        let hit = self.lock().iter().find(|(kept, _)| *kept == number).map(|(_, payload)| payload.clone());
        if let Some(payload) = hit {
            return Ok(payload);
        }
        let extent = &self.extents[number];
        let payload = fetch(&self.volume, extent.segment, &extent.entry)?;
        let mut kept = self.lock();
        kept.push_back((number, payload.clone()));
        if kept.len() > KEPT_CHUNKS {
            kept.pop_front();
        }
        Ok(payload)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(usize, Bytes)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
    count
}

fn select(
    reader: &Reader,
    stream: StreamId,
    from: WallTime,
    to: WallTime,
) -> Result<Vec<Selected>, StoreError> {
    let mut selection = Selection::new(&reader.catalog, stream, from, to)?;
    std::iter::from_fn(|| selection.next().transpose()).collect()
}

/// When the picture that is shown at `start` appeared; the first one after it, where footage begins later.
///
/// An edit that begins within a picture's time is shown differently by every player; one that begins with a picture
/// is not.
fn first_shown(chunks: &[Selected], start: WallTime) -> WallTime {
    fn times(chunk: &Selected) -> impl Iterator<Item = WallTime> {
        chunk.header.frames[chunk.first..chunk.end].iter().map(|frame| chunk.header.wall_of(frame.pts_offset))
    }
    let before = chunks.iter().take_while(|chunk| chunk.entry.start() <= start);
    let shown = before.flat_map(times).filter(|&wall| wall <= start).max();
    shown.or_else(|| chunks.iter().take(1).flat_map(times).min()).unwrap_or(start)
}

fn ticks(micros: i64) -> i64 {
    Pts90k::from_micros(micros).0
}

/// One piece, as far as it is in the file, and how its presentation times become media time.
struct Mapping {
    start: WallTime,
    end: WallTime,
    media_start: i64,
    /// Added to a presentation time.
    shift: i64,
    sequence: u64,
}

impl Mapping {
    /// What of it is shown between `from` and `to`.
    fn piece(&self, from: WallTime, to: WallTime) -> Option<Piece> {
        let (start, end) = (self.start.max(from), self.end.min(to));
        let hidden = start.micros_since(self.start);
        let media_start_micros = Pts90k(self.media_start).as_micros() + hidden;
        (start < end).then_some(Piece { start, end, media_start_micros })
    }
}

struct Timeline {
    start: WallTime,
    pieces: Vec<Mapping>,
}

impl Timeline {
    /// Where a chunk belongs by wall time alone.
    fn wall_shift(&self, chunk: &Selected) -> i64 {
        ticks(chunk.entry.wall.micros_since(self.start)) - chunk.entry.pts.0
    }

    /// The shift for the next chunk of the leading track; begins a new piece where one is needed.
    fn place(&mut self, chunk: &Selected) -> i64 {
        let entry = &chunk.entry;
        let wanted = self.wall_shift(chunk);
        if let Some(piece) = self.pieces.last_mut() {
            let goes_on = entry.flags & CHUNK_DISCONTINUITY == 0
                && entry.sequence == piece.sequence + 1
                && entry.start().micros_since(piece.end).abs() <= RUN_GAP_MICROS
                && (wanted - piece.shift).abs() <= MAX_STRAY_TICKS;
            if goes_on {
                piece.end = piece.end.max(entry.end());
                piece.sequence = entry.sequence;
                return piece.shift;
            }
        }
        // Never back in media time, whatever the wall clock did.
        let earliest = self
            .pieces
            .last()
            .map_or(i64::MIN, |piece| piece.media_start + ticks(piece.end.micros_since(piece.start)));
        let first = &chunk.header.frames[chunk.first..chunk.end];
        let begins = first.iter().map(|frame| frame.pts_offset).min().unwrap_or(0);
        let begins_pts = entry.pts.0 + i64::from(begins);
        let shift = wanted.max(earliest.saturating_sub(begins_pts));
        self.pieces.push(Mapping {
            start: chunk.header.wall_of(begins),
            end: entry.end(),
            media_start: begins_pts + shift,
            shift,
            sequence: entry.sequence,
        });
        shift
    }

    /// The shift for a chunk of the other track: that of the piece it is in, if they share a timeline.
    fn shift_of(&self, chunk: &Selected) -> i64 {
        let wanted = self.wall_shift(chunk);
        let at = self.pieces.partition_point(|piece| piece.start <= chunk.entry.wall);
        let near = self.pieces[at.saturating_sub(1)..self.pieces.len().min(at + 1)].iter();
        near.map(|piece| piece.shift)
            .filter(|shift| (shift - wanted).abs() <= MAX_STRAY_TICKS)
            .min_by_key(|shift| (shift - wanted).abs())
            .unwrap_or(wanted)
    }
}

/// The units of one chunk, to be placed in the file.
struct ChunkPlan {
    track: usize,
    media: i64,
    first_sample: u32,
    samples: u32,
    bytes: u64,
    segment: u64,
    entry: Entry,
    skip_bytes: u64,
}

/// A track while it is planned.
struct TrackPlan {
    volume_dir: PathBuf,
    entries: Vec<(Vec<u8>, SampleEntry)>,
    samples: Vec<Sample>,
    chunks: Vec<ChunkRef>,
}

impl TrackPlan {
    fn new(volume: &Volume) -> Self {
        Self {
            volume_dir: volume.segments.clone(),
            entries: Vec::new(),
            samples: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Takes a chunk's units; `None` when the track cannot have them.
    fn add(&mut self, track: usize, chunk: &Selected, shift: i64) -> Result<Option<ChunkPlan>, StoreError> {
        let Some(entry) = self.entry(chunk)? else { return Ok(None) };
        let first_sample = self.samples.len() as u32;
        let base = chunk.entry.pts.0 + shift;
        let frames = &chunk.header.frames[chunk.first..chunk.end];
        self.samples.extend(frames.iter().map(|frame| Sample {
            pts: Pts90k(base + i64::from(frame.pts_offset)),
            size: frame.size,
            keyframe: frame.keyframe,
            entry,
        }));
        Ok(Some(ChunkPlan {
            track,
            media: base + i64::from(frames.first().map_or(0, |frame| frame.pts_offset)),
            first_sample,
            samples: frames.len() as u32,
            bytes: frames.iter().map(|frame| u64::from(frame.size)).sum(),
            segment: chunk.segment,
            entry: chunk.entry,
            skip_bytes: chunk.skip_bytes,
        }))
    }

    fn entry(&mut self, chunk: &Selected) -> Result<Option<u16>, StoreError> {
        let stored = &chunk.header.entry;
        if let Some(known) = self.entries.iter().position(|(bytes, _)| bytes == stored) {
            return Ok(Some(known as u16));
        }
        let damaged = |what: String| {
            let file = crate::segment::path(&self.volume_dir, chunk.segment);
            StoreError::new(ErrorKind::Damaged, &file, Some(chunk.entry.offset), what)
        };
        let fresh = match SampleFormat::decode(stored).map_err(|what| damaged(what.into()))? {
            SampleFormat::Video(codec, sets) => SampleEntry::Video(
                VideoParams::new(codec, &sets).map_err(|error| damaged(error.to_string()))?,
            ),
            SampleFormat::Audio(format) => SampleEntry::Audio(format),
        };
        if self.entries.first().is_some_and(|(_, first)| !same_track(first, &fresh)) {
            return Ok(None);
        }
        let number = u16::try_from(self.entries.len()).map_err(|_| damaged("too many formats".into()))?;
        self.entries.push((stored.clone(), fresh));
        Ok(Some(number))
    }

    /// From the middle one of the distances between presentations.
    fn frame_rate(&self) -> Option<f64> {
        let mut pts: Vec<i64> = self.samples.iter().map(|sample| sample.pts.0).collect();
        pts.sort_unstable();
        let mut gaps: Vec<i64> =
            pts.windows(2).map(|pair| pair[1] - pair[0]).filter(|&gap| gap > 0).collect();
        let middle = gaps.len() / 2;
        if gaps.is_empty() {
            return None;
        }
        let (_, gap, _) = gaps.select_nth_unstable(middle);
        Some(Pts90k::PER_SECOND as f64 / *gap as f64)
    }

    /// A picture stays until the end; sound ends when it ends.
    fn finish(self, end: i64) -> Track {
        let sound_end = match self.samples[..] {
            [.., before, last] => last.pts.0 + (last.pts.0 - before.pts.0),
            _ => i64::MIN,
        };
        let video = self.entries.first().is_some_and(|(_, entry)| entry.is_video());
        Track {
            entries: self.entries.into_iter().map(|(_, entry)| entry).collect(),
            samples: self.samples,
            chunks: self.chunks,
            start: Pts90k(0),
            end: (video || sound_end >= end).then_some(Pts90k(end)),
        }
    }
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

fn mime(tracks: &[Track]) -> String {
    let mut codecs: Vec<String> = Vec::new();
    for codec in tracks.iter().flat_map(|track| &track.entries).map(SampleEntry::rfc6381) {
        if !codecs.contains(&codec) {
            codecs.push(codec);
        }
    }
    format!("video/mp4; codecs=\"{}\"", codecs.join(","))
}

fn etag(header: &Bytes, extents: &[Extent]) -> String {
    let mut all = header.to_vec();
    for extent in extents {
        all.extend_from_slice(&extent.entry.hash);
    }
    // Half of the digest is more than enough to tell two movies of one recorder apart.
    hex(&sha256(&all)[..16])
}
