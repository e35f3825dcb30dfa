//! A stretch of footage as an MP4 file that is never written.
//!
//! The plan is made from frame tables alone; ranges are served from the chunks as they lie on disk. Does not belong
//! here: media time (`timeline`), tracks (`track`), boxes (crate `media`), HTTP ranges (crate `web`).
//!
//! Invariants
//! - The same footage gives the same bytes.
//! - Every byte of a sample was verified with its chunk before it leaves.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use evidence::layout::{Hash, sha256};
use evidence::{CHUNK_UNHASHED, Manifest, PROOF_BRAND, Proof};
use hal::{ChannelId, StreamId, StreamKind, WallTime};
use media::movie_header_branded;

use crate::error::{ErrorKind, StoreError};
use crate::lane::Selected;
use crate::reader::{Reader, Unread};
use crate::segment::Entry;
use crate::stretch::{Cut, Stretch};
use crate::timeline::{Piece, Timeline, ticks};
use crate::track::{Placed, TrackPlan, mime};
use crate::twin::twin;
use crate::volume::hex;
use crate::vouched::{Vouched, proof_track};

/// The most channels in one movie: players decode all of them at once.
pub const MAX_MOVIE_CHANNELS: usize = 16;

/// The longest stretch of one movie. Its tables are then some 30 MB at 25 frames a second, and over a gap its last
/// picture stays, which an MP4 sample cannot do for longer than 13 hours (32 bits of 1/90 000 s).
const MAX_MOVIE_MICROS: i64 = 12 * 3_600_000_000;

/// Chunks kept while a range is served, for each track: the one being read, and one more for a second reader.
const KEPT_CHUNKS_PER_TRACK: usize = 2;

/// What a movie shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovieRequest {
    /// At most [`MAX_MOVIE_CHANNELS`], each once. Main stream and audio of each are a track, in this order.
    pub channels: Vec<MovieChannel>,
    /// The first moment.
    pub start: WallTime,
    /// The end, at most 12 hours later.
    pub end: WallTime,
    /// Which units are in the file.
    pub cut: Cut,
}

/// A channel of a movie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovieChannel {
    /// Its number.
    pub channel: ChannelId,
    /// What players call its tracks, where there are several channels; may be empty.
    pub name: String,
}

/// A track of a movie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovieTrack {
    /// What is in it.
    pub stream: StreamId,
    /// As RFC 6381 writes them, each once.
    pub codecs: Vec<String>,
    /// Which stretches of its channel have footage, and where they are in the movie; in order.
    pub pieces: Vec<Piece>,
}

/// Part of the file.
struct Extent {
    /// From the first byte of the file.
    offset: u64,
    bytes: u64,
    content: Content,
}

enum Content {
    /// Made by the plan.
    Bytes(Bytes),
    /// Units of one chunk.
    Samples(ChunkPart),
    /// Chunk headers.
    Headers(Vouched),
}

/// Where units of one chunk come from.
struct ChunkPart {
    volume: usize,
    segment: u64,
    entry: Entry,
    /// Where they begin in the chunk's footage.
    skip_bytes: u64,
    /// SHA-256 of the chunk's footage; `None` when it was not hashed.
    footage: Option<Hash>,
}

/// A planned MP4.
pub struct Movie {
    reader: Reader,
    extents: Vec<Extent>,
    len: u64,
    start: WallTime,
    end: WallTime,
    tracks: Vec<MovieTrack>,
    /// Of each track, where the file is of whole chunks.
    vouched: Vec<Vec<Vouched>>,
    unread: Vec<Unread>,
    mime: String,
    frame_rate: Option<f64>,
    etag: String,
    kept: Mutex<VecDeque<(usize, Bytes)>>,
}

impl Movie {
    /// Plans the movie of one channel, as [`Movie::plan_all`] does.
    ///
    /// # Errors
    /// As [`Movie::plan_all`].
    pub fn plan(
        reader: &Reader,
        channel: ChannelId,
        start: WallTime,
        end: WallTime,
    ) -> Result<Self, StoreError> {
        let channels = vec![MovieChannel { channel, name: String::new() }];
        Self::plan_all(reader, &MovieRequest { channels, start, end, cut: Cut::Units })
    }

