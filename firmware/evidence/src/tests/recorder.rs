//! A made-up recorder: it records, seals, keeps a ledger, and exports with a proof.

use std::io::Cursor;

use hal::{AudioCodec, StreamId, StreamKind, WallTime};
use ledger::{
    Checkpoint, Event, Frontier, Hex, KeyKind, Leaf, LedgerError, Signer, StreamHead, StreamRange, VolumeId,
    inclusion_proof, leaf_hash,
};
use media::{ChunkRef, Sample, SampleEntry, Track, VideoParams, movie_header_branded};

use super::footage::{Camera, Chunk, at, g711, h264, stream};
use crate::layout::sha256;
use crate::proof::{Manifest, PROOF_BRAND, Proof, ProofRun, ProofTrack, leaf_record, leaf_record_bytes};
use crate::report::Report;
use crate::sample::SampleFormat;
use crate::trust::Trusted;
use crate::verify;

pub(super) const VOLUME: VolumeId = Hex([9; 16]);

pub(super) struct Recorder {
    pub(super) signer: Signer,
    pub(super) witness: Signer,
    pub(super) cameras: Vec<Camera>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) segment: u64,
    /// Everything in segments below is sealed.
    pub(super) sealed_below: u64,
    frontier: Frontier,
    hashes: Vec<ledger::Hash>,
    pub(super) leaves: Vec<Vec<u8>>,
}

/// A file as it will be written.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) asked: (WallTime, WallTime),
    /// Channels that were asked for besides.
    pub(super) besides: Vec<hal::ChannelId>,
    pub(super) start: WallTime,
    pub(super) end: WallTime,
    pub(super) tracks: Vec<PlannedTrack>,
    /// The samples of chunks in the file's order.
    pub(super) pieces: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(super) struct PlannedTrack {
    pub(super) stream: StreamId,
    pub(super) track: Track,
    pub(super) runs: Vec<ProofRun>,
    pub(super) headers: Vec<u8>,
}

impl Recorder {
    /// A camera with sound on channel 3.
    pub(super) fn new(seed: u8) -> Self {
        let key = |name, kind, seed| Signer::from_seed(name, kind, &[seed; 32]).unwrap();
        let name = format!("candor/test{seed}");
        let mut recorder = Self {
            signer: key(&name, KeyKind::Note, seed),
            witness: key("phone", KeyKind::Cosignature, 77),
            cameras: vec![
                Camera::new(stream(3, StreamKind::Main), h264(), 60),
                Camera::new(stream(3, StreamKind::Audio), g711(AudioCodec::G711A), 20),
            ],
            chunks: Vec::new(),
            segment: 1,
            sealed_below: 1,
            frontier: Frontier::default(),
            hashes: Vec::new(),
            leaves: Vec::new(),
        };
        recorder.log(-2.0, Event::RecorderStarted { version: "1.0".into() });
        recorder
    }

    /// Two sealed segments of four seconds and an open one of two.
    pub(super) fn with_ten_seconds() -> Self {
        let mut recorder = Self::new(1);
        recorder.record(0..4);
        recorder.seal(4.0);
        recorder.record(4..8);
        recorder.seal(8.0);
        recorder.record(8..10);
        recorder
    }

    pub(super) fn trusted(&self) -> Trusted {
        Trusted::Key(self.signer.verifier().clone())
    }

    pub(super) fn log(&mut self, seconds: f64, event: Event) -> u64 {
        let leaf = Leaf { time: at(seconds), event }.encode().unwrap();
        self.frontier.push(leaf_hash(&leaf), &mut self.hashes);
        self.leaves.push(leaf);
        self.frontier.size() - 1
    }

    pub(super) fn record(&mut self, seconds: std::ops::Range<i32>) {
        for second in seconds {
            self.record_at(f64::from(second));
        }
    }

    /// A second of every camera.
    pub(super) fn record_at(&mut self, seconds: f64) {
        for camera in &mut self.cameras {
            self.chunks.push(camera.second(at(seconds), self.segment));
        }
    }

    pub(super) fn ranges(&self, segment: u64) -> Vec<StreamRange> {
        let streams = self.cameras.iter().map(|camera| camera.stream);
        let range = |stream: StreamId| {
            let of =
                |chunk: &&Chunk| chunk.header.stream == stream && chunk.header.placement.segment == segment;
            let first = self.chunks.iter().find(of)?;
            let last = self.chunks.iter().rfind(of)?;
            Some(StreamRange {
                channel: stream.channel,
                stream: stream.kind,
                first_sequence: first.header.sequence,
                last_sequence: last.header.sequence,
                start: first.header.start(),
                end: last.header.end(),
                head: Some(Hex(last.hash())),
            })
        };
        streams.filter_map(range).collect()
    }

