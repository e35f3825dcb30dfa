//! From access units to fragments: one state machine a watched stream.
//!
//! Sans-IO: units go in, fragments come out. Does not belong here: where units come from and who gets fragments
//! (`server`).
//!
//! Invariants
//! - The init segment changes only at a video keyframe.
//! - A unit is held until the next one of its track tells how long it lasts.

use std::sync::Arc;

use bus::Unit;
use bytes::Bytes;
use hal::{AudioCodec, AudioFormat, Pts90k, StreamFormat, VideoCodec};
use media::{
    DecodeClock, FragmentSample, FragmentTrack, MediaError, ParameterSets, SampleEntry, TrackInit,
    VideoParams, annexb, fragment, init_segment, media_time,
};

use crate::message::{Message, Note};

/// The tracks of every init segment.
const VIDEO_TRACK: u32 = 1;
const AUDIO_TRACK: u32 = 2;

/// Added to every time: decoding begins before the first presentation, and media times are not negative
/// (ISO/IEC 14496-12 section 8.8.12). 16 frames at 2 frames a second fit.
const LEAD_TICKS: i64 = 10 * Pts90k::PER_SECOND;

/// Presentation times beyond this are nonsense: 1500 years. Bounds all arithmetic.
const MAX_PTS: i64 = 1 << 52;

/// The time between units where neither the stream nor its times say: 25 frames a second.
const DEFAULT_INTERVAL: i64 = Pts90k::PER_SECOND / 25;

/// Sound that is behind the picture by more has ended: the next GOP begins without, because browsers show only what
/// has both.
const AUDIO_LOST_TICKS: i64 = 2 * Pts90k::PER_SECOND;

/// A pause in the sound that is longer is left as a gap.
const MAX_AUDIO_STRETCH_SEC: i64 = 1;

/// Samples in one AAC frame (ISO/IEC 14496-3 section 4.5.1.1, frameLengthFlag 0).
const AAC_FRAME_SAMPLES: i64 = 1024;

/// What a viewer must have before the fragments that point at it.
#[derive(Debug)]
pub(crate) struct Init {
    /// The note that announces it.
    pub(crate) note: Message,
    /// The init segment.
    pub(crate) segment: Bytes,
}

/// One access unit for browsers.
#[derive(Debug)]
pub(crate) struct Fragment {
    pub(crate) init: Arc<Init>,
    /// moof and mdat.
    pub(crate) bytes: Bytes,
    /// A viewer can begin here.
    pub(crate) keyframe: bool,
}

/// Turns units into fragments.
#[derive(Debug)]
pub(crate) struct Muxer {
    video_format: Option<VideoCodec>,
    audio_format: Option<AudioFormat>,
    /// The parameter sets seen last.
    sets: ParameterSets,
    /// Nothing but a keyframe will do.
    seeking: bool,
    current: Option<Generation>,
    /// mfhd's number.
    sequence: u32,
    /// When sound was last heard; `None`: never.
    heard: Option<i64>,
    /// When the last keyframe is presented.
    last_keyframe: Option<i64>,
    out: Vec<Fragment>,
}

/// What goes with one init segment.
#[derive(Debug)]
struct Generation {
    init: Arc<Init>,
    params: VideoParams,
    /// The sound in it.
    audio: Option<AudioFormat>,
    /// Media time 0 on the channel's timeline.
    origin: Pts90k,
    clock: DecodeClock,
    video: Track,
    sound: Track,
}

/// One track's unit that waits for the next.
#[derive(Debug, Default)]
struct Track {
    held: Option<Held>,
    /// Of the unit before, for one that has no successor.
    duration: i64,
}

#[derive(Debug)]
struct Held {
    /// In the track's ticks.
    decode_time: i64,
    composition_offset: i64,
    keyframe: bool,
    data: Bytes,
}

impl Muxer {
    pub(crate) fn new() -> Self {
        Self {
            video_format: None,
            audio_format: None,
            sets: ParameterSets::default(),
            seeking: true,
            current: None,
            sequence: 0,
            heard: None,
            last_keyframe: None,
            out: Vec::new(),
        }
    }

    /// The video stream's format, before the units that have it.
    pub(crate) fn set_video_format(&mut self, format: Option<&StreamFormat>) {
        let codec = match format {
            Some(StreamFormat::Video(codec)) => Some(*codec),
            Some(StreamFormat::Audio(_)) | None => None,
        };
        if self.video_format != codec {
            self.video_format = codec;
            self.sets = ParameterSets::default();
            self.seeking = true;
        }
    }

