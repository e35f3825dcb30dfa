//! Chunks while they fill: from access units to payloads and frame tables.
//!
//! Does not belong here: writing (`store`).
//!
//! Invariants
//! - A chunk has one sample entry and one timeline: pts and wall time advance together within it.
//! - Sequence numbers are given when a chunk closes, and it is sealed then, once; what links it to the chunk before, and
//!   its place, come when it is written.

use std::sync::Arc;

use evidence::layout::{CLOSE_CHUNK_BYTES, MAX_CHUNK_UNITS, Sha256};
use evidence::{
    CHUNK_DISCONTINUITY, CHUNK_KEYFRAME, CHUNK_UNHASHED, ChunkHeader, Frame, LifeKey, MAX_ENTRY_BYTES,
    Placement, SampleFormat,
};
use hal::{AccessUnit, Pts90k, StreamFormat, StreamId, WallTime};
use media::ParameterSets;
use media::annexb::split_parameter_sets_into;

/// The longest chunk: the commit interval.
const MAX_CHUNK_TICKS: i64 = Pts90k::PER_SECOND;

/// Wall time may stray this far from the timeline before a chunk is closed for a new anchor: less than anybody
/// sees, more than a source's jitter.
const MAX_ANCHOR_ERROR_MICROS: i64 = 100_000;

/// How long a stream's first unit is taken to last until a second one tells: 1/25 s.
const FIRST_UNIT_TICKS: i64 = 3600;

/// What a unit may last at most when that is only guessed from its neighbours.
const MAX_UNIT_TICKS: i64 = Pts90k::PER_SECOND;

/// A chunk that waits to be written: all of it but its place and what came before.
#[derive(Debug)]
pub(crate) struct ClosedChunk {
    pub(crate) header: ChunkHeader,
    pub(crate) payload: Vec<u8>,
}

/// Why a unit was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nothing to decode it with: no parameter sets were ever seen. Not an error; the next keyframe brings them.
    NoParameterSets,
    /// The source sent what cannot be stored.
    Invalid(String),
}

/// One stream's chunk in the making.
pub(crate) struct Builder {
    stream: StreamId,
    format: Option<SampleFormat>,
    entry: Vec<u8>,
    open: Option<OpenChunk>,
    next_sequence: u64,
    /// Mean distance of units, kept for chunks of one unit.
    unit_ticks: i64,
    /// The size of the last payload: what the next one will likely need.
    last_payload: usize,
    /// The memory of a payload that was written: new memory costs the kernel as much as writing it does.
    spare: Vec<u8>,
    how: Chunking,
}

/// How a volume wants its chunks.
#[derive(Clone, Debug)]
pub(crate) struct Chunking {
    /// Payload bytes at which a chunk closes.
    pub(crate) close_bytes: usize,
    /// What payloads are sealed with.
    pub(crate) key: Option<Arc<LifeKey>>,
    /// Payloads are hashed: nobody can vouch for what is not.
    pub(crate) hash: bool,
}

struct OpenChunk {
    pts: Pts90k,
    wall: WallTime,
    min: i32,
    max: i32,
    flags: u32,
    frames: Vec<Frame>,
    payload: Vec<u8>,
    /// Of the units noted, taken while each is still in the processor's cache.
    sums: Sums,
}

/// What vouches for a payload as far as it is there; `None`: not wanted, or another one's work.
struct Sums {
    hash: Option<Sha256>,
    crc: Option<u32>,
}

impl Builder {
    /// `format` is what the stream's last chunk had, `next_sequence` one more than its number.
    pub(crate) fn new(
        stream: StreamId,
        format: Option<SampleFormat>,
        next_sequence: u64,
        how: Chunking,
    ) -> Self {
        let entry = format.as_ref().map(SampleFormat::encode).unwrap_or_default();
        Self {
            stream,
            format,
            entry,
            open: None,
            next_sequence,
            unit_ticks: FIRST_UNIT_TICKS,
            last_payload: 0,
            spare: Vec::new(),
            how,
        }
    }

    /// A payload that was written and is not needed any more.
    pub(crate) fn take_back(&mut self, payload: Vec<u8>) {
        // One after a burst stays nobody's.
        if payload.capacity() <= self.last_payload.saturating_mul(2) {
            self.spare = payload;
        }
    }

    fn new_payload(&mut self, bytes: usize) -> Vec<u8> {
        if self.spare.capacity() == 0 {
            return Vec::with_capacity(bytes);
        }
        let mut payload = std::mem::take(&mut self.spare);
        payload.clear();
        payload
    }

