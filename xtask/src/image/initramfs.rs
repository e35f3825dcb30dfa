//! The initramfs of the stage: the loader, and the keys that it trusts first. No shell.

use std::fs;
use std::io::Write;
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
    let archive = Archive { bytes: Vec::new(), next: 1, time: u32::try_from(source.epoch)? };
    let archive = FOLDERS.iter().try_fold(archive, |archive, name| archive.folder(name))?;
    // The kernel opens it for the first program before there is a /dev.
    let archive = archive.device("dev/console", 0o600, 5, 1)?;
    let archive = archive.file("init", 0o755, &fs::read(loader)?)?;
    let archive = archive.file("etc/candor/root-keys.json", 0o644, root_keys)?;
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
