//! Keys and documents that the tests of updates share.
//!
//! Does not belong here: bundles, which each test makes as bad as it wants them.

use hal::WallTime;
use update::{Role, RootDocument, RootType, SigningKey, Timestamp};

/// A key that is the same each time.
pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

/// A moment, from RFC 3339.
pub(crate) fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_wall(WallTime::from_unix_micros(moment.as_microsecond())).unwrap()
}

/// A root document: key 1 is root's, key 2 release's.
pub(crate) fn root_document() -> Vec<u8> {
    let role = |key: &SigningKey| Role { keys: vec![key.public_key()], threshold: 1 };
    let document = RootDocument {
        r#type: RootType::Root,
        version: 1,
        expires: at("2090-01-01T00:00:00Z"),
        root: role(&key(1)),
        release: role(&key(2)),
    };
    document.to_json().unwrap()
}
