//! The segment file: its header, its footer index and its seal.
//!
//! docs/storage.md, "Segment". Does not belong here: chunk headers (`chunk`), reading a segment through (`scan`).
//!
//! Invariants
//! - A segment is begun when its header carries the number in its name, sealed when its trailer does too.
//! - A footer that decodes has its entries in the order in which they lie on disk.

use std::path::{Path, PathBuf};

use evidence::layout::{Fields, Hash, PutFields, align_up};
use evidence::{ChunkHeader, VolumeId, stream, wall_at};
use hal::{Pts90k, StreamId, WallTime};

use crate::layout::{BLOCK_BYTES, FORMAT_VERSION};
use crate::retention::Class;

const HEADER_MAGIC: [u8; 4] = *b"CSEG";
const TRAILER_MAGIC: [u8; 4] = *b"CSEL";

/// The header's fields; the rest of the first block is zero.
pub(crate) const HEADER_BYTES: usize = 80;

/// Where the class is in the header.
const CLASS_OFFSET: usize = 64;

/// The seal: the last bytes of the file.
pub(crate) const TRAILER_BYTES: usize = 64;

/// One footer entry.
pub(crate) const ENTRY_BYTES: usize = 112;

/// The most footer entries believed: 256 MiB of the smallest chunks.
const MAX_ENTRIES: u32 = 1 << 20;

/// The first block of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) volume: VolumeId,
    pub(crate) segment: u64,
    pub(crate) segment_bytes: u64,
    /// Commits with this number or a higher one in earlier segments of the class are void: they failed and are here
    /// again.
    pub(crate) first_commit: u64,
    /// By the volume's calendar.
    pub(crate) created: WallTime,
    pub(crate) writer: u64,
    /// The retention class of everything in it.
    pub(crate) class: Class,
}

impl SegmentHeader {
    /// One block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_BYTES as usize);
        out.put(&HEADER_MAGIC);
        out.put_u16(FORMAT_VERSION);
        out.put_u16(HEADER_BYTES as u16);
        out.put(&self.volume);
        out.put_u64(self.segment);
        out.put_u64(self.segment_bytes);
        out.put_u64(self.first_commit);
        out.put_i64(self.created.as_unix_micros());
        out.put_u64(self.writer);
        out.put_u8(self.class.get());
        out.resize(HEADER_BYTES - 4, 0);
        out.put_u32(crc32c::crc32c(&out));
        out.resize(BLOCK_BYTES as usize, 0);
        out
    }

    /// `Ok(None)` when there is none, or a damaged one; `Err` when it is of an unknown version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some((body, crc)) = bytes.get(..HEADER_BYTES).map(|bytes| bytes.split_at(HEADER_BYTES - 4))
        else {
            return Ok(None);
        };
        let mut fields = Fields(body);
        if fields.array() != Some(HEADER_MAGIC) || Fields(crc).u32() != Some(crc32c::crc32c(body)) {
            return Ok(None);
        }
        if fields.u16() != Some(FORMAT_VERSION) || fields.u16() != Some(HEADER_BYTES as u16) {
            return Err("the segment has a version that this program does not know");
        }
        let Some(class) = Class::new(body[CLASS_OFFSET]) else {
            return Err("the segment is of a class that this program does not know");
        };
        Ok((|| {
            Some(Self {
                volume: fields.array()?,
                segment: fields.u64()?,
                segment_bytes: fields.u64()?,
                first_commit: fields.u64()?,
                created: WallTime::from_unix_micros(fields.i64()?),
                writer: fields.u64()?,
                class,
            })
        })())
    }
}

/// The end of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) segment: u64,
    pub(crate) entries: u32,
    /// The copies of the chunk headers, before the entries.
    pub(crate) headers_bytes: u32,
    /// CRC32C of the header copies and the entries.
    pub(crate) footer_crc: u32,
    /// The first byte behind the chunks.
    pub(crate) end: u64,
    /// When it was sealed, by the volume's calendar.
    pub(crate) closed: WallTime,
}

