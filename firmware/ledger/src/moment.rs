//! Wall time as text: RFC 3339 in UTC with microseconds.
//!
//! `2024-02-29T23:59:59.000001Z`, for serde's `with`. Does not belong here: local time.

use hal::WallTime;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de, ser};

pub(crate) fn serialize<S: Serializer>(time: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    let outside = |_| ser::Error::custom("a time outside the years that have four digits");
    let time = Timestamp::from_microsecond(time.as_unix_micros()).map_err(outside)?;
    serializer.collect_str(&format_args!("{time:.6}"))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WallTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: Timestamp = text.parse().map_err(de::Error::custom)?;
    Ok(WallTime::from_unix_micros(time.as_microsecond()))
}
