//! Alignment: from RTP timestamps to the channel's timeline and wall time.
//!
//! RTP timestamps of two tracks have nothing in common (RFC 3550 section 5.1). What relates them, best first:
//! RTCP sender reports of both (section 6.4.1), the RTP-Info header of the PLAY response (RFC 2326 section
//! 12.33), the moments of their arrival. Video leads: sound is moved to it, never the reverse.
//!
//! Sans-IO: every call says what time it is.
//!
//! Invariants
//! - Within a session the distance of two video pts is exactly that of their RTP timestamps.
//! - A session begins after everything that earlier ones have published; sound never runs backwards.

use std::time::Duration;

use hal::{MonoTime, Pts90k, WallTime};

/// What RTP-Info says is taken unless the arrivals contradict it by more than this: some cameras send
/// nonsense there. A first packet is not half a second late on a network that can carry video.
const RTP_INFO_TOLERANCE: i64 = Pts90k::PER_SECOND / 2;

/// The first pair of sender reports moves the sound if it is off by more than this: a millisecond is the
/// resolution at which recordings are compared.
const FIRST_REPORT_TOLERANCE: i64 = Pts90k::PER_SECOND / 1000;

/// Later reports only when a viewer could notice (ITU-R BT.1359: 45 ms): their clocks are read with jitter.
const REPORT_TOLERANCE: i64 = Pts90k::PER_SECOND * 40 / 1000;

/// Reports that contradict the arrivals by more than this come from two clocks, or from none.
const REPORT_SANITY: i64 = Pts90k::PER_SECOND * 5;

/// A step of the sound beyond this is a discontinuity; one AAC unit lasts 21 ms.
const AUDIO_STEP: i64 = Pts90k::PER_SECOND * 20 / 1000;

/// Wall time follows when it is off by more than this.
const REANCHOR: i64 = Pts90k::PER_SECOND / 2;

/// Frames may be late by the network; how late the promptest of this long was tells the drift of the clocks.
const DRIFT_WINDOW: Duration = Duration::from_secs(5);

/// RTP timestamps that part from real time by more than this between two frames have begun anew (a camera
/// that set its clock). Shorter than a stall that ends the session.
const MAX_JUMP: i64 = Pts90k::PER_SECOND * 10;

/// The gap left between two sessions: more than any reordering of B-frames reaches back.
const SESSION_GAP: i64 = Pts90k::PER_SECOND;

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) mono: MonoTime,
    pub(crate) wall: WallTime,
}

/// An RTP timestamp: ticks since the start of play, as far as the camera has said where that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RtpTime {
    pub(crate) elapsed: i64,
    pub(crate) clock_rate: u32,
}

impl RtpTime {
    /// In ticks of 1/90 000 s, to the nearest.
    fn ticks(self) -> i64 {
        let rate = i128::from(self.clock_rate.max(1));
        let ticks = (i128::from(self.elapsed) * i128::from(Pts90k::PER_SECOND) + rate / 2).div_euclid(rate);
        // No camera runs for 200 000 years; sums of a few of these cannot overflow.
        i64::try_from(ticks).unwrap_or(0).clamp(i64::MIN / 16, i64::MAX / 16)
    }
}

/// A unit's place on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) pts: Pts90k,
    pub(crate) wall: WallTime,
    pub(crate) discontinuity: bool,
}

/// Which track a sender report speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Track {
    Video,
    Audio,
}

/// The timeline of one channel, over all its sessions.
pub(crate) struct Timeline {
    opened: MonoTime,
    /// The latest pts of anything published.
    latest: Option<i64>,
    session: Option<Session>,
}

struct Session {
    /// pts of RTP time zero of the video.
    base: i64,
    /// What is added to the sound's RTP time besides.
    shift: Option<i64>,
    /// Where the sound would be by its arrival; for judging reports.
    arrival_shift: i64,
    aligned_by_reports: bool,
    video_report: Option<Report>,
    audio_report: Option<Report>,
    last_video: (i64, MonoTime),
    last_audio: Option<i64>,
    anchor: Anchor,
    video_discontinuity: bool,
    audio_discontinuity: bool,
}

