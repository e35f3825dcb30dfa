//! A stretch of a channel as fragmented MP4, for players that seek.
//!
//! Nothing is planned: the first picture takes the footer of one segment and one chunk, wherever in a year it is. A chunk is a
//! fragment; pictures and sound take turns. Does not belong here: files to keep (`movie`), live views (crate `live`).
//!
//! Invariants
//! - Media time is wall time less [`FragmentRequest::zero`], as in `timeline`.
//! - A unit lasts exactly until the next one decodes, unless footage is missing between them: so the last one of a chunk waits
//!   for the next chunk.

use std::collections::VecDeque;

use bytes::Bytes;
use hal::{AudioCodec, ChannelId, Pts90k, StreamId, StreamKind, WallTime};
use media::{
    DecodeClock, FragmentHead, MAX_REORDER, MediaError, SampleEntry, SampleHead, TrackInit, fragment_head,
    init_segment, media_time,
};

use crate::error::{ErrorKind, StoreError};
use crate::lane::Selected;
use crate::reader::Reader;
use crate::select::Selection;
use crate::timeline::{Timeline, ticks};
use crate::track::{mime, sample_entry};

/// How long before the first moment media time 0 is at least: the keyframe that is needed may be two minutes older, and no
/// media time is negative (ISO/IEC 14496-12 section 8.8.12).
pub const MIN_LEAD_MICROS: i64 = 300_000_000;

/// The tracks of every init segment.
const PICTURES: u32 = 1;
const SOUND: u32 = 2;

/// A unit that is followed by none lasts no longer.
const MAX_STAY_MICROS: i64 = 10_000_000;

/// What a player asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentRequest {
    /// Whose main stream.
    pub channel: ChannelId,
    /// The first moment; decoding begins with the keyframe before.
    pub start: WallTime,
    /// The end.
    pub end: WallTime,
    /// The moment of media time 0, at least [`MIN_LEAD_MICROS`] before `start`.
    pub zero: WallTime,
    /// Sound, too, where it is of a codec that browsers play (AAC).
    pub sound: bool,
}

/// Iterates over the bytes of an endless MP4: an init segment, fragments, and another init segment where the format changes;
/// made by [`Reader::fragments`]. The items are pieces of these, none larger than a chunk.
///
/// What cannot be read on any volume is a gap, as if it had not been recorded.
pub struct Fragments<'a> {
    reader: &'a Reader,
    timeline: Timeline,
    pictures: Track<'a>,
    sound: Option<Track<'a>>,
    sequence: u32,
    mime: String,
    ready: VecDeque<Bytes>,
}

/// One track.
struct Track<'a> {
    id: u32,
    selection: Selection<'a>,
    next: Option<Selected>,
    /// As stored, and as a box.
    entry: (Vec<u8>, SampleEntry),
    clock: DecodeClock,
    /// Of the chunk before.
    shift: Option<i64>,
    /// The last unit, until the next one tells how long it lasts.
    held: Option<Held>,
}

struct Held {
    sample: SampleHead,
    /// In the track's ticks.
    decode_time: i64,
    bytes: Bytes,
}

impl Reader {
    /// A stretch as fragmented MP4.
    ///
    /// # Errors
    /// `NoFootage` when there is none, `Invalid` for a stretch that is empty or a zero too late; `Index`, `Io`, `Damaged` when
    /// nothing at all can be read.
    pub fn fragments(&self, request: &FragmentRequest) -> Result<Fragments<'_>, StoreError> {
        let FragmentRequest { channel, start, end, zero, sound } = *request;
        if end <= start || start.micros_since(zero) < MIN_LEAD_MICROS {
            let what = "the end must be after the start, and the zero five minutes before it";
            return Err(StoreError::new(ErrorKind::Invalid, self.dir(), None, what));
        }
        let begin = |id, kind| Track::begin(self, id, self.select(StreamId::new(channel, kind), start, end)?);
        let Some(pictures) = begin(PICTURES, StreamKind::Main)? else {
            return Err(self.no_footage());
        };
        let sound = if sound { begin(SOUND, StreamKind::Audio)? } else { None };
        let mut fragments = Fragments {
            reader: self,
            timeline: Timeline::new(zero),
            pictures,
            sound: sound.filter(|track| is_playable(&track.entry.1)),
            sequence: 0,
            mime: String::new(),
            ready: VecDeque::new(),
        };
        fragments.init().map_err(|error| self.unwritable(&error))?;
        Ok(fragments)
    }

    fn unwritable(&self, error: &MediaError) -> StoreError {
        let what = format!("no fragment can be made of it: {error}");
        StoreError::new(ErrorKind::Damaged, self.dir(), None, what)
    }
}

