//! Feeds: one thread a stream and process that follows a ring into a fan-out.
//!
//! A unit is copied out of shared memory once a process, however many readers it has. The thread sleeps on the
//! ring's bell; while there is no ring it sleeps on the folder (inotify). It never polls. Who has a quick thing to do with each
//! unit may do it in this thread, which saves waking another.
//!
//! Does not belong here: what readers do with units.
//!
//! Invariants: a stream has at most one feed a registry; the thread ends as soon as nobody holds the feed or one
//! of its readers.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use hal::{StreamFormat, StreamId, StreamKind};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::watch;

use crate::area::Area;
use crate::error::{BusError, ErrorKind};
use crate::fanout::{Fanout, FanoutReader, Limits};
use crate::ring::{Subscriber, ring_path};
use crate::unit::{Next, Start, Unit};

/// How long the thread sleeps at most. Nothing depends on it: it bounds the harm of a wake-up that a broken
/// process took away.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// While the bus's folder itself is missing there is nothing to watch; and a broken ring is not read faster.
const FOLDER_RETRY_MS: u16 = 1000;

/// A slow reader's backlog: 4 s of a 4 Mbit/s stream, and more than one unit of the largest size.
const VIDEO_LIMITS: Limits = Limits { bytes: 6 << 20, items: 600 };
/// 10 s of 50 units a second, at any audio codec's rate.
const AUDIO_LIMITS: Limits = Limits { bytes: 512 << 10, items: 512 };

/// One stream, followed for this process. Ends when neither it nor one of its readers is held any more.
#[derive(Debug)]
pub struct Feed {
    inner: Arc<Inner>,
}

/// What ends the thread when it is dropped.
#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    stream: StreamId,
    fanout: Fanout<Unit>,
    format: watch::Sender<Option<StreamFormat>>,
    listeners: Mutex<Listeners>,
    /// The ring that the thread may be sleeping on.
    ring: Mutex<Option<Arc<Area>>>,
    stop: AtomicBool,
    /// Wakes the thread while it sleeps on the folder.
    stopped: Option<EventFd>,
}

/// Called in the feed's thread.
#[derive(Default)]
struct Listeners {
    calls: Vec<(u64, Box<dyn Fn() + Send>)>,
    next_id: u64,
}

/// Until it is dropped, somebody is told of what is new in a feed.
#[derive(Debug)]
pub struct Listening {
    shared: Arc<Shared>,
    id: u64,
}

impl Feed {
    fn start(dir: &Path, stream: StreamId) -> Arc<Inner> {
        let limits = match stream.kind {
            StreamKind::Main | StreamKind::Sub => VIDEO_LIMITS,
            StreamKind::Audio => AUDIO_LIMITS,
        };
        let stopped = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            stream,
            fanout: Fanout::new(limits),
            format: watch::Sender::new(None),
            listeners: Mutex::default(),
            ring: Mutex::new(None),
            stop: AtomicBool::new(false),
            stopped: stopped
                .inspect_err(|error| tracing::error!(%stream, %error, "feed without eventfd"))
                .ok(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("feed-{stream}"))
            .spawn(move || theirs.run())
            .inspect_err(|error| {
                tracing::error!(%stream, %error, "cannot start a feed's thread");
                shared.fanout.close();
            })
            .ok();
        Arc::new(Inner { shared, thread })
    }

    /// A new reader, from the last keyframe on. It keeps the feed running.
    #[must_use]
    pub fn reader(&self) -> FanoutReader<Unit> {
        self.inner.shared.fanout.reader_holding(Some(Arc::clone(&self.inner) as Arc<dyn Send + Sync>))
    }

    /// Has `call` called in the feed's thread whenever its readers have something new: a unit, a loss, the end. It has to be
    /// quick, for everybody else waits for it, and must neither listen nor stop listening. It is not called before there is news:
    /// look once after this.
    #[must_use]
    pub fn listen(&self, call: impl Fn() + Send + 'static) -> Listening {
        let shared = Arc::clone(&self.inner.shared);
        let mut listeners = shared.listeners();
        let id = listeners.next_id;
        listeners.next_id += 1;
        listeners.calls.push((id, Box::new(call)));
        drop(listeners);
        Listening { shared, id }
    }

    /// Readers now.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.inner.shared.fanout.readers()
    }

    /// The stream's format; `None` until its ring has been seen.
    #[must_use]
    pub fn format(&self) -> Option<StreamFormat> {
        self.inner.shared.format.borrow().clone()
    }

    /// The stream's format as it changes.
    #[must_use]
    pub fn watch_format(&self) -> watch::Receiver<Option<StreamFormat>> {
        self.inner.shared.format.subscribe()
    }

    /// Asks the publisher for a keyframe; nothing happens while there is none.
    pub fn request_keyframe(&self) {
        if let Some(ring) = &*self.inner.shared.ring() {
            ring.keyframe_request().store(1, Ordering::Release);
        }
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.inner.shared.stream
    }
}