/// A sender report: this RTP time was at that NTP time (32.32 fixed point).
#[derive(Clone, Copy)]
struct Report {
    ticks: i64,
    ntp: u64,
}

/// Wall time of one pts, and what has been seen of its drift since.
struct Anchor {
    pts: i64,
    now: Now,
    /// The least lateness in the window that began then, in ticks.
    window: (MonoTime, i64),
}

impl Timeline {
    pub(crate) fn new(now: Now) -> Self {
        Self { opened: now.mono, latest: None, session: None }
    }

    /// The connection is gone: RTP timestamps of the next one mean something else.
    pub(crate) fn end_session(&mut self) {
        self.session = None;
    }

    /// Places a picture; the first one begins the session.
    pub(crate) fn video(&mut self, time: RtpTime, now: Now) -> Placed {
        let ticks = time.ticks();
        let jumps = |session: &Session| (session.base + ticks - session.expected(now)).abs() > MAX_JUMP;
        if self.session.as_ref().is_some_and(jumps) {
            tracing::debug!("the camera's RTP timestamps have begun anew");
            self.session = None;
        }
        let first_pts = self.first_pts(now);
        let session = self.session.get_or_insert_with(|| Session::new(first_pts - ticks, first_pts, now));
        let pts = session.base + ticks;
        session.last_video = (pts, now.mono);
        session.follow_wall(pts, now);
        let discontinuity = std::mem::take(&mut session.video_discontinuity);
        let wall = session.anchor.wall(pts);
        self.latest = self.latest.max(Some(pts));
        Placed { pts: Pts90k(pts), wall, discontinuity }
    }

    /// Places sound. `None` before the first picture, and while sound that was moved back would repeat itself.
    pub(crate) fn audio(&mut self, time: RtpTime, now: Now) -> Option<Placed> {
        let session = self.session.as_mut()?;
        let ticks = time.ticks();
        let shift = match session.shift {
            Some(shift) => shift,
            None => session.first_shift(ticks, now),
        };
        let mut pts = session.base + ticks + shift;
        if (pts - session.expected(now)).abs() > MAX_JUMP {
            tracing::debug!("the RTP timestamps of the camera's sound have begun anew");
            (session.audio_report, session.aligned_by_reports) = (None, false);
            session.audio_discontinuity = true;
            pts = session.base + ticks + session.first_shift(ticks, now);
        }
        if session.last_audio.is_some_and(|last| pts <= last) {
            return None;
        }
        session.last_audio = Some(pts);
        let discontinuity = std::mem::take(&mut session.audio_discontinuity);
        let wall = session.anchor.wall(pts);
        self.latest = self.latest.max(Some(pts));
        Some(Placed { pts: Pts90k(pts), wall, discontinuity })
    }

    /// Takes a sender report.
    pub(crate) fn report(&mut self, track: Track, time: RtpTime, ntp: u64) {
        let Some(session) = self.session.as_mut() else { return };
        let report = Some(Report { ticks: time.ticks(), ntp });
        match track {
            Track::Video => session.video_report = report,
            Track::Audio => session.audio_report = report,
        }
        session.align_by_reports();
    }

    fn first_pts(&self, now: Now) -> i64 {
        let by_clock = ticks_of(now.mono.since(self.opened));
        self.latest.map_or(by_clock, |latest| by_clock.max(latest + SESSION_GAP))
    }
}

impl Session {
    fn new(base: i64, pts: i64, now: Now) -> Self {
        Self {
            base,
            shift: None,
            arrival_shift: 0,
            aligned_by_reports: false,
            video_report: None,
            audio_report: None,
            last_video: (pts, now.mono),
            last_audio: None,
            anchor: Anchor::new(pts, now),
            video_discontinuity: true,
            audio_discontinuity: true,
        }
    }