    /// Plans a movie.
    ///
    /// It begins with the picture that is shown at the asked start, or with the first one after it: see
    /// [`Movie::start`]. What must be decoded before is in the file, and an edit list hides it to the tick. Where footage
    /// is missing the last picture stays until it goes on, so that media time remains wall time. Channels without
    /// footage are left out, and audio of another codec or sample rate than its track begins with.
    ///
    /// # Errors
    /// `NoFootage` when there is none, `Invalid` for a request that cannot be; `Index`, `Io`, `NoKey`, `Damaged` when nothing
    /// at all can be read.
    pub fn plan_all(reader: &Reader, request: &MovieRequest) -> Result<Self, StoreError> {
        check(reader, request)?;
        let stretch = |channel: &MovieChannel, kind, from| {
            Stretch::begin(reader, StreamId::new(channel.channel, kind), from, request.end, request.cut)
        };
        let channels = request.channels.iter();
        let pictures: Vec<Stretch<'_>> = channels
            .clone()
            .map(|channel| stretch(channel, StreamKind::Main, request.start))
            .collect::<Result<_, _>>()?;
        // The earliest picture of those shown; other channels begin with theirs, less than a picture later.
        let pictured = pictures.iter().filter_map(Stretch::shown_from).min();
        let sounds: Vec<Stretch<'_>> = channels
            .clone()
            .map(|channel| stretch(channel, StreamKind::Audio, pictured.unwrap_or(request.start)))
            .collect::<Result<_, _>>()?;
        let Some(start) = pictured.or_else(|| sounds.iter().filter_map(Stretch::shown_from).min()) else {
            return Err(nothing(reader, pictures.into_iter().chain(sounds)));
        };

        let whole = request.cut == Cut::Chunks;
        let mut plan = Plan { reader, whole, start, end: start, tracks: Vec::new(), parts: Vec::new() };
        let mut unread = Vec::new();
        for ((channel, mut pictures), mut sound) in channels.zip(pictures).zip(sounds) {
            let mut timeline = Timeline::new(start);
            let shown_from = pictures.shown_from().unwrap_or(start);
            // With one channel there is nothing to tell apart.
            let name = if request.channels.len() > 1 { channel.name.as_str() } else { "" };
            let mut track = PlannedTrack::new(pictures.stream(), name, shown_from, start);
            for chunk in &mut pictures {
                let shift = timeline.place(&chunk);
                plan.add(&mut track, &chunk, shift)?;
            }
            plan.tracks.push(track);
            let alone = timeline.end().is_none();
            let mut track = PlannedTrack::new(sound.stream(), name, start, start);
            for chunk in &mut sound {
                let shift = if alone { timeline.place(&chunk) } else { timeline.shift_of(&chunk) };
                plan.add(&mut track, &chunk, shift)?;
            }
            plan.tracks.push(track);
            plan.ends(&timeline, request.end);
            unread.extend(pictures.unread());
            unread.extend(sound.unread());
        }
        plan.finish(unread)
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

    /// The tracks, as they are in the file.
    #[must_use]
    pub fn tracks(&self) -> &[MovieTrack] {
        &self.tracks
    }

    /// The pieces of the first track.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        self.tracks.first().map_or(&[], |track| &track.pieces)
    }

    /// What should be in the movie and could not be read, on any volume.
    #[must_use]
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// The content type with its codecs (RFC 6381): `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
    #[must_use]
    pub fn mime(&self) -> &str {
        &self.mime
    }

