//! What is done to real disks: mounting, growing an empty file system, letting go.
//!
//! Does not belong here: deciding which disk (`disks`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use ring::rand::{SecureRandom, SystemRandom};

use super::disks::Hands;

/// Where the first footage disk is mounted; updates find room there, too.
const DATA: &str = "/data";
/// Where the others are, by number: in memory, since the root cannot be written.
const MORE: &str = "/run/disks";
/// No board has more ports.
const MAX_DISKS: usize = 8;
/// An empty file system to begin a disk with (docs/ext4-seed.md).
const SEED: &str = "/usr/share/candor/ext4.seed";
/// Tries to unmount a disk in order before it is detached: a role's last thread may hold it for a moment.
const UNMOUNT_TRIES: u32 = 20;
/// Between them.
const UNMOUNT_PAUSE: Duration = Duration::from_millis(100);
/// Of a footage disk, what is left for updates and for the file system itself: this, or an eighth of a small disk,
/// and 2 % besides.
const RESERVE_BYTES: u64 = 48 << 20;

/// The places for disks, in the order in which they are used.
pub(super) fn mounts() -> Vec<PathBuf> {
    let more = (2..=MAX_DISKS).map(|number| Path::new(MORE).join(number.to_string()));
    [PathBuf::from(DATA)].into_iter().chain(more).collect()
}

/// What is done to real disks.
pub(super) struct BoardHands;

impl Hands for BoardHands {
    fn mount(&mut self, device: &Path, at: &Path) -> Result<u64, String> {
        mount(device, at)?;
        footage_bytes(at).map_err(|error| format!("{}: {error}", at.display()))
    }

    fn detach(&mut self, at: &Path) {
        if let Err(error) = system::detach(at) {
            tracing::error!(%error, "the disk stays mounted");
        }
    }

    fn format(&mut self, disk: &Path, bytes: u64, at: &Path) -> Result<(), String> {
        let what = |error: io::Error| format!("{}: {error}", disk.display());
        let mut seed = BufReader::new(File::open(SEED).map_err(|error| format!("{SEED}: {error}"))?);
        let mut number = [0; 4];
        SystemRandom::new().fill(&mut number).map_err(|_| "there is no randomness")?;
        let mut device = OpenOptions::new().write(true).open(disk).map_err(what)?;
        system::sow(&mut seed, &mut device, bytes, u32::from_le_bytes(number))
            .map_err(|error| error.to_string())?;
        device.sync_all().map_err(what)?;
        drop(device);
        // Only a mounted one can grow; what it grows to is there from the next mount on, too.
        mount(disk, at)?;
        let grown = hal_linux::grow_ext4(at, bytes / u64::from(system::SEED_BLOCK_BYTES));
        let unmounted = system::unmount(at).map_err(|error| error.to_string());
        grown.map_err(|error| error.to_string()).and(unmounted)
    }
}

fn mount(device: &Path, at: &Path) -> Result<(), String> {
    if !at.exists() {
        fs::create_dir_all(at).map_err(|error| format!("{}: {error}", at.display()))?;
    }
    system::mount_disk(device, at).map_err(|error| error.to_string())
}

#[allow(clippy::useless_conversion, reason = "the fields are as wide as a machine word: 32 bits on a board")]
fn footage_bytes(at: &Path) -> nix::Result<u64> {
    let facts = statvfs(at)?;
    let total = u64::from(facts.blocks()).saturating_mul(u64::from(facts.fragment_size()));
    Ok(total - total / 50 - RESERVE_BYTES.min(total / 8))
}

/// Everything is on the disks, or the disks are gone, when this returns.
pub(super) fn unmount_all() {
    let there = mounts().into_iter().filter(|at| at == Path::new(DATA) || at.exists());
    there.for_each(|at| unmount(&at));
}

fn unmount(at: &Path) {
    for _ in 0..UNMOUNT_TRIES {
        match system::unmount(at) {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "not yet"),
        }
        thread::sleep(UNMOUNT_PAUSE);
    }
    tracing::error!(at = %at.display(), "a footage disk is still in use");
    if let Err(error) = system::detach(at) {
        tracing::error!(%error, "it stays mounted");
    }
}
