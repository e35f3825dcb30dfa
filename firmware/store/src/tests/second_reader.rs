//! A second reader of volumes, written from docs/storage.md alone.
//!
//! It shares no code with the store: where the two read the same, the page says enough. Simple and strict: whatever
//! the page does not name is a panic. Does not belong here: what is compared (`specification`), keeping an index.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hkdf};

/// Bytes, read one field behind the other.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }
}

fn up(n: usize, to: usize) -> usize {
    n.div_ceil(to) * to
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap()
}

/// RFC 5869.
fn derived<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> [u8; N] {
    struct Size(usize);
    impl hkdf::KeyType for Size {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = [0; N];
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    key.expand(&[info], Size(N)).unwrap().fill(&mut out).unwrap();
    out
}

/// RFC 8439; what comes out is authentic.
fn opened(key: &[u8; 32], nonce: [u8; 12], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap());
    let mut bytes = sealed.to_vec();
    let open = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut bytes);
    open.ok().map(|bytes| bytes.to_vec())
}

/// Who opens an encrypted volume.
#[derive(Clone, Copy)]
pub(super) enum Secret<'a> {
    None,
    Device([u8; 32]),
    /// As it was shown.
    Recovery(&'a str),
}

/// A unit as it is to come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) pts: i64,
    pub(super) wall_us: i64,
    pub(super) starts_decoding: bool,
    pub(super) new_timeline: bool,
    pub(super) entry: Entry,
    pub(super) data: Vec<u8>,
}

/// Section 4, sample entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Video { codec: u8, sets: [Vec<Vec<u8>>; 3] },
    Audio { codec: u8, channels: u8, rate: u32, config: Vec<u8> },
}

/// What is in a volume.
pub(super) struct Found {
    /// By channel and kind.
    pub(super) units: BTreeMap<(u16, u8), Vec<Unit>>,
    pub(super) sealed: usize,
    pub(super) open: usize,
    pub(super) classes: BTreeSet<u8>,
}

struct Volume {
    id: [u8; 16],
    segment_bytes: usize,
    /// The volume key, and its name.
    key: Option<([u8; 32], [u8; 16])>,
}

struct Header {
    number: u64,
    first_commit: u64,
    class: u8,
}

struct Chunk {
    at: usize,
    encoded: Vec<u8>,
    payload: usize,
    commit: u64,
    writer: u64,
    place: (u16, u16),
    stream: (u16, u8),
    sealed: bool,
    sequence: u64,
    pts: i64,
    wall_us: i64,
    shown: (i32, i32),
    entry: Vec<u8>,
    flags: u32,
    crc: u32,
    hash: [u8; 32],
    previous: [u8; 32],
    key: [u8; 16],
    /// Size, ticks, flags.
    frames: Vec<(u32, i32, u32)>,
}

/// Reads all of a volume.
pub(super) fn read(dir: &Path, secret: Secret<'_>) -> Found {
    let volume = volume(dir, secret);
    let mut segments: Vec<(Header, Vec<u8>)> = Vec::new();
    let mut names: Vec<_> = fs::read_dir(dir.join("segments")).unwrap().map(|entry| entry.unwrap()).collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for name in names {
        let bytes = fs::read(name.path()).unwrap();
        assert_eq!(bytes.len(), volume.segment_bytes);
        let name = name.file_name().into_string().unwrap();
        let number: u64 = name.strip_suffix(".seg").filter(|name| name.len() == 16).unwrap().parse().unwrap();
        segments.extend(begun(&volume, number, &bytes).map(|header| (header, bytes)));
    }
    let mut found = Found { units: BTreeMap::new(), sealed: 0, open: 0, classes: BTreeSet::default() };
    let mut chunks: BTreeMap<((u16, u8), u64), (Chunk, usize)> = BTreeMap::new();
    for (at, (header, bytes)) in segments.iter().enumerate() {
        found.classes.insert(header.class);
        let list = match trailer(header.number, bytes) {
            Some(footer) => {
                found.sealed += 1;
                by_footer(bytes, &footer)
            }
            None => {
                found.open += 1;
                let next = segments[at + 1..].iter().find(|(next, _)| next.class == header.class);
                by_commits(header, bytes, next.map(|(next, _)| next.first_commit))
            }
        };
        for chunk in list {
            let twice = chunks.insert((chunk.stream, chunk.sequence), (chunk, at));
            assert!(twice.is_none(), "a chunk is there twice");
        }
    }
    let mut before: Option<((u16, u8), u64, [u8; 32])> = None;
    for ((stream, sequence), (chunk, segment)) in chunks {
        // The chain; its old end may be cut off.
        if let Some((_, _, hash)) = before.filter(|(of, number, _)| (*of, number + 1) == (stream, sequence)) {
            assert_eq!(chunk.previous, hash);
        } else if sequence == 1 {
            assert_eq!(chunk.previous, [0; 32]);
        }
        before = Some((stream, sequence, sha256(&chunk.encoded)));
        let units = units(&volume, &chunk, &segments[segment].1);
        found.units.entry(stream).or_default().extend(units);
    }
    found
}