    pub(super) fn seal(&mut self, seconds: f64) -> u64 {
        let (segment, streams) = (self.segment, self.ranges(self.segment));
        self.segment += 1;
        self.sealed_below = self.segment;
        self.log(seconds, Event::SegmentSealed { volume: VOLUME, segment, class: 0, streams })
    }

    /// What an honest recorder exports; whole chunks from the keyframe before `start` on.
    pub(super) fn plan(&self, start: f64, end: f64) -> Plan {
        let asked = (at(start), at(end));
        let streams: Vec<StreamId> = self.cameras.iter().map(|camera| camera.stream).collect();
        let mut picked: Vec<(usize, &Chunk)> = Vec::new();
        for (number, stream) in streams.iter().enumerate() {
            let of: Vec<&Chunk> = self.chunks.iter().filter(|chunk| chunk.header.stream == *stream).collect();
            let touched = |chunk: &&Chunk| chunk.header.end() > asked.0;
            let Some(mut first) = of.iter().position(touched) else { continue };
            while first > 0 && !of[first].header.frames[0].keyframe {
                first -= 1;
            }
            let wanted = of[first..].iter().take_while(|chunk| chunk.header.start() < asked.1);
            picked.extend(wanted.map(|chunk| (number, *chunk)));
        }
        picked.sort_by_key(|(number, chunk)| (chunk.header.sequence, *number));
        let start = asked.0.max(picked[0].1.header.start());
        let end = asked.1.min(picked.iter().map(|(_, chunk)| chunk.header.end()).max().unwrap());
        let mut plan =
            Plan { asked, besides: Vec::new(), start, end, tracks: Vec::new(), pieces: Vec::new() };
        let mut offset = 0;
        let mut tracks: Vec<PlannedTrack> = streams.iter().map(|stream| plan.track(*stream)).collect();
        // Media time never goes back, whatever the clock does.
        let mut reached = i64::MIN / 2;
        let mut shift = 0;
        for (number, chunk) in picked {
            let begins = chunk.header.start().micros_since(start);
            if number == 0 {
                if begins + shift < reached - 100_000 {
                    shift = reached - begins;
                }
                reached = begins + shift + super::footage::SECOND;
            }
            if tracks[number].add(chunk, begins + shift, offset) {
                offset += chunk.payload.len() as u64;
                plan.pieces.push(chunk.payload.clone());
            }
        }
        for track in &mut tracks {
            self.trail(track);
        }
        tracks.retain(|track| !track.track.samples.is_empty());
        plan.tracks = tracks;
        plan
    }

    /// Headers up to the end of a sealed segment.
    fn trail(&self, track: &mut PlannedTrack) {
        let Some(run) = track.runs.last_mut() else { return };
        let last = run.last_sequence();
        let of = self.chunks.iter().filter(|chunk| chunk.header.stream == track.stream);
        let segment =
            of.clone().find(|chunk| chunk.header.sequence == last).unwrap().header.placement.segment;
        for chunk in of.filter(|chunk| {
            chunk.header.sequence > last
                && chunk.header.placement.segment == segment
                && segment < self.sealed_below
        }) {
            run.trailing += 1;
            run.header_bytes += chunk.encoded.len() as u64;
            run.head = chunk.hash();
            track.headers.extend(&chunk.encoded);
        }
    }

    /// Writes the export down and proves it. Every leaf so far goes into the proof.
    pub(super) fn prove(&mut self, plan: &Plan) -> Vec<u8> {
        let manifest = self.manifest(plan);
        let export = self.log_export(plan, &manifest);
        self.assemble(plan, &manifest, export)
    }

    pub(super) fn manifest(&self, plan: &Plan) -> Manifest {
        let head = plan.head();
        let track = |(id, track): (u32, &PlannedTrack)| ProofTrack {
            id,
            stream: track.stream,
            runs: track.runs.clone(),
        };
        Manifest {
            head_bytes: head.len() as u64,
            head_hash: sha256(&head),
            start: plan.start,
            end: plan.end,
            tracks: (1..).zip(&plan.tracks).map(track).collect(),
            leaves: (0..self.frontier.size()).collect(),
        }
    }

    pub(super) fn log_export(&mut self, plan: &Plan, manifest: &Manifest) -> u64 {
        let heads = plan.tracks.iter().map(|track| {
            let last = track.runs.last().unwrap();
            StreamHead {
                channel: track.stream.channel,
                stream: track.stream.kind,
                sequence: last.last_sequence(),
                head: Hex(last.head),
            }
        });
        let channels = plan.tracks.iter().map(|track| track.stream.channel);
        let export = Event::Export {
            by: "anna".into(),
            from: None,
            channels: channels.chain(plan.besides.iter().copied()).collect(),
            start: plan.asked.0,
            end: plan.asked.1,
            heads: heads.collect(),
            manifest: Some(Hex(manifest.hash())),
        };
        self.log(1000.0, export)
    }