    /// Frames a second of the first track: what most frames keep to; `None` without video or with a single frame.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        self.frame_rate
    }

    /// Changes when the bytes do; without quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// What the proof of this file has to say of it, without leaves; `None` unless it was planned as [`Cut::Chunks`].
    #[must_use]
    pub fn manifest(&self) -> Option<Manifest> {
        let Extent { bytes: head_bytes, content: Content::Bytes(head), .. } = self.extents.first()? else {
            return None;
        };
        let tracks = self.tracks.iter().zip(&self.vouched).zip(1..);
        let tracks: Vec<_> =
            tracks.map(|((track, list), id)| proof_track(&self.reader, id, track.stream, list)).collect();
        (!tracks.is_empty()).then(|| Manifest {
            head_bytes: *head_bytes,
            head_hash: sha256(head),
            start: self.start,
            end: self.end,
            tracks,
            leaves: Vec::new(),
        })
    }

    /// The sealed segments whose chunks are in the file: a ledger may vouch for them. Empty unless it was planned as
    /// [`Cut::Chunks`].
    #[must_use]
    pub fn sealed_segments(&self) -> BTreeSet<(ledger::VolumeId, u64)> {
        self.vouched.iter().flatten().filter_map(|vouched| vouched.sealed_segment(&self.reader)).collect()
    }

    /// The same file with its proof behind it; `leaves` are the records of all leaves of the proof.
    #[must_use]
    pub fn with_proof(mut self, proof: &Proof, leaves: &[u8]) -> Self {
        let front = Bytes::from([proof.front(), leaves].concat());
        self.etag = hex(&sha256(&[self.etag.as_bytes(), &front].concat())[..16]);
        self.append(front.len() as u64, Content::Bytes(front));
        for vouched in std::mem::take(&mut self.vouched).into_iter().flatten() {
            self.append(vouched.bytes, Content::Headers(vouched));
        }
        let trailer = proof.trailer();
        self.append(trailer.len() as u64, Content::Bytes(Bytes::copy_from_slice(&trailer)));
        self
    }

    fn append(&mut self, bytes: u64, content: Content) {
        self.extents.push(Extent { offset: self.len, bytes, content });
        self.len += bytes;
    }

    /// Reads at `offset` until `into` is full or the file ends; returns how many bytes. What one volume cannot read is
    /// taken from another one that has the same footage.
    ///
    /// # Errors
    /// `Recycled` when newer footage has taken the place, `Damaged`, `Io`: the next plan will do without that chunk.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        let mut done = 0;
        while done < into.len() {
            let at = offset.saturating_add(done as u64);
            if at >= self.len {
                break;
            }
            // The first one begins at 0, and they lie side by side up to the end.
            let number = self.extents.partition_point(|extent| extent.offset <= at) - 1;
            let extent = &self.extents[number];
            let begin = (at - extent.offset) as usize;
            let rest = &mut into[done..];
            done += match &extent.content {
                Content::Bytes(bytes) => copy(&bytes[begin..], rest),
                Content::Samples(part) => {
                    let footage = self.footage(number, part)?;
                    let (skip, end) = (part.skip_bytes as usize, (part.skip_bytes + extent.bytes) as usize);
                    copy(&footage[skip + begin..end], rest)
                }
                Content::Headers(vouched) => {
                    let headers = self.kept_or(number, || vouched.headers(&self.reader))?;
                    copy(&headers[begin..], rest)
                }
            };
        }
        Ok(done)
    }

    fn footage(&self, number: usize, part: &ChunkPart) -> Result<Bytes, StoreError> {
        self.kept_or(number, || {
            let read = self.reader.volumes[part.volume].fetch(part.segment, &part.entry);
            read.or_else(|error| {
                let hash = part.footage.as_ref();
                hash.and_then(|hash| twin(&self.reader, part.volume, &part.entry, hash)).ok_or(error)
            })
        })
    }

    /// What was read for extent `number` before, or what `read` gives now.
    fn kept_or(
        &self,
        number: usize,
        read: impl FnOnce() -> Result<Bytes, StoreError>,
    ) -> Result<Bytes, StoreError> {
        // Not held while reading: two readers of one movie may read a chunk twice, but do not wait.
        let hit = self.lock().iter().find(|(kept, _)| *kept == number).map(|(_, bytes)| bytes.clone());
        if let Some(bytes) = hit {
            return Ok(bytes);
        }
        let bytes = read()?;
        let mut kept = self.lock();
        kept.push_back((number, bytes.clone()));
        if kept.len() > KEPT_CHUNKS_PER_TRACK * self.tracks.len() {
            kept.pop_front();
        }
        Ok(bytes)
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

fn check(reader: &Reader, request: &MovieRequest) -> Result<(), StoreError> {
    let invalid = |what: &str| Err(StoreError::new(ErrorKind::Invalid, reader.dir(), None, what));
    let span = request.end.micros_since(request.start);
    if request.end <= request.start || span > MAX_MOVIE_MICROS {
        return invalid("a stretch of at most 12 hours is needed");
    }
    let mut channels: Vec<ChannelId> = request.channels.iter().map(|channel| channel.channel).collect();
    channels.sort_unstable();
    channels.dedup();
    if channels.is_empty() || channels.len() > MAX_MOVIE_CHANNELS || channels.len() < request.channels.len() {
        return invalid("1 to 16 different channels are needed");
    }
    Ok(())
}

/// Why there is nothing to show.
fn nothing<'a>(reader: &Reader, stretches: impl Iterator<Item = Stretch<'a>>) -> StoreError {
    let unread = stretches.filter_map(Stretch::into_error).next();
    unread.unwrap_or_else(|| reader.no_footage())
}

/// The units of one chunk, to be placed in the file.
struct Part {
    track: usize,
    placed: Placed,
    bytes: u64,
    from: ChunkPart,
}

struct PlannedTrack<'a> {
    track: TrackPlan,
    name: &'a str,
    shown_from: WallTime,
    end: WallTime,
    pieces: Vec<Piece>,
    /// All of its chunks, those that the track cannot have among them; nothing unless the file is of whole chunks.
    vouched: Vec<Vouched>,
}

impl<'a> PlannedTrack<'a> {
    fn new(stream: StreamId, name: &'a str, shown_from: WallTime, end: WallTime) -> Self {
        let (pieces, vouched) = (Vec::new(), Vec::new());
        Self { track: TrackPlan::new(stream), name, shown_from, end, pieces, vouched }
    }
}

/// A movie while it is planned.
struct Plan<'a> {
    reader: &'a Reader,
    /// The file is of whole chunks, for a proof.
    whole: bool,
    start: WallTime,
    end: WallTime,
    tracks: Vec<PlannedTrack<'a>>,
    parts: Vec<Part>,
}