/// Section 1.
fn volume(dir: &Path, secret: Secret<'_>) -> Volume {
    let table: toml::Table = fs::read_to_string(dir.join("volume.toml")).unwrap().parse().unwrap();
    for name in table.keys() {
        let known = ["version", "id", "segment_bytes", "max_bytes", "cipher"];
        assert!(known.contains(&name.as_str()), "{name}");
    }
    assert_eq!(table["version"].as_integer(), Some(1));
    let id = bytes_of(&table["id"]);
    let mut volume =
        Volume { id, segment_bytes: table["segment_bytes"].as_integer().unwrap() as usize, key: None };
    match table.get("cipher").map_or("none", |cipher| cipher.as_str().unwrap()) {
        "none" => {}
        "chacha20-poly1305" => volume.key = Some(volume_key(dir, &id, secret)),
        other => panic!("{other}"),
    }
    volume
}

fn bytes_of<const N: usize>(digits: &toml::Value) -> [u8; N] {
    HEXLOWER.decode(digits.as_str().unwrap().as_bytes()).unwrap().try_into().unwrap()
}

/// Section 1.1.
fn volume_key(dir: &Path, id: &[u8; 16], secret: Secret<'_>) -> ([u8; 32], [u8; 16]) {
    let table: toml::Table = fs::read_to_string(dir.join("volume.keys")).unwrap().parse().unwrap();
    assert_eq!(table["version"].as_integer(), Some(1));
    assert_eq!(bytes_of::<16>(&table["volume"]), *id);
    let key_id: [u8; 16] = bytes_of(&table["key"]);
    let (by, r, secret) = match secret {
        Secret::None => panic!("the volume is encrypted"),
        Secret::Device(secret) => ("device", 0, secret),
        Secret::Recovery(text) => ("recovery", 1, derived(&[], &recovery_key(text), b"candor owner key 1")),
    };
    let with_r = |text: &[u8]| [text, &[r]].concat();
    let holder: [u8; 8] = derived(id, &secret, &with_r(b"candor key holder 1 "));
    let wraps = table["wrap"].as_array().unwrap();
    assert!(wraps.len() <= 16);
    let is_ours =
        |wrap: &&toml::Value| wrap["by"].as_str() == Some(by) && bytes_of::<8>(&wrap["holder"]) == holder;
    let wrap = wraps.iter().find(is_ours).expect("a wrap for this secret");
    let wrapping: [u8; 32] = derived(id, &secret, &with_r(b"candor key wrap 1 "));
    let associated = [&b"candor volume.keys 1"[..], id, &key_id, &[r]].concat();
    let sealed: [u8; 48] = bytes_of(&wrap["sealed"]);
    let key = opened(&wrapping, bytes_of(&wrap["nonce"]), &associated, &sealed).expect("the volume's key");
    let key: [u8; 32] = key.try_into().unwrap();
    assert_eq!(derived::<16>(id, &key, b"candor volume key id 1"), key_id);
    (key, key_id)
}

