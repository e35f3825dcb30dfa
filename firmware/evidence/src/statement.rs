//! What the recorder has signed: what is read before the footage.
//!
//! docs/evidence.md, sections 4 and 6, rules 2 and 3. Does not belong here: the footage (`walk`).
//!
//! Invariant: a [`Statement`] holds nothing that the checkpoint's signature does not vouch for.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::ops::Range;

use hal::{ChannelId, StreamId, StreamKind, WallTime};
use ledger::{Event, KeyKind, Leaf, SignedCheckpoint, VerifierKey, VolumeId, leaf_hash, verify_inclusion};

use crate::error::VerifyError;
use crate::file::{Cursor, File};
use crate::layout::{Hash, sha256};
use crate::proof::{
    BOX_HEADER_BYTES, LEAF_RECORD_BYTES, LeafRecord, Manifest, PREAMBLE_BYTES, Preamble, ProofError,
};
use crate::reasons::Causes;
use crate::report::{Export, Findings, Place, Recorder, Seen};
use crate::trust::{Fingerprint, Trusted};

/// Heads of sealed segments that are kept: 12 hours of 192 streams in segments of a minute and a half.
const MAX_ANCHORS: usize = 1 << 17;

/// What is signed.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) export: Export,
    pub(crate) manifest: Manifest,
    /// Channels that were asked for and have no track.
    pub(crate) absent: Vec<ChannelId>,
    pub(crate) anchors: Anchors,
    pub(crate) causes: Causes,
    /// Where the chunk headers are.
    pub(crate) headers: Range<u64>,
}

/// Who has signed; known before the rest holds.
#[derive(Debug)]
pub(crate) struct Signatures {
    pub(crate) recorder: Recorder,
    pub(crate) witnesses: Vec<Seen>,
}

/// How far reading it came.
pub(crate) enum Outcome {
    /// A proof of another version.
    Version(u16),
    /// The findings say why there is no statement.
    Refused(Option<Signatures>),
    /// All of it.
    Signed(Signatures, Box<Statement>),
}

/// The last chunks of sealed segments, as their leaves have them.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    by_segment: HashMap<(VolumeId, u64), Vec<Anchor>>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    stream: StreamId,
    last_sequence: u64,
    head: Hash,
}

impl Anchors {
    fn add(&mut self, content: &Leaf, streams: &[StreamId]) {
        let Event::SegmentSealed { volume, segment, streams: sealed, .. } = &content.event else { return };
        for range in sealed {
            let stream = StreamId::new(range.channel, range.stream);
            let Some(head) = range.head.filter(|_| streams.contains(&stream)) else { continue };
            if self.count < MAX_ANCHORS {
                let anchor = Anchor { stream, last_sequence: range.last_sequence, head: head.0 };
                self.by_segment.entry((*volume, *segment)).or_default().push(anchor);
                self.count += 1;
            }
        }
    }

    /// The head that a leaf has for this chunk.
    pub(crate) fn head(
        &self,
        volume: VolumeId,
        segment: u64,
        stream: StreamId,
        sequence: u64,
    ) -> Option<Hash> {
        let anchors = self.by_segment.get(&(volume, segment))?;
        let is = |anchor: &&Anchor| anchor.stream == stream && anchor.last_sequence == sequence;
        anchors.iter().find(is).map(|anchor| anchor.head)
    }
}

