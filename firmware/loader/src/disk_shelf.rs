//! The shelf of bundles on the footage disk, mounted only when it is asked for.
//!
//! A start that needs no bundle does not wait for a disk. Does not belong here: what is in a bundle (`update`).

use std::io::{self, Read};
use std::path::Path;
use std::thread;
use std::time::Duration;

use hal::{Clock, SystemClock};
use system::{Content, DiskPlaces, mount_disk, unmount};
use update::{BundleFile, Fill, FolderShelf, Shelf, UpdateError};

use crate::console;
use crate::mounts::make_dir;
use crate::note::{self, Note};

/// Where the disk is mounted.
const MOUNT_POINT: &str = "/disk";

/// The folder on the disk.
const FOLDER: &str = "/disk/update";

/// How long a disk may take to spin up and to be found.
const DISK_PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The footage disk's bundles. Unmounted when it is dropped.
pub(crate) struct DiskShelf<'a> {
    clock: &'a SystemClock,
    folder: FolderShelf,
    /// `None` until it was looked for.
    mounted: Option<bool>,
}

impl<'a> DiskShelf<'a> {
    pub(crate) fn new(clock: &'a SystemClock) -> Self {
        Self { clock, folder: FolderShelf::new(FOLDER), mounted: None }
    }

    fn mount(&mut self) -> bool {
        *self.mounted.get_or_insert_with(|| {
            let device = find_disk(self.clock);
            let mounted = device.as_ref().is_some_and(|device| {
                make_dir(Path::new(MOUNT_POINT)).is_ok()
                    && mount_disk(device, Path::new(MOUNT_POINT))
                        .inspect_err(|error| console::say(format_args!("  Disk: {error}")))
                        .is_ok()
            });
            if device.is_none() {
                console::say("  No footage disk was found.");
            }
            mounted
        })
    }
}

impl Shelf for DiskShelf<'_> {
    fn open(&mut self, file: BundleFile) -> io::Result<Option<Box<dyn Read + '_>>> {
        if self.mount() { self.folder.open(file) } else { Ok(None) }
    }

    fn save(&mut self, file: BundleFile, fill: Fill<'_>) -> Result<(), UpdateError> {
        if self.mount() {
            return self.folder.save(file, fill);
        }
        Err(UpdateError::NotSupported("There is no disk to keep the installed version on.".to_owned()))
    }
}

impl Drop for DiskShelf<'_> {
    fn drop(&mut self) {
        if self.mounted == Some(true)
            && let Err(error) = unmount(Path::new(MOUNT_POINT))
        {
            console::say(format_args!("  Disk: {error}"));
        }
    }
}

fn find_disk(clock: &SystemClock) -> Option<std::path::PathBuf> {
    let places = DiskPlaces::default();
    let begin = clock.mono();
    loop {
        let ours = places.list().iter().find_map(|disk| match places.look(disk) {
            Ok(Content::Ours { device }) => Some(places.device(&device)),
            _ => None,
        });
        if ours.is_some() || clock.mono().since(begin) >= DISK_PATIENCE {
            return ours;
        }
        // Looking for a disk is work that goes on.
        let _ = note::hand_over(&Note::Alive);
        thread::sleep(LOOK_EVERY);
    }
}