impl Trailer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.put(&TRAILER_MAGIC);
        out.put_u16(FORMAT_VERSION);
        out.put_u16(TRAILER_BYTES as u16);
        out.put_u64(self.segment);
        out.put_u32(self.entries);
        out.put_u32(self.headers_bytes);
        out.put_u32(self.footer_crc);
        out.put_u32(0);
        out.put_u64(self.end);
        out.put_i64(self.closed.as_unix_micros());
        out.resize(TRAILER_BYTES - 4, 0);
        out.put_u32(crc32c::crc32c(&out));
        out
    }

    /// As [`SegmentHeader::decode`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some((body, crc)) = bytes.get(..TRAILER_BYTES).map(|bytes| bytes.split_at(TRAILER_BYTES - 4))
        else {
            return Ok(None);
        };
        let mut fields = Fields(body);
        if fields.array() != Some(TRAILER_MAGIC) || Fields(crc).u32() != Some(crc32c::crc32c(body)) {
            return Ok(None);
        }
        if fields.u16() != Some(FORMAT_VERSION) || fields.u16() != Some(TRAILER_BYTES as u16) {
            return Err("the segment's seal has a version that this program does not know");
        }
        let trailer = (|| {
            Some(Self {
                segment: fields.u64()?,
                entries: fields.u32()?,
                headers_bytes: fields.u32()?,
                footer_crc: fields.u32()?,
                end: {
                    fields.u32()?;
                    fields.u64()?
                },
                closed: WallTime::from_unix_micros(fields.i64()?),
            })
        })();
        Ok(trailer.filter(|trailer| trailer.entries <= MAX_ENTRIES))
    }

    /// What the seal vouches for: header copies and entries.
    pub(crate) fn list_bytes(&self) -> u64 {
        u64::from(self.headers_bytes) + u64::from(self.entries) * ENTRY_BYTES as u64
    }
}

/// How many bytes the footer of `entries` chunks with `headers` bytes of headers takes, whole blocks.
pub(crate) fn footer_bytes(entries: usize, headers: usize) -> u64 {
    align_up((headers + entries * ENTRY_BYTES + TRAILER_BYTES) as u64, BLOCK_BYTES)
}

/// How many bytes a segment's footer takes at most: what is committed up to `end` and is no payload is headers and padding.
pub(crate) fn footer_limit(end: u64, chunks: u64, payload_bytes: u64) -> u64 {
    let headers = end.saturating_sub(BLOCK_BYTES).saturating_sub(payload_bytes);
    let entries = chunks.saturating_mul(ENTRY_BYTES as u64);
    align_up(headers.saturating_add(entries).saturating_add(TRAILER_BYTES as u64), BLOCK_BYTES)
}

/// The chunks of a segment: where they lie, and their headers, so that nobody has to seek for those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) entries: Vec<Entry>,
    /// The encoded headers one behind the other, in the order of the entries.
    pub(crate) headers: Vec<u8>,
}

impl Contents {
    /// Adds the chunk at `offset`.
    pub(crate) fn push(&mut self, offset: u64, header: &ChunkHeader, encoded: &[u8]) {
        self.entries.push(Entry::of(offset, header, ChunkHeader::hash_of(encoded)));
        self.headers.extend_from_slice(encoded);
    }

    /// Adds what `other` has, which lies behind.
    pub(crate) fn append(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.headers.extend_from_slice(&other.headers);
    }

    /// Keeps the first `count` chunks.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
        let keep = self.entries.iter().map(|entry| entry.header_bytes as usize).sum();
        self.headers.truncate(keep);
    }

    /// The chunks with their encoded headers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Entry, &[u8])> {
        let mut rest = self.headers.as_slice();
        self.entries.iter().map(move |entry| {
            let (header, after) = rest.split_at(rest.len().min(entry.header_bytes as usize));
            rest = after;
            (entry, header)
        })
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.headers.len() + self.entries.len() * size_of::<Entry>()
    }

    pub(crate) fn footer_bytes(&self) -> u64 {
        footer_bytes(self.entries.len(), self.headers.len())
    }
}