/// Reads the proof's box up to the chunk headers.
pub(crate) fn read_statement<R: Read + Seek>(
    file: &mut File<R>,
    whole: &Range<u64>,
    trusted: Option<&Trusted>,
    findings: &mut Findings,
) -> Result<Outcome, VerifyError> {
    let at = whole.start + BOX_HEADER_BYTES;
    let refused = |findings: &mut Findings, what: &str, bytes: Range<u64>| {
        findings.add(what, Place::bytes(bytes));
        Ok(Outcome::Refused(None))
    };
    let preamble_bytes = at..at + PREAMBLE_BYTES as u64;
    let Some(bytes) = file.array(at)?.filter(|_| preamble_bytes.end <= whole.end) else {
        return refused(findings, "the proof is cut short", whole.clone());
    };
    let preamble = match Preamble::decode(&bytes) {
        Ok(preamble) => preamble,
        Err(ProofError::Version(version)) => return Ok(Outcome::Version(version)),
        Err(ProofError::Malformed(what)) => return refused(findings, what, preamble_bytes),
    };
    if preamble.box_bytes() != Some(whole.end - whole.start) {
        return refused(findings, "the proof's parts do not fill its box", preamble_bytes);
    }
    let mut parts = Parts { at: preamble_bytes.end };
    let key_at = parts.next(preamble.key_bytes.into());
    let checkpoint_at = parts.next(preamble.checkpoint_bytes.into());
    let cosigners_at = parts.next(preamble.cosigner_bytes.into());
    let manifest_at = parts.next(preamble.manifest_bytes.into());
    let leaves_at = parts.next(preamble.leaf_bytes);
    let headers = parts.next(preamble.header_bytes);

    let Some(key) = text(file, &key_at)?.and_then(|text| parse_key(&text, KeyKind::Note)) else {
        return refused(findings, "the recorder's key in the proof is none", key_at);
    };
    let Some(checkpoint) = text(file, &checkpoint_at)?.and_then(|text| text.parse::<SignedCheckpoint>().ok())
    else {
        return refused(findings, "the checkpoint in the proof is none", checkpoint_at);
    };
    let cosigners: Option<Vec<VerifierKey>> = text(file, &cosigners_at)?.and_then(|text| {
        text.split_inclusive('\n')
            .map(|line| line.strip_suffix('\n').and_then(|key| parse_key(key, KeyKind::Cosignature)))
            .collect()
    });
    let Some(cosigners) = cosigners else {
        return refused(findings, "the co-signers' keys in the proof are none", cosigners_at);
    };
    let witnesses = match checkpoint.verify(&key, &cosigners) {
        Ok(witnesses) => witnesses,
        Err(error) => return refused(findings, &error.to_string(), checkpoint_at),
    };
    // Each line is by somebody who is known here: nothing stands in a proof that is not looked at.
    if witnesses.len() != cosigners.len() || witnesses.len() + 1 != checkpoint.note().lines().len() {
        return refused(
            findings,
            "the checkpoint has signatures by others than its co-signers",
            checkpoint_at,
        );
    }
    let fingerprint = Fingerprint::of(&key);
    if trusted.is_some_and(|trusted| !trusted.is(&key)) {
        let what = format!("the proof is by another recorder's key: {}, {fingerprint}", key.name());
        findings.add(what, Place::bytes(key_at));
    }
    let signatures = Signatures {
        recorder: Recorder {
            name: key.name().to_owned(),
            key: key.to_string(),
            fingerprint: fingerprint.to_string(),
            trusted: trusted.is_some_and(|trusted| trusted.is(&key)),
        },
        witnesses: witnesses.into_iter().map(|seen| Seen { by: seen.name, at: seen.time }).collect(),
    };

    let manifest_bytes = file.bytes(manifest_at.start, preamble.manifest_bytes as usize)?.unwrap_or_default();
    let manifest = match Manifest::decode(&manifest_bytes) {
        Ok(manifest) if manifest.leaves.len() as u64 + 1 == u64::from(preamble.leaves) => manifest,
        _ => {
            findings.add("the proof's manifest is none", Place::bytes(manifest_at));
            return Ok(Outcome::Refused(Some(signatures)));
        }
    };
    let mut streams: Vec<StreamId> = manifest.tracks.iter().map(|track| track.stream).collect();
    let mut leaves = Leaves { cursor: Cursor::new(leaves_at.start, leaves_at.end), checkpoint: &checkpoint };
    let (mut anchors, mut causes) = (Anchors::default(), Causes::default());
    let mut export = None;
    let mut absent = Vec::new();
    for number in 0..preamble.leaves as usize {
        let Some((index, leaf)) = leaves.next(file, findings)? else {
            return Ok(Outcome::Refused(Some(signatures)));
        };
        let (Some(leaf), place) = leaf else { continue };
        if let Some(expected) = number.checked_sub(1).map(|number| manifest.leaves[number]) {
            if index != expected {
                findings.add("this leaf is not the one that the export's entry names", place);
            }
            if let Ok(content) = Leaf::decode(&leaf) {
                anchors.add(&content, &streams);
                causes.add(index, &content, &streams);
            }
        } else {
            match check_export(&leaf, &manifest, &manifest_bytes) {
                Ok(signed) => {
                    absent = without_track(&signed.channels, &streams);
                    streams.extend(absent.iter().map(|&channel| StreamId::new(channel, StreamKind::Main)));
                    export = Some(Export {
                        at: signed.at,
                        by: signed.by,
                        start: signed.start,
                        end: signed.end,
                        leaf: index,
                        ledger_size: checkpoint.checkpoint().size,
                    });
                }
                Err(what) => findings.add(what, place),
            }
        }
    }
    if leaves.cursor.position() != leaves_at.end {
        findings.add("there are bytes behind the proof's leaves", Place::byte(leaves.cursor.position()));
    }
    let Some(export) = export else { return Ok(Outcome::Refused(Some(signatures))) };
    Ok(Outcome::Signed(
        signatures,
        Box::new(Statement { export, manifest, absent, anchors, causes, headers }),
    ))
}