impl<'a> Fragments<'a> {
    /// The content type with the codecs at the beginning (RFC 6381): `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
    #[must_use]
    pub fn mime(&self) -> &str {
        &self.mime
    }

    fn init(&mut self) -> Result<(), MediaError> {
        let tracks = std::iter::once(&self.pictures).chain(&self.sound);
        let tracks: Vec<TrackInit> =
            tracks.map(|track| TrackInit { id: track.id, entry: track.entry.1.clone() }).collect();
        self.mime = mime(tracks.iter().map(|track| track.entry.rfc6381()));
        self.ready.push_back(init_segment(&tracks)?);
        Ok(())
    }

    /// Takes the next chunk, that of the track where it is earlier; false at the end.
    fn advance(&mut self) -> Result<bool, StoreError> {
        let of_pictures = self.pictures.starts();
        let of_sound = self.sound.as_mut().and_then(Track::starts);
        let sound_first = of_sound.is_some_and(|sound| of_pictures.is_none_or(|pictures| sound < pictures));
        let track = match &mut self.sound {
            Some(sound) if sound_first => sound,
            _ => &mut self.pictures,
        };
        let Some(chunk) = track.next.take() else {
            let left = self.end(false)? | self.end(true)?;
            return Ok(left);
        };
        let footage = match self.reader.volumes[chunk.volume].fetch(chunk.segment, &chunk.entry) {
            Ok(footage) => footage,
            Err(error) => {
                track.selection.refuse(&chunk, error);
                return Ok(true);
            }
        };
        let other = match track.other_entry(&chunk) {
            Ok(other) => other,
            Err(what) => {
                tracing::warn!(what, "a chunk is left out");
                return Ok(true);
            }
        };
        let shift = if sound_first { self.timeline.shift_of(&chunk) } else { self.timeline.place(&chunk) };
        if other.is_some() || !chunk.follows || track.shift != Some(shift) {
            track.clock.restart();
            self.end(sound_first)?;
        }
        if let Some(entry) = other {
            self.track(sound_first).take_entry(entry, &chunk);
            self.init().map_err(|error| self.reader.unwritable(&error))?;
        }
        let track = self.track(sound_first);
        track.shift = Some(shift);
        let (samples, decode_time, bytes) = track.cut(&chunk, &footage, shift);
        self.emit(sound_first, &samples, decode_time, bytes)?;
        Ok(true)
    }

    /// Lets go of the unit that is held, because none goes on from it; whether there was one.
    fn end(&mut self, of_sound: bool) -> Result<bool, StoreError> {
        if of_sound && self.sound.is_none() {
            return Ok(false);
        }
        let Some(held) = self.track(of_sound).held.take() else { return Ok(false) };
        self.emit(of_sound, &[held.sample], held.decode_time, vec![held.bytes])?;
        Ok(true)
    }

    fn emit(
        &mut self,
        of_sound: bool,
        samples: &[SampleHead],
        decode_time: i64,
        bytes: Vec<Bytes>,
    ) -> Result<(), StoreError> {
        if samples.is_empty() {
            return Ok(());
        }
        self.sequence = self.sequence.wrapping_add(1);
        let id = self.track(of_sound).id;
        let head = FragmentHead { id, decode_time: decode_time.unsigned_abs(), samples };
        let head = fragment_head(self.sequence, &head).map_err(|error| self.reader.unwritable(&error))?;
        self.ready.push_back(head);
        self.ready.extend(bytes.into_iter().filter(|bytes| !bytes.is_empty()));
        Ok(())
    }

    fn track(&mut self, of_sound: bool) -> &mut Track<'a> {
        match &mut self.sound {
            Some(sound) if of_sound => sound,
            _ => &mut self.pictures,
        }
    }
}

impl Iterator for Fragments<'_> {
    type Item = Result<Bytes, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

impl<'a> Track<'a> {
    /// At the first chunk; `None` when there is none.
    fn begin(reader: &Reader, id: u32, mut selection: Selection<'a>) -> Result<Option<Self>, StoreError> {
        let Some(chunk) = selection.next() else {
            return selection.first_failure().map_or(Ok(None), Err);
        };
        let entry = sample_entry(&chunk.header.entry).map_err(|what| {
            reader.volumes[chunk.volume].volume.damaged(chunk.segment, chunk.entry.offset, &what)
        })?;
        let clock = DecodeClock::new(reorder(&entry, &chunk));
        let entry = (chunk.header.entry.clone(), entry);
        Ok(Some(Self { id, selection, next: Some(chunk), entry, clock, shift: None, held: None }))
    }

