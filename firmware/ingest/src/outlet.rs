//! Outlets: a camera's units on their way to the bus.
//!
//! Does not belong here: time (`align.rs`) and what a unit consists of.
//!
//! Invariant: a ring stays from one connection to the next, so that readers do not have to begin anew when a
//! camera was away.

use std::path::PathBuf;

use bus::{BusError, Publisher, RingSpec};
use hal::{AccessUnit, ChannelId, StreamFormat, StreamId, StreamKind};

/// One of a channel's rings, made when the first unit's format is known.
pub(crate) struct Outlet {
    dir: PathBuf,
    stream: StreamId,
    open: Option<(Publisher, StreamFormat)>,
}

impl Outlet {
    pub(crate) fn new(dir: PathBuf, channel: ChannelId, kind: StreamKind) -> Self {
        Self { dir, stream: StreamId::new(channel, kind), open: None }
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// What comes next is of this format.
    pub(crate) fn prepare(&mut self, format: &StreamFormat) -> Result<(), BusError> {
        match &mut self.open {
            Some((_, known)) if known == format => {}
            Some((publisher, known)) => {
                publisher.set_format(format)?;
                known.clone_from(format);
            }
            None => {
                let spec = RingSpec::for_stream(self.stream.kind);
                let publisher = Publisher::create(&self.dir, self.stream, format, spec)?;
                self.open = Some((publisher, format.clone()));
            }
        }
        Ok(())
    }

    /// Publishes a unit; before [`Self::prepare`] there is nowhere to publish it.
    pub(crate) fn publish(&mut self, unit: &AccessUnit<'_>) -> Result<(), BusError> {
        if let Some((publisher, _)) = &mut self.open {
            publisher.publish(unit)?;
        }
        Ok(())
    }
}
