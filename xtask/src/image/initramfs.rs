//! The initramfs of the stage: the loader, and the keys it trusts. No shell.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use cpio::newc::{Builder, ModeFileType, trailer};

use super::source::Source;
use super::tool;
use crate::workspace::Failure;

/// What the loader mounts over, and where it puts what it is given.
const FOLDERS: [&str; 10] =
    ["data", "dev", "etc", "etc/candor", "mnt", "newroot", "proc", "run", "sys", "tmp"];

/// Writes `output`, compressed, the same from the same input on any machine and by any user.
pub(super) fn write(output: &Path, loader: &Path, root_keys: &[u8], source: &Source) -> Result<(), Failure> {
    compress(output, stage(loader, root_keys, source)?)
}

/// As [`write()`], with a whole root in the folder that the loader starts from when it is there.
pub(super) fn write_with_root(
    output: &Path,
    loader: &Path,
    root_keys: &[u8],
    root: &Path,
    source: &Source,
) -> Result<(), Failure> {
    compress(output, stage(loader, root_keys, source)?.folder("ram-root")?.tree("ram-root", root)?)
}

fn stage(loader: &Path, root_keys: &[u8], source: &Source) -> Result<Archive, Failure> {
    let archive = Archive { bytes: Vec::new(), next: 1, time: u32::try_from(source.epoch)? };
    let archive = FOLDERS.iter().try_fold(archive, |archive, name| archive.folder(name))?;
    // The kernel opens it for the first program before there is a /dev.
    let archive = archive.device("dev/console", 0o600, 5, 1)?;
    let archive = archive.file("init", 0o755, &fs::read(loader)?)?;
    archive.file("etc/candor/root-keys.json", 0o644, root_keys)
}

fn compress(output: &Path, archive: Archive) -> Result<(), Failure> {
    let plain = output.with_extension("");
    fs::write(&plain, trailer(archive.bytes)?)?;
    // The kernel's decompressor knows CRC32 only; one thread, because several would cut the stream by the machine.
    tool::run(
        Command::new("xz")
            .args(["--check=crc32", "--arm", "--lzma2=preset=9e,dict=8MiB", "-T1", "-kf"])
            .arg(&plain),
    )?;
    Ok(())
}

struct Archive {
    bytes: Vec<u8>,
    next: u32,
    time: u32,
}

impl Archive {
    fn folder(self, name: &str) -> Result<Self, Failure> {
        self.put(Builder::new(name).mode(0o755).set_mode_file_type(ModeFileType::Directory).nlink(2), &[])
    }

    fn file(self, name: &str, mode: u32, content: &[u8]) -> Result<Self, Failure> {
        self.put(Builder::new(name).mode(mode).set_mode_file_type(ModeFileType::Regular), content)
    }

    /// Everything below `dir`, in the order of names.
    fn tree(self, name: &str, dir: &Path) -> Result<Self, Failure> {
        let mut paths =
            fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
        paths.sort();
        paths.into_iter().try_fold(self, |archive, path| {
            let name = format!("{name}/{}", path.file_name().unwrap_or_default().to_string_lossy());
            let meta = fs::symlink_metadata(&path)?;
            let mode = meta.permissions().mode() & 0o7777;
            if meta.is_symlink() {
                let to = fs::read_link(&path)?;
                let entry = Builder::new(&name).mode(0o777).set_mode_file_type(ModeFileType::Symlink);
                archive.put(entry, to.as_os_str().as_encoded_bytes())
            } else if meta.is_dir() {
                let entry = Builder::new(&name).mode(mode).set_mode_file_type(ModeFileType::Directory);
                archive.put(entry.nlink(2), &[])?.tree(&name, &path)
            } else {
                archive.file(&name, mode, &fs::read(&path)?)
            }
        })
    }

    fn device(self, name: &str, mode: u32, major: u32, minor: u32) -> Result<Self, Failure> {
        let entry = Builder::new(name).mode(mode).set_mode_file_type(ModeFileType::Char);
        self.put(entry.rdev_major(major).rdev_minor(minor), &[])
    }

    fn put(self, entry: Builder, content: &[u8]) -> Result<Self, Failure> {
        let entry = entry.ino(self.next).uid(0).gid(0).mtime(self.time);
        let mut writer = entry.write(self.bytes, u32::try_from(content.len())?);
        writer.write_all(content)?;
        Ok(Self { bytes: writer.finish()?, next: self.next + 1, time: self.time })
    }
}
