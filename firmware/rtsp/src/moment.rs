//! Moments as text: RFC 3339 in URLs, `clock=` and `npt=` of RFC 2326.
//!
//! Dates are `jiff`'s work. Does not belong here: ranges (`wish.rs`, `target.rs`).
//!
//! Invariant: no text makes it panic, and what is written is read back as the same microsecond.

use hal::WallTime;
use jiff::Timestamp;
use rtsp_types::headers::NptTime;

/// Longer than any moment to the nanosecond, with an offset.
const MAX_TEXT_BYTES: usize = 40;

/// `2026-11-20T10:00:00.5Z`, or with an offset instead of `Z`.
pub(crate) fn parse_rfc3339(text: &str) -> Option<WallTime> {
    if text.len() > MAX_TEXT_BYTES || text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    wall(text)
}

/// As [`parse_rfc3339`] reads it, in UTC.
pub(crate) fn rfc3339(wall: WallTime) -> String {
    timestamp(wall).to_string()
}

/// `20261120T100000.5Z` (RFC 2326 section 3.7).
pub(crate) fn parse_clock(text: &str) -> Option<WallTime> {
    let is_basic = text.len() <= MAX_TEXT_BYTES
        && text.ends_with('Z')
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"TZ.".contains(&byte));
    if is_basic { wall(text) } else { None }
}

/// As [`parse_clock`] reads it.
pub(crate) fn clock(wall: WallTime) -> String {
    timestamp(wall).strftime("%Y%m%dT%H%M%S%.6fZ").to_string()
}

/// Seconds or `h:mm:ss`, with a fraction (RFC 2326 section 3.6); microseconds. `now` is none: nothing recorded is now.
pub(crate) fn parse_npt(text: &str) -> Option<i64> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let (seconds, nanos) = match text.parse().ok()? {
        NptTime::Now => return None,
        NptTime::Seconds(seconds, nanos) => (seconds, nanos),
        NptTime::Hms(hours, minutes, seconds, nanos) => {
            let minutes = hours.checked_mul(60)?.checked_add(minutes.into())?;
            (minutes.checked_mul(60)?.checked_add(seconds.into())?, nanos)
        }
    };
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    micros.checked_add(i64::from(nanos.unwrap_or(0)) / 1000)
}

/// Seconds, to the microsecond.
pub(crate) fn npt(micros: i64) -> String {
    let micros = micros.max(0);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn wall(text: &str) -> Option<WallTime> {
    let timestamp: Timestamp = text.parse().ok()?;
    Some(WallTime::from_unix_micros(timestamp.as_microsecond()))
}

/// What is beyond a calendar's end is its end.
fn timestamp(wall: WallTime) -> Timestamp {
    let micros = wall.as_unix_micros();
    let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: WallTime = WallTime::from_unix_micros(1_795_168_800_500_000);

    #[test]
    fn what_clients_send() {
        for text in
            ["2026-11-20T10:00:00.5Z", "2026-11-20T11:00:00.500000+01:00", "2026-11-20T10:00:00.5-00:00"]
        {
            assert_eq!(parse_rfc3339(text), Some(TEN), "{text}");
        }
        for text in ["20261120T100000.5Z", "20261120T100000.500000Z", "20261120T100000.500000999Z"] {
            assert_eq!(parse_clock(text), Some(TEN), "{text}");
        }
        for (text, micros) in [("0", 0), ("12.5", 12_500_000), ("0.000", 0), ("1:02:03.25", 3_723_250_000)] {
            assert_eq!(parse_npt(text), Some(micros), "{text}");
        }
        assert_eq!(
            (rfc3339(TEN), clock(TEN)),
            ("2026-11-20T10:00:00.5Z".into(), "20261120T100000.500000Z".into())
        );
        assert_eq!(npt(3_723_250_000), "3723.250000");
    }

    #[test]
    fn what_is_refused() {
        for text in
            ["", "now", "2026-11-20", "2026-11-20T10:00:00", "2026-13-20T10:00:00Z", "20261120T100000Z"]
        {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        for text in
            ["", "20261120T10Z00", "20261120T100000", "20261320T100000Z", "2026-11-20T10:00:00Z", "now"]
        {
            assert_eq!(parse_clock(text), None, "{text}");
        }
        for text in ["", "now", "-1", "x", "99999999999999999999", "18446744073709551615:59:59", "1e3"] {
            assert_eq!(parse_npt(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_is_read_back(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
            let wall = WallTime::from_unix_micros(micros);
            prop_assert_eq!(parse_rfc3339(&rfc3339(wall)), Some(wall));
            prop_assert_eq!(parse_clock(&clock(wall)), Some(wall));
            prop_assert_eq!(parse_npt(&npt(micros.abs())), Some(micros.abs()));
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:.+ -]{0,45}") {
            let _ = (parse_rfc3339(&text), parse_clock(&text), parse_npt(&text));
            let _ = (clock(WallTime::from_unix_micros(i64::MAX)), rfc3339(WallTime::from_unix_micros(i64::MIN)));
        }
    }
}
