//! How fast datagrams may follow one another on UDP.
//!
//! A socket holds 92 packets of full size (212 992 bytes of Linux' default, 2304 for each), twice as many where its owner
//! asks for more, as FFmpeg, GStreamer and live555 do; and players read between decoding. A keyframe, or the GOP that a new
//! viewer gets at once, must not overrun it.
//!
//! Invariant: the average speed is above that of every stream that a board can encode.

use std::time::Duration;

use hal::MonoTime;

/// Datagrams at once: most of the smaller such socket, so that most keyframes go without a pause.
const BURST: u64 = 80;

/// Datagrams a millisecond: 45 Mbit/s, above any camera's main stream; a full socket lasts for 20 ms.
const PER_MILLISECOND: u64 = 4;

/// How much faster than real time a new viewer gets the GOP so far: a player decodes it all.
const CATCH_UP_SPEED: u64 = 4;

/// How far ahead of that it may be: two frames at 25 a second, so that live units never wait.
const CATCH_UP_SLACK: Duration = Duration::from_millis(80);

/// One track's pace to one client.
#[derive(Debug)]
pub(crate) struct Pace {
    clock_rate: u32,
    /// Millionths of a datagram.
    credit: u64,
    credited: MonoTime,
    /// When the track began to play, and the RTP time of its first unit.
    start: Option<(MonoTime, u32)>,
}

impl Pace {
    /// The shortest useful sleep.
    pub(crate) const PAUSE: Duration = Duration::from_millis(1);

    pub(crate) fn new(clock_rate: u32) -> Self {
        let credited = MonoTime::default();
        Self { clock_rate: clock_rate.max(1), credit: 0, credited, start: None }
    }

    /// The track begins anew.
    pub(crate) fn restart(&mut self) {
        self.start = None;
    }

    /// How long to wait before a unit of this RTP time.
    pub(crate) fn before_unit(&mut self, timestamp: u32, now: MonoTime) -> Duration {
        let (began, first) = *self.start.get_or_insert((now, timestamp));
        let ticks = timestamp.wrapping_sub(first);
        if ticks > u32::MAX / 2 {
            // Before the first unit in presentation: a B-frame.
            return Duration::ZERO;
        }
        let media = Duration::from_micros(u64::from(ticks) * 1_000_000 / u64::from(self.clock_rate));
        let passed = now.since(began);
        if media <= passed {
            // Caught up: from here the source sets the pace, also when RTP time wraps one day.
            self.start = Some((now, timestamp));
        }
        (media / CATCH_UP_SPEED as u32).saturating_sub(passed + CATCH_UP_SLACK)
    }

    /// How many of `wanted` datagrams may go now; counts them.
    pub(crate) fn allow(&mut self, wanted: usize, now: MonoTime) -> usize {
        let earned = now.since(self.credited).as_micros().min(1_000_000) as u64 * PER_MILLISECOND * 1000;
        self.credited = now;
        self.credit = (self.credit + earned).min(BURST * 1_000_000);
        let allowed = (self.credit / 1_000_000).min(wanted as u64);
        self.credit -= allowed * 1_000_000;
        allowed as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_micros(micros))
    }

    #[test]
    fn a_burst_and_then_a_steady_rate() {
        let mut pace = Pace::new(90_000);
        assert_eq!(pace.allow(5, at(1_000_000)), 5);
        assert_eq!(pace.allow(100, at(1_000_000)) as u64, BURST - 5);
        assert_eq!(pace.allow(100, at(1_000_250)), 1);
        assert_eq!(pace.allow(100, at(1_002_250)), 8);
        assert_eq!(pace.allow(100, at(1_002_250)), 0);
    }

    #[test]
    fn a_gop_is_caught_up_at_four_times_real_time() {
        let mut pace = Pace::new(90_000);
        let mut now = 0;
        for frame in 0..50 {
            now += pace.before_unit(frame * 3600, at(now)).as_micros() as u64;
        }
        let expected = 49 * 40_000 / 4 - 80_000;
        assert!((expected - 20_000..=expected + 20_000).contains(&now), "{now}");
    }

    #[test]
    fn live_units_never_wait() {
        let mut pace = Pace::new(90_000);
        for frame in 0..100_000u64 {
            // RTP time wraps after 13 hours; the frames jitter by 20 ms.
            let timestamp = (u64::from(u32::MAX) - 180_000 + frame * 3600) as u32;
            let now = at(frame * 40_000 + frame % 2 * 20_000);
            assert_eq!(pace.before_unit(timestamp, now), Duration::ZERO, "frame {frame}");
        }
    }
}
