//! All volumes of the role `record`, and which of them takes which channels.
//!
//! Does not belong here: one volume's life (`record_volume`), the rules of sharing out (`recorder::assign`).
//!
//! Invariant: a volume that fails, stalls or goes stops none of the others, and keeps nobody waiting here.

use std::sync::Arc;
use std::time::Duration;

use hal::ChannelId;
use recorder::{Candidate, Channels, assign};
use store::StoreError;

use crate::footage_keys::FootageKeys;
use crate::footage_locks::FootageLocks;
use crate::keeping::Keeping;
use crate::messages::{DiskState, RecordStatus, Volume as Place};
use crate::record_volume::{RecordVolume, STALLED_FOR};
use crate::settings::Storage;
use crate::shelf::Shelf;
use crate::volume_life::{Closing, Ground};
use crate::volume_order::{VolumeAct, VolumeOrder, VolumeRefusal};

/// The volumes, in the order in which the warden names them.
pub(crate) struct RecordVolumes {
    volumes: Vec<RecordVolume>,
    /// Told to end, and not over yet.
    closing: Vec<Closing>,
    storage: Storage,
    keys: FootageKeys,
    ground: Ground,
    shelf: Arc<Shelf>,
    locks: FootageLocks,
    keeping: Keeping,
}

impl RecordVolumes {
    pub(crate) fn new(
        ground: Ground,
        storage: Storage,
        keys: FootageKeys,
        (shelf, locks): (Arc<Shelf>, FootageLocks),
    ) -> Self {
        let keeping = Keeping::of(&[], &Channels::new());
        let (volumes, closing) = (Vec::new(), Vec::new());
        Self { volumes, closing, storage, keys, ground, shelf, locks, keeping }
    }

    /// Whether new volumes are encrypted, and for whom all of them open.
    pub(crate) fn encrypt(&mut self, new_ones: bool, keys: FootageKeys) {
        self.storage.encrypt = new_ones;
        self.keys = keys;
        for volume in &mut self.volumes {
            volume.set_encryption(new_ones, &self.keys);
        }
    }

    /// Whether every channel is to be on two volumes, from the next look on.
    pub(crate) fn mirror(&mut self, on: bool) {
        self.storage.mirror = on;
    }

    /// How long footage of each channel is kept from now on.
    pub(crate) fn keep(&mut self, keeping: Keeping) {
        self.volumes.iter_mut().for_each(|volume| volume.keep(&keeping));
        self.keeping = keeping;
    }

    /// Does what an owner orders of one of them.
    pub(crate) fn follow(&mut self, order: VolumeOrder) {
        let VolumeOrder { path, act, answer } = order;
        let Some(volume) = self.volumes.iter_mut().find(|volume| volume.is_at(&path)) else {
            let _ = answer.try_send(Err(VolumeRefusal::NoVolume));
            return;
        };
        match act {
            VolumeAct::Unlock(key) => volume.unlock(&key, answer),
            VolumeAct::Erase { by, encrypt } => volume.erase(by, encrypt, answer),
            VolumeAct::GiveUp { by } => volume.give_up(by, answer),
        }
        self.share_readers();
    }

    /// Footage goes to these places, and to no others any more.
    pub(crate) fn move_to(&mut self, places: Vec<Place>) {
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.volumes.drain(..).partition(|volume| places.contains(volume.place()));
        self.volumes = kept;
        // First nobody reads there any more. Their ends are not waited for: a disk that is gone takes long.
        self.share_readers();
        self.closing.extend(gone.into_iter().filter_map(RecordVolume::close));
        let mut old = std::mem::take(&mut self.volumes);
        for place in places {
            let same = old.iter().position(|volume| *volume.place() == place);
            self.volumes.push(match same {
                Some(number) => old.swap_remove(number),
                None => {
                    let (ground, keeping) = (self.ground.clone(), self.keeping.clone());
                    RecordVolume::new(place, &self.storage, &self.keys, ground, keeping)
                }
            });
        }
    }

    /// Opens what can be opened, and gives every channel of `wanted` a place.
    pub(crate) fn look_after(&mut self, wanted: &Channels) {
        for closing in self.closing.extract_if(.., Closing::is_over) {
            match closing.finish() {
                Ok(()) => tracing::info!("a volume is closed"),
                Err(error) => tracing::warn!(%error, "a volume's end is not on its disk"),
            }
        }
        let now = self.ground.clock.mono();
        for volume in &mut self.volumes {
            // Of a disk that does not answer another one may be in the place; a volume's lock keeps two from writing to one.
            let is_held = |dir| self.closing.iter().any(|closing| closing.holds(dir, now, STALLED_FOR));
            let is_free = !volume.place().dir.as_deref().is_some_and(is_held);
            volume.look_after(is_free);
        }
        // Channels that are shared out among the first that is open would have to move in a moment.
        if !self.volumes.iter().any(RecordVolume::is_fresh) {
            self.share_channels(wanted);
        }
        self.share_readers();
    }

    fn share_channels(&mut self, wanted: &Channels) {
        let candidates: Vec<Candidate> = self.volumes.iter_mut().map(RecordVolume::candidate).collect();
        let plan = assign(&candidates, wanted, self.storage.mirror);
        for ((volume, before), channels) in self.volumes.iter().zip(candidates).zip(plan) {
            if channels != before.channels {
                let numbers: Vec<u16> = channels.iter().map(|channel| channel.get()).collect();
                tracing::info!(volume = volume.place().title(), channels = ?numbers, "channels recorded here");
                volume.set_channels(channels);
            }
        }
    }

    fn share_readers(&self) {
        self.shelf.set(self.volumes.iter().filter_map(RecordVolume::reader).collect());
        let desks: Vec<_> = self.volumes.iter().filter_map(RecordVolume::desk).collect();
        let silent = self.volumes.len() - desks.len();
        self.locks.set(desks, silent);
    }

    pub(crate) fn status(&self) -> RecordStatus {
        let volumes: Vec<_> = self.volumes.iter().map(RecordVolume::status).collect();
        let mut recording: Vec<ChannelId> =
            volumes.iter().flat_map(|v| v.recording.iter().copied()).collect();
        recording.sort_unstable();
        recording.dedup();
        let unwell = volumes.iter().find(|volume| volume.disk != DiskState::Ok);
        RecordStatus {
            recording,
            disk: unwell.map_or(DiskState::Ok, |volume| volume.disk),
            error: unwell.map(|volume| volume.error.clone()).unwrap_or_default(),
            lost: self.ground.tally.sums(),
            volumes,
            ledger: None,
        }
    }

    /// Nothing is on its way.
    #[cfg(test)]
    fn is_settled(&self) -> bool {
        self.closing.is_empty() && self.volumes.iter().all(RecordVolume::is_settled)
    }

    /// Makes everything durable, as far as that is done within `limit`; the first failure is told.
    pub(crate) fn close(mut self, limit: Duration) -> Result<(), StoreError> {
        self.closing.extend(self.volumes.into_iter().filter_map(RecordVolume::close));
        let begun = self.ground.clock.mono();
        let mut first = Ok(());
        for mut closing in self.closing {
            let spent = self.ground.clock.mono().since(begun);
            if closing.wait(limit.saturating_sub(spent)) {
                first = first.and(closing.finish());
            } else {
                closing.give_up();
            }
        }
        first
    }
}

#[cfg(test)]
mod failing;

#[cfg(test)]
mod tests;
