//! Events: what happened, from any process to all processes.
//!
//! Every publisher has a ring of its own, `NAME.events`, on the same machinery as streams; a subscriber reads all
//! of them. One more file, `events.bell`, holds the bell that every publisher rings, so that a subscriber
//! sleeps on one word.
//!
//! Does not belong here: what follows from an event.
//!
//! Invariants: events of one publisher come in order; a publisher never waits; a subscriber that is too slow is
//! told how many it lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use hal::{ChannelId, WallTime};
use serde::{Deserialize, Serialize};

use crate::area::Area;
use crate::error::{BusError, ErrorKind};
use crate::layout::{Content, RingSpec};
use crate::reader::RingReader;
use crate::unit::{Next, Start};
use crate::writer::{Record, RingWriter, shared_file};

/// A few hundred events: a minute of all channels' cameras failing at once.
const EVENTS_SPEC: RingSpec = RingSpec { payload_bytes: 64 << 10, slots: 512 };
/// The longest text in an event; what is longer is cut. 64 channels' worth fits into the ring many times.
pub const MAX_EVENT_TEXT_BYTES: usize = 256;
/// The longest name of a publisher: it becomes a file's name.
const MAX_NAME_BYTES: usize = 64;
/// More processes than the program has roles, by far: a folder full of files must not fill a process's memory.
const MAX_PUBLISHERS: usize = 32;

const BELL_FILE: &str = "events.bell";
const EXTENSION: &str = "events";

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: WallTime,
    /// Where; `None` when it concerns the whole recorder.
    pub channel: Option<ChannelId>,
    /// What.
    pub kind: EventKind,
}

/// What happened. New kinds are added at the end: the position is the code in shared memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// An input lost its picture.
    SignalLost,
    /// An input has a picture again.
    SignalBack,
    /// The device behind an input failed.
    InputFailed {
        /// What happened, for people.
        reason: String,
    },
    /// A network camera delivers.
    CameraOnline,
    /// A network camera stopped delivering, or never began.
    CameraOffline {
        /// What happened, for people.
        reason: String,
    },
    /// The picture began to move, or came to rest.
    Motion {
        /// True at the beginning, false at the end.
        active: bool,
    },
    /// A digital input changed.
    DigitalInput {
        /// Its number, from 1.
        input: u16,
        /// Whether it is active now.
        active: bool,
    },
    /// Footage cannot be written.
    RecordingFailed {
        /// What happened, for people.
        reason: String,
    },
    /// Footage is written again.
    RecordingBack,
    /// Somebody marked the channel: what it shows from now on is an event.
    Marked {
        /// For how long, seconds.
        seconds: u32,
    },
}

impl EventKind {
    fn cut(&mut self) {
        if let Self::InputFailed { reason }
        | Self::CameraOffline { reason }
        | Self::RecordingFailed { reason } = self
        {
            reason.truncate(reason.floor_char_boundary(MAX_EVENT_TEXT_BYTES));
        }
    }
}

/// The one publisher of a name's events. Dropping it removes its ring once read.
#[derive(Debug)]
pub struct EventPublisher {
    ring: RingWriter,
    bell: Area,
}

impl EventPublisher {
    /// Creates the ring `NAME.events` in `dir`, or takes it over from a publisher that was killed. A name is 1 to
    /// 64 of `a-z`, `0-9` and `-`.
    ///
    /// # Errors
    /// `Busy` while another publisher of that name lives, `Invalid` for such a name, `Io` as for a stream.
    pub fn create(dir: &Path, name: &str) -> Result<Self, BusError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) {
            return Err(BusError::Invalid { what: format!("{name:?} is no name for a publisher of events") });
        }
        let bell = open_bell(dir)?;
        let path = dir.join(format!("{name}.{EXTENSION}"));
        let ring = RingWriter::create(&path, Content::Events, EVENTS_SPEC, &[])?;
        bell.epoch().fetch_add(1, Ordering::Release);
        bell.ring_bell();
        Ok(Self { ring, bell })
    }

    /// Publishes an event and returns its sequence. Texts over [`MAX_EVENT_TEXT_BYTES`] are cut.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn publish(&mut self, event: &Event) -> Result<u64, BusError> {
        let mut event = event.clone();
        event.kind.cut();
        let data = postcard::to_stdvec(&event).map_err(|error| BusError::Invalid {
            what: format!("an event that cannot be encoded: {error}"),
        })?;
        let sequence = self.ring.publish(Record {
            pts: 0,
            wall: event.at.as_unix_micros(),
            keyframe: true,
            discontinuity: false,
            data: &data,
        })?;
        self.bell.ring_bell();
        Ok(sequence)
    }
}

/// What a subscriber found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextEvent {
    /// An event.
    Event {
        /// Who published it.
        publisher: String,
        /// The event.
        event: Event,
    },
    /// The subscriber was too slow.
    Lost {
        /// Whose events.
        publisher: String,
        /// How many.
        events: u64,
    },
    /// An event of a kind that this program does not know: its publisher is newer.
    Unknown {
        /// Who published it.
        publisher: String,
    },
    /// Nothing new; wait.
    Empty,
}