fn recovery_key(text: &str) -> [u8; 20] {
    let signs: Vec<char> =
        text.to_uppercase().chars().filter(|sign| !sign.is_whitespace() && *sign != '-').collect();
    let value = |sign: &char| "0123456789ABCDEFGHJKMNPQRSTVWXYZ".find(*sign).unwrap();
    let bits: String = signs.iter().map(|sign| format!("{:05b}", value(sign))).collect();
    let byte = |at| u8::from_str_radix(&bits[at..at + 8], 2).unwrap();
    let bytes: Vec<u8> = (0..bits.len()).step_by(8).map(byte).collect();
    let (key, check) = bytes.split_at(20);
    assert_eq!(check, &sha256(&[b"candor recovery key 1", key].concat())[..5]);
    key.try_into().unwrap()
}

/// Section 2, segment header.
fn begun(volume: &Volume, number: u64, bytes: &[u8]) -> Option<Header> {
    let mut fields = Bytes(&bytes[..80]);
    if fields.take(4) != b"CSEG" || crc32c::crc32c(&bytes[..76]).to_le_bytes() != bytes[76..80] {
        return None;
    }
    assert_eq!((fields.u16(), fields.u16()), (1, 80));
    assert_eq!(fields.array(), volume.id);
    if fields.u64() != number {
        return None;
    }
    assert_eq!(fields.u64(), volume.segment_bytes as u64);
    let first_commit = fields.u64();
    let _made = fields.i64();
    let _writer = fields.u64();
    let class = fields.u8();
    assert!(class < 8 && bytes[80..4096].iter().all(|byte| *byte == 0));
    Some(Header { number, first_commit, class })
}

/// Section 5, trailer: entries, and where header copies, entries and the last commit end.
struct Footer {
    entries: usize,
    headers_at: usize,
    entries_at: usize,
    end: usize,
}

fn trailer(number: u64, bytes: &[u8]) -> Option<Footer> {
    let at = bytes.len() - 64;
    let mut fields = Bytes(&bytes[at..]);
    if fields.take(4) != b"CSEL" || crc32c::crc32c(&bytes[at..at + 60]).to_le_bytes() != bytes[at + 60..] {
        return None;
    }
    assert_eq!((fields.u16(), fields.u16()), (1, 64));
    if fields.u64() != number {
        return None;
    }
    let (entries, headers) = (fields.u32() as usize, fields.u32() as usize);
    if entries > 1 << 20 {
        return None;
    }
    let crc = fields.u32();
    let _reserved = fields.u32();
    let end = fields.u64() as usize;
    let entries_at = at - 112 * entries;
    let headers_at = entries_at - headers;
    assert_eq!(crc32c::crc32c(&bytes[headers_at..at]), crc);
    // Whole blocks, and zero before the copies.
    let begin = headers_at / 4096 * 4096;
    assert!(begin >= end && bytes[begin..headers_at].iter().all(|byte| *byte == 0));
    Some(Footer { entries, headers_at, entries_at, end })
}

/// Section 5: the chunks, and that copies and entries say what the chunks do.
fn by_footer(bytes: &[u8], footer: &Footer) -> Vec<Chunk> {
    let mut copies = Bytes(&bytes[footer.headers_at..footer.entries_at]);
    let mut fields = Bytes(&bytes[footer.entries_at..]);
    let mut chunks = Vec::new();
    for _ in 0..footer.entries {
        let at = fields.u64() as usize;
        let chunk = chunk(bytes, at).expect("a chunk where the footer says");
        assert_eq!(fields.u32() as usize, chunk.encoded.len());
        assert_eq!(fields.u32() as usize, chunk.payload);
        assert_eq!((fields.u16(), fields.u8()), chunk.stream);
        let _reserved = fields.u8();
        assert_eq!(fields.u32(), chunk.flags);
        assert_eq!((fields.u64(), fields.u64()), (chunk.sequence, chunk.commit));
        assert_eq!((fields.i64(), fields.i64()), (chunk.pts, chunk.wall_us));
        assert_eq!((fields.i32(), fields.i32()), chunk.shown);
        assert_eq!(fields.i32(), chunk.frames.last().unwrap().1);
        assert_eq!(fields.u32() as usize, chunk.frames.len());
        assert_eq!(fields.u32(), crc32c::crc32c(&chunk.entry));
        let _reserved = fields.u32();
        assert_eq!(fields.array(), sha256(&chunk.encoded));
        assert_eq!(copies.take(chunk.encoded.len()), chunk.encoded);
        assert!(at + chunk.encoded.len() + chunk.payload <= footer.end);
        chunks.push(chunk);
    }
    assert!(copies.0.is_empty() && chunks.is_sorted_by_key(|chunk| chunk.at));
    chunks
}

