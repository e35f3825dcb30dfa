//! Who is watching: every live view, playback and export while it runs.
//!
//! A view is on the list from before its first byte until after its last, because its guard is held by what
//! sends the bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::{ChannelId, Clock, MonoTime, StreamKind, WallTime};
use ledger::Event;
use tokio::sync::watch;

use super::notes::Notes;

/// A player fetches a recording in pieces; between two it is still watching.
const LINGER: Duration = Duration::from_secs(10);
/// The list's limit: more views than connections cannot be.
const MAX_WATCHERS: usize = 1024;

/// How a view goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Via {
    Browser,
    Rtsp,
    Playback,
    Export,
}

impl Via {
    /// As the ledger has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Browser => "web",
            Self::Rtsp => "rtsp",
            Self::Playback => "playback",
            Self::Export => "export",
        }
    }
}

/// One view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct View {
    pub(super) user: String,
    pub(super) from: IpAddr,
    pub(super) channel: ChannelId,
    pub(super) stream: StreamKind,
    pub(super) via: Via,
}

#[derive(Debug)]
struct Entry {
    since: WallTime,
    guards: u32,
    /// When the last guard went.
    left: Option<MonoTime>,
}

/// The list.
pub(super) struct Watchers {
    clock: Arc<dyn Clock>,
    views: Mutex<BTreeMap<View, Entry>>,
    notes: Notes,
    changed: watch::Sender<u64>,
}

/// Holds a view on the list.
pub(super) struct WatchGuard {
    watchers: Arc<Watchers>,
    view: View,
}

impl Watchers {
    pub(super) fn new(clock: Arc<dyn Clock>, notes: Notes) -> Arc<Self> {
        Arc::new(Self { clock, views: Mutex::default(), notes, changed: watch::Sender::new(0) })
    }

    /// Puts a view on the list; the same user's same view from the same place counts once.
    /// `None` when the list is full.
    pub(super) fn enter(self: &Arc<Self>, view: View) -> Option<WatchGuard> {
        let mut views = self.lock();
        self.forget(&mut views);
        if views.len() >= MAX_WATCHERS && !views.contains_key(&view) {
            return None;
        }
        let entry = views.entry(view.clone()).or_insert_with(|| {
            tracing::info!(user = view.user, from = %view.from, channel = %view.channel, stream = %view.stream,
                via = ?view.via, "view begins");
            self.notes.note(&Event::ViewStarted {
                by: view.user.as_str().into(),
                from: Some(view.from),
                channel: view.channel,
                stream: view.stream,
                via: view.via.name().into(),
            });
            Entry { since: self.clock.wall(), guards: 0, left: None }
        });
        entry.guards += 1;
        entry.left = None;
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        Some(WatchGuard { watchers: Arc::clone(self), view })
    }

    /// Everyone who watches now, longest first.
    pub(super) fn list(&self) -> Vec<(View, WallTime)> {
        let mut views = self.lock();
        self.forget(&mut views);
        let mut list: Vec<_> = views.iter().map(|(view, entry)| (view.clone(), entry.since)).collect();
        list.sort_by_key(|(_, since)| *since);
        list
    }

    /// Woken when somebody comes or goes.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Live views end with their connection; players linger.
    fn forget(&self, views: &mut BTreeMap<View, Entry>) {
        let now = self.clock.mono();
        views.retain(|view, entry| {
            let gone = match (entry.left, view.via) {
                (None, _) => false,
                (Some(_), Via::Browser | Via::Rtsp) => true,
                (Some(left), Via::Playback | Via::Export) => now.since(left) > LINGER,
            };
            if gone {
                let seconds = self.clock.wall().micros_since(entry.since) / 1_000_000;
                tracing::info!(user = view.user, from = %view.from, channel = %view.channel,
                    stream = %view.stream, via = ?view.via, seconds, "view ended");
                self.notes.note(&Event::ViewEnded {
                    by: view.user.as_str().into(),
                    from: Some(view.from),
                    channel: view.channel,
                    stream: view.stream,
                    via: view.via.name().into(),
                    seconds: seconds.max(0).unsigned_abs(),
                });
            }
            !gone
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<View, Entry>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        let mut views = self.watchers.lock();
        if let Some(entry) = views.get_mut(&self.view) {
            entry.guards -= 1;
            if entry.guards == 0 {
                entry.left = Some(self.watchers.clock.mono());
            }
        }
        self.watchers.forget(&mut views);
        drop(views);
        self.watchers.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hal_sim::SimClock;

    use super::*;

    fn watchers_with(clock: Arc<dyn Clock>) -> Arc<Watchers> {
        Watchers::new(Arc::clone(&clock), Notes::nowhere(clock))
    }

    fn view(user: &str, via: Via) -> View {
        let channel = ChannelId::new(1).unwrap();
        View {
            user: user.to_owned(),
            from: Ipv4Addr::LOCALHOST.into(),
            channel,
            stream: StreamKind::Main,
            via,
        }
    }

    #[test]
    fn a_live_view_is_listed_exactly_while_it_runs() {
        let watchers = watchers_with(Arc::new(SimClock::new(WallTime::from_unix_micros(7_000_000))));
        let first = watchers.enter(view("ann", Via::Browser)).unwrap();
        let second = watchers.enter(view("ann", Via::Browser)).unwrap();
        assert_eq!(watchers.list(), [(view("ann", Via::Browser), WallTime::from_unix_micros(7_000_000))]);
        drop(first);
        assert_eq!(watchers.list().len(), 1);
        drop(second);
        assert!(watchers.list().is_empty());
    }

    #[test]
    fn a_player_that_fetches_in_pieces_stays_listed_between_them() {
        let clock = Arc::new(SimClock::new(WallTime::default()));
        let watchers = watchers_with(Arc::clone(&clock) as Arc<dyn Clock>);
        drop(watchers.enter(view("ann", Via::Playback)).unwrap());
        clock.advance(LINGER);
        assert_eq!(watchers.list().len(), 1);
        clock.advance(Duration::from_millis(1));
        assert!(watchers.list().is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_tells_its_changes() {
        let watchers = watchers_with(Arc::new(SimClock::new(WallTime::default())));
        let changes = watchers.watch();
        let guards: Vec<_> =
            (0..MAX_WATCHERS).map(|n| watchers.enter(view(&n.to_string(), Via::Rtsp)).unwrap()).collect();
        assert!(changes.has_changed().unwrap());
        assert!(watchers.enter(view("one more", Via::Rtsp)).is_none());
        drop(guards);
        assert!(watchers.enter(view("one more", Via::Rtsp)).is_some());
    }
}