    /// What pts a unit that comes now has, roughly.
    fn expected(&self, now: Now) -> i64 {
        self.last_video.0 + ticks_of(now.mono.since(self.last_video.1))
    }

    /// The sound's shift before any sender report.
    fn first_shift(&mut self, ticks: i64, now: Now) -> i64 {
        let by_arrival =
            self.anchor.pts + ticks_of(now.mono.since(self.anchor.now.mono)) - (self.base + ticks);
        let shift = if by_arrival.abs() <= RTP_INFO_TOLERANCE { 0 } else { by_arrival };
        self.arrival_shift = by_arrival;
        self.shift = Some(shift);
        // Both reports may have come before the first sound.
        self.align_by_reports();
        self.shift.unwrap_or(shift)
    }

    fn align_by_reports(&mut self) {
        let (Some(video), Some(audio), Some(shift)) = (self.video_report, self.audio_report, self.shift)
        else {
            return;
        };
        let between = i128::from(audio.ntp) - i128::from(video.ntp);
        let between = (between * i128::from(Pts90k::PER_SECOND) + (1 << 31)) >> 32;
        let Ok(between) = i64::try_from(between) else { return };
        let exact = video.ticks.saturating_add(between).saturating_sub(audio.ticks);
        if exact.saturating_sub(self.arrival_shift).saturating_abs() > REPORT_SANITY {
            return;
        }
        let tolerance = if self.aligned_by_reports { REPORT_TOLERANCE } else { FIRST_REPORT_TOLERANCE };
        self.aligned_by_reports = true;
        let step = (exact - shift).abs();
        if step > tolerance {
            tracing::debug!(ticks = exact - shift, "sender reports move the sound");
            self.shift = Some(exact);
            self.audio_discontinuity |= step > AUDIO_STEP;
        }
    }

    fn follow_wall(&mut self, pts: i64, now: Now) {
        if self.anchor.drifted(pts, now) {
            self.anchor = Anchor::new(pts, now);
            self.video_discontinuity = true;
            self.audio_discontinuity = true;
        }
    }
}

impl Anchor {
    fn new(pts: i64, now: Now) -> Self {
        Self { pts, now, window: (now.mono, i64::MAX) }
    }

    fn wall(&self, pts: i64) -> WallTime {
        self.now.wall.offset_micros(Pts90k(pts - self.pts).as_micros())
    }

    /// Whether wall time should be anchored anew at this frame.
    fn drifted(&mut self, pts: i64, now: Now) -> bool {
        let passed = now.mono.since(self.now.mono);
        let stepped = Pts90k::from_micros(now.wall.micros_since(self.now.wall)).0 - ticks_of(passed);
        // A clock that was set shows at once; NTP's slewing adds up to the same.
        if stepped.abs() > REANCHOR {
            return true;
        }
        let late = ticks_of(passed) - (pts - self.pts);
        // Earlier than its time: the camera's clock is faster than ours, or the first frame was late.
        if late < -REANCHOR {
            return true;
        }
        self.window.1 = self.window.1.min(late);
        if now.mono.since(self.window.0) < DRIFT_WINDOW {
            return false;
        }
        let least = std::mem::replace(&mut self.window, (now.mono, i64::MAX)).1;
        least > REANCHOR
    }
}