/// Section 3: the chunks of the commits that are there.
fn by_commits(header: &Header, bytes: &[u8], first_of_next: Option<u64>) -> Vec<Chunk> {
    let mut commits: Vec<Vec<Chunk>> = Vec::new();
    let (mut at, mut expected) = (4096, header.first_commit);
    while at < bytes.len() {
        match commit(header, bytes, at) {
            // One behind a damaged one has a higher number, at a later block.
            Some((number, chunks, end))
                if if follows(&commits, at) { number == expected } else { number > expected } =>
            {
                commits.push(chunks);
                (at, expected) = (end, number + 1);
            }
            _ => at += 4096,
        }
    }
    commits.retain(|chunks| first_of_next.is_none_or(|first| chunks[0].commit < first));
    let is_whole = |chunk: &Chunk| {
        let begin = chunk.at + chunk.encoded.len();
        crc32c::crc32c(&bytes[begin..begin + chunk.payload]) == chunk.crc
    };
    if commits.last().is_some_and(|last| !last.iter().all(is_whole)) {
        commits.pop();
    }
    commits.into_iter().flatten().collect()
}

/// Whether a commit at `at` would lie right behind the last one, or be the first.
fn follows(commits: &[Vec<Chunk>], at: usize) -> bool {
    let last = commits.last().and_then(|chunks| chunks.last());
    at == last.map_or(4096, |last| up(last.at + last.encoded.len() + last.payload, 4096))
}

fn commit(header: &Header, bytes: &[u8], begin: usize) -> Option<(u64, Vec<Chunk>, usize)> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut at = begin;
    loop {
        let chunk =
            chunk(bytes, at).filter(|chunk| names(bytes, at) == header.number && chunk.place.1 > 0)?;
        let first = chunks.first().unwrap_or(&chunk);
        let same = (first.commit, first.writer, first.place.1) == (chunk.commit, chunk.writer, chunk.place.1);
        if !same || usize::from(chunk.place.0) != chunks.len() {
            return None;
        }
        at = up(at + chunk.encoded.len() + chunk.payload, 8);
        let (number, is_last) = (chunk.commit, chunk.place.0 + 1 == chunk.place.1);
        chunks.push(chunk);
        if is_last {
            return Some((number, chunks, up(at, 4096)));
        }
    }
}

/// Bytes 16 to 23 of a chunk: its segment's number.
fn names(bytes: &[u8], at: usize) -> u64 {
    Bytes(&bytes[at + 16..]).u64()
}

/// Section 4, the header; `None` where there is no valid one.
fn chunk(bytes: &[u8], at: usize) -> Option<Chunk> {
    let mut fields = Bytes(bytes.get(at..at + 192)?);
    if fields.take(4) != b"CCHK" {
        return None;
    }
    let (version, fixed, size) = (fields.u16(), fields.u16(), fields.u32() as usize);
    let encoded = bytes.get(at..at + size).filter(|_| size >= 196 && size.is_multiple_of(8))?;
    if crc32c::crc32c(&encoded[..size - 4]).to_le_bytes() != encoded[size - 4..] {
        return None;
    }
    assert_eq!((version, fixed), (1, 192));
    let payload = fields.u32() as usize;
    let _segment = fields.u64();
    let (commit, writer) = (fields.u64(), fields.u64());
    let place = (fields.u16(), fields.u16());
    let (channel, kind, cipher) = (fields.u16(), fields.u8(), fields.u8());
    assert!((1..=64).contains(&channel) && kind < 3 && cipher < 2);
    let sequence = fields.u64();
    let (pts, wall_us) = (fields.i64(), fields.i64());
    let shown = (fields.i32(), fields.i32());
    let (units, entry) = (fields.u32() as usize, fields.u32() as usize);
    assert!((1..=1024).contains(&units) && entry <= 65_536 && shown.0 <= 0);
    let (flags, crc) = (fields.u32(), fields.u32());
    let (hash, previous, key) = (fields.array(), fields.array(), fields.array());
    let mut rest = Bytes(&encoded[192..]);
    let entry = rest.take(entry).to_vec();
    assert!(rest.take(up(entry.len(), 4) - entry.len()).iter().all(|byte| *byte == 0));
    let frames: Vec<_> = (0..units).map(|_| (rest.u32(), rest.i32(), rest.u32())).collect();
    assert!(rest.0.len() < 12 && rest.0[..rest.0.len() - 4].iter().all(|byte| *byte == 0));
    let footage: usize = frames.iter().map(|frame| frame.0 as usize).sum();
    assert!(footage <= 12 << 20 && footage + 16 * usize::from(cipher) == payload);
    Some(Chunk {
        at,
        encoded: encoded.to_vec(),
        payload,
        commit,
        writer,
        place,
        stream: (channel, kind),
        sealed: cipher == 1,
        sequence,
        pts,
        wall_us,
        shown,
        entry,
        flags,
        crc,
        hash,
        previous,
        key,
        frames,
    })
}

