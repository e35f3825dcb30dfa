//! What pages are told while they are open: channels, trust line, system, software.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;
use web::Update;

use super::house::House;
use super::views;
use crate::messages::Snapshot;
use crate::settings::Settings;

/// The changes for one page. What is sent is what differs from what was sent before.
pub(super) struct Updates {
    house: Arc<House>,
    settings: watch::Receiver<Settings>,
    snapshot: watch::Receiver<Snapshot>,
    watchers: watch::Receiver<u64>,
    sent: [Option<Update>; 4],
    ready: VecDeque<Update>,
}

impl Updates {
    pub(super) fn new(house: Arc<House>) -> Self {
        let mut updates = Self {
            settings: house.settings.subscribe(),
            snapshot: house.snapshot.subscribe(),
            watchers: house.watchers.watch(),
            house,
            sent: [const { None }; 4],
            ready: VecDeque::new(),
        };
        updates.look();
        updates
    }

    /// Puts what differs into `ready`: at most one of each kind.
    fn look(&mut self) {
        let settings = self.settings.borrow_and_update().clone();
        let snapshot = self.snapshot.borrow_and_update().clone();
        self.watchers.borrow_and_update();
        let time = self.house.clock.wall();
        let now = [
            Update::Channels(views::channels(&settings, &snapshot, time)),
            Update::Trust(views::trust(&settings, &snapshot, self.house.watchers.list())),
            Update::System(views::system(&settings, &snapshot, time)),
            Update::Software(Box::new(views::software(&snapshot))),
        ];
        for (sent, update) in self.sent.iter_mut().zip(now) {
            if sent.as_ref() != Some(&update) {
                *sent = Some(update.clone());
                self.ready.push_back(update);
            }
        }
    }
}

impl web::Updates for Updates {
    async fn next(&mut self) -> Option<Update> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Some(update);
            }
            tokio::select! {
                changed = self.settings.changed() => changed.ok()?,
                changed = self.snapshot.changed() => changed.ok()?,
                changed = self.watchers.changed() => changed.ok()?,
            }
            self.look();
        }
    }
}