    pub(super) fn assemble(&self, plan: &Plan, manifest: &Manifest, export: u64) -> Vec<u8> {
        let key = self.signer.verifier();
        let size = self.frontier.size();
        let checkpoint = Checkpoint { origin: key.name().into(), size, root: self.frontier.root() };
        let mut checkpoint = checkpoint.sign(&self.signer).unwrap();
        let line = checkpoint.cosign(&self.witness, at(1001.0)).unwrap();
        checkpoint.add_cosignature(line, self.witness.verifier()).unwrap();
        let mut leaves = Vec::new();
        let mut leaf_bytes = 0;
        for index in [export].iter().chain(&manifest.leaves) {
            let node = |node: ledger::Subtree| Ok::<_, LedgerError>(self.hashes[node.position() as usize]);
            let path = inclusion_proof(*index, size, node).unwrap();
            let leaf = &self.leaves[*index as usize];
            leaf_bytes += leaf_record_bytes(leaf.len(), path.len());
            leaves.extend(leaf_record(*index, leaf, &path));
        }
        let cosigners = [self.witness.verifier().clone()];
        let proof = Proof::new(key, &checkpoint.to_string(), &cosigners, manifest, leaf_bytes);
        let headers = plan.tracks.iter().flat_map(|track| &track.headers).copied();
        let mut out = proof.front().to_vec();
        out.extend(leaves);
        out.extend(headers);
        out.extend(proof.trailer());
        assert_eq!(out.len() as u64, proof.box_bytes());
        out
    }

    pub(super) fn export(&mut self, start: f64, end: f64) -> Vec<u8> {
        let plan = self.plan(start, end);
        let proof = self.prove(&plan);
        plan.file(&proof)
    }
}

impl Plan {
    fn track(&self, stream: StreamId) -> PlannedTrack {
        let start = hal::Pts90k(0);
        let end = hal::Pts90k::from_micros(self.end.micros_since(self.start));
        let track = Track {
            name: String::new(),
            entries: Vec::new(),
            samples: Vec::new(),
            chunks: Vec::new(),
            start,
            shown_from: start,
            end: Some(end),
        };
        PlannedTrack { stream, track, runs: Vec::new(), headers: Vec::new() }
    }

    /// Everything before the samples.
    pub(super) fn head(&self) -> Vec<u8> {
        let tracks: Vec<Track> = self.tracks.iter().map(|track| track.track.clone()).collect();
        let bytes = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        movie_header_branded(&tracks, bytes, Some(PROOF_BRAND)).unwrap().to_vec()
    }

    pub(super) fn file(&self, proof: &[u8]) -> Vec<u8> {
        [self.head(), self.pieces.concat(), proof.to_vec()].concat()
    }
}

impl PlannedTrack {
    /// Whether its samples are in the file.
    fn add(&mut self, chunk: &Chunk, media_micros: i64, offset: u64) -> bool {
        let header = &chunk.header;
        let entry = match SampleFormat::decode(&header.entry).unwrap() {
            SampleFormat::Video(codec, sets) => SampleEntry::Video(VideoParams::new(codec, &sets).unwrap()),
            SampleFormat::Audio(format) => SampleEntry::Audio(format),
        };
        if self.track.entries.is_empty() {
            self.track.entries.push(entry.clone());
        }
        match self.runs.last_mut() {
            Some(run) if run.last_sequence() + 1 == header.sequence => run.chunks += 1,
            _ => self.runs.push(ProofRun {
                volume: VOLUME,
                first_sequence: header.sequence,
                chunks: 1,
                trailing: 0,
                header_bytes: 0,
                head: [0; 32],
            }),
        }
        let run = self.runs.last_mut().unwrap();
        run.header_bytes += chunk.encoded.len() as u64;
        run.head = chunk.hash();
        self.headers.extend(&chunk.encoded);
        if self.track.entries[0] != entry {
            return false;
        }
        self.track.chunks.push(ChunkRef {
            first_sample: self.track.samples.len() as u32,
            samples: header.frames.len() as u32,
            offset,
        });
        self.track.samples.extend(header.frames.iter().map(|frame| Sample {
            pts: hal::Pts90k(hal::Pts90k::from_micros(media_micros).0 + i64::from(frame.pts_offset)),
            size: frame.size,
            keyframe: frame.keyframe,
            entry: 0,
        }));
        true
    }
}

/// What a reader with the right key says.
pub(super) fn checked(recorder: &Recorder, file: &[u8]) -> Report {
    verify(Cursor::new(file), Some(&recorder.trusted()), |_, _| {}).unwrap()
}
