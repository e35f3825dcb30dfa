//! The proof's box: its bytes, written and read.
//!
//! docs/evidence.md, sections 4 and 5. Does not belong here: whether a proof holds (`verify`), where the leaves come from.
//!
//! Invariants
//! - Everything that is read is bounded before room is made for it.
//! - There is one way to write a proof: reserved fields are zero, nothing is left over.

use hal::{StreamId, WallTime};
use ledger::{MAX_NOTE_BYTES, MAX_PROOF_HASHES, VerifierKey, VolumeId};

use crate::chunk;
use crate::layout::{Fields, Hash, PutFields, sha256};

/// What the proof's `uuid` box is called.
pub const PROOF_UUID: [u8; 16] =
    [0x4f, 0x41, 0x37, 0xee, 0x50, 0xcf, 0x42, 0xef, 0x85, 0x89, 0x51, 0x8a, 0x1b, 0x97, 0xb0, 0x49];

/// The compatible brand of files that end with a proof.
pub const PROOF_BRAND: [u8; 4] = *b"cndr";

/// The box's own header: 1, `uuid`, size, UUID.
pub(crate) const BOX_HEADER_BYTES: u64 = 32;
/// Size and UUID again, at the end.
pub(crate) const TRAILER_BYTES: u64 = 24;
pub(crate) const PREAMBLE_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"CPRF";
const VERSION: u16 = 1;

/// A vkey: a name of at most 255 bytes and 54 more.
const MAX_KEY_BYTES: u32 = 512;
/// 31 vkeys, one for each signature line but the recorder's.
const MAX_COSIGNER_BYTES: u32 = 16 << 10;
/// 65 536 runs and 131 072 leaves take 6 MB.
const MAX_MANIFEST_BYTES: u32 = 16 << 20;
/// 12 hours of 64 streams of 4 Mbit/s fill 21 000 segments of 64 MiB.
pub(crate) const MAX_LEAVES: u32 = 128 << 10;
/// Three streams of 64 channels.
const MAX_TRACKS: usize = 192;
/// A run ends where sequences are missing or the volume changes: every 40 s in 12 hours of 64 channels.
const MAX_RUNS: usize = 64 << 10;
pub(crate) const LEAF_RECORD_BYTES: usize = 16;

/// What stands behind the box's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) key_bytes: u32,
    pub(crate) checkpoint_bytes: u32,
    pub(crate) cosigner_bytes: u32,
    pub(crate) manifest_bytes: u32,
    pub(crate) leaves: u32,
    pub(crate) leaf_bytes: u64,
    pub(crate) header_bytes: u64,
}

/// Why bytes are no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofError {
    /// Of another version: this one.
    Version(u16),
    /// Not what docs/evidence.md has.
    Malformed(&'static str),
}