fn ticks_of(span: Duration) -> i64 {
    Pts90k::from_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WALL_0: i64 = 1_700_000_000_000_000;

    fn at(millis: u64) -> Now {
        at_stepped(millis, 0)
    }

    fn at_stepped(millis: u64, step_micros: i64) -> Now {
        Now {
            mono: MonoTime::from_start(Duration::from_millis(millis)),
            wall: WallTime::from_unix_micros(WALL_0 + millis as i64 * 1000 + step_micros),
        }
    }

    fn video(elapsed: i64) -> RtpTime {
        RtpTime { elapsed, clock_rate: 90_000 }
    }

    fn audio(elapsed: i64) -> RtpTime {
        RtpTime { elapsed, clock_rate: 48_000 }
    }

    fn ntp(millis: u64) -> u64 {
        (3_900_000_000 << 32) + ((u128::from(millis) << 32) / 1000) as u64
    }

    #[test]
    fn pts_keeps_the_cameras_steps_and_wall_time_goes_with_it() {
        let mut timeline = Timeline::new(at(0));
        let first = timeline.video(video(1000), at(100));
        assert_eq!(first, Placed { pts: Pts90k(9000), wall: at(100).wall, discontinuity: true });
        // 20 ms late, and a B-frame before it: the camera's time counts.
        let later = timeline.video(video(1000 + 16_200), at(300));
        assert_eq!(later.pts - first.pts, 16_200);
        assert_eq!(later.wall.micros_since(first.wall), 180_000);
        let earlier = timeline.video(video(1000 + 9_000), at(310));
        assert_eq!(earlier.pts - first.pts, 9_000);
        assert!(!later.discontinuity && !earlier.discontinuity);
    }

    #[test]
    fn a_new_session_begins_after_the_old_one_even_if_the_camera_ran_ahead() {
        let mut timeline = Timeline::new(at(0));
        timeline.video(video(0), at(0));
        let last = timeline.video(video(9 * 90_000), at(1000)).pts;
        timeline.end_session();
        assert_eq!(timeline.audio(audio(0), at(1100)), None, "no sound before the first picture");
        let first = timeline.video(video(77), at(1200));
        assert!(first.discontinuity && first.pts > last, "{first:?} after {last:?}");
    }

    #[test]
    fn rtp_info_places_the_sound_unless_its_arrival_contradicts() {
        let mut timeline = Timeline::new(at(0));
        timeline.video(video(0), at(0));
        let placed = timeline.audio(audio(4800), at(130)).unwrap();
        assert_eq!(placed.pts.0, 9000, "100 ms, by RTP-Info");
        let mut timeline = Timeline::new(at(0));
        timeline.video(video(0), at(0));
        let placed = timeline.audio(audio(48_000 * 3600), at(100)).unwrap();
        assert_eq!(placed.pts.0, 9000, "100 ms, by its arrival");
        assert!(placed.discontinuity);
    }

    #[test]
    fn sender_reports_of_both_tracks_place_the_sound_exactly() {
        let mut timeline = Timeline::new(at(0));
        timeline.video(video(0), at(0));
        assert_eq!(timeline.audio(audio(0), at(30)).unwrap().pts.0, 0);
        timeline.report(Track::Video, video(90_000), ntp(1000));
        assert_eq!(timeline.audio(audio(1024), at(51)).unwrap().pts.0, 1920, "one report says nothing");
        // The sound's zero was 200 ms after the pictures'.
        timeline.report(Track::Audio, audio(48_000), ntp(1200));
        let placed = timeline.audio(audio(48_000), at(1230)).unwrap();
        assert!((placed.pts.0 - 108_000).abs() <= 1 && placed.discontinuity, "{placed:?}");
        // Reports that jitter by 10 ms afterwards change nothing.
        timeline.report(Track::Audio, audio(96_000), ntp(2210));
        let placed = timeline.audio(audio(96_000), at(2230)).unwrap();
        assert!((placed.pts.0 - 198_000).abs() <= 1 && !placed.discontinuity, "{placed:?}");
        // Reports of another clock neither.
        timeline.report(Track::Audio, audio(96_000), ntp(9_000_000));
        timeline.report(Track::Audio, audio(96_000), 0);
        assert!((timeline.audio(audio(144_000), at(3230)).unwrap().pts.0 - 288_000).abs() <= 1);
    }

    #[test]
    fn sound_that_is_moved_back_pauses_instead_of_running_backwards() {
        let mut timeline = Timeline::new(at(0));
        timeline.video(video(0), at(0));
        let before = timeline.audio(audio(48_000), at(1000)).unwrap();
        timeline.report(Track::Video, video(90_000), ntp(1000));
        timeline.report(Track::Audio, audio(48_000), ntp(900));
        assert_eq!(timeline.audio(audio(49_024), at(1021)), None);
        let after = timeline.audio(audio(48_000 + 4800 + 1024), at(1121)).unwrap();
        assert!(after.pts > before.pts && after.pts - before.pts < 2000, "{after:?} after {before:?}");
    }

    #[test]
    fn a_stall_on_the_network_does_not_move_the_anchor_and_drift_does() {
        let mut timeline = Timeline::new(at(0));
        // 25 frames a second; two seconds of frames arrive in one burst.
        for frame in 0..500u64 {
            let arrival = if (100..150).contains(&frame) { 6000 } else { frame * 40 };
            let placed = timeline.video(video(frame as i64 * 3600), at(arrival.max(frame * 40)));
            assert_eq!(placed.discontinuity, frame == 0, "frame {frame}");
            assert_eq!(placed.wall, at(frame * 40).wall);
        }
        // A camera whose clock is 1 % slow: wall time stays within a little more than the bound.
        let mut timeline = Timeline::new(at(0));
        let mut anchors = 0;
        for frame in 0..10_000u64 {
            let now = at(frame * 40 + frame * 40 / 100);
            let placed = timeline.video(video(frame as i64 * 3600), now);
            anchors += u32::from(placed.discontinuity);
            assert!(now.wall.micros_since(placed.wall).abs() < 700_000, "frame {frame}");
        }
        assert!((5..=10).contains(&anchors), "{anchors}");
    }

    #[test]
    fn a_step_of_the_wall_clock_is_followed_at_once_and_pts_does_not_care() {
        for step in [3_600_000_000, -3_600_000_000] {
            let mut timeline = Timeline::new(at(0));
            timeline.video(video(0), at(0));
            timeline.audio(audio(0), at(0));
            let placed = timeline.video(video(90_000), at_stepped(1000, step));
            assert!(placed.discontinuity);
            assert_eq!((placed.pts.0, placed.wall), (90_000, at_stepped(1000, step).wall));
            let sound = timeline.audio(audio(48_000), at_stepped(1000, step)).unwrap();
            assert!(sound.discontinuity && sound.wall == placed.wall && sound.pts == placed.pts);
            assert!(!timeline.video(video(93_600), at_stepped(1040, step)).discontinuity);
        }
    }

    #[test]
    fn timestamps_that_begin_anew_begin_a_session() {
        let mut timeline = Timeline::new(at(0));
        timeline.video(video(0), at(0));
        for jump in [90_000 * 86_400, -90_000 * 60] {
            let before = timeline.latest.unwrap();
            let placed = timeline.video(video(jump), at(500));
            assert!(
                placed.discontinuity && placed.pts.0 > before && placed.pts.0 < before + 200_000,
                "{placed:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_a_camera_sends_sound_runs_forward_and_nothing_overflows(
            steps in prop::collection::vec((0u8..5, any::<i64>(), any::<u64>(), 0u64..20_000), 1..60),
            rate in any::<u32>(),
        ) {
            let mut timeline = Timeline::new(at(0));
            let (mut millis, mut last) = (0, None);
            for (what, value, ntp, pause) in steps {
                millis += pause;
                match what {
                    0 => drop(timeline.video(video(value), at(millis)).pts.0.to_string()),
                    1 => {
                        let time = RtpTime { elapsed: value, clock_rate: rate };
                        if let Some(placed) = timeline.audio(time, at(millis)) {
                            if !placed.discontinuity {
                                prop_assert!(last.is_none_or(|last| placed.pts.0 > last));
                            }
                            last = Some(placed.pts.0);
                        }
                    }
                    2 => timeline.report(Track::Video, video(value), ntp),
                    3 => timeline.report(Track::Audio, RtpTime { elapsed: value, clock_rate: rate }, ntp),
                    _ => timeline.end_session(),
                }
            }
        }
    }
}
