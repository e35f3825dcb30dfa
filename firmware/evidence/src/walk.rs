//! Each chunk against its header, each header against the next.
//!
//! docs/evidence.md, section 6, rules 5 to 8. Does not belong here: who has signed the heads (`statement`), gaps (`coverage`).
//!
//! Invariants
//! - Samples are read once, in the order in which they lie in the file, and not kept.
//! - The proof says what samples must be; where they are the file's own tables say.

use std::io::{Read, Seek};
use std::ops::Range;

use crate::chunk::{CHUNK_UNHASHED, ChunkHeader, HeaderError, MAX_HEADER_BYTES};
use crate::coverage::Coverage;
use crate::error::VerifyError;
use crate::file::{Cursor, File};
use crate::layout::{Fields, Hash};
use crate::proof::{ProofRun, ProofTrack};
use crate::report::{Findings, Place, TrackReport};
use crate::sample::SampleFormat;
use crate::samples::{BAD_TABLES, Samples};
use crate::shown::Shown;
use crate::statement::Statement;

/// A track of the file with the proof's.
pub(crate) struct TrackWalk<'a> {
    track: &'a ProofTrack,
    samples: Samples,
    /// How the file shows it; only looked at when the file's header is not the signed one.
    shown: Option<Shown>,
    headers: Cursor,
    headers_end: u64,
    /// Index of the run, and how many of its headers were read.
    run: usize,
    read: u32,
    /// SHA-256 of the header before, within the run.
    previous: Option<Hash>,
    /// The first chunk's format: that of the track.
    format: Option<SampleFormat>,
    /// The chunk whose samples are next.
    pending: Option<ChunkHeader>,
    /// Something is wrong from which on nothing can be told.
    given_up: bool,
    coverage: Coverage,
    /// Chunks since the last one that a sealed segment's leaf has as its head.
    unsealed: u64,
    report: TrackReport,
}

impl<'a> TrackWalk<'a> {
    /// `headers` is the part of the proof that has this track's chunk headers.
    pub(crate) fn new(
        track: &'a ProofTrack,
        samples: Samples,
        shown: Option<Shown>,
        headers: Range<u64>,
        statement: &Statement,
    ) -> Self {
        let report = TrackReport {
            track: track.id,
            stream: track.stream,
            from: None,
            to: None,
            chunks: 0,
            sealed_chunks: 0,
            bytes: 0,
            gaps: Vec::new(),
            more_gaps: 0,
        };
        Self {
            track,
            samples,
            shown,
            headers: Cursor::new(headers.start, headers.end),
            headers_end: headers.end,
            run: 0,
            read: 0,
            previous: None,
            format: None,
            pending: None,
            given_up: false,
            coverage: Coverage::new(track.stream, statement.export.start, statement.export.end),
            unsealed: 0,
            report,
        }
    }

    fn place(&self, bytes: Range<u64>) -> Place {
        Place::bytes(bytes).in_track(self.track.id, self.track.stream)
    }

    fn place_of(&self, header: &ChunkHeader, bytes: Range<u64>) -> Place {
        self.place(bytes).during(header.start(), header.end())
    }

    /// Reads headers up to the next chunk that has samples.
    fn load<R: Read + Seek>(
        &mut self,
        file: &mut File<R>,
        statement: &Statement,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        while self.pending.is_none() && !self.given_up {
            let Some(run) = self.track.runs.get(self.run).copied() else {
                if self.headers.position() != self.headers_end {
                    let place = self.place(self.headers.position()..self.headers_end);
                    findings.add("there are bytes behind the track's chunk headers", place);
                }
                return Ok(());
            };
            let Some((header, hash, bytes)) = self.read_header(file, findings)? else {
                self.give_up();
                return Ok(());
            };
            self.check_chain(&run, &header, &bytes, findings);
            self.check_anchor(&run, &header, hash, &bytes, statement, findings);
            let trails = self.read >= run.chunks;
            self.read += 1;
            self.previous = Some(hash);
            if self.read == run.chunks.saturating_add(run.trailing) {
                if hash != run.head {
                    let place = self.place_of(&header, bytes.clone());
                    findings.add("the chunk headers end with another than the export's entry names", place);
                }
                (self.run, self.read, self.previous) = (self.run + 1, 0, None);
                self.end_of_run(run, findings);
            }
            if !trails {
                self.begin_chunk(&run, header, bytes, findings);
            }
        }
        Ok(())
    }

