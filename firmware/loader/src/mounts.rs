//! The kernel's file systems, and the new root's.
//!
//! Does not belong here: disks (`crate system`), and moving into the new root (`switch_root.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::error::LoaderError;
use crate::note::RootPlace;

/// Where the new root is put together.
pub(crate) const NEW_ROOT: &str = "/newroot";

/// A root that the initramfs itself holds; a stage that is flashed has none.
pub(crate) const RAM_ROOT: &str = "/ram-root";

/// What no file system needs that holds no programs.
const PLAIN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// What goes into `/tmp`: nothing of ours needs more than a few small files there.
const TMP_OPTIONS: &str = "mode=1777,size=8m";

/// What goes into `/run`: the rings of the channels' pictures, which the board's memory budget bounds; tmpfs's own limit is
/// half of the memory.
const RUN_OPTIONS: &str = "mode=755";

/// Mounts what the loader itself needs. Where the kernel did it already, that is fine.
pub(crate) fn mount_kernel_file_systems() -> Result<(), LoaderError> {
    for (kind, at, flags) in [
        ("proc", "/proc", PLAIN),
        ("sysfs", "/sys", PLAIN),
        ("devtmpfs", "/dev", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC),
    ] {
        make_dir(Path::new(at))?;
        match mount_at(kind, kind, Path::new(at), flags, None) {
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => return Err(LoaderError::system(format_args!("mounting {at}"), error)),
        }
    }
    Ok(())
}

/// Mounts a verified root read-only, and in it what is written while it runs.
pub(crate) fn mount_new_root(place: RootPlace) -> Result<PathBuf, LoaderError> {
    let root = PathBuf::from(NEW_ROOT);
    make_dir(&root)?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let mounted = match place {
        RootPlace::Mtd(number) => mount_at(&format!("/dev/mtdblock{number}"), "squashfs", &root, flags, None),
        // The first call makes it a mount, the second gives it its flags: the kernel takes them in this order only.
        RootPlace::Ram => mount_at(RAM_ROOT, "none", &root, MsFlags::MS_BIND, None).and_then(|()| {
            mount_at("none", "none", &root, flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT, None)
        }),
    };
    mounted.map_err(|error| LoaderError::system(format_args!("mounting the root ({place:?})"), error))?;
    for (at, options) in [("run", RUN_OPTIONS), ("tmp", TMP_OPTIONS)] {
        mount_at("tmpfs", "tmpfs", &root.join(at), PLAIN, Some(options))
            .map_err(|error| LoaderError::system(format_args!("mounting the new root's /{at}"), error))?;
    }
    Ok(root)
}

/// Takes the kernel's file systems along.
pub(crate) fn move_kernel_file_systems(root: &Path) -> Result<(), LoaderError> {
    for at in ["dev", "proc", "sys"] {
        let (from, to) = (Path::new("/").join(at), root.join(at));
        mount(Some(&from), &to, None::<&str>, MsFlags::MS_MOVE, None::<&str>)
            .map_err(|error| LoaderError::system(format_args!("moving /{at} into the new root"), error))?;
    }
    Ok(())
}

/// Makes a folder in the initramfs.
pub(crate) fn make_dir(path: &Path) -> Result<(), LoaderError> {
    fs::create_dir_all(path)
        .map_err(|error| LoaderError::system(format_args!("making {}", path.display()), error))
}

fn mount_at(source: &str, kind: &str, at: &Path, flags: MsFlags, options: Option<&str>) -> Result<(), Errno> {
    mount(Some(source), at, Some(kind), flags, options)
}