struct Parts {
    at: u64,
}

impl Parts {
    fn next(&mut self, bytes: u64) -> Range<u64> {
        let start = self.at;
        self.at += bytes;
        start..self.at
    }
}

fn text<R: Read + Seek>(file: &mut File<R>, bytes: &Range<u64>) -> Result<Option<String>, VerifyError> {
    let bytes = file.bytes(bytes.start, (bytes.end - bytes.start) as usize)?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// A key of this kind, spelled as we spell it.
fn parse_key(text: &str, kind: KeyKind) -> Option<VerifierKey> {
    text.parse().ok().filter(|key: &VerifierKey| key.kind() == kind && key.to_string() == text)
}

struct Leaves<'a> {
    cursor: Cursor,
    checkpoint: &'a SignedCheckpoint,
}

impl Leaves<'_> {
    /// The next leaf's index and, where it is in the ledger, its bytes; `None` when none can be read any more.
    #[expect(clippy::type_complexity, reason = "used once, a line above its loop")]
    fn next<R: Read + Seek>(
        &mut self,
        file: &mut File<R>,
        findings: &mut Findings,
    ) -> Result<Option<(u64, (Option<Vec<u8>>, Place))>, VerifyError> {
        let start = self.cursor.position();
        let head = self.cursor.peek(file, LEAF_RECORD_BYTES)?;
        let Some(record) = head.first_chunk().and_then(LeafRecord::decode) else {
            findings.add("here a leaf should begin", Place::byte(start));
            return Ok(None);
        };
        let size = LEAF_RECORD_BYTES + record.leaf_bytes + 32 * record.path;
        let place = Place::bytes(start..start + size as u64);
        let bytes = self.cursor.peek(file, size)?;
        if bytes.len() != size {
            findings.add("the proof's last leaf is cut short", place);
            return Ok(None);
        }
        let (leaf, path) = bytes[LEAF_RECORD_BYTES..].split_at(record.leaf_bytes);
        let path: Vec<ledger::Hash> = path.as_chunks::<32>().0.iter().copied().map(ledger::Hex).collect();
        let root = self.checkpoint.checkpoint();
        let held = verify_inclusion(&leaf_hash(leaf), record.index, root.size, &path, &root.root);
        let leaf = held.is_ok().then(|| leaf.to_vec());
        if leaf.is_none() {
            findings.add("this leaf is not in the ledger at its place", place.clone());
        }
        self.cursor.take(size);
        Ok(Some((record.index, (leaf, place))))
    }
}

/// What the export's leaf says.
struct SignedExport {
    at: WallTime,
    by: String,
    channels: Vec<ChannelId>,
    start: WallTime,
    end: WallTime,
}

/// Rule 3: whether the leaf is that of this export.
fn check_export(
    leaf: &[u8],
    manifest: &Manifest,
    manifest_bytes: &[u8],
) -> Result<SignedExport, &'static str> {
    let content = Leaf::decode(leaf).map_err(|_| "the proof's first leaf is not an export")?;
    let Event::Export { by, channels, start, end, heads, manifest: hash, .. } = content.event else {
        return Err("the proof's first leaf is not an export");
    };
    if hash.map(|hash| hash.0) != Some(sha256(manifest_bytes)) {
        return Err("the ledger's entry is of another export: another manifest");
    }
    let known = |stream: StreamId| channels.contains(&stream.channel);
    let headed = manifest.tracks.iter().all(|track| {
        let last = track.runs.last().expect("a manifest that decodes has runs");
        heads.iter().any(|head| {
            StreamId::new(head.channel, head.stream) == track.stream
                && head.sequence == last.last_sequence()
                && head.head.0 == last.head
        })
    });
    if !headed || !manifest.tracks.iter().all(|track| known(track.stream)) {
        return Err("the ledger's entry is of an export of other streams");
    }
    if start >= end || start >= manifest.end || end <= manifest.start {
        return Err("the ledger's entry is of an export of another time");
    }
    Ok(SignedExport { at: content.time, by: by.to_string(), channels, start, end })
}

fn without_track(channels: &[ChannelId], streams: &[StreamId]) -> Vec<ChannelId> {
    let mut absent: Vec<ChannelId> = channels
        .iter()
        .copied()
        .filter(|channel| !streams.iter().any(|stream| stream.channel == *channel))
        .collect();
    absent.sort_unstable();
    absent.dedup();
    absent
}
