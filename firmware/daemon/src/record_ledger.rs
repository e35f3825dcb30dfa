//! The ledger of the role `record`: events in, signed checkpoints and proofs out.
//!
//! It lies beside the first volume. Does not belong here: its format (crate `ledger`), what is worth writing down (whoever
//! notes it).
//!
//! Invariants
//! - A ledger that is damaged or truncated is left as it is, and the next one's first leaf names it.
//! - Who notes something, says where the ledger lies or asks what is signed never waits for its disk: only the notary's thread
//!   and those who want something kept or proved do. What cannot be written is kept, up to a bound, and then counted.
//! - What takes long reads beside it.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use evidence::Fingerprint;
use hal::{Clock, MonoTime, WallTime};
use ledger::{
    DEFAULT_LEAF_BYTES, ErrorKind, Event, Folder, KeyKind, Leaf, LedgerError, Log, Reader, Signer,
    VerifierKey, VolumeId,
};
use ring::rand::{SecureRandom, SystemRandom};

use crate::footage::LedgerHead;
use crate::leaf_search::Wanted;
use crate::ledger_seals::Seals;
use crate::messages::{LedgerKey, LedgerSigned};

/// What waits for a disk: a day of logins and views without one.
const MAX_WAITING: usize = 4096;
/// Leaves appended at once (`Log::append`).
const MAX_BATCH: usize = 1024;
/// Leaves read at once for their proofs.
const PAGE_LEAVES: usize = 256;
/// Events that nobody waits for are made durable together, no later than footage.
const APPEND_EVERY: Duration = Duration::from_secs(2);
/// A checkpoint vouches for what came before it; each costs the disk three small writes.
const SIGN_EVERY: Duration = Duration::from_secs(60);
/// A ledger that could not be opened is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Writes down what happens; shared by the threads of the role.
pub(crate) struct RecordLedger {
    key: LedgerKey,
    clock: Arc<dyn Clock>,
    desk: Mutex<Desk>,
    state: Mutex<State>,
}

/// What is told to the ledger and by it, in memory. Nobody waits for a disk while it is locked.
#[derive(Default)]
struct Desk {
    /// The folder of all ledgers on the disk.
    place: Option<PathBuf>,
    waiting: VecDeque<Leaf>,
    /// Leaves that there was no room for.
    dropped: u64,
    /// As of the last signature.
    signed: Option<LedgerSigned>,
}

/// What lies on the disk.
struct State {
    /// Where; behind [`Desk::place`] until somebody comes by.
    place: Option<PathBuf>,
    open: Option<Open>,
    /// What is being written, and stays here until it is: at most [`MAX_BATCH`], and what became of the ledger before.
    batch: Vec<Leaf>,
    appended_at: MonoTime,
    signed_at: MonoTime,
    retry_at: MonoTime,
}

struct Open {
    log: Log,
    signer: Signer,
    /// When the last checkpoint was signed by this process.
    signed: Option<WallTime>,
    seals: Seals,
}

/// What the ledger gives for a proof.
pub(crate) struct Vouchers {
    pub(crate) key: VerifierKey,
    /// The signed note.
    pub(crate) checkpoint: String,
    /// Records of the export's leaf and of the others, in this order (`evidence::leaf_record`).
    pub(crate) leaves: Vec<u8>,
}

impl RecordLedger {
    pub(crate) fn new(key: LedgerKey, clock: Arc<dyn Clock>) -> Self {
        let now = clock.mono();
        let state = State {
            place: None,
            open: None,
            batch: Vec::new(),
            appended_at: now,
            signed_at: now,
            retry_at: now,
        };
        Self { key, clock, desk: Mutex::default(), state: Mutex::new(state) }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing on it is ever half-done.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger, where it lies now: what it was told to leave is finished.
    fn state(&self) -> MutexGuard<'_, State> {
        // A batch is appended or it is not; a panic elsewhere leaves nothing half-done.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.desk().place.clone();
        if state.place != place {
            self.finish(&mut state);
            state.place = place;
            state.retry_at = self.clock.mono();
        }
        state
    }

    /// The ledger lies in `place` as soon as somebody looks after it; `None` while there is no disk. It never waits.
    pub(crate) fn move_to(&self, place: Option<PathBuf>) {
        self.desk().place = place;
    }