/// Section 4 and 4.1: the units of a chunk, verified.
fn units(volume: &Volume, chunk: &Chunk, bytes: &[u8]) -> Vec<Unit> {
    let begin = chunk.at + chunk.encoded.len();
    let payload = &bytes[begin..begin + chunk.payload];
    assert_eq!(crc32c::crc32c(payload), chunk.crc);
    let footage = if chunk.sealed {
        let (key, key_id) = volume.key.expect("the volume is encrypted");
        assert_eq!(chunk.key, key_id);
        let salt = [&chunk.writer.to_le_bytes()[..], &volume.id].concat();
        let key = derived(&salt, &key, b"candor chunk 1");
        let mut nonce = [0; 12];
        nonce[..2].copy_from_slice(&chunk.stream.0.to_le_bytes());
        nonce[2] = chunk.stream.1;
        nonce[4..].copy_from_slice(&chunk.sequence.to_le_bytes());
        let tables = 192..192 + up(chunk.entry.len(), 4) + 12 * chunk.frames.len();
        let associated = [&volume.id[..], &chunk.encoded[44..92], &chunk.encoded[tables]].concat();
        opened(&key, nonce, &associated, payload).expect("the payload as it was sealed")
    } else {
        assert_eq!(chunk.key, [0; 16]);
        payload.to_vec()
    };
    assert_eq!(chunk.hash, if chunk.flags & 4 == 0 { sha256(&footage) } else { [0; 32] });
    let earliest = chunk.frames.iter().map(|frame| frame.1).min().unwrap();
    assert_eq!((chunk.frames[0].1, chunk.shown.0), (0, earliest));
    assert_eq!(chunk.flags & 2 != 0, chunk.frames.iter().any(|frame| frame.2 & 1 != 0));
    assert_eq!(chunk.flags & 1 != 0, chunk.frames[0].2 & 2 != 0);
    let entry = entry(&chunk.entry);
    let mut data = Bytes(&footage);
    let unit = |(size, ticks, flags): &(u32, i32, u32)| Unit {
        pts: chunk.pts + i64::from(*ticks),
        wall_us: chunk.wall_us + i64::from(*ticks) * 100 / 9,
        starts_decoding: flags & 1 != 0,
        new_timeline: flags & 2 != 0,
        entry: entry.clone(),
        data: data.take(*size as usize).to_vec(),
    };
    chunk.frames.iter().map(unit).collect()
}

fn entry(bytes: &[u8]) -> Entry {
    let mut fields = Bytes(bytes);
    let codec = fields.u8();
    let entry = if codec < 16 {
        assert!(codec == 1 || codec == 2);
        let counts = fields.array::<3>();
        let sets = counts.map(|count| {
            assert!(count <= 16);
            (0..count)
                .map(|_| {
                    let size = fields.u16().into();
                    fields.take(size).to_vec()
                })
                .collect()
        });
        Entry::Video { codec, sets }
    } else {
        assert!(codec < 19);
        let (channels, size, rate) = (fields.u8(), fields.u16(), fields.u32());
        assert!(size <= 64 && (codec == 16 || size == 0));
        Entry::Audio { codec, channels, rate, config: fields.take(size.into()).to_vec() }
    };
    assert!(fields.0.is_empty());
    entry
}