impl Drop for Listening {
    /// Waits for a call that is under way: there is none after this.
    fn drop(&mut self) {
        let mut listeners = self.shared.listeners();
        let at = listeners.calls.iter().position(|(id, _)| *id == self.id);
        let call = at.map(|at| listeners.calls.swap_remove(at));
        // Not with it: it may hold the last reader, whose end waits for the thread, which may be about to call.
        drop(listeners);
        drop(call);
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(stopped) = &self.shared.stopped {
            let _ = stopped.write(1);
        }
        // Rings for everybody; the others find nothing new and sleep on.
        let ring = self.shared.ring().clone();
        if let Some(ring) = ring {
            ring.ring_bell();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Option<Arc<Area>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something new for readers.
    fn tell(&self) {
        for (_, call) in &self.listeners().calls {
            call();
        }
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn run(&self) {
        // A ring that was there before us is entered where it is now, its successors are read from their start.
        let mut start = Start::LatestKeyframe;
        // A retired file that could not be removed is not entered twice.
        let mut finished = None;
        let mut complaint = None;
        // Only while there is no ring: an account has 128 of them at most (fs.inotify.max_user_instances).
        let mut folder: Option<Folder<'_>> = None;
        while !self.stopping() {
            match Subscriber::open(&self.dir, self.stream, start) {
                Ok(reader) if !(reader.area().retired() && finished == Some(reader.area().inode())) => {
                    folder = None;
                    finished = Some(reader.area().inode());
                    match self.follow(reader) {
                        Ok(()) => start = Start::Oldest,
                        Err(error) => {
                            start = Start::LatestKeyframe;
                            self.complain(&error, &mut complaint);
                            // Not at once again. Its publisher may have come back before we watch.
                            folder.insert(Folder::new(&self.dir)).wait(self.stopped.as_ref(), true);
                        }
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    start = Start::Oldest;
                    complaint = None;
                }
                Err(error) => self.complain(&error, &mut complaint),
            }
            match &mut folder {
                Some(folder) => folder.wait(self.stopped.as_ref(), false),
                // Then look again: what appeared before the watch is not told by it.
                None => folder = Some(Folder::new(&self.dir)),
            }
        }
        self.fanout.close();
        self.tell();
    }

    /// Until the ring is retired or the feed ends.
    fn follow(&self, mut reader: Subscriber) -> Result<(), BusError> {
        *self.ring() = Some(reader.area());
        let result = self.pump(&mut reader);
        *self.ring() = None;
        result
    }

    fn pump(&self, reader: &mut Subscriber) -> Result<(), BusError> {
        let mut data = Vec::new();
        self.announce(reader.format());
        loop {
            let next = reader.next(&mut data)?;
            // After the bell was read (in `next`) and before sleeping on it: who stops us rings it afterwards.
            if self.stopping() {
                return Ok(());
            }
            match next {
                Next::Unit(meta) => {
                    if meta.keyframe {
                        self.announce(reader.format());
                    }
                    let bytes = data.len();
                    let data = Bytes::from(std::mem::take(&mut data));
                    let unit = Unit { stream: self.stream, meta, data };
                    self.fanout.push(Arc::new(unit), meta.keyframe, bytes);
                    self.tell();
                }
                Next::Lost { units, gops } => {
                    tracing::warn!(stream = %self.stream, units, gops, "feed lost units");
                    self.fanout.lost(gops);
                }
                Next::Empty => _ = reader.wait(LONGEST_SLEEP),
                Next::Retired => return Ok(()),
            }
        }
    }

    fn announce(&self, format: StreamFormat) {
        self.format.send_if_modified(|current| {
            let changed = current.as_ref() != Some(&format);
            if changed {
                *current = Some(format);
            }
            changed
        });
    }

    fn complain(&self, error: &BusError, last: &mut Option<ErrorKind>) {
        // Once, not at every change of the folder.
        if last.replace(error.kind()) != Some(error.kind()) {
            let path = ring_path(&self.dir, self.stream);
            tracing::error!(stream = %self.stream, path = %path.display(), %error, "a feed cannot read its ring");
        }
    }
}

/// The bus's folder, watched for rings that appear, are replaced or are taken over.
struct Folder<'a> {
    dir: &'a Path,
    inotify: Option<Inotify>,
    watched: bool,
}

impl<'a> Folder<'a> {
    fn new(dir: &'a Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .inspect_err(|error| tracing::error!(%error, "a feed cannot watch the bus's folder"))
            .ok();
        let mut folder = Self { dir, inotify, watched: false };
        folder.watch();
        folder
    }

    fn watch(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let changes = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
        self.watched = inotify.add_watch(self.dir, changes).is_ok();
    }

    /// Until something changed in the folder or `stopped` is written to; `briefly`, or when neither can be
    /// watched, a second at most.
    fn wait(&mut self, stopped: Option<&EventFd>, briefly: bool) {
        let timeout = if self.watched && stopped.is_some() && !briefly {
            PollTimeout::NONE
        } else {
            PollTimeout::from(FOLDER_RETRY_MS)
        };
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(2);
        fds.extend(self.inotify.as_ref().map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)));
        fds.extend(stopped.map(|stopped| PollFd::new(stopped.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => tracing::error!(%error, "a feed cannot sleep"),
        }
        // What exactly changed does not matter: the caller looks.
        if let Some(inotify) = &self.inotify {
            while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        // The folder may have come into being, or been made anew.
        self.watch();
    }
}

/// The feeds of a process: one a stream, started when first asked for.
#[derive(Debug)]
pub struct Feeds {
    dir: PathBuf,
    running: Mutex<HashMap<StreamId, Weak<Inner>>>,
}

impl Feeds {
    /// Follows rings in `dir`, which may come into being later.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), running: Mutex::new(HashMap::new()) }
    }

    /// The feed of `stream`. Its ring need not exist yet.
    #[must_use]
    pub fn get(&self, stream: StreamId) -> Arc<Feed> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = running.get(&stream).and_then(Weak::upgrade) {
            return Arc::new(Feed { inner });
        }
        let inner = Feed::start(&self.dir, stream);
        running.insert(stream, Arc::downgrade(&inner));
        Arc::new(Feed { inner })
    }

    /// Feeds that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().filter(|inner| inner.strong_count() > 0).count()
    }

    /// The folder of the rings.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
