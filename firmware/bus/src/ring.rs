//! A stream's ring: one publisher, any number of readers in any process.
//!
//! ```no_run
//! # use std::{path::Path, time::Duration};
//! # fn follow(stream: hal::StreamId) -> Result<(), bus::BusError> {
//! let mut reader = bus::Subscriber::open(Path::new("/run/candor/bus"), stream, bus::Start::LatestKeyframe)?;
//! let mut data = Vec::new();
//! loop {
//!     match reader.next(&mut data)? {
//!         bus::Next::Unit(meta) => println!("{} bytes at {}", meta.len, meta.pts.0),
//!         bus::Next::Lost { units, gops } => println!("lost {units} units of {gops} GOPs"),
//!         bus::Next::Empty => _ = reader.wait(Duration::from_secs(60)),
//!         bus::Next::Retired => return Ok(()),
//!     }
//! }
//! # }
//! ```
//!
//! Does not belong here: the protocol in shared memory (writer, reader), fan-out within a process (feed).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hal::{AccessUnit, ByteCount, MAX_UNIT_BYTES, StreamFormat, StreamId};

use crate::area::Area;
use crate::error::BusError;
use crate::layout::{Content, RingSpec};
use crate::reader::RingReader;
use crate::unit::{Next, Start};
use crate::writer::{Record, RingWriter};

/// The file of `stream`'s ring in the bus's folder: `ch1-main.ring`.
#[must_use]
pub fn ring_path(dir: &Path, stream: StreamId) -> PathBuf {
    dir.join(format!("ch{}-{}.ring", stream.channel, stream.kind))
}

/// The one publisher of a stream. Dropping it removes the ring's file and tells its readers.
#[derive(Debug)]
pub struct Publisher {
    stream: StreamId,
    ring: RingWriter,
}

impl Publisher {
    /// Creates the stream's ring in `dir`, a folder in a tmpfs.
    ///
    /// A ring that a killed publisher left is taken over when it has the same geometry: its readers go on, the
    /// sequence goes on, and the next unit is a discontinuity. Otherwise it is replaced and its readers are
    /// told that it is retired.
    ///
    /// # Errors
    /// `Busy` while another publisher lives, `Invalid` for a geometry outside the limits, `Io` when the folder
    /// is missing, not writable or has no memory left.
    pub fn create(
        dir: &Path,
        stream: StreamId,
        format: &StreamFormat,
        spec: RingSpec,
    ) -> Result<Self, BusError> {
        let ring =
            RingWriter::create(&ring_path(dir, stream), Content::Units(stream), spec, &encode(format)?)?;
        Ok(Self { stream, ring })
    }

    /// Publishes one unit and returns its sequence. Never waits; no system call unless somebody sleeps.
    ///
    /// # Errors
    /// `TooLarge` for more than half the payload area or [`MAX_UNIT_BYTES`], `Invalid` for no bytes or another
    /// stream's unit; the ring is as before then. `Damaged` when somebody shortened the file: drop the publisher
    /// and create it again.
    pub fn publish(&mut self, unit: &AccessUnit<'_>) -> Result<u64, BusError> {
        if unit.stream != self.stream {
            return Err(BusError::Invalid {
                what: format!("a unit of {} for the ring of {}", unit.stream, self.stream),
            });
        }
        if unit.data.len() > MAX_UNIT_BYTES {
            return Err(BusError::TooLarge {
                path: self.ring.area().path().to_owned(),
                bytes: unit.data.len(),
                limit: MAX_UNIT_BYTES,
            });
        }
        self.ring.publish(Record {
            pts: unit.pts.0,
            wall: unit.wall.as_unix_micros(),
            keyframe: unit.keyframe,
            discontinuity: unit.discontinuity,
            data: unit.data,
        })
    }

    /// Changes the format from the next unit on, which should be a keyframe.
    ///
    /// # Errors
    /// `Invalid` when the format is larger than a header can hold.
    pub fn set_format(&mut self, format: &StreamFormat) -> Result<(), BusError> {
        self.ring.set_format(&encode(format)?)
    }

    /// Whether a reader has asked for a keyframe since the last call. The caller limits the rate.
    #[must_use]
    pub fn take_keyframe_request(&self) -> bool {
        self.ring.take_keyframe_request()
    }

    /// The stream it publishes.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }
}

/// One reader of a stream's ring.
#[derive(Debug)]
pub struct Subscriber {
    stream: StreamId,
    ring: RingReader,
    format: StreamFormat,
    format_generation: u32,
}

impl Subscriber {
    /// Opens the ring of `stream` in `dir`.
    ///
    /// # Errors
    /// `NotFound` while there is no ring, `Foreign` and `Damaged` for a file that cannot be read as one.
    pub fn open(dir: &Path, stream: StreamId, start: Start) -> Result<Self, BusError> {
        let ring = RingReader::open(&ring_path(dir, stream), Content::Units(stream), start)?;
        let format = decode(&ring)?;
        let format_generation = ring.format().0;
        Ok(Self { stream, ring, format, format_generation })
    }

    /// The next unit, its bytes in `into`, which is cleared first and stays empty unless a unit is returned.
    ///
    /// # Errors
    /// `Damaged` when the ring contradicts itself; open it again then.
    pub fn next(&mut self, into: &mut Vec<u8>) -> Result<Next, BusError> {
        let next = self.ring.next(into)?;
        if self.ring.format().0 != self.format_generation {
            self.format = decode(&self.ring)?;
            self.format_generation = self.ring.format().0;
        }
        Ok(next)
    }

    /// Sleeps until something may be new since the last [`Self::next`], at most `timeout`. False when nothing
    /// is: the time is over, or a signal came.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.ring.wait(timeout)
    }

    /// The format of the unit returned last; before the first, that of the ring.
    #[must_use]
    pub fn format(&self) -> StreamFormat {
        self.format.clone()
    }

    /// Units and bytes published since the ring was made, whoever published them; for rates. The bytes are those
    /// of the payload area: up to 7 a unit more than the units', and the rest of the area at each wrap.
    #[must_use]
    pub fn published(&self) -> (u64, ByteCount) {
        let (units, bytes) = self.ring.published();
        (units, ByteCount(bytes))
    }

    /// Asks the publisher for a keyframe.
    pub fn request_keyframe(&self) {
        self.ring.request_keyframe();
    }

    /// The stream it reads.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The ring itself, to wake this reader from another thread.
    pub(crate) fn area(&self) -> Arc<Area> {
        Arc::clone(self.ring.area())
    }
}

fn encode(format: &StreamFormat) -> Result<Vec<u8>, BusError> {
    postcard::to_stdvec(format)
        .map_err(|error| BusError::Invalid { what: format!("a format that cannot be encoded: {error}") })
}

fn decode(ring: &RingReader) -> Result<StreamFormat, BusError> {
    postcard::from_bytes(&ring.format().1)
        .map_err(|error| ring.area().damaged(format!("its format cannot be read: {error}")))
}