impl Preamble {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&MAGIC);
        out.put_u16(VERSION);
        out.put_u16(PREAMBLE_BYTES as u16);
        out.put_u32(self.key_bytes);
        out.put_u32(self.checkpoint_bytes);
        out.put_u32(self.cosigner_bytes);
        out.put_u32(self.manifest_bytes);
        out.put_u32(self.leaves);
        out.put_u32(0);
        out.put_u64(self.leaf_bytes);
        out.put_u64(self.header_bytes);
        out.put(&[0; 16]);
    }

    pub(crate) fn decode(bytes: &[u8; PREAMBLE_BYTES]) -> Result<Self, ProofError> {
        const ENDED: ProofError = ProofError::Malformed("the proof's preamble is cut short");
        let mut fields = Fields(bytes);
        if fields.array() != Some(MAGIC) {
            return Err(ProofError::Malformed("the proof does not begin like one"));
        }
        let version = fields.u16().ok_or(ENDED)?;
        if version != VERSION {
            return Err(ProofError::Version(version));
        }
        let size = fields.u16().ok_or(ENDED)?;
        let key_bytes = fields.u32().ok_or(ENDED)?;
        let checkpoint_bytes = fields.u32().ok_or(ENDED)?;
        let cosigner_bytes = fields.u32().ok_or(ENDED)?;
        let manifest_bytes = fields.u32().ok_or(ENDED)?;
        let leaves = fields.u32().ok_or(ENDED)?;
        let reserved = fields.u32().ok_or(ENDED)?;
        let leaf_bytes = fields.u64().ok_or(ENDED)?;
        let header_bytes = fields.u64().ok_or(ENDED)?;
        let fits = usize::from(size) == PREAMBLE_BYTES
            && key_bytes <= MAX_KEY_BYTES
            && checkpoint_bytes as usize <= MAX_NOTE_BYTES
            && cosigner_bytes <= MAX_COSIGNER_BYTES
            && manifest_bytes <= MAX_MANIFEST_BYTES
            && (1..=MAX_LEAVES).contains(&leaves);
        if !fits || reserved != 0 || fields.0 != [0; 16] {
            return Err(ProofError::Malformed("the proof's preamble has a value that cannot be"));
        }
        Ok(Self {
            key_bytes,
            checkpoint_bytes,
            cosigner_bytes,
            manifest_bytes,
            leaves,
            leaf_bytes,
            header_bytes,
        })
    }

    /// The size of the whole box; `None` when it is more than a file can have.
    pub(crate) fn box_bytes(&self) -> Option<u64> {
        let small = [self.key_bytes, self.checkpoint_bytes, self.cosigner_bytes, self.manifest_bytes];
        let fixed = BOX_HEADER_BYTES + PREAMBLE_BYTES as u64 + TRAILER_BYTES;
        let front = small.into_iter().map(u64::from).sum::<u64>() + fixed;
        front.checked_add(self.leaf_bytes)?.checked_add(self.header_bytes)
    }
}

/// What an export says about itself; the ledger has its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Bytes of the file before the first sample.
    pub head_bytes: u64,
    /// SHA-256 of these.
    pub head_hash: Hash,
    /// The wall time of movie time 0.
    pub start: WallTime,
    /// The wall time of the movie's end.
    pub end: WallTime,
    /// By growing `track_ID`.
    pub tracks: Vec<ProofTrack>,
    /// Indexes of the leaves in the proof besides the export's, growing.
    pub leaves: Vec<u64>,
}

/// One track of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofTrack {
    /// `track_ID` in the `moov`.
    pub id: u32,
    /// Whose footage it is.
    pub stream: StreamId,
    /// At least one.
    pub runs: Vec<ProofRun>,
}

/// Consecutive chunks of one volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofRun {
    /// The volume.
    pub volume: VolumeId,
    /// Sequence of the first chunk.
    pub first_sequence: u64,
    /// Chunks whose samples are in the file; at least 1. Those that an audio track cannot have are counted too.
    pub chunks: u32,
    /// Headers behind them.
    pub trailing: u32,
    /// The size of all its headers.
    pub header_bytes: u64,
    /// SHA-256 of the last header.
    pub head: Hash,
}

impl ProofRun {
    /// Sequence of the last chunk that has a header.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.first_sequence
            .saturating_add(u64::from(self.chunks) + u64::from(self.trailing))
            .saturating_sub(1)
    }
}

