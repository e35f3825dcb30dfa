//! The backend: the vendor's media platform behind `hal::Backend`.
//!
//! Opening a channel checks it and returns; how it goes on is told to the sink, since a host may be on its way, or a camera
//! may be missing. Does not belong here: what happens on the supervisor's thread (`supervisor.rs`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use board::Board;
use hal::{
    Backend, BitsPerSecond, Channel, ChannelConfig, Clock, Display, HalError, MotionDetector, Overlay,
    StreamKind, UnitSink,
};
use mpp_wire::StreamTag;

use crate::command::{Command, Event};
use crate::controls::{Controls, HimppMotion, HimppOverlay};
use crate::counters::Counters;
use crate::error::{device, not_found};
use crate::host::{HostProgram, Spawn};
use crate::monitor::HimppDisplay;
use crate::plan;
use crate::shared::Shared;
use crate::signal::{OpenFrontEnd, Watch};
use crate::supervisor::{Parts, Supervisor};

/// Events that wait for the supervisor's thread; whoever finds it full waits.
const INBOX: usize = 256;

/// What a backend is made of.
pub struct Options {
    /// The board, with its `[media]` table.
    pub board: Board,
    /// A folder in memory.
    pub run_dir: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Opens the board's decoders.
    pub open_front_end: OpenFrontEnd,
}

/// The channels of a board with the vendor's media platform.
pub struct HimppBackend {
    board: Board,
    controls: Controls,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    watch: Option<Watch>,
}

impl HimppBackend {
    /// Starts watching the decoders. The host is started when the first channel can be opened.
    ///
    /// # Errors
    /// `NotFound` for a board without a `[media]` table, `Device` when no thread can be started.
    pub fn start(options: Options) -> Result<Self, HalError> {
        let Some(media) = &options.board.media else {
            return Err(not_found(format!(
                "the description of {} has no [media] table: nobody knows the platform's libraries",
                options.board.name
            )));
        };
        let program = HostProgram::new(media, Arc::clone(&options.clock));
        Self::start_with(options, Box::new(program))
    }

    /// As [`Self::start`], with hosts from somewhere else.
    ///
    /// # Errors
    /// `Device` when no thread can be started.
    pub fn start_with(options: Options, spawn: Box<dyn Spawn>) -> Result<Self, HalError> {
        let Options { board, run_dir, clock, open_front_end } = options;
        if crate::budget::zone_bytes(board.memory.as_ref()).is_none() {
            tracing::warn!(
                "the board's media zones are not known: nobody checks whether its channels fit in them"
            );
        }
        let (events, inbox) = mpsc::sync_channel(INBOX);
        let shared = Arc::<Shared>::default();
        let supervisor = Supervisor::new(Parts {
            board: board.clone(),
            run_dir,
            clock: Arc::clone(&clock),
            spawn,
            events: events.clone(),
            shared: Arc::clone(&shared),
        });
        let no_thread = |error: std::io::Error| device(format!("no thread for the media platform: {error}"));
        let thread = std::thread::Builder::new()
            .name("himpp".to_owned())
            .spawn(move || supervisor.run(&inbox))
            .map_err(no_thread)?;
        let mut backend = Self {
            board,
            controls: Controls::new(events.clone()),
            shared,
            thread: Some(thread),
            watch: None,
        };
        // Not waited for: what is missed here is told again when it changes.
        let tell = move |input: &str, sight| drop(events.send(Event::Input(input.to_owned(), sight)));
        backend.watch = Some(Watch::start(&backend.board, open_front_end, clock, tell).map_err(no_thread)?);
        Ok(backend)
    }

    /// What went wrong so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.shared.counters()
    }
}

impl Drop for HimppBackend {
    fn drop(&mut self) {
        let _ = self.controls.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A sink that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Backend for HimppBackend {
    fn name(&self) -> &'static str {
        "himpp"
    }

    fn inputs(&self) -> Vec<String> {
        self.board.inputs.iter().map(|input| input.name.clone()).collect()
    }

    fn open(
        &mut self,
        config: &ChannelConfig,
        sink: Arc<dyn UnitSink>,
    ) -> Result<Box<dyn Channel>, HalError> {
        self.controls.ask(|reply| Command::Open(config.clone(), sink, reply))?;
        Ok(Box::new(HimppChannel { config: config.clone(), controls: self.controls.clone() }))
    }

    fn overlay(&mut self) -> Option<Box<dyn Overlay>> {
        Some(Box::new(HimppOverlay::new(self.controls.clone())))
    }

    fn motion(&mut self) -> Option<Box<dyn MotionDetector>> {
        Some(Box::new(HimppMotion::new(self.controls.clone(), Arc::clone(&self.shared))))
    }

    fn display(&mut self) -> Option<Box<dyn Display>> {
        let mode = self.board.media.as_ref()?.display?;
        Some(Box::new(HimppDisplay::new(self.controls.clone(), mode)))
    }
}

struct HimppChannel {
    config: ChannelConfig,
    controls: Controls,
}

impl HimppChannel {
    fn tag(&self, kind: StreamKind) -> Result<StreamTag, HalError> {
        let is_there = self.config.streams.iter().any(|stream| stream.kind == kind);
        plan::tag(kind)
            .filter(|_| is_there)
            .ok_or_else(|| not_found(format!("channel {} has no {kind} stream", self.config.channel)))
    }
}

impl Channel for HimppChannel {
    fn request_keyframe(&mut self, kind: StreamKind) -> Result<(), HalError> {
        let command = Command::Keyframe(self.config.channel, self.tag(kind)?);
        self.controls.tell(command)
    }

    fn set_bit_rate(&mut self, kind: StreamKind, bit_rate: BitsPerSecond) -> Result<(), HalError> {
        self.tag(kind)?;
        let mut config = self.config.clone();
        config.streams.iter_mut().filter(|s| s.kind == kind).for_each(|s| s.bit_rate = bit_rate);
        self.reconfigure(&config).map(drop)
    }

    fn reconfigure(&mut self, config: &ChannelConfig) -> Result<bool, HalError> {
        if config.channel != self.config.channel {
            return Ok(false);
        }
        let changed = self.controls.ask(|reply| Command::Change(config.clone(), reply))?;
        if changed {
            self.config = config.clone();
        }
        Ok(changed)
    }

    fn request_snapshot(&mut self) -> Result<(), HalError> {
        self.controls.ask(|reply| Command::Snapshot(self.config.channel, reply))
    }
}

impl Drop for HimppChannel {
    fn drop(&mut self) {
        // Where nobody answers, nobody delivers.
        let _ = self.controls.ask(|reply| Command::Close(self.config.channel, reply));
    }
}