    /// Takes a unit; a chunk that is full, or that the unit does not fit, goes to `closed`.
    pub(crate) fn push(
        &mut self,
        format: &StreamFormat,
        unit: &AccessUnit<'_>,
        closed: &mut Vec<ClosedChunk>,
    ) -> Result<(), Refused> {
        // Coded where it will most likely stay: only the first unit of a chunk is moved afterwards.
        let mut payload = match &mut self.open {
            Some(open) => std::mem::take(&mut open.payload),
            None => self.new_payload(self.last_payload),
        };
        let mark = payload.len();
        let coded = code(format, unit, &mut payload).and_then(|sets| self.changed_format(format, sets));
        let changed = match coded {
            Ok(changed) => changed,
            Err(refused) => {
                // A unit that is refused leaves no trace.
                payload.truncate(mark);
                self.give_back(payload);
                return Err(refused);
            }
        };
        let size = payload.len() - mark;
        let close_bytes = self.how.close_bytes.min(CLOSE_CHUNK_BYTES);
        let fits = changed.is_none() && payload.len() <= close_bytes;
        if self
            .open
            .as_ref()
            .is_some_and(|open| !(fits && open.takes(unit)) && (size > 0 || changed.is_some()))
        {
            let mut next = self.new_payload(mark.max(size));
            next.extend_from_slice(&payload[mark..]);
            payload.truncate(mark);
            self.give_back(payload);
            self.close(closed);
            payload = next;
        }
        if let Some((entry, format)) = changed {
            (self.entry, self.format) = (entry, Some(format));
        }
        if size > 0 {
            let how = &self.how;
            let open = self.open.get_or_insert_with(|| OpenChunk::new(unit, Sums::new(how)));
            open.note(unit, &payload[payload.len() - size..]);
        }
        self.give_back(payload);
        Ok(())
    }

    fn give_back(&mut self, payload: Vec<u8>) {
        if let Some(open) = &mut self.open {
            open.payload = payload;
        }
    }

    /// The sample entry from this unit on, when it is another one.
    fn changed_format(
        &self,
        format: &StreamFormat,
        sets: ParameterSets,
    ) -> Result<Option<(Vec<u8>, SampleFormat)>, Refused> {
        let fresh = match (format, &self.format) {
            (StreamFormat::Video(codec), Some(SampleFormat::Video(known, _)))
                if sets.is_empty() && codec == known =>
            {
                return Ok(None);
            }
            (StreamFormat::Video(codec), _) if !sets.is_complete(*codec) => {
                return Err(Refused::NoParameterSets);
            }
            (StreamFormat::Video(codec), _) => SampleFormat::Video(*codec, sets),
            (StreamFormat::Audio(audio), _) => SampleFormat::Audio(audio.clone()),
        };
        if self.format.as_ref() == Some(&fresh) {
            return Ok(None);
        }
        let entry = fresh.encode();
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(Refused::Invalid("the parameter sets are larger than a chunk takes".into()));
        }
        Ok(Some((entry, fresh)))
    }

    /// Closes the open chunk, if there is one.
    pub(crate) fn close(&mut self, closed: &mut Vec<ClosedChunk>) {
        let Some(open) = self.open.take() else {
            // A stream that has stopped holds no memory.
            self.spare = Vec::new();
            return;
        };
        let span = i64::from(open.max) - i64::from(open.min);
        if let Some(gaps @ 1..) = open.frames.len().checked_sub(1) {
            self.unit_ticks = (span / gaps as i64).clamp(1, MAX_UNIT_TICKS);
        }
        let mut payload = open.payload;
        self.last_payload = payload.len() + payload.len() / 8;
        let (payload_hash, unhashed) = match open.sums.hash {
            Some(hash) => (hash.finish(), 0),
            None => ([0; 32], CHUNK_UNHASHED),
        };
        let mut header = ChunkHeader {
            placement: Placement::default(),
            stream: self.stream,
            sequence: self.next_sequence,
            pts: open.pts,
            wall: open.wall,
            start_offset: open.min,
            end_offset: open.max.saturating_add(self.unit_ticks as i32),
            flags: open.flags | unhashed,
            payload_crc: open.sums.crc.unwrap_or_default(),
            payload_hash,
            previous: [0; 32],
            key: None,
            entry: self.entry.clone(),
            frames: open.frames,
            payload_bytes: payload.len() as u32,
        };
        if let Some(key) = &self.how.key {
            key.seal(&mut header, &mut payload);
        }
        closed.push(ClosedChunk { header, payload });
        self.next_sequence += 1;
    }

    /// Coded bytes that no closed chunk has yet.
    pub(crate) fn open_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.payload.len())
    }
}