/// A reader of all publishers' events.
#[derive(Debug)]
pub struct EventSubscriber {
    dir: PathBuf,
    bell: Area,
    rung: u32,
    /// The bell's epoch when the folder was looked at last.
    looked: Option<u32>,
    start: Start,
    rings: BTreeMap<String, RingReader>,
    /// The publisher to ask next, so that a busy one does not silence the others.
    turn: Option<String>,
    /// Files that cannot be read, complained about once.
    refused: BTreeSet<String>,
    data: Vec<u8>,
}

impl EventSubscriber {
    /// Events from now on, of publishers that are there and of those that come.
    ///
    /// # Errors
    /// `Io` when the folder is missing or not writable.
    pub fn open(dir: &Path) -> Result<Self, BusError> {
        Self::open_at(dir, Start::Next)
    }

    /// As [`Self::open`], with [`Start::Oldest`] from the oldest events that are still there.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(dir: &Path, start: Start) -> Result<Self, BusError> {
        let bell = open_bell(dir)?;
        let rung = bell.bell();
        let mut subscriber = Self {
            dir: dir.to_owned(),
            bell,
            rung,
            looked: None,
            start,
            rings: BTreeMap::new(),
            turn: None,
            refused: BTreeSet::new(),
            data: Vec::new(),
        };
        subscriber.look()?;
        // Whoever comes later is read from its first event on.
        subscriber.start = Start::Oldest;
        Ok(subscriber)
    }

    /// The next event of any publisher; each publisher's are in order.
    ///
    /// # Errors
    /// `Io` when the folder cannot be read. A broken ring is left alone and logged.
    #[expect(clippy::should_implement_trait, reason = "named as Subscriber::next; it never ends")]
    pub fn next(&mut self) -> Result<NextEvent, BusError> {
        self.rung = self.bell.bell();
        self.bell.check_whole()?;
        self.look()?;
        // Each publisher once, from the one whose turn it is.
        let names: Vec<String> = match &self.turn {
            Some(turn) => self
                .rings
                .range(turn.clone()..)
                .chain(self.rings.range(..turn.clone()))
                .map(|(name, _)| name.clone())
                .collect(),
            None => self.rings.keys().cloned().collect(),
        };
        for (position, name) in names.iter().enumerate() {
            if let Some(found) = self.ask(name) {
                self.turn = names.get(position + 1).or(names.first()).cloned();
                return Ok(found);
            }
        }
        Ok(NextEvent::Empty)
    }

    /// Sleeps until something may be new since the last [`Self::next`], at most `timeout`; false when nothing
    /// is.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.bell.wait_bell(self.rung, timeout)
    }

    fn ask(&mut self, name: &str) -> Option<NextEvent> {
        // Twice: a retired ring may have a successor that came while it was still being read.
        for _ in 0..2 {
            let ring = self.rings.get_mut(name)?;
            let publisher = name.to_owned();
            match ring.next(&mut self.data) {
                Ok(Next::Unit(_)) => match postcard::from_bytes(&self.data) {
                    Ok(event) => return Some(NextEvent::Event { publisher, event }),
                    Err(_) => return Some(NextEvent::Unknown { publisher }),
                },
                Ok(Next::Lost { units, .. }) => return Some(NextEvent::Lost { publisher, events: units }),
                Ok(Next::Empty) => return None,
                Ok(Next::Retired) => {
                    self.rings.remove(name);
                    self.looked = None;
                    self.look().ok()?;
                }
                Err(error) => {
                    // Opened again when a publisher comes.
                    tracing::error!(publisher, %error, "left a publisher's events");
                    self.rings.remove(name);
                }
            }
        }
        None
    }

    /// Opens the rings that have appeared.
    fn look(&mut self) -> Result<(), BusError> {
        let epoch = self.bell.epoch().load(Ordering::Acquire);
        if self.looked == Some(epoch) {
            return Ok(());
        }
        let io = |source| BusError::Io { action: "list", path: self.dir.clone(), source };
        for entry in fs::read_dir(&self.dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let Some(name) = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned) else {
                continue;
            };
            let is_events = path.extension().is_some_and(|extension| extension == EXTENSION);
            if !is_events || self.rings.contains_key(&name) || self.rings.len() >= MAX_PUBLISHERS {
                continue;
            }
            match RingReader::open(&path, Content::Events, self.start) {
                Ok(ring) => _ = self.rings.insert(name, ring),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    if self.refused.len() < MAX_PUBLISHERS && self.refused.insert(name) {
                        tracing::error!(%error, "cannot read a publisher's events");
                    }
                }
            }
        }
        self.looked = Some(epoch);
        Ok(())
    }
}

fn open_bell(dir: &Path) -> Result<Area, BusError> {
    shared_file(&dir.join(BELL_FILE), Content::Doorbell)
}
