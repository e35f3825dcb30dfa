//! Presentation times to a track's ticks, and decoding times from them.
//!
//! Invariants
//! - Every time is converted on its own from the track's origin; durations are differences of converted
//!   times, so that rounding never adds up.

use hal::Pts90k;

/// The distance from `origin` to `pts` in ticks of `timescale`, rounded to nearest.
#[must_use]
pub fn media_time(pts: Pts90k, origin: Pts90k, timescale: u32) -> i64 {
    let ticks = i128::from(pts.0) - i128::from(origin.0);
    let rounded = (2 * ticks * i128::from(timescale) + i128::from(Pts90k::PER_SECOND))
        .div_euclid(2 * i128::from(Pts90k::PER_SECOND));
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

/// Decoding times for samples in decoding order with presentation times `pts`, both in a track's ticks.
///
/// The i-th sample decodes at the i-th smallest presentation time: for streams without B-frames that is its
/// own, and with them the offsets may be negative (ctts version 1, ISO/IEC 14496-12 section 8.6.1.3). They
/// grow strictly, even where presentation times repeat.
pub(crate) fn decode_times(pts: &[i64]) -> Vec<i64> {
    let mut times = pts.to_vec();
    times.sort_unstable();
    for at in 1..times.len() {
        times[at] = times[at].max(times[at - 1] + 1);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aac_frames_at_44100_come_out_exact() {
        for frame in 0..1_000_000_i64 {
            let samples = frame * 1024;
            let pts = Pts90k(7 + (samples * 90_000 + 22_050) / 44_100);
            assert_eq!(media_time(pts, Pts90k(7), 44_100), samples);
        }
        assert_eq!(media_time(Pts90k(-90_000), Pts90k(0), 8_000), -8_000);
    }

    #[test]
    fn decode_times_grow_and_are_a_sorted_copy_where_they_can() {
        assert_eq!(decode_times(&[0, 4, 1, 2, 3, 8]), [0, 1, 2, 3, 4, 8]);
        assert_eq!(decode_times(&[5, 5, 5, 6]), [5, 6, 7, 8]);
        assert!(decode_times(&[]).is_empty());
    }
}
