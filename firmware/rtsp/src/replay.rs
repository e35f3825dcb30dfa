//! What was recorded, played to one client: from the archive to packets, in time.
//!
//! Does not belong here: what PLAY asks for (`wish.rs`), where a unit stands in time (`timeline.rs`), sockets.
//!
//! Invariants
//! - A client that does not read, and one that has paused, holds back its own footage alone: one unit is here, one on its
//!   way, and the archive waits.
//! - RTP time and sequence numbers go on over every PLAY and PAUSE (RFC 2326 appendix B).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hal::{Clock, MonoTime, StreamFormat, WallTime};
use tokio::sync::mpsc;

use crate::action::{Beginning, Refusal, Replayed};
use crate::archive::{Archive, ArchiveError, ArchiveRequest, RecordedFormat, RecordedUnit, Recording};
use crate::extension::{Mark, extension};
use crate::packet::Packets;
use crate::payload::{Packetiser, Payload, Seeds, TrackId};
use crate::sdp::{Presentation, TrackDescription};
use crate::shared::Shared;
use crate::target::{RecordedRange, Source};
use crate::timeline::{STEP, Timeline};
use crate::video::ParameterSets;
use crate::wish::{Span, Wish};

/// So far outside of the range a moment is taken for its end: GStreamer reckons in floating point.
const SLACK_MICROS: i64 = 1000;

/// Later than all footage.
const END_OF_TIME: WallTime = WallTime::from_unix_micros(i64::MAX / 2);

/// What comes next.
#[derive(Debug)]
pub(crate) enum Played {
    Unit {
        track: TrackId,
        packets: Packets,
        /// RTP time does not go on from what was sent before as the time of recording does.
        jumped: bool,
    },
    /// The range was played to its end.
    End,
    /// The footage cannot be read on: its disk has gone, perhaps.
    Broken,
}

/// A client's recording.
pub(crate) struct Replay {
    archive: Arc<dyn Archive>,
    clock: Arc<dyn Clock>,
    source: Source,
    range: RecordedRange,
    /// Of the first picture.
    video: Arc<RecordedFormat>,
    first: WallTime,
    newest: WallTime,
    packetisers: Vec<(TrackId, Packetiser)>,
    running: Option<Running>,
    /// Where to go on after a pause.
    position: Option<Position>,
    /// The latest RTP time that was given out, 90 kHz from the packetisers' origin.
    latest: i64,
}

/// Between PLAY and PAUSE.
struct Running {
    units: mpsc::Receiver<io::Result<RecordedUnit>>,
    wish: Wish,
    /// The end, on the way.
    to: WallTime,
    timeline: Timeline,
    /// What the timeline's zero is, 90 kHz from the packetisers' origin.
    base: i64,
    /// When the timeline's zero is.
    began: MonoTime,
    /// Tracks that were not sent anything yet.
    fresh: Vec<TrackId>,
    /// Up to here the client has it; `None` from the first picture behind it on.
    after: Option<WallTime>,
    /// The last keyframe that was sent, where only some are.
    keyframe: Option<WallTime>,
    first: Option<RecordedUnit>,
    ready: Option<Ready>,
}

/// A unit that waits for its time.
struct Ready {
    due: MonoTime,
    position: Option<Position>,
    latest: i64,
    track: TrackId,
    packets: Packets,
    jumped: bool,
}

/// The last picture that was sent.
#[derive(Clone, Copy, Debug)]
struct Position {
    wall: WallTime,
    /// Of the keyframe that it hangs on.
    group: WallTime,
    /// The end of the range, which stays unless another is asked for.
    to: WallTime,
    reverse: bool,
}