impl Manifest {
    /// The bytes of docs/evidence.md, section 5.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16(VERSION);
        out.put_u16(self.tracks.len() as u16);
        out.put_u32(self.leaves.len() as u32);
        out.put_u64(self.head_bytes);
        out.put(&self.head_hash);
        out.put_i64(self.start.as_unix_micros());
        out.put_i64(self.end.as_unix_micros());
        for track in &self.tracks {
            out.put_u32(track.id);
            out.put_u16(track.stream.channel.get());
            out.put_u8(track.stream.kind.code());
            out.put_u8(0);
            out.put_u32(track.runs.len() as u32);
            out.put_u32(0);
            for run in &track.runs {
                out.put(&run.volume.0);
                out.put_u64(run.first_sequence);
                out.put_u32(run.chunks);
                out.put_u32(run.trailing);
                out.put_u64(run.header_bytes);
                out.put(&run.head);
                out.put(&[0; 8]);
            }
        }
        for leaf in &self.leaves {
            out.put_u64(*leaf);
        }
        out
    }

    /// What the export's leaf holds of it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(&self.encode())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        const ENDED: ProofError = ProofError::Malformed("the proof's manifest is cut short");
        const WRONG: ProofError = ProofError::Malformed("the proof's manifest has a value that cannot be");
        let mut fields = Fields(bytes);
        if fields.u16() != Some(VERSION) {
            return Err(WRONG);
        }
        let track_count = usize::from(fields.u16().ok_or(ENDED)?);
        let leaf_count = fields.u32().ok_or(ENDED)?;
        let head_bytes = fields.u64().ok_or(ENDED)?;
        let head_hash = fields.array().ok_or(ENDED)?;
        let start = WallTime::from_unix_micros(fields.i64().ok_or(ENDED)?);
        let end = WallTime::from_unix_micros(fields.i64().ok_or(ENDED)?);
        if !(1..=MAX_TRACKS).contains(&track_count) || leaf_count >= MAX_LEAVES || end <= start {
            return Err(WRONG);
        }
        let mut tracks: Vec<ProofTrack> = Vec::with_capacity(track_count);
        let mut run_count = 0;
        for _ in 0..track_count {
            let id = fields.u32().ok_or(ENDED)?;
            let channel = fields.u16().ok_or(ENDED)?;
            let stream = chunk::stream(channel, fields.u8().ok_or(ENDED)?).ok_or(WRONG)?;
            let reserved = fields.u8().ok_or(ENDED)?;
            let runs = fields.u32().ok_or(ENDED)? as usize;
            let reserved = u32::from(reserved) | fields.u32().ok_or(ENDED)?;
            run_count += runs;
            let grows = tracks.last().is_none_or(|last| last.id < id);
            let known = tracks.iter().any(|track| track.stream == stream);
            if reserved != 0 || runs == 0 || run_count > MAX_RUNS || id == 0 || !grows || known {
                return Err(WRONG);
            }
            let runs = (0..runs).map(|_| run(&mut fields)).collect::<Option<Vec<_>>>().ok_or(WRONG)?;
            tracks.push(ProofTrack { id, stream, runs });
        }
        let leaves = (0..leaf_count).map(|_| fields.u64()).collect::<Option<Vec<_>>>().ok_or(ENDED)?;
        if !leaves.is_sorted_by(|one, other| one < other) || !fields.0.is_empty() {
            return Err(WRONG);
        }
        Ok(Self { head_bytes, head_hash, start, end, tracks, leaves })
    }
}

fn run(fields: &mut Fields<'_>) -> Option<ProofRun> {
    let run = ProofRun {
        volume: ledger::Hex(fields.array()?),
        first_sequence: fields.u64()?,
        chunks: fields.u32()?,
        trailing: fields.u32()?,
        header_bytes: fields.u64()?,
        head: fields.array()?,
    };
    (fields.array() == Some([0; 8]) && run.chunks > 0).then_some(run)
}

/// A proof as far as it is small: what whoever writes one holds in memory.
///
/// Written in this order: [`Proof::front`], the leaves, the chunk headers, [`Proof::trailer`].
#[derive(Clone, Debug)]
pub struct Proof {
    front: Vec<u8>,
    box_bytes: u64,
}

impl Proof {
    /// Of `leaves` leaves that take `leaf_bytes` ([`leaf_record_bytes`] each), the export's among them. `checkpoint` is the
    /// signed note as text, with no signatures but the key's and those of `cosigners`.
    #[must_use]
    pub fn new(
        key: &VerifierKey,
        checkpoint: &str,
        cosigners: &[VerifierKey],
        manifest: &Manifest,
        leaf_bytes: u64,
    ) -> Self {
        let key = key.to_string();
        let cosigners: String = cosigners.iter().map(|key| format!("{key}\n")).collect();
        let runs = manifest.tracks.iter().flat_map(|track| &track.runs);
        let encoded = manifest.encode();
        let preamble = Preamble {
            key_bytes: key.len() as u32,
            checkpoint_bytes: checkpoint.len() as u32,
            cosigner_bytes: cosigners.len() as u32,
            manifest_bytes: encoded.len() as u32,
            leaves: manifest.leaves.len() as u32 + 1,
            leaf_bytes,
            header_bytes: runs.map(|run| run.header_bytes).sum(),
        };
        let box_bytes = preamble.box_bytes().unwrap_or(u64::MAX);
        let mut front = Vec::new();
        front.put(&1_u32.to_be_bytes());
        front.put(b"uuid");
        front.put(&box_bytes.to_be_bytes());
        front.put(&PROOF_UUID);
        preamble.encode(&mut front);
        front.put(key.as_bytes());
        front.put(checkpoint.as_bytes());
        front.put(cosigners.as_bytes());
        front.put(&encoded);
        Self { front, box_bytes }
    }