    /// Writes it down soon. It never waits.
    pub(crate) fn note(&self, event: Event) {
        self.note_at(self.clock.wall(), event);
    }

    /// Writes down soon what happened at `time`. It never waits.
    pub(crate) fn note_at(&self, time: WallTime, event: Event) {
        self.desk().wait_for_disk(Leaf { time, event });
    }

    /// Writes it down now; nothing of it stays when that fails.
    ///
    /// # Errors
    /// The ledger's; `NotFound` while there is none.
    pub(crate) fn keep(&self, event: &Event) -> io::Result<()> {
        let mut state = self.state();
        let leaf = Leaf { time: self.clock.wall(), event: event.clone() };
        self.append(&mut state, Some(&leaf))?;
        if let Some(open) = &mut state.open {
            open.seals.note(event);
        }
        Ok(())
    }

    /// The highest number of a sealed segment of the volume and class that is written down. It never waits.
    ///
    /// # Errors
    /// `NotFound` while there is no ledger, `WouldBlock` while it is busy.
    pub(crate) fn last_sealed(&self, volume: VolumeId, class: u8) -> io::Result<Option<u64>> {
        let state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        };
        let open = state.open.as_ref().ok_or_else(no_ledger)?;
        Ok(open.seals.last(volume, class))
    }

    /// Opens, appends and signs what is due.
    pub(crate) fn look_after(&self) {
        let mut state = self.state();
        let now = self.clock.mono();
        if state.open.is_none() && now >= state.retry_at {
            self.open(&mut state, now);
        }
        if now.since(state.appended_at) >= APPEND_EVERY
            && let Err(error) = self.append(&mut state, None)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "the ledger cannot be written");
        }
        if now.since(state.signed_at) >= SIGN_EVERY {
            self.sign(&mut state);
        }
    }

    fn open(&self, state: &mut State, now: MonoTime) {
        let Some(place) = state.place.clone() else { return };
        match open_newest(&place, &self.key) {
            Ok((open, replaced)) => {
                tracing::info!(
                    origin = open.signer.verifier().name(),
                    size = open.log.reader().size(),
                    "ledger"
                );
                self.desk().signed = Some(open.signed());
                state.open = Some(open);
                if let Some(event) = replaced {
                    state.batch.insert(0, Leaf { time: self.clock.wall(), event });
                }
            }
            Err(error) => {
                tracing::error!(%error, place = %place.display(), "the ledger cannot be used");
                state.retry_at = now + RETRY_AFTER;
            }
        }
    }

    fn sign(&self, state: &mut State) {
        state.signed_at = self.clock.mono();
        let Some(open) = &mut state.open else { return };
        let before = open.log.reader().last_checkpoint().checkpoint().size;
        match open.log.checkpoint(&open.signer) {
            Ok(checkpoint) if checkpoint.checkpoint().size != before => {
                open.signed = Some(self.clock.wall());
                self.desk().signed = Some(open.signed());
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the ledger cannot be signed"),
        }
    }

    /// Writes down what waits, and behind it `last`, of which nothing stays when that fails.
    fn append(&self, state: &mut State, last: Option<&Leaf>) -> io::Result<()> {
        state.appended_at = self.clock.mono();
        let Some(open) = &mut state.open else { return Err(no_ledger()) };
        let last = last.map(Leaf::encode).transpose().map_err(io::Error::other)?;
        loop {
            // What a disk refused before comes first.
            {
                let mut desk = self.desk();
                let count = desk.waiting.len().min(MAX_BATCH.saturating_sub(state.batch.len()));
                state.batch.extend(desk.waiting.drain(..count));
            }
            // What cannot be a leaf is left out rather than tried for ever.
            let mut leaves: Vec<Vec<u8>> = state.batch.iter().filter_map(encoded).collect();
            let is_last = state.batch.len() < MAX_BATCH;
            leaves.extend(last.clone().filter(|_| is_last));
            if !leaves.is_empty() {
                open.log.append(&leaves).map_err(io::Error::other)?;
            }
            state.batch.clear();
            if is_last {
                return Ok(());
            }
        }
    }

    /// Writes down the event that `event` makes of the indexes of the leaves that are wanted, signs, and gives what proves that
    /// all of these are in the ledger. What is written down meanwhile does not wait for it: leaves are looked for and proofs are
    /// made beside the ledger.
    ///
    /// # Errors
    /// The ledger's; `NotFound` while there is none.
    pub(crate) fn vouch(
        &self,
        wanted: Wanted,
        event: impl FnOnce(Vec<u64>) -> Event,
    ) -> io::Result<Vouchers> {
        let (reader, key) = self.beside()?;
        let leaves = wanted.find(&reader).map_err(io::Error::other)?;
        let (export, signed) = self.keep_signed(event(leaves.clone()), &key)?;
        Ok(Vouchers {
            key,
            checkpoint: signed.last_checkpoint().to_string(),
            leaves: records(&signed, [export].into_iter().chain(leaves))?,
        })
    }

    /// All that is written down so far, to be read beside the ledger, and whose it is.
    fn beside(&self) -> io::Result<(Reader, VerifierKey)> {
        let mut state = self.state();
        // What waits may explain something, too.
        self.append(&mut state, None)?;
        let open = state.open.as_ref().ok_or_else(no_ledger)?;
        let reader = open.log.reader().snapshot().map_err(io::Error::other)?;
        Ok((reader, open.signer.verifier().clone()))
    }

    /// Writes an event down and signs: its index, and the ledger as it was signed. The ledger must still be that of `key`.
    fn keep_signed(&self, event: Event, key: &VerifierKey) -> io::Result<(u64, Reader)> {
        let mut state = self.state();
        self.append(&mut state, None)?;
        let open = state.open.as_ref().filter(|open| open.signer.verifier().name() == key.name());
        let index = open.ok_or_else(no_ledger)?.log.reader().size();
        self.append(&mut state, Some(&Leaf { time: self.clock.wall(), event }))?;
        self.sign(&mut state);
        let reader = state.open.as_ref().ok_or_else(no_ledger)?.log.reader();
        if reader.last_checkpoint().checkpoint().size <= index {
            return Err(io::Error::other("the ledger cannot be signed now"));
        }
        Ok((index, reader.snapshot().map_err(io::Error::other)?))
    }

    /// How far it is.
    pub(crate) fn head(&self) -> LedgerHead {
        let state = self.state();
        let Some(Open { log, signer, .. }) = &state.open else { return LedgerHead::default() };
        LedgerHead {
            origin: signer.verifier().name().to_owned(),
            key: signer.verifier().to_string(),
            fingerprint: Fingerprint::of(signer.verifier()).to_string(),
            checkpoint: log.reader().last_checkpoint().to_string(),
            size: log.reader().size(),
        }
    }

    /// What is signed of it; `None` while there is no disk for it. It never waits.
    pub(crate) fn signed(&self) -> Option<LedgerSigned> {
        self.desk().signed.clone()
    }

    /// Up to `limit` leaves before number `before` (or the newest), newest first, as they are stored.
    ///
    /// # Errors
    /// The ledger's.
    pub(crate) fn leaves(&self, before: Option<u64>, limit: usize) -> io::Result<Vec<(u64, Vec<u8>)>> {
        let state = self.state();
        let Some(open) = &state.open else { return Ok(Vec::new()) };
        let reader = open.log.reader();
        reader.leaves_backwards(before.unwrap_or(reader.size()), limit).map_err(io::Error::other)
    }

    /// Everything is written and signed when this returns, as far as the disk allows, and whoever looks after it opens it no more.
    pub(crate) fn close(&self) {
        self.move_to(None);
        drop(self.state());
    }

    fn finish(&self, state: &mut State) {
        let appended = self.append(state, None);
        if let Err(error) = appended.as_ref()
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "the ledger's end is not on its disk");
        }
        self.sign(state);
        state.open = None;
        self.desk().signed = None;
    }
}

