//! Taking a bundle: verified as it arrives, and again as it was kept.
//!
//! Head, signature, board and version are decided by the first kilobytes, before anything of the image is taken. A
//! bundle that breaks off, is cancelled or is not what was signed leaves nothing behind. What is held in memory
//! is one piece, whatever the bundle's size; without a disk the bundle itself is, where there is room.
//!
//! Does not belong here: where the bytes come from (`update_line.rs`, `update_sticks.rs`).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use update::{BundleFile, FolderShelf, Incoming, Shelf, UpdateError, VerifiedBundle, verify_bundle};
use web::MAX_BUNDLE_BYTES;
use web::update_views::UpdateStageCode;

use super::update::{Turn, cancelled, refusal};
use crate::messages::{Refusal, RefusalCode};

/// The folder on the disk, known to the loader.
const FOLDER: &str = "update";
/// Memory that must be left beside a bundle kept in it: what the roles still take while it is there.
const MEMORY_LEFT: u64 = 24 << 20;

/// Where a bundle's bytes come from.
pub(super) trait Source {
    /// The next bytes; `None` at the end that the sender meant.
    fn next(&mut self) -> Result<Option<Vec<u8>>, BrokenOff>;
}

/// The bytes ended before the sender's end.
#[derive(Debug)]
pub(super) struct BrokenOff(pub(super) io::Error);

/// A bundle that is kept and verified.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) shelf: FolderShelf,
    pub(super) bundle: VerifiedBundle,
    pub(super) allow_downgrade: bool,
}

impl Staged {
    /// Its image's first byte.
    pub(super) fn image(&self) -> io::Result<File> {
        let mut file = File::open(self.shelf.path(BundleFile::Staged))?;
        file.seek(SeekFrom::Start(self.bundle.image_offset()))?;
        Ok(file)
    }

    /// It is not needed any more.
    pub(super) fn discard(mut self) {
        if let Err(error) = self.shelf.remove(BundleFile::Staged) {
            tracing::warn!(%error, "a bundle is left over");
        }
    }
}

/// Takes a bundle from `source`.
pub(super) fn take(
    turn: &Turn,
    source: &mut dyn Source,
    announced: Option<u64>,
    allow_downgrade: bool,
) -> Result<Staged, Refusal> {
    let folder = folder(turn);
    let mut shelf = FolderShelf::new(&folder);
    let kept = keep(turn, source, announced, allow_downgrade, &folder, &mut shelf)
        .and_then(|()| verify(turn, &mut shelf, allow_downgrade));
    match kept {
        Ok(bundle) => Ok(Staged { shelf, bundle, allow_downgrade }),
        Err(refusal) => {
            clean(&mut shelf);
            Err(refusal)
        }
    }
}

/// Takes a bundle and commits to it; a refusal is shown, and ends the turn.
pub(super) fn finish(
    turn: Turn,
    taking: impl FnOnce(&Turn) -> Result<Staged, Refusal>,
) -> Result<(Turn, Staged), Refusal> {
    let outcome = taking(&turn).and_then(|staged| match turn.commit() {
        Ok(()) => Ok(staged),
        Err(refusal) => {
            staged.discard();
            Err(refusal)
        }
    });
    match outcome {
        Ok(staged) => Ok((turn, staged)),
        Err(refusal) => {
            tracing::warn!(code = ?refusal.code, message = refusal.message, "an update was refused");
            turn.failed(&refusal);
            Err(refusal)
        }
    }
}

/// Leaves nothing of a bundle on the shelf.
fn clean(shelf: &mut FolderShelf) {
    let unfinished = shelf.path(BundleFile::Staged).with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = %unfinished.display(), "left over");
        }
        _ => {}
    }
    if let Err(error) = shelf.remove(BundleFile::Staged) {
        tracing::warn!(%error, "a bundle is left over");
    }
}

/// Removes what earlier updates left on the disk.
pub(super) fn clear(data_dir: &Path) {
    clean(&mut FolderShelf::new(data_dir.join(FOLDER)));
}

fn folder(turn: &Turn) -> PathBuf {
    match turn.updater.desk.data_dir() {
        Some(data) => data.join(FOLDER),
        None => turn.updater.slots.memory_dir.join(FOLDER),
    }
}

