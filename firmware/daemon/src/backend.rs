//! The registry of HAL backends: which one a source's prefix names.
//!
//! The only file that names a backend. The board build has the simulator and the board's own; the PC build has
//! GStreamer (feature `gst`).

use std::sync::Arc;

use hal::{Backend, Channel, ChannelConfig, Clock, ErrorKind, HalError, UnitSink};
use hal_sim::{SimBackend, SimOptions};

/// The backends, each started when the first channel asks for it.
pub(crate) struct Backends {
    clock: Arc<dyn Clock>,
    running: Vec<Box<dyn Backend>>,
}

impl Backends {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), running: Vec::new() }
    }

    /// Opens `source`, written `backend:input`.
    ///
    /// # Errors
    /// As [`Backend::open`], and `NotFound` for a backend that this program does not have.
    pub(crate) fn open(
        &mut self,
        source: &str,
        config: &ChannelConfig,
        sink: Arc<dyn UnitSink>,
    ) -> Result<Box<dyn Channel>, HalError> {
        let (name, _) = source.split_once(':').unwrap_or((source, ""));
        let place = match self.running.iter().position(|backend| backend.name() == name) {
            Some(place) => place,
            None => {
                self.running.push(start(name, Arc::clone(&self.clock))?);
                self.running.len() - 1
            }
        };
        self.running[place].open(config, sink)
    }
}

fn start(name: &str, clock: Arc<dyn Clock>) -> Result<Box<dyn Backend>, HalError> {
    match name {
        "sim" => Ok(Box::new(SimBackend::new(SimOptions::default(), clock))),
        #[cfg(feature = "gst")]
        "gst" => Ok(Box::new(hal_gst::GstBackend::new(clock, hal_gst::MAX_TEST_INPUTS)?)),
        other => Err(HalError::new(
            ErrorKind::NotFound,
            format!(
                "this program has no inputs of the kind `{other}:`; see `candor --help` and the board's description"
            ),
        )),
    }
}
