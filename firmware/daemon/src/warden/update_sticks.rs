//! What USB sticks have: looked at once, and read when an owner wants it.
//!
//! A stick is mounted for as long as it is read and no longer, so that it may be pulled at any other time.
//!
//! Does not belong here: which files count (`system::bundles`).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use system::{Bus, Content, Disk, DiskPlaces, bundles, detach, mount_stick, open_bundle, unmount};
use update::{HEAD_BYTES, MAGIC, MAX_ENVELOPE_BYTES};
use web::update_views::{UpdateStageCode, UsbBundle};

use super::update::{Turn, Updater};
use super::update_intake::{BrokenOff, Source, Staged, finish, take};
use crate::messages::{Refusal, RefusalCode};

/// How often it is looked for new sticks.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// What is read of a bundle at once.
const PIECE_BYTES: usize = 64 << 10;

/// Looks for sticks until the process ends.
pub(super) fn watch(updater: &Arc<Updater>) {
    let places = DiskPlaces::default();
    let mut known: BTreeSet<(String, u64)> = BTreeSet::new();
    let mut listed: Vec<UsbBundle> = Vec::new();
    loop {
        let disks: Vec<Disk> = places.list().into_iter().filter(|disk| disk.bus == Bus::Usb).collect();
        let now: BTreeSet<_> = disks.iter().map(|disk| (disk.name.clone(), disk.instance)).collect();
        if now != known {
            let devices: BTreeSet<&String> = disks.iter().flat_map(places_on).collect();
            listed.retain(|bundle| devices.contains(&bundle.device));
            for disk in disks.iter().filter(|disk| !known.contains(&(disk.name.clone(), disk.instance))) {
                listed.retain(|bundle| !places_on(disk).any(|device| *device == bundle.device));
                listed.extend(look(updater, &places, disk));
            }
            known = now;
            updater.set_sticks(listed.clone());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Takes a bundle from a stick.
pub(super) fn take_from(
    updater: &Arc<Updater>,
    device: &str,
    file: &str,
    downgrade: bool,
) -> Result<(Turn, Staged), Refusal> {
    let turn = updater.begin(UpdateStageCode::Receiving)?;
    finish(turn, |turn| {
        let places = DiskPlaces::default();
        let disks = places.list();
        let mut on_sticks = disks.iter().filter(|disk| is_stick(&places, disk)).flat_map(places_on);
        if !on_sticks.any(|name| name == device) {
            return Err(no_file("There is no such stick any more. Plug it in again."));
        }
        let mounted = Mounted::new(&places.device(device), mount_point(updater, "install"))
            .map_err(|error| no_file(&format!("The stick does not read: {error}")))?;
        let file = open_bundle(&mounted.at, file)
            .map_err(|_| no_file("There is no such file on the stick. Choose one from the list."))?;
        let total = file.metadata().ok().map(|facts| facts.len());
        take(turn, &mut FilePieces(file), total, downgrade)
    })
}

fn no_file(words: &str) -> Refusal {
    Refusal::new(RefusalCode::NoFile, words)
}

fn mount_point(updater: &Updater, purpose: &str) -> PathBuf {
    updater.desk.run_dir().join("usb").join(purpose)
}

/// The devices of a disk that may have a file system: its partitions, or itself without any.
fn places_on(disk: &Disk) -> impl Iterator<Item = &String> {
    let whole = disk.partitions.is_empty().then_some(&disk.name);
    disk.partitions.iter().chain(whole)
}

/// A footage disk may be a USB disk, too: that is no stick.
fn is_stick(places: &DiskPlaces, disk: &Disk) -> bool {
    disk.bus == Bus::Usb && matches!(places.look(disk), Ok(Content::Foreign))
}

fn look(updater: &Updater, places: &DiskPlaces, disk: &Disk) -> Vec<UsbBundle> {
    if !is_stick(places, disk) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for device in places_on(disk) {
        match Mounted::new(&places.device(device), mount_point(updater, "look")) {
            Ok(mounted) => match list(device, &mounted.at) {
                Ok(bundles) => found.extend(bundles),
                Err(error) => tracing::warn!(device, %error, "a stick does not read"),
            },
            Err(error) => tracing::info!(device, %error, "not a stick with files"),
        }
    }
    found
}

fn list(device: &str, folder: &Path) -> io::Result<Vec<UsbBundle>> {
    let files = bundles(folder)?.into_iter().map(|file| UsbBundle {
        device: device.to_owned(),
        version: open_bundle(folder, &file.name).ok().and_then(said_version),
        file: file.name,
        bytes: file.bytes,
    });
    Ok(files.collect())
}

/// The version that a bundle says it has: for a list, and believed by nobody.
fn said_version(mut file: impl Read) -> Option<String> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head).ok()?;
    let length = u32::from_le_bytes(*head.last_chunk()?) as usize;
    if !head.starts_with(MAGIC) || length > MAX_ENVELOPE_BYTES {
        return None;
    }
    let mut envelope = vec![0; length];
    file.read_exact(&mut envelope).ok()?;
    let envelope: serde_json::Value = serde_json::from_slice(&envelope).ok()?;
    let manifest: serde_json::Value = serde_json::from_str(envelope.get("manifest")?.as_str()?).ok()?;
    let version = manifest.get("version")?.as_str()?;
    // It is shown: what is no version is not.
    semver::Version::parse(version).ok().map(|version| version.to_string())
}

/// A mounted stick; dropping it unmounts.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    fn new(device: &Path, at: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&at)?;
        mount_stick(device, &at).map_err(io::Error::other)?;
        Ok(Self { at })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Read-only: nothing is lost when it goes out of sight before its last reader.
        if unmount(&self.at).is_err()
            && let Err(error) = detach(&self.at)
        {
            tracing::error!(%error, "a stick stays mounted");
        }
    }
}

/// A file in pieces.
pub(super) struct FilePieces(pub(super) File);

impl Source for FilePieces {
    fn next(&mut self) -> Result<Option<Vec<u8>>, BrokenOff> {
        let mut piece = vec![0; PIECE_BYTES];
        let read = self.0.read(&mut piece).map_err(BrokenOff)?;
        piece.truncate(read);
        Ok((read > 0).then_some(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_on_the_list_is_what_the_bundle_says_or_nothing() {
        let bundle = |manifest: &str| {
            let envelope =
                serde_json::json!({"roots": [], "manifest": manifest, "signatures": []}).to_string();
            let mut bytes = MAGIC.to_vec();
            bytes.extend([1, 0, 0, 0]);
            bytes.extend((envelope.len() as u32).to_le_bytes());
            bytes.extend(envelope.as_bytes());
            bytes
        };
        let good = bundle(r#"{"version":"0.2.0"}"#);
        assert_eq!(said_version(&*good).as_deref(), Some("0.2.0"));
        assert_eq!(said_version(&good[..good.len() - 1]), None, "cut short");
        assert_eq!(said_version(&*bundle(r#"{"version":"<b>9</b>"}"#)), None);
        assert_eq!(said_version(&*bundle("{}")), None);
        assert_eq!(said_version(&b"GIF89a"[..]), None);
        let mut huge = MAGIC.to_vec();
        huge.extend([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(said_version(&*huge), None);
    }
}
