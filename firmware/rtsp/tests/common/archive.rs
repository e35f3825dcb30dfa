//! An archive in memory, for replays without a disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hal::{Pts90k, StreamFormat, VideoCodec, WallTime};
use media::ParameterSets;
use rtsp::{Archive, ArchiveError, ArchiveRequest, Opening, RecordedFormat, RecordedUnit, Recording};
use tokio::sync::mpsc;

/// 2026-11-20T10:00:00Z.
pub const START: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);

/// Pictures a group; 25 a second.
pub const GROUP: usize = 10;

const STEP_MICROS: i64 = 40_000;

/// Channel 1's main stream: groups of [`GROUP`] pictures, with a gap of ten seconds in the middle.
pub struct Shelf {
    units: Vec<RecordedUnit>,
    /// Units that were taken.
    pub taken: Arc<AtomicUsize>,
}

/// The wall time of a picture of [`Shelf::new`]'s.
pub fn wall(groups: usize, at: usize) -> WallTime {
    let gap = if at >= groups * GROUP / 2 { 10_000_000 } else { 0 };
    START.offset_micros(at as i64 * STEP_MICROS + gap)
}

impl Shelf {
    /// `bytes` a picture, of which the number is at the end.
    pub fn new(groups: usize, bytes: usize) -> Self {
        let sets = ParameterSets {
            vps: Vec::new(),
            sps: vec![vec![0x67, 0x64, 1, 31, 1].into()],
            pps: vec![vec![0x68, 1, 1].into()],
        };
        let format =
            Arc::new(RecordedFormat { format: StreamFormat::Video(VideoCodec::H264), parameter_sets: sets });
        let unit = |at: usize| {
            let keyframe = at.is_multiple_of(GROUP);
            let mut nal = vec![if keyframe { 0x65 } else { 0x41 }];
            nal.resize(bytes, 0x55);
            nal.extend_from_slice(&(at as u32).to_be_bytes());
            let mut data = (nal.len() as u32).to_be_bytes().to_vec();
            data.extend_from_slice(&nal);
            let wall = wall(groups, at);
            RecordedUnit {
                format: Arc::clone(&format),
                pts: Pts90k::from_micros(wall.micros_since(START) + 77_000_000),
                wall,
                keyframe,
                missing_micros: None,
                ends_section: false,
                is_last: false,
                data: data.into(),
            }
        };
        Self { units: (0..groups * GROUP).map(unit).collect(), taken: Arc::default() }
    }

    /// As crate `store` answers.
    fn select(&self, request: &ArchiveRequest) -> Vec<RecordedUnit> {
        if self.units.last().is_none_or(|last| last.wall < request.start) {
            return Vec::new();
        }
        let before = |unit: &RecordedUnit| unit.keyframe && unit.wall <= request.start;
        let begin = self.units.iter().rposition(before).unwrap_or(0);
        let units = self.units[begin..].iter().filter(|unit| unit.wall < request.end).cloned();
        let mut groups: Vec<Vec<RecordedUnit>> = Vec::new();
        for unit in units {
            if unit.keyframe {
                groups.push(Vec::new());
            }
            if unit.keyframe || !request.keyframes_only {
                groups.last_mut().unwrap().push(unit);
            }
        }
        // A gap is where the walls of two neighbours are.
        let missing = |earlier: &[RecordedUnit], later: &[RecordedUnit]| {
            let micros = later[0].wall.micros_since(earlier[0].wall) - GROUP as i64 * STEP_MICROS;
            (micros > 0).then_some(micros)
        };
        if request.reverse {
            groups.reverse();
        }
        for at in 1..groups.len() {
            let (earlier, later) = if request.reverse { (at, at - 1) } else { (at - 1, at) };
            let found = missing(&groups[earlier], &groups[later]);
            groups[at][0].missing_micros = found;
            groups[at - 1].last_mut().unwrap().ends_section = found.is_some();
        }
        let mut units: Vec<RecordedUnit> = groups.into_iter().flatten().collect();
        if let Some(last) = units.last_mut() {
            (last.ends_section, last.is_last) = (true, true);
        }
        units
    }
}

impl Archive for Shelf {
    fn open(&self, request: ArchiveRequest) -> Opening<'_> {
        Box::pin(async move {
            let selected = if request.stream == super::stream(1, hal::StreamKind::Main) {
                self.select(&request)
            } else {
                Vec::new()
            };
            let Some(first) = selected.first() else { return Err(ArchiveError::NoFootage) };
            let (video, first) = (Arc::clone(&first.format), first.wall);
            let newest = self.units.last().unwrap().wall.offset_micros(STEP_MICROS);
            let (sender, units) = mpsc::channel(1);
            let taken = Arc::clone(&self.taken);
            tokio::spawn(async move {
                for unit in selected {
                    if sender.send(io::Result::Ok(unit)).await.is_err() {
                        return;
                    }
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            });
            Ok(Recording { video, audio: None, first, newest, units })
        })
    }
}