impl Desk {
    fn wait_for_disk(&mut self, leaf: Leaf) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
            self.dropped += 1;
            // Said once a thousand: a disk that is away for days must not fill the log as well.
            if self.dropped % 1000 == 1 {
                tracing::error!(
                    dropped = self.dropped,
                    "the ledger loses entries: there is no disk for them"
                );
            }
        }
        self.waiting.push_back(leaf);
    }
}

impl Open {
    fn signed(&self) -> LedgerSigned {
        let checkpoint = self.log.reader().last_checkpoint().checkpoint();
        LedgerSigned {
            fingerprint: Fingerprint::of(self.signer.verifier()).to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            signed: self.signed,
        }
    }
}

/// Leaves with their proofs for the last checkpoint, one behind the other. Those side by side are read together.
fn records(reader: &Reader, indexes: impl IntoIterator<Item = u64>) -> io::Result<Vec<u8>> {
    let size = reader.last_checkpoint().checkpoint().size;
    let mut page: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut records = Vec::new();
    for index in indexes {
        let at = match page.binary_search_by_key(&index, |(there, _)| *there) {
            Ok(at) => at,
            Err(_) => {
                page = reader.leaves(index, PAGE_LEAVES).map_err(io::Error::other)?;
                0
            }
        };
        // A page begins later where what was asked for is not kept any more.
        let leaf = page.get(at).filter(|(there, _)| *there == index).map(|(_, leaf)| leaf);
        let leaf = leaf.ok_or_else(|| io::Error::other(format!("leaf {index} was dropped")))?;
        let path = reader.inclusion(index, size).map_err(io::Error::other)?;
        records.extend(evidence::leaf_record(index, leaf, &path));
    }
    Ok(records)
}

