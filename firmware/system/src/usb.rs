//! USB sticks: looked at read-only, for the update bundles on them.
//!
//! A stick is anybody's, so nothing on it is run, followed or written: only plain files of its first folder count.
//! Does not belong here: which disks are sticks (`disks.rs`), and what a bundle is (`update`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};

use crate::error::SystemError;

/// What sticks come with, and their options: ext4 must not write its journal back to a stick that is only read.
const FILE_SYSTEMS: [(&str, Option<&str>); 2] = [("vfat", None), ("ext4", Some("noload"))];
/// More than these are not listed: nobody chooses among more.
const MAX_BUNDLES: usize = 16;
/// More entries of a folder than this are not looked at.
const MAX_ENTRIES: usize = 4096;

/// A bundle on a stick, by its name alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleFile {
    /// The file's name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// Mounts the file system on `device` at `at`, read-only; nothing on it is a program, a device or gains rights.
///
/// # Errors
/// `Device` when it is none that sticks have, or does not read.
pub fn mount_stick(device: &Path, at: &Path) -> Result<(), SystemError> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let mut last = Errno::ENODEV;
    for (kind, options) in FILE_SYSTEMS {
        match mount(Some(device), at, Some(kind), flags, options) {
            Ok(()) => return Ok(()),
            Err(errno) => last = errno,
        }
    }
    Err(SystemError::io(format_args!("{} cannot be read", device.display()), last))
}

/// The bundles in a stick's first folder, by name.
///
/// # Errors
/// The stick's.
pub fn bundles(folder: &Path) -> io::Result<Vec<BundleFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_ENTRIES) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Not of what a link leads to: of the entry itself.
        let facts = entry.metadata()?;
        if is_bundle(&name) && facts.is_file() {
            found.push(BundleFile { name, bytes: facts.len() });
        }
    }
    found.sort();
    found.truncate(MAX_BUNDLES);
    Ok(found)
}

/// Opens a bundle of a stick's first folder to read.
///
/// # Errors
/// `NotFound` for a name that is no bundle's; the stick's.
pub fn open_bundle(folder: &Path, name: &str) -> io::Result<File> {
    if !is_bundle(name) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // A FIFO would keep whoever opens it waiting.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(folder.join(name))?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn is_bundle(name: &str) -> bool {
    name.starts_with("candor-") && name.ends_with(".bundle") && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_with_a_bundles_name_are_listed_and_opened() {
        let stick = tempfile::tempdir().unwrap();
        let path = |name: &str| stick.path().join(name);
        fs::write(path("candor-virt-a7-0.2.0.bundle"), b"two").unwrap();
        fs::write(path("candor-virt-a7-0.1.0.bundle"), b"first").unwrap();
        fs::write(path("holiday.jpg"), b"x").unwrap();
        fs::create_dir(path("candor-folder.bundle")).unwrap();
        symlink("/etc/passwd", path("candor-link.bundle")).unwrap();
        nix::unistd::mkfifo(&path("candor-pipe.bundle"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let listed = bundles(stick.path()).unwrap();
        let named: Vec<_> = listed.iter().map(|file| (file.name.as_str(), file.bytes)).collect();
        assert_eq!(named, [("candor-virt-a7-0.1.0.bundle", 5), ("candor-virt-a7-0.2.0.bundle", 3)]);
        for name in listed.iter().map(|file| &file.name) {
            open_bundle(stick.path(), name).unwrap();
        }
        for name in [
            "candor-link.bundle",
            "candor-folder.bundle",
            "candor-pipe.bundle",
            "holiday.jpg",
            "candor-missing.bundle",
            "candor-/../../etc/x.bundle",
        ] {
            assert!(open_bundle(stick.path(), name).is_err(), "{name}");
        }
    }
}
