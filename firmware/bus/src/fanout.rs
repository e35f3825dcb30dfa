//! Fan-out within a process: one writer, many async readers, bounded.
//!
//! A new reader starts at the last keyframe. A reader that falls behind the limits loses whole GOPs, is told how
//! many, and goes on at the newest keyframe. What every reader has had, and the current GOP does not need, is let
//! go at once.
//!
//! Does not belong here: where items come from (feed), shared memory.
//!
//! Invariants: the writer never waits; memory is bounded by [`Limits`] whatever readers and items do.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How much a [`Fanout`] may hold. Whole GOPs are let go when it is more; when the current GOP alone is more, its
/// oldest items are, and new readers wait for the next keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The items' bytes, at least 1.
    pub bytes: usize,
    /// Items, at least 1.
    pub items: usize,
}

/// What a reader gets.
#[derive(Debug)]
pub enum Item<T> {
    /// The next item.
    Item(Arc<T>),
    /// The reader was too slow, or the source lost something: the next item is a keyframe. Time may have jumped
    /// as well, since a discontinuity may be among what was lost.
    Lost {
        /// GOPs it has no complete copy of.
        gops: u64,
    },
    /// Nothing more will come.
    Closed,
}

/// One writer's side; share it in an `Arc` or clone it.
pub struct Fanout<T> {
    shared: Arc<Shared<T>>,
}

/// One reader's side.
pub struct FanoutReader<T> {
    shared: Arc<Shared<T>>,
    id: u64,
    /// Index of the next item.
    next: u64,
    /// Only a keyframe will do.
    seeking: bool,
    started: bool,
    /// GOPs accounted for.
    settled_gops: u64,
    /// Keeps the source of the items alive.
    _source: Option<Arc<dyn Send + Sync>>,
}

struct Shared<T> {
    limits: Limits,
    state: Mutex<State<T>>,
    news: Notify,
}

struct State<T> {
    entries: VecDeque<Entry<T>>,
    /// Index of the front entry.
    first: u64,
    bytes: usize,
    /// Keyframes pushed or lost before they were.
    gops: u64,
    /// Index of the newest keyframe.
    keyframe: Option<u64>,
    /// The source lost GOPs since the last push.
    gap: bool,
    closed: bool,
    next_id: u64,
    readers: HashMap<u64, Place>,
}

/// What the writer knows of a reader.
struct Place {
    /// Index of its next item.
    next: u64,
    /// That item was let go, and was a keyframe: so many GOPs before it are accounted for.
    whole_gops: Option<u64>,
}

struct Entry<T> {
    item: Arc<T>,
    bytes: usize,
    keyframe: bool,
    /// The source lost something just before it.
    after_gap: bool,
    gop: u64,
}

impl<T> Fanout<T> {
    /// An empty fan-out.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let state = State {
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            gops: 0,
            keyframe: None,
            gap: false,
            closed: false,
            next_id: 0,
            readers: HashMap::new(),
        };
        Self { shared: Arc::new(Shared { limits, state: Mutex::new(state), news: Notify::new() }) }
    }

    /// Adds an item; `bytes` is what it counts for against the limits.
    pub fn push(&self, item: Arc<T>, keyframe: bool, bytes: usize) {
        let mut state = self.shared.lock();
        let index = state.end();
        state.gops += u64::from(keyframe);
        if keyframe {
            state.keyframe = Some(index);
        }
        let (gop, after_gap) = (state.gops, std::mem::take(&mut state.gap));
        state.entries.push_back(Entry { item, bytes, keyframe, after_gap, gop });
        state.bytes += bytes;
        state.trim(self.shared.limits);
        drop(state);
        self.shared.news.notify_waiters();
    }

    /// The source lost `gops` GOPs; the next item pushed is a keyframe. Every reader is told.
    pub fn lost(&self, gops: u64) {
        let mut state = self.shared.lock();
        // One of them is the GOP that readers have the beginning of.
        state.gops += gops.saturating_sub(1);
        state.gap = true;
    }

    /// A new reader, at the last keyframe; when there is none, at the next.
    #[must_use]
    pub fn reader(&self) -> FanoutReader<T> {
        self.reader_holding(None)
    }

    /// A reader who has had everything so far: it goes on with the next item, also in the middle of a GOP.
    #[must_use]
    pub fn follower(&self) -> FanoutReader<T> {
        let mut reader = self.reader();
        let mut state = self.shared.lock();
        reader.next = state.end();
        (reader.seeking, reader.started) = (false, true);
        reader.settled_gops = state.gops.saturating_sub(1);
        state.readers.insert(reader.id, Place { next: reader.next, whole_gops: None });
        drop(state);
        reader
    }

    pub(crate) fn reader_holding(&self, source: Option<Arc<dyn Send + Sync>>) -> FanoutReader<T> {
        let mut state = self.shared.lock();
        let id = state.next_id;
        state.next_id += 1;
        let next = state.keyframe.filter(|&at| at >= state.first).unwrap_or(state.end());
        state.readers.insert(id, Place { next, whole_gops: None });
        drop(state);
        FanoutReader {
            shared: Arc::clone(&self.shared),
            id,
            next,
            seeking: true,
            started: false,
            settled_gops: 0,
            _source: source,
        }
    }

    /// Readers now.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.shared.lock().readers.len()
    }

    /// Bytes held now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shared.lock().bytes
    }

    /// Ends it: readers get what is left, then [`Item::Closed`].
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.news.notify_waiters();
    }
}