impl Sums {
    fn new(how: &Chunking) -> Self {
        // The CRC is of what lies on the disk: where it is sealed, the key's work.
        Self { hash: how.hash.then(Sha256::default), crc: how.key.is_none().then_some(0) }
    }

    fn add(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.add(bytes);
        }
        if let Some(crc) = &mut self.crc {
            *crc = crc32c::crc32c_append(*crc, bytes);
        }
    }
}

impl OpenChunk {
    fn new(unit: &AccessUnit<'_>, sums: Sums) -> Self {
        let flags = if unit.discontinuity { CHUNK_DISCONTINUITY } else { 0 };
        Self {
            pts: unit.pts,
            wall: unit.wall,
            min: 0,
            max: 0,
            flags,
            frames: Vec::new(),
            payload: Vec::new(),
            sums,
        }
    }

    /// Whether the unit goes on where this chunk is; its size is looked at elsewhere.
    fn takes(&self, unit: &AccessUnit<'_>) -> bool {
        let ticks = unit.pts - self.pts;
        let strayed = unit.wall.micros_since(self.wall) - Pts90k(ticks).as_micros();
        !unit.discontinuity
            && ticks.abs() < MAX_CHUNK_TICKS
            && strayed.abs() <= MAX_ANCHOR_ERROR_MICROS
            && self.frames.len() < MAX_CHUNK_UNITS
    }

    /// Notes a unit whose coded bytes are at the payload's end.
    fn note(&mut self, unit: &AccessUnit<'_>, coded: &[u8]) {
        self.sums.add(coded);
        // Within a second of the anchor by `takes`.
        let offset = (unit.pts - self.pts) as i32;
        self.min = self.min.min(offset);
        self.max = self.max.max(offset);
        if unit.keyframe {
            self.flags |= CHUNK_KEYFRAME;
        }
        self.frames.push(Frame {
            size: coded.len() as u32,
            pts_offset: offset,
            keyframe: unit.keyframe,
            discontinuity: unit.discontinuity,
        });
    }
}

/// Appends the unit as it is stored; its parameter sets are returned.
fn code(
    format: &StreamFormat,
    unit: &AccessUnit<'_>,
    payload: &mut Vec<u8>,
) -> Result<ParameterSets, Refused> {
    match format {
        StreamFormat::Video(codec) => split_parameter_sets_into(*codec, unit.data, payload)
            .map_err(|error| Refused::Invalid(error.to_string())),
        StreamFormat::Audio(_) => {
            payload.extend_from_slice(unit.data);
            Ok(ParameterSets::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use hal::{AudioCodec, AudioFormat, ChannelId, StreamKind};

    use super::*;

    #[test]
    fn the_memory_of_written_payloads_is_used_again() {
        let stream = StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Audio);
        let codec = AudioCodec::G711U;
        let format =
            StreamFormat::Audio(AudioFormat { codec, sample_rate: 8000, channels: 1, config: vec![] });
        let how = Chunking { close_bytes: CLOSE_CHUNK_BYTES, key: None, hash: false };
        let mut builder = Builder::new(stream, None, 0, how);
        let chunk = |builder: &mut Builder, number: i64, bytes: usize| {
            let mut closed = Vec::new();
            let pts = Pts90k(number * Pts90k::PER_SECOND);
            let wall = WallTime::from_unix_micros(pts.as_micros());
            let data = &vec![number as u8; bytes];
            let unit = AccessUnit { stream, pts, wall, keyframe: true, discontinuity: false, data };
            assert!(builder.push(&format, &unit, &mut closed).is_ok() && closed.is_empty());
            builder.close(&mut closed);
            let payload = closed.pop().unwrap().payload;
            assert_eq!(payload, vec![number as u8; bytes]);
            payload
        };
        let first = chunk(&mut builder, 0, 1000);
        let at = first.as_ptr();
        builder.take_back(first);
        let second = chunk(&mut builder, 1, 900);
        assert_eq!(second.as_ptr(), at);
        builder.take_back(Vec::with_capacity(1_000_000));
        assert_eq!(builder.spare.capacity(), 0, "more than it needs is not kept");
        builder.take_back(second);
        builder.close(&mut Vec::new());
        assert_eq!(builder.spare.capacity(), 0, "nor anything by a stream that has stopped");
    }
}