    /// The size of the whole box.
    #[must_use]
    pub fn box_bytes(&self) -> u64 {
        self.box_bytes
    }

    /// What stands before the leaves.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        &self.front
    }

    /// What stands behind the chunk headers.
    #[must_use]
    pub fn trailer(&self) -> [u8; TRAILER_BYTES as usize] {
        let mut trailer = [0; TRAILER_BYTES as usize];
        trailer[..8].copy_from_slice(&self.box_bytes.to_le_bytes());
        trailer[8..].copy_from_slice(&PROOF_UUID);
        trailer
    }
}

/// A leaf with its index and the hashes of its inclusion proof.
#[must_use]
pub fn leaf_record(index: u64, leaf: &[u8], path: &[ledger::Hash]) -> Vec<u8> {
    let mut out = Vec::with_capacity(leaf_record_bytes(leaf.len(), path.len()) as usize);
    out.put_u64(index);
    out.put_u32(leaf.len() as u32);
    out.put_u16(path.len() as u16);
    out.put_u16(0);
    out.put(leaf);
    for hash in path {
        out.put(&hash.0);
    }
    out
}

/// The size of [`leaf_record`]'s bytes.
#[must_use]
pub fn leaf_record_bytes(leaf: usize, path: usize) -> u64 {
    (LEAF_RECORD_BYTES + leaf + 32 * path) as u64
}

/// The first 16 bytes of a leaf record.
pub(crate) struct LeafRecord {
    pub(crate) index: u64,
    pub(crate) leaf_bytes: usize,
    pub(crate) path: usize,
}

impl LeafRecord {
    pub(crate) fn decode(bytes: &[u8; LEAF_RECORD_BYTES]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let record = Self {
            index: fields.u64()?,
            leaf_bytes: fields.u32()? as usize,
            path: usize::from(fields.u16()?),
        };
        let fits = record.leaf_bytes <= ledger::MAX_LEAF_BYTES && record.path <= MAX_PROOF_HASHES;
        (fits && fields.u16() == Some(0)).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Manifest {
        let run = ProofRun {
            volume: ledger::Hex([1; 16]),
            first_sequence: 7,
            chunks: 2,
            trailing: 1,
            header_bytes: 900,
            head: [2; 32],
        };
        let track = |id, kind| ProofTrack { id, stream: chunk::stream(3, kind).unwrap(), runs: vec![run; 2] };
        Manifest {
            head_bytes: 1000,
            head_hash: [3; 32],
            start: WallTime::from_unix_micros(5),
            end: WallTime::from_unix_micros(9),
            tracks: vec![track(1, 0), track(2, 2)],
            leaves: vec![4, 9],
        }
    }

    #[test]
    fn a_manifest_comes_back_and_a_cut_one_is_refused() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
        for cut in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(Manifest::decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn manifests_that_cannot_be_are_refused() {
        let refused = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            assert!(Manifest::decode(&manifest.encode()).is_err());
        };
        refused(|manifest| manifest.tracks.clear());
        refused(|manifest| manifest.tracks[1].id = 1);
        refused(|manifest| manifest.tracks[1].stream = manifest.tracks[0].stream);
        refused(|manifest| manifest.tracks[0].runs.clear());
        refused(|manifest| manifest.tracks[0].runs[1].chunks = 0);
        refused(|manifest| manifest.leaves = vec![9, 9]);
        refused(|manifest| manifest.end = manifest.start);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 64..300)) {
            let _ = Manifest::decode(&bytes);
            bytes[..4].copy_from_slice(&[1, 0, 1, 0]);
            let _ = Manifest::decode(&bytes);
            let _ = Preamble::decode(bytes.first_chunk().unwrap()).map(|preamble| preamble.box_bytes());
            let _ = LeafRecord::decode(bytes.first_chunk().unwrap());
        }
    }
}