    /// The audio stream's format; what browsers cannot play, or boxes cannot say, is as none.
    pub(crate) fn set_audio_format(&mut self, format: Option<&StreamFormat>) {
        let format = match format {
            Some(StreamFormat::Audio(audio)) if audio.codec == AudioCodec::Aac => Some(audio),
            Some(StreamFormat::Audio(_) | StreamFormat::Video(_)) | None => None,
        };
        if self.audio_format.as_ref() != format {
            let sayable = |audio: &&AudioFormat| {
                let entry = SampleEntry::Audio((*audio).clone());
                init_segment(&[TrackInit { id: AUDIO_TRACK, entry }]).is_ok()
            };
            self.audio_format = format.filter(sayable).cloned();
        }
    }

    /// Whether there is a sound format that browsers play.
    pub(crate) fn expects_sound(&self) -> bool {
        self.audio_format.is_some()
    }

    /// Whether units become fragments now; if not, they do from the next keyframe on.
    pub(crate) fn is_showing(&self) -> bool {
        !self.seeking
    }

    /// What came of it since the last call.
    pub(crate) fn take(&mut self) -> Vec<Fragment> {
        std::mem::take(&mut self.out)
    }

    /// The source lost units; it goes on with a keyframe.
    pub(crate) fn lost(&mut self) {
        self.flush();
        self.seeking = true;
        if let Some(current) = &mut self.current {
            current.clock.restart();
        }
    }

    /// The next video unit.
    ///
    /// # Errors
    /// When it cannot be read; nothing is shown until a keyframe can.
    pub(crate) fn video(&mut self, unit: &Unit) -> Result<(), MediaError> {
        self.try_video(unit).inspect_err(|_| {
            self.flush();
            self.seeking = true;
        })
    }

