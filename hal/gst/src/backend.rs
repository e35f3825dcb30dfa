//! The backend: its inputs, and which of them are in use.
//!
//! Sits at the top of the crate: nothing else in it knows this file.

use std::sync::Arc;

use hal::{Backend, Channel, ChannelConfig, Clock, HalError, UnitSink};

use crate::channel::GstChannel;
use crate::encoder::Encoders;
use crate::lease::{InputLease, InputsInUse};
use crate::plugins;
use crate::source::{self, Input};
use crate::timeline::Timeline;

/// Test inputs: as many as a recorder has channels.
pub const MAX_TEST_INPUTS: u16 = hal::MAX_CHANNELS;

/// GStreamer as capture hardware.
pub struct GstBackend {
    clock: Arc<dyn Clock>,
    test_inputs: u16,
    encoders: Encoders,
    in_use: InputsInUse,
}

impl GstBackend {
    /// A backend with `test_inputs` moving scenes (at most [`MAX_TEST_INPUTS`]) beside the machine's devices.
    ///
    /// # Errors
    /// `Device` when GStreamer does not start.
    pub fn new(clock: Arc<dyn Clock>, test_inputs: u16) -> Result<Self, HalError> {
        plugins::init()?;
        Ok(Self {
            clock,
            test_inputs: test_inputs.min(MAX_TEST_INPUTS),
            encoders: Encoders::default(),
            in_use: Arc::default(),
        })
    }

    /// With other encoders than [`Encoders::HardwareFirst`], for the channels that are opened from now on.
    #[must_use]
    pub fn with_encoders(self, encoders: Encoders) -> Self {
        Self { encoders, ..self }
    }
}

impl Backend for GstBackend {
    fn name(&self) -> &'static str {
        "gst"
    }

    fn inputs(&self) -> Vec<String> {
        source::all(self.test_inputs).into_iter().map(|(name, _)| name).collect()
    }

    fn open(
        &mut self,
        config: &ChannelConfig,
        sink: Arc<dyn UnitSink>,
    ) -> Result<Box<dyn Channel>, HalError> {
        let input = Input::find(&config.input, self.test_inputs)?;
        let lease = InputLease::take(&self.in_use, &config.input)?;
        let timeline = Timeline::new(Arc::clone(&self.clock));
        Ok(Box::new(GstChannel::start(config.clone(), input, self.encoders, lease, sink, timeline)?))
    }
}
