//! Wall time as text.
//!
//! Does not belong here: local time.

use std::fmt;

use hal::WallTime;
use jiff::Timestamp;

/// A wall time as RFC 3339 in UTC with milliseconds; as microseconds where that has no such times.
pub(crate) struct Time(pub(crate) WallTime);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0.as_unix_micros()) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} us", self.0.as_unix_micros()),
        }
    }
}