    fn read_header<R: Read + Seek>(
        &mut self,
        file: &mut File<R>,
        findings: &mut Findings,
    ) -> Result<Option<(ChunkHeader, Hash, Range<u64>)>, VerifyError> {
        let start = self.headers.position();
        let ahead = self.headers.peek(file, MAX_HEADER_BYTES)?;
        let what = match ChunkHeader::decode(ahead) {
            Ok(header) => {
                // As it says itself: a later program may write longer ones.
                let size = Fields(&ahead[8..]).u32().unwrap_or(0) as usize;
                let hash = ChunkHeader::hash_of(&ahead[..size]);
                self.headers.take(size);
                return Ok(Some((header, hash, start..start + size as u64)));
            }
            Err(HeaderError::Short(_)) => "the chunk headers are cut short",
            Err(HeaderError::Damaged(what) | HeaderError::Unknown(what)) => what,
        };
        findings.add(what, self.place(start..start + 1));
        Ok(None)
    }

    /// Rule 6.
    fn check_chain(&self, run: &ProofRun, header: &ChunkHeader, bytes: &Range<u64>, findings: &mut Findings) {
        let sequence = run.first_sequence.saturating_add(u64::from(self.read));
        let what = if header.stream != self.track.stream {
            "the chunk is of another stream"
        } else if header.sequence != sequence {
            "the chunk is not the next one of its stream"
        } else if self.previous.is_some_and(|previous| header.previous != previous) {
            "the chunk does not follow the one before it: the chain is broken"
        } else {
            return;
        };
        findings.add(what, self.place_of(header, bytes.clone()));
    }

    /// Rule 8.
    fn check_anchor(
        &mut self,
        run: &ProofRun,
        header: &ChunkHeader,
        hash: Hash,
        bytes: &Range<u64>,
        statement: &Statement,
        findings: &mut Findings,
    ) {
        if self.read < run.chunks {
            self.unsealed += 1;
        }
        let segment = header.placement.segment;
        match statement.anchors.head(run.volume, segment, self.track.stream, header.sequence) {
            Some(head) if head == hash => {
                self.report.sealed_chunks += std::mem::take(&mut self.unsealed);
            }
            Some(_) => {
                let place = self.place_of(header, bytes.clone());
                findings.add("the ledger has another chunk as the last one of this segment", place);
            }
            None => {}
        }
    }

    /// Chunks that no later one in the run vouches for stay unsealed; runs of one volume go on.
    fn end_of_run(&mut self, run: ProofRun, findings: &mut Findings) {
        self.unsealed = 0;
        if let Some(next) = self.track.runs.get(self.run)
            && next.volume == run.volume
            && next.first_sequence <= run.last_sequence()
        {
            let place = self.place(self.headers.position()..self.headers.position() + 1);
            findings.add("the chunks of one volume are not in their order", place);
        }
    }

    fn begin_chunk(
        &mut self,
        run: &ProofRun,
        header: ChunkHeader,
        bytes: Range<u64>,
        findings: &mut Findings,
    ) {
        let format = SampleFormat::decode(&header.entry);
        let left_out = match (&self.format, &format) {
            (Some(track), Ok(format)) => !track.shares_track_with(format),
            _ => false,
        };
        let back = self.coverage.chunk(run.volume, &header, left_out);
        if let Some(shown) = &mut self.shown {
            shown.clock_went_back(back);
        }
        if self.format.is_none() {
            self.format = format.ok();
        }
        if left_out {
            return;
        }
        if header.flags & CHUNK_UNHASHED != 0 {
            let place = self.place_of(&header, bytes.clone());
            findings.add("the chunk was recorded without a hash: nothing vouches for it", place);
        }
        self.report.from.get_or_insert(header.start());
        self.report.to = Some(header.end());
        self.pending = Some(header);
    }