impl<T> Clone for Fanout<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> FanoutReader<T> {
    /// The next item, as soon as there is one. Nothing is lost when the future is dropped before it ends.
    pub async fn next(&mut self) -> Item<T> {
        let shared = Arc::clone(&self.shared);
        loop {
            let mut news = std::pin::pin!(shared.news.notified());
            // Before looking: a push between looking and waiting must not be missed.
            news.as_mut().enable();
            if let Some(item) = self.try_next() {
                return item;
            }
            news.await;
        }
    }

    /// The next item if there is one now.
    pub fn try_next(&mut self) -> Option<Item<T>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if let Some(whole_gops) = state.readers.get(&self.id).and_then(|place| place.whole_gops) {
            self.settled_gops = whole_gops;
        }
        let item = self.advance(&state);
        state.readers.insert(self.id, Place { next: self.next, whole_gops: None });
        item
    }

    /// Whether it has had everything that there is, and nothing was lost that it would be told of.
    #[must_use]
    pub fn has_all(&self) -> bool {
        let state = self.shared.lock();
        !self.seeking && self.next == state.end() && !state.gap && !state.closed
    }

    fn advance(&mut self, state: &State<T>) -> Option<Item<T>> {
        if self.next < state.first {
            self.seeking = true;
        }
        if !self.seeking {
            if let Some(entry) = state.entry(self.next) {
                // GOPs that the source lost lie between this entry and what was handed out before it.
                if entry.after_gap && self.settled_gops < entry.gop - u64::from(entry.keyframe) {
                    let gops = entry.gop - u64::from(entry.keyframe) - self.settled_gops;
                    self.settled_gops += gops;
                    return Some(Item::Lost { gops });
                }
                return Some(self.hand_out(entry));
            }
            return state.closed.then_some(Item::Closed);
        }
        let Some(keyframe) = state.keyframe.filter(|&at| at >= state.first && at >= self.next) else {
            // What is skipped while seeking is let go: this reader needs none of it.
            return state.closed.then_some(Item::Closed);
        };
        let entry = state.entry(keyframe)?;
        let skipped = keyframe - self.next;
        self.next = keyframe;
        self.seeking = false;
        let before = entry.gop - 1;
        let gops = before.saturating_sub(self.settled_gops).max(1);
        self.settled_gops = before;
        if self.started && skipped > 0 {
            return Some(Item::Lost { gops });
        }
        Some(self.hand_out(entry))
    }

    fn hand_out(&mut self, entry: &Entry<T>) -> Item<T> {
        self.next += 1;
        self.started = true;
        // The GOP it belongs to is not whole yet.
        self.settled_gops = entry.gop.saturating_sub(1);
        Item::Item(Arc::clone(&entry.item))
    }
}

impl<T> Drop for FanoutReader<T> {
    fn drop(&mut self) {
        self.shared.lock().readers.remove(&self.id);
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held; if it ever did, the state would still be whole between two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, index: u64) -> Option<&Entry<T>> {
        self.entries.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    fn trim(&mut self, limits: Limits) {
        // Nobody needs what is older than the current GOP and than every reader.
        let current = self.keyframe.unwrap_or(self.end());
        let needed = self.readers.values().map(|place| place.next).min().unwrap_or(u64::MAX).min(current);
        while self.first < needed && !self.entries.is_empty() {
            self.pop();
        }
        while (self.bytes > limits.bytes || self.entries.len() > limits.items) && self.entries.len() > 1 {
            self.pop();
            // Half a GOP is of no use unless it is the current one, which others are reading.
            while self.first < current && self.entries.front().is_some_and(|entry| !entry.keyframe) {
                self.pop();
            }
        }
    }

    fn pop(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        if entry.keyframe {
            for place in self.readers.values_mut().filter(|place| place.next == self.first) {
                place.whole_gops = Some(entry.gop - 1);
            }
        }
        self.first += 1;
        self.bytes -= entry.bytes;
    }
}

impl<T> fmt::Debug for Fanout<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fanout").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for FanoutReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanoutReader").field("next", &self.next).finish_non_exhaustive()
    }
}