impl Plan<'_> {
    /// Adds a chunk to `track`, which will be the next one.
    fn add(&mut self, track: &mut PlannedTrack<'_>, chunk: &Selected, shift: i64) -> Result<(), StoreError> {
        if self.whole {
            Vouched::add(&mut track.vouched, chunk);
        }
        let placed = track.track.add(chunk, shift).map_err(|what| {
            self.reader.volumes[chunk.volume].volume.damaged(chunk.segment, chunk.entry.offset, &what)
        })?;
        let Some(placed) = placed else { return Ok(()) };
        let hashed = chunk.header.flags & CHUNK_UNHASHED == 0;
        self.parts.push(Part {
            track: self.tracks.len(),
            placed,
            bytes: chunk.bytes(),
            from: ChunkPart {
                volume: chunk.volume,
                segment: chunk.segment,
                entry: chunk.entry,
                skip_bytes: chunk.skip_bytes,
                footage: hashed.then_some(chunk.header.payload_hash),
            },
        });
        Ok(())
    }

    /// The two tracks of a channel that were added last end where its footage ends, `end` at the latest.
    fn ends(&mut self, timeline: &Timeline, end: WallTime) {
        let Some(last) = timeline.end() else { return };
        let end = end.min(last);
        self.end = self.end.max(end);
        let count = self.tracks.len();
        for planned in &mut self.tracks[count - 2..] {
            planned.end = end;
            planned.pieces = timeline.pieces(self.start, end);
        }
    }

    fn finish(self, unread: Vec<Unread>) -> Result<Movie, StoreError> {
        let Self { reader, whole, start, end, mut tracks, mut parts } = self;
        // Interleaved by time, so that a player reads forward; within a track in decoding order, which is not
        // that of the presentations where there are B-frames.
        let mut latest = vec![i64::MIN; tracks.len()];
        for part in &mut parts {
            let latest = &mut latest[part.track];
            *latest = part.placed.media.max(*latest);
            part.placed.media = *latest;
        }
        parts.sort_by_key(|part| (part.placed.media, part.track));
        let mut offset = 0;
        let mut extents = Vec::with_capacity(parts.len() + 1);
        let made = Content::Bytes(Bytes::new());
        extents.push(Extent { offset, bytes: 0, content: made });
        for Part { track, placed, bytes, from } in parts {
            tracks[track].track.lies_at(&placed, offset);
            extents.push(Extent { offset, bytes, content: Content::Samples(from) });
            offset += bytes;
        }
        tracks.retain(|planned| !planned.track.is_empty());
        let frame_rate = tracks.first().and_then(|planned| planned.track.frame_rate());
        let facts: Vec<MovieTrack> = tracks
            .iter_mut()
            .map(|planned| MovieTrack {
                stream: planned.track.stream,
                codecs: planned.track.codecs(),
                pieces: std::mem::take(&mut planned.pieces),
            })
            .collect();
        let mut vouched: Vec<Vec<Vouched>> =
            tracks.iter_mut().map(|planned| std::mem::take(&mut planned.vouched)).collect();
        vouched.iter_mut().try_for_each(|list| Vouched::complete(list, reader))?;
        let in_movie = |wall: WallTime| ticks(wall.micros_since(start));
        let boxes: Vec<_> = tracks
            .into_iter()
            .map(|planned| {
                planned.track.finish(planned.name, in_movie(planned.shown_from), in_movie(planned.end))
            })
            .collect();
        let brand = whole.then_some(PROOF_BRAND);
        let header = movie_header_branded(&boxes, offset, brand).map_err(|error| {
            let what = format!("no movie can be made of it: {error}");
            StoreError::new(ErrorKind::Damaged, reader.dir(), None, what)
        })?;
        let header_bytes = header.len() as u64;
        let etag = etag(&header, &extents);
        for extent in &mut extents[1..] {
            extent.offset += header_bytes;
        }
        extents[0].bytes = header_bytes;
        extents[0].content = Content::Bytes(header);
        Ok(Movie {
            reader: reader.clone(),
            len: header_bytes + offset,
            extents,
            start,
            end,
            mime: mime(facts.iter().flat_map(|track| track.codecs.iter().cloned())),
            tracks: facts,
            vouched: if whole { vouched } else { Vec::new() },
            unread,
            frame_rate,
            etag,
            kept: Mutex::default(),
        })
    }
}

fn etag(header: &Bytes, extents: &[Extent]) -> String {
    let mut all = header.to_vec();
    for extent in extents {
        if let Content::Samples(part) = &extent.content {
            all.extend_from_slice(part.footage.as_ref().unwrap_or(&part.entry.hash));
        }
    }
    // Half of the digest is more than enough to tell two movies of one recorder apart.
    hex(&sha256(&all)[..16])
}