/// A chunk as the footer tells of it: enough to find it and to place it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) header_bytes: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) stream: StreamId,
    /// Its payload was deleted: the header vouches for what was there.
    pub(crate) deleted: bool,
    pub(crate) flags: u32,
    pub(crate) sequence: u64,
    pub(crate) commit: u64,
    pub(crate) pts: Pts90k,
    pub(crate) wall: WallTime,
    pub(crate) start_offset: i32,
    pub(crate) end_offset: i32,
    /// Ticks from `pts` to the last unit in decoding order.
    pub(crate) last_offset: i32,
    pub(crate) units: u32,
    /// CRC32C of the sample entry: another format, another number.
    pub(crate) format: u32,
    /// SHA-256 of the chunk's header.
    pub(crate) hash: Hash,
}

impl Entry {
    /// What the footer tells of the chunk at `offset`.
    pub(crate) fn of(offset: u64, header: &ChunkHeader, hash: Hash) -> Self {
        Self {
            offset,
            header_bytes: header.header_bytes() as u32,
            payload_bytes: header.payload_bytes,
            stream: header.stream,
            deleted: false,
            flags: header.flags,
            sequence: header.sequence,
            commit: header.placement.commit,
            pts: header.pts,
            wall: header.wall,
            start_offset: header.start_offset,
            end_offset: header.end_offset,
            last_offset: header.frames.last().map_or(0, |frame| frame.pts_offset),
            units: header.frames.len() as u32,
            format: crc32c::crc32c(&header.entry),
            hash,
        }
    }

    /// The bytes of header and payload.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.header_bytes as usize + self.payload_bytes as usize
    }

    /// The wall time of the first presentation.
    pub(crate) fn start(&self) -> WallTime {
        wall_at(self.wall, self.start_offset)
    }

    /// The wall time of the end of the last presentation.
    pub(crate) fn end(&self) -> WallTime {
        wall_at(self.wall, self.end_offset)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.offset);
        out.put_u32(self.header_bytes);
        out.put_u32(self.payload_bytes);
        out.put_u16(self.stream.channel.get());
        out.put_u8(self.stream.kind.code());
        out.put_u8(self.deleted.into());
        out.put_u32(self.flags);
        out.put_u64(self.sequence);
        out.put_u64(self.commit);
        out.put_i64(self.pts.0);
        out.put_i64(self.wall.as_unix_micros());
        out.put_i32(self.start_offset);
        out.put_i32(self.end_offset);
        out.put_i32(self.last_offset);
        out.put_u32(self.units);
        out.put_u32(self.format);
        out.put_u32(0);
        out.put(&self.hash);
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (offset, header_bytes, payload_bytes) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let stream = stream(fields.u16()?, fields.u8()?)?;
        let deleted = fields.u8()? == 1;
        let entry = Self {
            offset,
            header_bytes,
            payload_bytes,
            stream,
            deleted,
            flags: fields.u32()?,
            sequence: fields.u64()?,
            commit: fields.u64()?,
            pts: Pts90k(fields.i64()?),
            wall: WallTime::from_unix_micros(fields.i64()?),
            start_offset: fields.i32()?,
            end_offset: fields.i32()?,
            last_offset: fields.i32()?,
            units: fields.u32()?,
            format: fields.u32()?,
            hash: {
                fields.u32()?;
                fields.array()?
            },
        };
        Some(entry)
    }
}

/// The whole blocks at the end of a sealed segment: padding, header copies, entries, trailer.
pub(crate) fn encode_footer(segment: u64, end: u64, closed: WallTime, contents: &Contents) -> Vec<u8> {
    let size = contents.footer_bytes() as usize;
    let list_bytes = contents.headers.len() + contents.entries.len() * ENTRY_BYTES;
    let mut out = vec![0; size - list_bytes - TRAILER_BYTES];
    let list_at = out.len();
    out.put(&contents.headers);
    for entry in &contents.entries {
        entry.encode(&mut out);
    }
    let trailer = Trailer {
        segment,
        entries: contents.entries.len() as u32,
        headers_bytes: contents.headers.len() as u32,
        footer_crc: crc32c::crc32c(&out[list_at..]),
        end,
        closed,
    };
    out.put(&trailer.encode());
    out
}