    fn try_video(&mut self, unit: &Unit) -> Result<(), MediaError> {
        let Some(codec) = self.video_format else { return Ok(()) };
        if unit.meta.pts.0.unsigned_abs() > MAX_PTS.unsigned_abs() {
            return Err(MediaError::Unsupported(format!("a presentation time of {:?}", unit.meta.pts)));
        }
        let mut data = Vec::new();
        let sets = annexb::split_parameter_sets_into(codec, &unit.data, &mut data)?;
        for (seen, known) in
            [(sets.vps, &mut self.sets.vps), (sets.sps, &mut self.sets.sps), (sets.pps, &mut self.sets.pps)]
        {
            if !seen.is_empty() {
                *known = seen;
            }
        }
        // A keyframe presented before the one before it: the source began anew and did not say so.
        let backwards = unit.meta.keyframe && self.last_keyframe.is_some_and(|last| unit.meta.pts.0 <= last);
        if unit.meta.keyframe {
            self.last_keyframe = Some(unit.meta.pts.0);
        }
        if unit.meta.discontinuity || backwards {
            // The timeline begins anew, and with it everything that counts on it.
            self.flush();
            self.current = None;
            // Sound is taken to have jumped along.
            self.heard = self.heard.map(|_| unit.meta.pts.0);
            self.seeking = true;
        }
        if data.is_empty() || (self.seeking && !unit.meta.keyframe) {
            return Ok(());
        }
        if unit.meta.keyframe {
            self.at_keyframe(codec, unit.meta.pts)?;
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        self.seeking = false;

        let pts = media_time(unit.meta.pts, current.origin, Pts90k::PER_SECOND as u32);
        let interval = current.interval();
        let decode_time = current.clock.decode_time(pts, interval).max(0);
        if let Some(held) = current.video.held.take() {
            let duration = decode_time - held.decode_time;
            current.video.duration = duration;
            let init = Arc::clone(&current.init);
            self.emit(VIDEO_TRACK, init, &held, duration)?;
        }
        if let Some(current) = &mut self.current {
            current.video.held = Some(Held {
                decode_time,
                composition_offset: pts - decode_time,
                keyframe: unit.meta.keyframe,
                data: data.into(),
            });
        }
        Ok(())
    }

    /// The next audio unit.
    ///
    /// # Errors
    /// When its fragment cannot be written.
    pub(crate) fn audio(&mut self, unit: &Unit) -> Result<(), MediaError> {
        if unit.meta.pts.0.unsigned_abs() > MAX_PTS.unsigned_abs() || unit.data.is_empty() {
            return Ok(());
        }
        self.heard = Some(unit.meta.pts.0);
        let Some(current) = &mut self.current else { return Ok(()) };
        let Some(format) = &current.audio else { return Ok(()) };
        let mut decode_time = media_time(unit.meta.pts, current.origin, format.sample_rate);
        if decode_time < 0 {
            // Sound from before the picture's timeline: there is nothing to hear it with.
            return Ok(());
        }
        let stretch = MAX_AUDIO_STRETCH_SEC * i64::from(format.sample_rate);
        if let Some(held) = current.sound.held.take() {
            if !unit.meta.discontinuity {
                decode_time = decode_time.max(held.decode_time + 1);
            }
            let mut duration = decode_time - held.decode_time;
            if !(1..=stretch).contains(&duration) {
                duration = current.sound.duration;
            }
            current.sound.duration = duration;
            let init = Arc::clone(&current.init);
            self.emit(AUDIO_TRACK, init, &held, duration)?;
        }
        if let Some(current) = &mut self.current {
            current.sound.held =
                Some(Held { decode_time, composition_offset: 0, keyframe: true, data: unit.data.clone() });
        }
        Ok(())
    }

    /// Begins a new generation where something changed that an init segment says.
    fn at_keyframe(&mut self, codec: VideoCodec, pts: Pts90k) -> Result<(), MediaError> {
        let silent = self.heard.is_none_or(|heard| pts.0 - heard > AUDIO_LOST_TICKS);
        let audio = self.audio_format.clone().filter(|_| !silent);
        if let Some(current) = &self.current
            && current.audio == audio
            && current.params.sets == self.sets
        {
            return Ok(());
        }
        let params = VideoParams::new(codec, &self.sets)?;
        self.flush();
        let mut tracks = vec![TrackInit { id: VIDEO_TRACK, entry: SampleEntry::Video(params.clone()) }];
        let sound =
            audio.clone().map(|format| TrackInit { id: AUDIO_TRACK, entry: SampleEntry::Audio(format) });
        tracks.extend(sound);
        let codecs: Vec<String> = tracks.iter().map(|track| track.entry.rfc6381()).collect();
        let mime = format!("video/mp4; codecs=\"{}\"", codecs.join(","));
        let note =
            Note::Init { mime: &mime, width: params.resolution.width, height: params.resolution.height };
        let init = Arc::new(Init { note: note.message(), segment: init_segment(&tracks)? });

        let reorder = usize::from(params.reorder_frames.unwrap_or(0));
        let (origin, clock) = match self.current.take() {
            // The timeline goes on, and decoding times with it.
            Some(before) => (before.origin, before.clock.with_reorder(reorder)),
            None => (Pts90k(pts.0.min(0) - LEAD_TICKS), DecodeClock::new(reorder)),
        };
        self.current = Some(Generation {
            init,
            params,
            audio,
            origin,
            clock,
            video: Track::default(),
            sound: Track { held: None, duration: AAC_FRAME_SAMPLES },
        });
        Ok(())
    }

    /// Lets go of what is held, lasting as long as the unit before it.
    fn flush(&mut self) {
        let Some(current) = &mut self.current else { return };
        let init = Arc::clone(&current.init);
        let video = current.video.held.take().map(|held| (held, current.interval()));
        let sound = current.sound.held.take().map(|held| (held, current.sound.duration));
        for (track, held) in [(VIDEO_TRACK, video), (AUDIO_TRACK, sound)] {
            if let Some((held, duration)) = held
                && let Err(error) = self.emit(track, Arc::clone(&init), &held, duration)
            {
                tracing::debug!(%error, "a last unit is left out");
            }
        }
    }

    fn emit(&mut self, id: u32, init: Arc<Init>, held: &Held, duration: i64) -> Result<(), MediaError> {
        self.sequence = self.sequence.wrapping_add(1);
        let sample = FragmentSample {
            duration: u32::try_from(duration.max(1)).unwrap_or(u32::MAX),
            composition_offset: i32::try_from(held.composition_offset)
                .map_err(|_| MediaError::Unsupported("pictures out of order by hours".into()))?,
            keyframe: held.keyframe,
            data: &held.data,
        };
        let decode_time = held.decode_time.unsigned_abs();
        let bytes = fragment(self.sequence, &[FragmentTrack { id, decode_time, samples: &[sample] }])?;
        self.out.push(Fragment { init, bytes, keyframe: held.keyframe && id == VIDEO_TRACK });
        Ok(())
    }
}

impl Generation {
    /// About the time between two video units.
    fn interval(&self) -> i64 {
        if self.video.duration > 0 {
            return self.video.duration.min(Pts90k::PER_SECOND);
        }
        let announced = self
            .params
            .frame_rate
            .map(|rate| Pts90k::PER_SECOND * i64::from(rate.denominator) / i64::from(rate.numerator.max(1)));
        announced.map_or(DEFAULT_INTERVAL, |ticks| ticks.clamp(1, Pts90k::PER_SECOND / 2))
    }
}