fn keep(
    turn: &Turn,
    source: &mut dyn Source,
    announced: Option<u64>,
    allow_downgrade: bool,
    folder: &Path,
    shelf: &mut FolderShelf,
) -> Result<(), Refusal> {
    let slots = &turn.updater.slots;
    let known_time = turn.updater.known_time();
    let prepared = || Ok(Incoming::new(slots.trust()?, slots.target(known_time, allow_downgrade)?));
    let mut incoming = Some(prepared().map_err(|error: UpdateError| refusal(&error))?);
    if let Some(bytes) = announced {
        check_room(turn, folder, bytes)?;
    }
    // The shelf's errors are the update's; what else ends the taking is told beside it.
    let mut ended = None;
    let mut believed = false;
    let saved = shelf.save(BundleFile::Staged, &mut |to| {
        let end = |ended: &mut Option<Refusal>, refusal: Refusal| {
            *ended = Some(refusal);
            UpdateError::Busy(String::new())
        };
        loop {
            let piece = match source.next() {
                _ if turn.cancelled() => return Err(end(&mut ended, cancelled())),
                Ok(piece) => piece,
                Err(BrokenOff(error)) => return Err(end(&mut ended, broken_off(&error))),
            };
            let Some(piece) = piece else {
                let whole = incoming.take().map(Incoming::finish);
                return whole
                    .unwrap_or_else(|| Err(UpdateError::Damaged("it ended twice".to_owned())))
                    .map(drop);
            };
            let Some(incoming) = &mut incoming else { continue };
            incoming.push(&piece)?;
            to.write_all(&piece).map_err(disk_error)?;
            let version = incoming.manifest().map(|manifest| manifest.version.to_string());
            if let Some(total) = incoming.total()
                && !believed
            {
                believed = true;
                check_room(turn, folder, total).map_err(|refusal| end(&mut ended, refusal))?;
            }
            let total = incoming.total().or(announced).unwrap_or(0);
            let (code, words) = (UpdateStageCode::Receiving, "The update arrives and is verified.");
            turn.stage(code, words, incoming.received(), total, version);
        }
    });
    match (saved, ended) {
        (_, Some(refusal)) => Err(refusal),
        (Err(error), None) => Err(refusal(&error)),
        (Ok(()), None) => Ok(()),
    }
}

/// Reads it back: a disk that lies is found out before anything is erased.
fn verify(turn: &Turn, shelf: &mut FolderShelf, allow_downgrade: bool) -> Result<VerifiedBundle, Refusal> {
    let slots = &turn.updater.slots;
    let mut check = || {
        let (trust, target) = (slots.trust()?, slots.target(turn.updater.known_time(), allow_downgrade)?);
        let opened = shelf.open(BundleFile::Staged).map_err(disk_error)?;
        let from = opened.ok_or_else(|| UpdateError::Damaged("it is gone again".to_owned()))?;
        let version = turn.updater.stage().version;
        verify_bundle(Uncancelled { from, turn }, &trust, &target, &mut |progress| {
            let (code, words) = (UpdateStageCode::Verifying, "The update is verified as it was kept.");
            turn.stage(code, words, progress.done_bytes, progress.total_bytes, version.clone());
        })
    };
    let verified = check();
    if turn.cancelled() {
        return Err(cancelled());
    }
    verified.map_err(|error| refusal(&error))
}

/// A reader that fails once somebody cancelled.
struct Uncancelled<'a, R> {
    from: R,
    turn: &'a Turn,
}

impl<R: Read> Read for Uncancelled<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.turn.cancelled() { Err(io::Error::other("cancelled")) } else { self.from.read(into) }
    }
}

fn disk_error(source: io::Error) -> UpdateError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => UpdateError::NoSpace(source.to_string()),
        _ => UpdateError::File { doing: "keeping the bundle", source },
    }
}

fn broken_off(error: &io::Error) -> Refusal {
    tracing::info!(%error, "an update broke off");
    Refusal::new(RefusalCode::Damaged, "The update broke off on its way. Nothing was changed. Send it again.")
}

/// Whether that many bytes have room.
fn check_room(turn: &Turn, folder: &Path, bytes: u64) -> Result<(), Refusal> {
    if bytes > MAX_BUNDLE_BYTES {
        let words = format!("No update is larger than {} MB.", MAX_BUNDLE_BYTES >> 20);
        return Err(Refusal::new(RefusalCode::TooLarge, words));
    }
    let on_disk = turn.updater.desk.data_dir().is_some();
    let parent = folder.parent().unwrap_or(folder);
    let free = if on_disk { free_bytes(parent) } else { free_bytes(parent).min(free_memory()) };
    if bytes <= free {
        return Ok(());
    }
    let (need, have) = (bytes.div_ceil(1 << 20), free >> 20);
    let words = if on_disk {
        format!("The disk has {have} MB left and the update needs {need} MB. Nothing was changed. Make room.")
    } else {
        format!("There is no disk, and memory has no room for an update of {need} MB. Attach a disk.")
    };
    Err(Refusal::new(RefusalCode::NoSpace, words))
}

#[allow(clippy::useless_conversion, reason = "the fields are as wide as a machine word: 32 bits on a board")]
fn free_bytes(dir: &Path) -> u64 {
    statvfs(dir).map_or(0, |facts| u64::from(facts.blocks_available()) * u64::from(facts.fragment_size()))
}

/// What may be put into memory beside everything else.
fn free_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    // proc(5): in kB, since Linux 3.14; older kernels say what is wholly free.
    let line = |key: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kilobytes = line("MemAvailable:").or_else(|| line("MemFree:")).unwrap_or(0);
    (kilobytes * 1024).saturating_sub(MEMORY_LEFT)
}