impl Replay {
    /// Learns what there is.
    pub(crate) async fn open(shared: &Shared, source: Source) -> Result<Self, Refusal> {
        let (Some(range), Some(archive)) = (source.recorded, &shared.archive) else {
            return Err(Refusal::NotFound);
        };
        let request = ArchiveRequest {
            stream: source.stream,
            sound: true,
            start: range.start,
            end: range.end.unwrap_or(END_OF_TIME),
            reverse: false,
            keyframes_only: false,
        };
        let Recording { video, audio, first, newest, .. } =
            archive.open(request).await.map_err(|error| match error {
                ArchiveError::NoFootage => Refusal::NotFound,
                ArchiveError::Full | ArchiveError::Unavailable => Refusal::Full,
            })?;
        let mut packetisers = Vec::new();
        let formats = [(TrackId::Video, Some(&video)), (TrackId::Audio, audio.as_ref())];
        for (track, format) in formats.into_iter().filter_map(|(track, format)| Some((track, format?))) {
            let seeds = Seeds::random().ok_or(Refusal::Full)?;
            packetisers.push((track, Packetiser::new(Payload::from(format.format.clone()), track, seeds)));
        }
        Ok(Self {
            archive: Arc::clone(archive),
            clock: Arc::clone(&shared.clock),
            source,
            range,
            video,
            first,
            newest,
            packetisers,
            running: None,
            position: None,
            latest: 0,
        })
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn packetiser(&self, track: TrackId) -> Option<&Packetiser> {
        self.packetisers.iter().find(|(own, _)| *own == track).map(|(_, packetiser)| packetiser)
    }

    pub(crate) fn presentation(&self) -> Presentation {
        let tracks = self.packetisers.iter().map(|(track, packetiser)| TrackDescription {
            track: *track,
            payload: packetiser.payload().clone(),
            ssrc: packetiser.ssrc(),
            parameter_sets: match &self.video.format {
                StreamFormat::Video(codec) if *track == TrackId::Video => {
                    let sets: Vec<&[u8]> = self.video.parameter_sets.iter().map(AsRef::as_ref).collect();
                    ParameterSets::find(*codec, &sets)
                }
                _ => None,
            },
        });
        let version = self.packetisers.first().map_or(0, |(_, packetiser)| packetiser.ssrc().into());
        let (start, end) = (self.range.start.max(self.first), self.end().max(self.first));
        Presentation {
            stream: self.source.stream,
            version,
            tracks: tracks.collect(),
            recorded: Some((start, end)),
        }
    }

    /// The end of what there was to play when it was opened.
    fn end(&self) -> WallTime {
        self.range.end.map_or(self.newest, |end| end.min(self.newest))
    }

    /// Nothing more is sent until the next PLAY.
    pub(crate) fn pause(&mut self) {
        self.running = None;
    }

    /// Begins, or goes on; what is played goes on when the wish is refused.
    pub(crate) async fn play(
        &mut self,
        wish: Wish,
        tracks: &[TrackId],
    ) -> Result<(Vec<Beginning>, Replayed), Refusal> {
        let (from, to) = self.stretch(&wish)?;
        let position = self.position.filter(|_| wish.span.is_none());
        self.running = None;
        let (start, end) = if wish.is_reverse() { (to, from) } else { (from, to) };
        let request = ArchiveRequest {
            stream: self.source.stream,
            sound: wish.has_sound() && tracks.contains(&TrackId::Audio),
            start,
            end,
            reverse: wish.is_reverse(),
            keyframes_only: wish.keyframes.is_some(),
        };
        let mut recording = self.archive.open(request).await.map_err(|error| match error {
            ArchiveError::NoFootage => Refusal::NothingThere,
            ArchiveError::Full | ArchiveError::Unavailable => Refusal::Full,
        })?;
        // What is decoded before the place of a pause was sent before it.
        let goes_on = |position: &Position| !position.reverse && !wish.is_reverse();
        let after = position.filter(goes_on).map(|position| position.wall);
        let first = loop {
            match recording.units.recv().await {
                None => return Err(Refusal::NothingThere),
                Some(Err(_)) => return Err(Refusal::Full),
                Some(Ok(unit)) if after.is_some_and(|after| unit.wall <= after) => {}
                Some(Ok(unit)) => break unit,
            }
        };
        self.newest = self.newest.max(recording.newest);
        let (first_wall, end) = (first.wall, to.min(self.newest));
        let shown_from = if wish.is_reverse() { from.min(self.newest) } else { first_wall };
        // What is missing before the end is told of the first group, and measured from what was asked for.
        let origin = match first.missing_micros {
            Some(_) if wish.is_reverse() => from,
            _ => shown_from,
        };
        let base = self.latest + STEP;
        self.running = Some(Running {
            units: recording.units,
            wish,
            to,
            timeline: Timeline::new(wish.scale, wish.rate_control, origin),
            base,
            began: self.clock.mono(),
            fresh: tracks.to_vec(),
            after,
            keyframe: None,
            first: Some(first),
            ready: None,
        });
        let beginning = |track: &TrackId| Beginning {
            track: *track,
            first: self
                .packetiser(*track)
                .map(|packetiser| (packetiser.next_sequence(), packetiser.timestamp_at(base))),
        };
        let replayed = Replayed { from: shown_from, to: end, start: self.range.start, wish };
        Ok((tracks.iter().map(beginning).collect(), replayed))
    }

    /// Where to begin and to end, on the way.
    fn stretch(&self, wish: &Wish) -> Result<(WallTime, WallTime), Refusal> {
        let reverse = wish.is_reverse();
        let (first, last) = (self.range.start, self.range.end.unwrap_or(END_OF_TIME));
        let at = |micros: i64| first.offset_micros(micros);
        let (start, end) = match wish.span {
            Some(Span::Clock { start, end }) => (Some(start), end),
            Some(Span::Npt { start, end }) => (Some(at(start)), end.map(at)),
            None => {
                let position = self.position;
                let to = position.filter(|position| position.reverse == reverse).map(|position| position.to);
                (position.map(|position| if reverse { position.group } else { position.wall }), to)
            }
        };
        let (from, to) = if reverse {
            // Backwards from the very beginning is nothing; players that always send a range mean all of it.
            let whole = start == Some(first) && end.is_none();
            (start.filter(|_| !whole).unwrap_or(last), end.unwrap_or(first))
        } else {
            (start.unwrap_or(first), end.unwrap_or(last).min(last))
        };
        let near = |wall: WallTime| {
            let within = wall.max(first).min(last);
            if wall.micros_since(within).abs() <= SLACK_MICROS { within } else { wall }
        };
        let (from, to) = (near(from), near(to));
        let within = first <= from.min(to) && from.max(to) <= last;
        let is_long = if reverse { to < from } else { from < to };
        if within && is_long { Ok((from, to)) } else { Err(Refusal::NothingThere) }
    }

    /// The next unit, when it is time for it. Nothing is lost when the future is dropped before it ends.
    pub(crate) async fn next(&mut self) -> Played {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        while running.ready.is_none() {
            let next = match running.first.take() {
                Some(first) => Some(Ok(first)),
                None => running.units.recv().await,
            };
            match next {
                None => {
                    self.position = None;
                    return Played::End;
                }
                Some(Err(error)) => {
                    tracing::info!(%error, stream = %self.source.stream, "a replay broke off");
                    return Played::Broken;
                }
                Some(Ok(unit)) => {
                    running.ready = running.prepare(&unit, &mut self.packetisers, self.position);
                }
            }
        }
        let due = running.ready.as_ref().map_or(running.began, |ready| ready.due);
        let early = due.since(self.clock.mono());
        if !early.is_zero() {
            tokio::time::sleep(early).await;
        }
        match running.ready.take() {
            Some(Ready { position, latest, track, packets, jumped, .. }) => {
                self.position = position;
                self.latest = self.latest.max(latest);
                Played::Unit { track, packets, jumped }
            }
            None => std::future::pending().await,
        }
    }
}

impl Running {
    /// A unit as packets; `None` for one that is not sent.
    fn prepare(
        &mut self,
        unit: &RecordedUnit,
        packetisers: &mut [(TrackId, Packetiser)],
        position: Option<Position>,
    ) -> Option<Ready> {
        let track = if unit.is_sound() { TrackId::Audio } else { TrackId::Video };
        if self.after.is_some_and(|after| unit.wall <= after) {
            return None;
        }
        if track == TrackId::Video {
            self.after = None;
        }
        if !self.is_wanted(unit) {
            return None;
        }
        let (_, packetiser) = packetisers.iter_mut().find(|(own, _)| *own == track)?;
        let place = self.timeline.place(unit);
        let fresh =
            self.fresh.iter().position(|own| *own == track).map(|at| self.fresh.swap_remove(at)).is_some();
        let mark = Mark {
            clean_point: unit.keyframe,
            ends_section: unit.ends_section,
            discontinuity: fresh || unit.missing_micros.is_some() || self.wish.is_reverse() && unit.keyframe,
            terminal: unit.is_last,
            cseq: self.wish.cseq,
        };
        let shown = self.base + place.shown;
        let packets = packetiser.packetise_recorded(unit, shown, extension(unit.wall, mark))?;
        let due = if self.wish.rate_control {
            let micros = place.sent.max(0) as f64 / 0.09 / self.wish.speed;
            self.began + Duration::from_micros(micros as u64)
        } else {
            self.began
        };
        let position = match track {
            TrackId::Audio | TrackId::Metadata => position,
            TrackId::Video => Some(Position {
                wall: unit.wall,
                group: if unit.keyframe { unit.wall } else { position.map_or(unit.wall, |last| last.group) },
                to: self.to,
                reverse: self.wish.is_reverse(),
            }),
        };
        Some(Ready { due, position, latest: shown, track, packets, jumped: fresh || place.jumped })
    }

    /// Of keyframes that are closer than the client wants them, the later ones are left out.
    fn is_wanted(&mut self, unit: &RecordedUnit) -> bool {
        let Some(distance) = self.wish.keyframes.filter(|distance| !distance.is_zero()) else { return true };
        let near = |last: WallTime| {
            u128::from(unit.wall.micros_since(last).unsigned_abs()) < distance.as_micros() && !unit.is_last
        };
        if self.keyframe.is_some_and(near) {
            return false;
        }
        self.keyframe = Some(unit.wall);
        true
    }
}
