//! The ledger of the role `record`: events in, signed checkpoints and proofs out.
//!
//! It lies beside the first volume. Does not belong here: its format (crate `ledger`), what is worth writing down (whoever
//! notes it).
//!
//! Invariants
//! - A ledger that is damaged or truncated is left as it is, and the next one's first leaf names it.
//! - Recording never waits for the ledger for longer than one write; what cannot be written is kept, up to a bound, and then
//!   counted. What takes long reads beside it.

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
    state: Mutex<State>,
}

struct State {
    /// The folder of all ledgers on the disk.
    place: Option<PathBuf>,
    open: Option<Open>,
    waiting: VecDeque<Leaf>,
    /// Leaves that there was no room for.
    dropped: u64,
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
            waiting: VecDeque::new(),
            dropped: 0,
            appended_at: now,
            signed_at: now,
            retry_at: now,
        };
        Self { key, clock, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A batch is appended or it is not; a panic elsewhere leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger lies in `place` from now on; `None` while there is no disk.
    pub(crate) fn move_to(&self, place: Option<PathBuf>) {
        let mut state = self.state();
        if state.place == place {
            return;
        }
        self.finish(&mut state);
        state.place = place;
        state.retry_at = self.clock.mono();
    }

    /// Writes it down soon.
    pub(crate) fn note(&self, event: Event) {
        self.note_at(self.clock.wall(), event);
    }

    /// Writes down soon what happened at `time`.
    pub(crate) fn note_at(&self, time: WallTime, event: Event) {
        self.state().wait_for_disk(Leaf { time, event });
    }

    /// Writes it down now; nothing of it stays when that fails.
    ///
    /// # Errors
    /// The ledger's; `NotFound` while there is none.
    pub(crate) fn keep(&self, event: &Event) -> io::Result<()> {
        let mut state = self.state();
        state.wait_for_disk(Leaf { time: self.clock.wall(), event: event.clone() });
        // It is the last of what waits, and all of that is in one batch or in several.
        state.append(self.clock.mono()).inspect_err(|_| drop(state.waiting.pop_back()))?;
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
            && let Err(error) = state.append(now)
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
                state.open = Some(open);
                if let Some(event) = replaced {
                    state.waiting.push_front(Leaf { time: self.clock.wall(), event });
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
        let Some(Open { log, signer, signed, .. }) = &mut state.open else { return };
        let before = log.reader().last_checkpoint().checkpoint().size;
        match log.checkpoint(signer) {
            Ok(checkpoint) if checkpoint.checkpoint().size != before => *signed = Some(self.clock.wall()),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the ledger cannot be signed"),
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
        state.append(self.clock.mono())?;
        let open = state.open.as_ref().ok_or_else(no_ledger)?;
        let reader = open.log.reader().snapshot().map_err(io::Error::other)?;
        Ok((reader, open.signer.verifier().clone()))
    }

    /// Writes an event down and signs: its index, and the ledger as it was signed. The ledger must still be that of `key`.
    fn keep_signed(&self, event: Event, key: &VerifierKey) -> io::Result<(u64, Reader)> {
        let mut state = self.state();
        state.append(self.clock.mono())?;
        let open = state.open.as_ref().filter(|open| open.signer.verifier().name() == key.name());
        let index = open.ok_or_else(no_ledger)?.log.reader().size();
        state.wait_for_disk(Leaf { time: self.clock.wall(), event });
        state.append(self.clock.mono())?;
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

    /// What is signed of it; `None` while there is no disk for it.
    pub(crate) fn signed(&self) -> Option<LedgerSigned> {
        let state = self.state();
        let Open { log, signer, signed, .. } = state.open.as_ref()?;
        let checkpoint = log.reader().last_checkpoint().checkpoint();
        Some(LedgerSigned {
            fingerprint: Fingerprint::of(signer.verifier()).to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            signed: *signed,
        })
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

    /// Everything is written and signed when this returns, as far as the disk allows.
    pub(crate) fn close(&self) {
        self.finish(&mut self.state());
    }

    fn finish(&self, state: &mut State) {
        let appended = state.append(self.clock.mono());
        if let Err(error) = appended.as_ref()
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, waiting = state.waiting.len(), "the ledger's end is not on its disk");
        }
        self.sign(state);
        state.open = None;
    }
}

impl State {
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

    fn append(&mut self, now: MonoTime) -> io::Result<()> {
        self.appended_at = now;
        let Some(open) = &mut self.open else { return Err(no_ledger()) };
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(MAX_BATCH);
            // What cannot be a leaf is left out rather than tried for ever.
            let batch: Vec<Vec<u8>> = self.waiting.iter().take(count).filter_map(encoded).collect();
            open.log.append(&batch).map_err(io::Error::other)?;
            self.waiting.drain(..count);
        }
        Ok(())
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
mod tests {
    use hal::SystemClock;

    use super::*;

    fn desk() -> RecordLedger {
        let key = LedgerKey { recorder: "0123abcd".to_owned(), seed: [7; 32] };
        RecordLedger::new(key, Arc::new(SystemClock::new()))
    }

    fn login(by: &str) -> Event {
        Event::LoginOk { by: by.into(), from: None }
    }

    fn words(ledger: &RecordLedger) -> Vec<String> {
        let leaves = ledger.leaves(None, 100).unwrap();
        leaves.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn what_is_noted_without_a_disk_is_written_when_there_is_one_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = desk();
        ledger.note(login("ann"));
        ledger.move_to(Some(dir.path().join("ledger")));
        ledger.look_after();
        let origin = ledger.head().origin;
        assert!(origin.starts_with("candor/0123abcd/0001-"), "{origin}");
        ledger.note(login("eve"));
        ledger.close();

        let again = desk();
        again.move_to(Some(dir.path().join("ledger")));
        again.look_after();
        let head = again.head();
        assert_eq!((head.size, head.origin), (2, origin.clone()));
        assert!(head.checkpoint.starts_with(&format!("{origin}\n2\n")), "{}", head.checkpoint);
        let words = words(&again);
        assert!(words[0].contains("eve") && words[1].contains("ann"), "{words:?}");
    }

    #[test]
    fn what_happens_is_written_down_while_a_proof_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(desk());
        ledger.move_to(Some(dir.path().to_owned()));
        ledger.look_after();
        // More than one leaf file, so that hashes are read from the disk, too.
        let many = 10_000_u64;
        for _ in 0..many / MAX_WAITING as u64 + 1 {
            (0..MAX_WAITING).for_each(|_| ledger.note(login("ann")));
            ledger.beside().unwrap();
        }
        let written = ledger.head().size;
        assert!(written > many);
        // Of another thread, as sealing a segment is: it comes back while leaves are looked for, ...
        let append = || {
            let of_thread = Arc::clone(&ledger);
            std::thread::spawn(move || of_thread.keep(&login("eve"))).join().unwrap().unwrap();
        };
        let (reader, key) = ledger.beside().unwrap();
        append();
        assert_eq!((reader.size(), ledger.head().size), (written, written + 1));
        // ... and while they are proved.
        let (export, signed) = ledger.keep_signed(Event::RecorderStopped, &key).unwrap();
        append();
        assert_eq!((export, ledger.head().size), (written + 1, written + 3));
        let wanted = (0..written).step_by(97).chain([export]);
        let signed_size = signed.last_checkpoint().checkpoint().size;
        let expected: Vec<u8> = wanted
            .clone()
            .flat_map(|index| {
                let (leaf, path) =
                    (signed.leaf(index).unwrap(), signed.inclusion(index, signed_size).unwrap());
                evidence::leaf_record(index, &leaf, &path)
            })
            .collect();
        assert!(records(&signed, wanted).unwrap() == expected);
        // All of it together: the event is made while others are written down.
        let wanted = Wanted {
            start: ledger.clock.wall(),
            end: ledger.clock.wall(),
            sealed: std::collections::BTreeSet::new(),
            gaps: true,
        };
        let vouchers = ledger.vouch(wanted, |_| {
            append();
            Event::RecorderStopped
        });
        let size = written + 5;
        assert!(vouchers.unwrap().checkpoint.contains(&format!("\n{size}\n")));
        // Another ledger's leaves are not proved by this one.
        ledger.move_to(Some(dir.path().join("elsewhere")));
        ledger.look_after();
        assert!(ledger.keep_signed(Event::RecorderStopped, &key).is_err());
    }

    #[test]
    fn a_damaged_ledger_is_left_alone_and_named_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("ledger");
        let ledger = desk();
        ledger.move_to(Some(place.clone()));
        ledger.look_after();
        ledger.note(login("ann"));
        let origin = ledger.head().origin;
        ledger.close();
        let folder = place.join(origin.rsplit('/').next().unwrap());
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            if entry.file_name().to_string_lossy().contains("leaves") {
                fs::OpenOptions::new().write(true).open(entry.path()).unwrap().set_len(0).unwrap();
            }
        }
        let ledger = desk();
        ledger.move_to(Some(place));
        ledger.look_after();
        assert!(ledger.head().origin.contains("/0002-"));
        ledger.note(login("bob"));
        let place = ledger.state().place.clone();
        ledger.close();
        let ledger = desk();
        ledger.move_to(place);
        ledger.look_after();
        let words = words(&ledger);
        assert!(words[1].contains("ledger_replaced") && words[1].contains(&origin), "{words:?}");
        assert!(folder.exists());
    }
}
