//! A time in a document: RFC 3339 text in UTC.

use std::fmt;
use std::str::FromStr;

use hal::WallTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A time, as documents write it: `2026-01-31T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// From wall time, whole seconds; `None` beyond the year 9999.
    #[must_use]
    pub fn from_wall(wall: WallTime) -> Option<Self> {
        jiff::Timestamp::from_second(wall.as_unix_micros().div_euclid(1_000_000)).ok().map(Self)
    }

    /// As wall time.
    #[must_use]
    pub fn as_wall(self) -> WallTime {
        WallTime::from_unix_micros(self.0.as_microsecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|e: jiff::Error| e.to_string())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
