//! UTC as it stands in bodies and addresses: RFC 3339 with milliseconds.
//!
//! Microseconds inside, so that a moment read from an address is not rounded before it is looked up.
//!
//! Does not belong here: a clock (nobody in this crate asks what time it is), time zones, calendars.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A moment in UTC, in microseconds since 1970; written as `2026-11-20T10:00:00.000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime {
    micros: i64,
}

impl UtcTime {
    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_micros(self) -> i64 {
        self.micros
    }

    /// `2026-11-20T10-00-00Z`: whole seconds and no colon, for file names.
    #[must_use]
    pub fn file_name_part(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
    }

    fn timestamp(self) -> Timestamp {
        // Outside the years -9999 to 9999 there is no text; the nearest end is as good as any.
        Timestamp::from_microsecond(self.micros).unwrap_or(if self.micros < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Cut, not rounded: a moment must not be shown as later than it was.
        write!(f, "{}", self.timestamp().strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

/// A text that is not an RFC 3339 time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the time like 2026-11-20T10:00:00.000Z")]
pub struct NotATime;

impl FromStr for UtcTime {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let moment: Timestamp = text.parse().map_err(|_| NotATime)?;
        Ok(Self { micros: moment.as_microsecond() })
    }
}

impl Serialize for UtcTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for UtcTime {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("UTC, RFC 3339 with milliseconds"))
            .examples(["2026-11-20T10:00:00.000Z"])
            .into()
    }
}

impl ToSchema for UtcTime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_three_digits_of_seconds_and_is_never_later_than_the_moment() {
        let time = UtcTime::from_unix_micros(1_795_168_800_999_999);
        assert_eq!(time.to_string(), "2026-11-20T10:00:00.999Z");
        assert_eq!(time.file_name_part(), "2026-11-20T10-00-00Z");
        assert_eq!(UtcTime::default().to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn offsets_are_understood_and_other_texts_are_not() {
        let asked: UtcTime = "2026-11-20T11:00:00.25+01:00".parse().unwrap();
        assert_eq!(asked.to_string(), "2026-11-20T10:00:00.250Z");
        for text in ["", "now", "2026-11-20", "2026-11-20T10:00:00", "1795168800", "2026-13-01T00:00:00Z"] {
            assert_eq!(text.parse::<UtcTime>(), Err(NotATime), "{text}");
        }
    }
}
