//! Into the new root: free the initramfs, move the root to `/`, start init.
//!
//! The kernel's initramfs cannot be unmounted, so its files are deleted, and what is mounted over it becomes `/`
//! (Linux's `Documentation/filesystems/ramfs-rootfs-initramfs.rst`).

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use nix::unistd::{chdir, chroot, execv};

use crate::error::LoaderError;
use crate::note::RootPlace;

/// `RAMFS_MAGIC` (Linux's `magic.h`); nix does not name it.
const RAMFS_MAGIC: FsType = FsType(0x8584_58F6_u32 as _);

/// What the new root's process 1 is.
const INIT: &str = "/sbin/init";

/// Makes `root` the root and becomes its init. Returns only when that fails; before the root is moved, everything is as it
/// was but for the initramfs's files.
pub(crate) fn switch_root(root: &Path, place: RootPlace) -> Result<Infallible, LoaderError> {
    let init = root.join(INIT.trim_start_matches('/'));
    if !init.symlink_metadata().is_ok_and(|meta| meta.is_file() || meta.is_symlink()) {
        return Err(LoaderError::system("starting the new system", format_args!("it has no {INIT}")));
    }
    let failed = |what: &'static str| move |error| LoaderError::system(what, error);
    chdir(root).map_err(failed("entering the new root"))?;
    if place != RootPlace::Ram {
        delete_initramfs();
    }
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(failed("moving the new root to /"))?;
    chroot(".").map_err(failed("making the new root the root"))?;
    chdir("/").map_err(failed("entering the new root"))?;
    let path = CString::new(INIT).map_err(|error| LoaderError::system(INIT, error))?;
    execv(&path, &[&path]).map_err(failed("starting /sbin/init"))
}

/// Deletes the initramfs's files, and nothing else: only when `/` is one, and never across a mount.
fn delete_initramfs() {
    let is_initramfs = statfs("/").is_ok_and(|fs| [RAMFS_MAGIC, TMPFS_MAGIC].contains(&fs.filesystem_type()));
    if is_initramfs && let Ok(meta) = fs::metadata("/") {
        // What stays costs memory and nothing more.
        let _ = delete_inside(Path::new("/"), meta.dev());
    }
}

fn delete_inside(dir: &Path, device: u64) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let meta = path.symlink_metadata()?;
        if meta.dev() != device {
            continue;
        }
        if meta.is_dir() {
            delete_inside(&path, device)?;
            // Not empty when something is mounted inside.
            let _ = fs::remove_dir(&path);
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleting_keeps_to_one_file_system() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        let device = fs::metadata(dir.path()).unwrap().dev();
        delete_inside(dir.path(), device + 1).unwrap();
        assert!(dir.path().join("a/b/file").exists(), "another file system's files stay");
        delete_inside(dir.path(), device).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(Path::new("/etc").exists(), "a link is not followed");
    }
}