    /// When the next chunk begins; `None` at the end.
    fn starts(&mut self) -> Option<WallTime> {
        if self.next.is_none() {
            self.next = self.selection.next();
        }
        self.next.as_ref().map(|next| next.entry.start())
    }

    /// The chunk's sample entry, when it is another one.
    fn other_entry(&self, chunk: &Selected) -> Result<Option<SampleEntry>, String> {
        if self.entry.0 == chunk.header.entry {
            return Ok(None);
        }
        let fresh = sample_entry(&chunk.header.entry)?;
        if self.id == SOUND && !is_playable(&fresh) {
            return Err("sound of another codec".to_owned());
        }
        Ok(Some(fresh))
    }

    fn take_entry(&mut self, entry: SampleEntry, chunk: &Selected) {
        let clock = std::mem::replace(&mut self.clock, DecodeClock::new(0));
        self.clock = clock.with_reorder(reorder(&entry, chunk));
        self.entry = (chunk.header.entry.clone(), entry);
    }

    /// A fragment of what is held and the units of a chunk but the last one, which is held now: its samples, when it begins,
    /// and its bytes.
    fn cut(&mut self, chunk: &Selected, footage: &Bytes, shift: i64) -> (Vec<SampleHead>, i64, Vec<Bytes>) {
        let timescale = self.entry.1.timescale();
        let mean = mean_ticks(chunk);
        let usual = u32::try_from(media_time(Pts90k(mean), Pts90k(0), timescale)).unwrap_or(1).max(1);
        let begin = chunk.skip_bytes as usize;
        let end = begin + chunk.bytes() as usize;
        let last = chunk.frames().last().map_or(0, |frame| frame.size as usize);
        let held = self.held.take();
        let mut bytes: Vec<Bytes> = held.iter().map(|held| held.bytes.clone()).collect();
        bytes.push(footage.slice(begin..end - last));
        let mut samples: Vec<(i64, SampleHead)> =
            held.iter().map(|held| (held.decode_time, held.sample)).collect();
        for frame in chunk.frames() {
            let pts = chunk.entry.pts.0 + i64::from(frame.pts_offset) + shift;
            let pts = media_time(Pts90k(pts), Pts90k(0), timescale);
            let time = if self.id == PICTURES { self.clock.decode_time(pts, mean) } else { pts };
            let time = time.max(0);
            if let Some((before, sample)) = samples.last_mut() {
                sample.duration = u32::try_from(time - *before).unwrap_or(1).max(1);
            }
            let sample = SampleHead {
                duration: usual,
                composition_offset: i32::try_from(pts - time).unwrap_or(0),
                keyframe: frame.keyframe,
                size: frame.size,
            };
            samples.push((time, sample));
        }
        let decode_time = samples.first().map_or(0, |(time, _)| *time);
        self.held = samples.pop().map(|(decode_time, sample)| Held {
            sample,
            decode_time,
            bytes: footage.slice(end - last..end),
        });
        (samples.into_iter().map(|(_, sample)| sample).collect(), decode_time, bytes)
    }
}

/// About how long a unit of the chunk lasts, 1/90 000 s.
fn mean_ticks(chunk: &Selected) -> i64 {
    let span = i64::from(chunk.entry.end_offset) - i64::from(chunk.entry.start_offset);
    (span / i64::from(chunk.entry.units.max(1))).clamp(1, ticks(MAX_STAY_MICROS))
}

/// How many pictures are decoded before others that are shown earlier: as the stream says, and where it says nothing or
/// too little, as the chunk has it.
fn reorder(entry: &SampleEntry, chunk: &Selected) -> usize {
    let SampleEntry::Video(params) = entry else { return 0 };
    let frames = &chunk.header.frames;
    let waiting = |at: usize| {
        let before = &frames[at.saturating_sub(MAX_REORDER)..at];
        before.iter().filter(|earlier| earlier.pts_offset > frames[at].pts_offset).count()
    };
    let seen = (0..frames.len()).map(waiting).max().unwrap_or(0);
    seen.max(usize::from(params.reorder_frames.unwrap_or(0)))
}

/// What Media Source Extensions take everywhere.
fn is_playable(entry: &SampleEntry) -> bool {
    matches!(entry, SampleEntry::Audio(format) if format.codec == AudioCodec::Aac)
}
