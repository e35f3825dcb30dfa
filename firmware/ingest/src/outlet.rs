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
    spec: RingSpec,
    open: Option<(Publisher, StreamFormat)>,
}

impl Outlet {
    /// `ring_bytes` is what the channel's rings may take together, where memory is short.
    pub(crate) fn new(dir: PathBuf, channel: ChannelId, kind: StreamKind, ring_bytes: Option<u32>) -> Self {
        let spec = ring_bytes.map_or_else(|| RingSpec::for_stream(kind), |b| RingSpec::within(kind, b));
        Self { dir, stream: StreamId::new(channel, kind), spec, open: None }
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
                let publisher = Publisher::create(&self.dir, self.stream, format, self.spec)?;
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
