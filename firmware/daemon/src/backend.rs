//! The registry of HAL backends: which one a source's prefix names.
//!
//! The only file that names a backend. The board build has the simulator and the board's own; the PC build has
//! GStreamer (feature `gst`).

use std::path::PathBuf;
use std::sync::Arc;

use board::Board;
use hal::{Backend, Channel, ChannelConfig, Clock, Display, ErrorKind, HalError, MotionDetector, UnitSink};
use hal_himpp::{HimppBackend, Options};
use hal_sim::{SimBackend, SimOptions};

/// The backends, each started when the first channel asks for it.
pub(crate) struct Backends {
    board: Option<Board>,
    run_dir: PathBuf,
    clock: Arc<dyn Clock>,
    running: Vec<Box<dyn Backend>>,
}

impl Backends {
    /// `board` is absent where its description could not be read; then nothing is opened that needs it.
    pub(crate) fn new(board: Option<Board>, run_dir: PathBuf, clock: &Arc<dyn Clock>) -> Self {
        Self { board, run_dir, clock: Arc::clone(clock), running: Vec::new() }
    }

    /// The board's monitors, once a backend that has them runs.
    pub(crate) fn display(&mut self) -> Option<Box<dyn Display>> {
        self.running.iter_mut().find_map(|backend| backend.display())
    }

    /// The motion detectors of its channels, once a backend that has them runs.
    pub(crate) fn motion(&mut self) -> Option<Box<dyn MotionDetector>> {
        self.running.iter_mut().find_map(|backend| backend.motion())
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
                let started = self.start(name)?;
                self.running.push(started);
                self.running.len() - 1
            }
        };
        self.running[place].open(config, sink)
    }

    fn start(&self, name: &str) -> Result<Box<dyn Backend>, HalError> {
        let clock = Arc::clone(&self.clock);
        match name {
            "sim" => Ok(Box::new(SimBackend::new(SimOptions::default(), clock))),
            "himpp" => self.start_himpp(),
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

    fn start_himpp(&self) -> Result<Box<dyn Backend>, HalError> {
        let Some(board) = self.board.clone() else {
            return Err(HalError::new(ErrorKind::NotFound, "the board's description cannot be read"));
        };
        let options = Options {
            board,
            run_dir: self.run_dir.clone(),
            clock: Arc::clone(&self.clock),
            open_front_end: Box::new(hal_linux::open_front_end),
        };
        Ok(Box::new(HimppBackend::start(options)?))
    }
}