fn encoded(leaf: &Leaf) -> Option<Vec<u8>> {
    leaf.encode().inspect_err(|error| tracing::error!(%error, "an entry cannot be written down")).ok()
}

fn no_ledger() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "there is no disk for the ledger now")
}

/// The newest ledger in `place`, or a new one. When the newest cannot be used, the new one's first event says so.
fn open_newest(place: &Path, key: &LedgerKey) -> io::Result<(Open, Option<Event>)> {
    if let Some((number, name)) = &newest(place)? {
        match open(&place.join(name), key, name) {
            Ok(open) => return Ok((open, None)),
            Err(error) if is_beyond_use(error.kind()) => {
                tracing::error!(%error, ledger = name, "this ledger is damaged and is left as it is; a new one begins");
                let fresh = begin(place, key, number + 1)?;
                return Ok((fresh, Some(replaced(key, name, &error))));
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok((begin(place, key, 1)?, None))
}

fn is_beyond_use(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Truncated | ErrorKind::Damaged | ErrorKind::Refused | ErrorKind::Malformed)
}

fn replaced(key: &LedgerKey, name: &str, error: &LedgerError) -> Event {
    Event::LedgerReplaced {
        origin: origin(key, name).into(),
        size: 0,
        root: ledger::empty_root(),
        reason: error.to_string().into(),
    }
}

/// Ledgers are numbered, and named at random besides: two disks must not bear the same origin.
fn begin(place: &Path, key: &LedgerKey, number: u32) -> io::Result<Open> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("there is no randomness"))?;
    let name = format!("{number:04}-{:016x}", u64::from_le_bytes(random));
    let folder = place.join(&name);
    Folder::create(&folder)?;
    open(&folder, key, &name).map_err(io::Error::other)
}

fn open(folder: &Path, key: &LedgerKey, name: &str) -> Result<Open, LedgerError> {
    let signer = Signer::from_seed(&origin(key, name), KeyKind::Note, &key.seed)?;
    let storage = Arc::new(Folder::new(folder));
    let (log, recovery) = Log::open(storage, &signer, DEFAULT_LEAF_BYTES)?;
    tracing::debug!(?recovery, "the ledger is open");
    let seals = Seals::read(log.reader())?;
    Ok(Open { log, signer, signed: None, seals })
}

fn origin(key: &LedgerKey, name: &str) -> String {
    format!("candor/{}/{name}", key.recorder)
}

fn newest(place: &Path) -> io::Result<Option<(u32, String)>> {
    let entries = match fs::read_dir(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut newest = None;
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let number = name.split_once('-').and_then(|(number, _)| number.parse::<u32>().ok());
        newest = newest.max(number.map(|number| (number, name.to_owned())));
    }
    Ok(newest)
}

#[cfg(test)]
mod tests;
