//! Files that must never be half-written: settings, accounts, the identity.
//!
//! A file is replaced whole (write beside it, fsync, rename, fsync the folder), so that a reader or a power
//! cut finds the old content or the new one. All of them are readable by their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Replaces `path` with `content`, mode 0600.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = folder.join(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

/// Makes a folder and its parents, mode 0700; fine when it is there.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a folder in a place where others may write, and refuses one that somebody else made there before.
pub(crate) fn make_own_dir(path: &Path) -> io::Result<()> {
    make_private_dir(path)?;
    let facts = fs::symlink_metadata(path)?;
    let own = facts.is_dir() && facts.uid() == nix::unistd::geteuid().as_raw() && facts.mode() & 0o077 == 0;
    if own { Ok(()) } else { Err(io::Error::other("another user's, or open to others; remove it")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn replaces_whole_and_keeps_others_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.toml");
        replace(&path, b"first, and rather long").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_folder_that_others_can_enter_is_not_taken_for_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        make_own_dir(&path).unwrap();
        make_own_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(make_own_dir(&path).is_err());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(make_own_dir(&link).is_err());
    }

    #[test]
    fn keeps_the_old_content_when_the_new_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.toml");
        replace(&path, b"old").unwrap();
        fs::create_dir(dir.path().join("settings.toml.new")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