/// The contents that `trailer` vouches for; `None` when they are damaged.
pub(crate) fn decode_footer(trailer: &Trailer, list: &[u8]) -> Option<Contents> {
    if list.len() as u64 != trailer.list_bytes() || crc32c::crc32c(list) != trailer.footer_crc {
        return None;
    }
    let (headers, list) = list.split_at_checked(trailer.headers_bytes as usize)?;
    let mut fields = Fields(list);
    let entries: Vec<Entry> =
        (0..trailer.entries).map(|_| Entry::decode(&mut fields)).collect::<Option<_>>()?;
    let sizes: usize = entries.iter().map(|entry| entry.header_bytes as usize).sum();
    (entries.is_sorted_by_key(|entry| entry.offset) && sizes == headers.len())
        .then(|| Contents { entries, headers: headers.to_vec() })
}

/// `segments/0000000000000042.seg` in a volume's folder; 16 digits, so that names sort as numbers do.
pub(crate) fn path(segments: &Path, segment: u64) -> PathBuf {
    segments.join(format!("{segment:016}.seg"))
}

/// The number in a segment's name.
pub(crate) fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    (name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: u64) -> Entry {
        Entry {
            offset,
            header_bytes: 300,
            payload_bytes: 5000,
            stream: stream(2, 2).unwrap(),
            deleted: offset.is_multiple_of(8192),
            flags: 3,
            sequence: 4,
            commit: 5,
            pts: Pts90k(6),
            wall: WallTime::from_unix_micros(7),
            start_offset: -8,
            end_offset: 9,
            last_offset: 10,
            units: 11,
            format: 12,
            hash: [13; 32],
        }
    }

    #[test]
    fn header_and_footer_come_back() {
        let header = SegmentHeader {
            volume: [9; 16],
            segment: 42,
            segment_bytes: 1 << 26,
            first_commit: 17,
            created: WallTime::from_unix_micros(-5),
            writer: 3,
            class: Class::new(2).unwrap(),
        };
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, BLOCK_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(Some(header)));
        assert_eq!(SegmentHeader::decode(&bytes[..40]), Ok(None));

        let entries: Vec<Entry> = (1..=50).map(|n| entry(n * 4096)).collect();
        let contents = Contents { entries, headers: vec![7; 50 * 300] };
        let footer = encode_footer(42, 51 * 4096, WallTime::from_unix_micros(8), &contents);
        assert_eq!(footer.len() as u64, footer_bytes(50, 50 * 300));
        let (list, trailer) = footer.split_at(footer.len() - TRAILER_BYTES);
        let trailer = Trailer::decode(trailer).unwrap().unwrap();
        let list = &list[list.len() - trailer.list_bytes() as usize..];
        assert_eq!(decode_footer(&trailer, list).unwrap(), contents);
        let mut damaged = list.to_vec();
        damaged[77] ^= 1;
        assert_eq!(decode_footer(&trailer, &damaged), None);
    }

    #[test]
    fn other_versions_are_refused() {
        let mut bytes = encode_footer(1, 4096, WallTime::default(), &Contents::default());
        let trailer = bytes.len() - TRAILER_BYTES;
        bytes[trailer + 4] = 9;
        let crc = crc32c::crc32c(&bytes[trailer..bytes.len() - 4]).to_le_bytes();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&crc);
        assert!(Trailer::decode(&bytes[trailer..]).is_err());
    }

    #[test]
    fn names() {
        let dir = Path::new("segments");
        assert_eq!(number(&path(dir, 42)), Some(42));
        for wrong in ["42.seg", "000000000000004x.seg", "0000000000000042.new", "+000000000000042.seg"] {
            assert_eq!(number(&dir.join(wrong)), None);
        }
    }
}
