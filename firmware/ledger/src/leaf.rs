//! A leaf: an event and when it was written, as one line of JSON.
//!
//! The bytes as they are stored are the leaf; reading and writing it again need not give the same bytes, so
//! hashes are always taken from what is stored.
//!
//! Invariant: a leaf is one JSON object in UTF-8 without control characters, at most [`MAX_LEAF_BYTES`] long.
//! So it is one line, and a line that a crash tore is told from a whole one.

use hal::WallTime;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, LedgerError};
use crate::event::Event;
use crate::moment;

/// The longest leaf in bytes: all streams of 64 channels in one segment take 45 kB.
pub const MAX_LEAF_BYTES: usize = 64 << 10;

/// An event with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// When it was written, by the recorder's clock.
    #[serde(with = "moment")]
    pub time: WallTime,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What every leaf has, whatever its kind.
#[derive(Deserialize)]
struct Frame {
    #[serde(with = "moment")]
    time: WallTime,
    kind: String,
}

impl Leaf {
    /// The bytes to be stored.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when it is too long, has a time outside the years of four digits or is of an
    /// unknown kind.
    pub fn encode(&self) -> Result<Vec<u8>, LedgerError> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            LedgerError::new(ErrorKind::Invalid, format!("no leaf can be made of it: {error}"))
        })?;
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(LedgerError::new(
                ErrorKind::Invalid,
                format!("a leaf of {} bytes is too long", bytes.len()),
            ));
        }
        Ok(bytes)
    }

    /// Reads what is stored. A kind that is not known becomes [`Event::Unknown`].
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when it is not a leaf, or one of a known kind without its fields.
    pub fn decode(bytes: &[u8]) -> Result<Self, LedgerError> {
        let malformed =
            |error| LedgerError::new(ErrorKind::Malformed, format!("this is not a leaf: {error}"));
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(LedgerError::new(ErrorKind::Malformed, "this is too long for a leaf"));
        }
        let Frame { time, kind } = serde_json::from_slice(bytes).map_err(malformed)?;
        if Event::KINDS.contains(&kind.as_str()) {
            serde_json::from_slice(bytes).map_err(malformed)
        } else {
            Ok(Self { time, event: Event::Unknown { kind: kind.into() } })
        }
    }
}