    /// Checks the pending chunk's samples; where they end.
    fn check_samples<R: Read + Seek>(
        &mut self,
        file: &mut File<R>,
        start: u64,
        findings: &mut Findings,
    ) -> Result<u64, VerifyError> {
        let Some(header) = self.pending.take() else { return Ok(start) };
        let mut end = start;
        if let Some(shown) = &mut self.shown {
            shown.begin_chunk();
        }
        for frame in &header.frames {
            let sample = match self.samples.take() {
                Ok(Some(sample)) => sample,
                other => {
                    let what = if other.is_err() { BAD_TABLES } else { "samples of this chunk are missing" };
                    findings.add(what, self.place_of(&header, start..end.max(start + 1)));
                    self.give_up();
                    return Ok(end);
                }
            };
            if sample.offset != end || sample.size != frame.size {
                let what = format!("from sample {} on the samples are not those of the chunk", sample.number);
                let bytes = sample.offset..sample.offset.saturating_add(u64::from(sample.size).max(1));
                findings.add(what, self.place_of(&header, bytes));
                self.give_up();
                return Ok(sample.offset.saturating_add(u64::from(sample.size)));
            }
            if sample.sync != frame.keyframe {
                let what =
                    format!("decoding can start at sample {}, or not, other than recorded", sample.number);
                findings.add(what, self.place_of(&header, end..end + u64::from(frame.size)));
            }
            if let Some(shown) = &mut self.shown
                && let Some(what) = shown.check(&sample, &header, frame)
            {
                findings.add(what, self.place_of(&header, end..end + u64::from(frame.size)));
            }
            end += u64::from(frame.size);
        }
        if let Some(shown) = &mut self.shown
            && let Some(what) = shown.check_entry(&header.entry)
        {
            findings.add(what, self.place_of(&header, start..end));
        }
        let hash = file.hash(start, end - start)?;
        if hash != Some(header.payload_hash) {
            let what = "the samples are not what was recorded";
            findings.add(what, self.place_of(&header, start..end));
        }
        self.report.chunks += 1;
        self.report.bytes += end - start;
        Ok(end)
    }

    /// What is behind cannot be told apart from what is wrong.
    fn give_up(&mut self) {
        self.given_up = true;
        self.samples.abandon();
    }
}

/// Walks through all tracks at once. `end` is where the `mdat` ends; `progress` is told how many bytes were read.
pub(crate) fn walk<R: Read + Seek>(
    file: &mut File<R>,
    tracks: &mut [TrackWalk<'_>],
    samples: &Range<u64>,
    statement: &Statement,
    findings: &mut Findings,
    progress: &mut dyn FnMut(u64),
) -> Result<(), VerifyError> {
    for track in &mut *tracks {
        track.load(file, statement, findings)?;
    }
    let mut at = samples.start;
    loop {
        let next = |track: &TrackWalk<'_>| {
            track.pending.as_ref().map(|_| track.samples.peek().map_or(u64::MAX, |sample| sample.offset))
        };
        let chosen = (0..tracks.len()).filter_map(|n| next(&tracks[n]).map(|at| (at, n))).min();
        let Some((start, number)) = chosen else { break };
        if start != at && start != u64::MAX && !tracks.iter().any(|track| track.given_up) {
            let what =
                "the samples do not lie one behind the other: these bytes belong to none, or to several";
            findings.add(what, tracks[number].place(start.min(at)..start.max(at)));
        }
        let track = &mut tracks[number];
        let start = if start == u64::MAX { at } else { start };
        at = track.check_samples(file, start, findings)?;
        track.load(file, statement, findings)?;
        progress(at);
    }
    for track in &*tracks {
        let left = track.samples.left();
        if left > 0 {
            let at = track.samples.peek().map_or(samples.end, |sample| sample.offset);
            findings.add(format!("{left} samples belong to no chunk"), track.place(at..at + 1));
        }
    }
    if at != samples.end && !tracks.iter().any(|track| track.given_up) {
        let what = "the samples do not end with their box";
        findings.add(what, Place::bytes(at.min(samples.end)..at.max(samples.end)));
    }
    Ok(())
}

impl TrackWalk<'_> {
    /// What was found out about the track.
    pub(crate) fn finish(mut self, statement: &Statement, findings: &mut Findings) -> TrackReport {
        if let Some(what) = self.shown.as_ref().and_then(Shown::finish) {
            findings.add(what, Place::default().in_track(self.track.id, self.track.stream));
        }
        (self.report.gaps, self.report.more_gaps) = self.coverage.finish(&statement.causes);
        self.report
    }
}
