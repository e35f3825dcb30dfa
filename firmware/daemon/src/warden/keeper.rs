//! The keeper: where settings, accounts and identity are kept.
//!
//! Values under names. On a PC they are files in the data folder, as people know them; on a board they are in
//! the state log in flash, so that a recorder whose disk is away is still its owner's. Names are settings-vN
//! (a text for each version of settings, `kept.rs`), `accounts`, `identity`, `footage-key` and `footage-owner`; on a board,
//! boot state and keys of the update lie beside them in the same log.
//!
//! Invariant: when `set` returned, the value is kept whole; until then the old one is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::files;
use crate::footage_keys;
use crate::settings::VERSION;

/// What is kept under these names.
pub(super) const ACCOUNTS: &str = "accounts";
/// Certificate and key, PEM, one after the other.
pub(super) const IDENTITY: &str = "identity";
/// The device's key for footage (`footage_keys.rs`).
pub(super) const FOOTAGE_KEY: &str = "footage-key";
/// What is derived from the owner's recovery key.
pub(super) const FOOTAGE_OWNER: &str = "footage-owner";
/// The largest file read: 64 channels need about 30 KB of settings.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// The name of the settings of a version.
pub(super) fn settings_key(version: u32) -> String {
    format!("settings-v{version}")
}

/// Keeps values under names.
pub(crate) trait Keeper: Send + Sync {
    /// The value, or `None` when there never was one.
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>>;
    /// Keeps a value.
    fn set(&self, key: &str, value: &[u8]) -> io::Result<()>;
    /// Forgets a value; fine when there is none.
    fn remove(&self, key: &str) -> io::Result<()>;
    /// What to call the value before people.
    fn title(&self, key: &str) -> String;
    /// Whether what is kept is there after a restart.
    fn outlives_restart(&self) -> bool {
        true
    }
}

/// A PC's: files in the data folder.
pub(crate) struct FolderKeeper {
    data: PathBuf,
    settings_file: PathBuf,
}

impl FolderKeeper {
    /// `settings_file` may be elsewhere.
    pub(crate) fn new(data: PathBuf, settings_file: PathBuf) -> Self {
        Self { data, settings_file }
    }

    fn path(&self, key: &str) -> PathBuf {
        match key {
            ACCOUNTS => self.data.join("accounts.toml"),
            FOOTAGE_KEY => self.data.join(footage_keys::DEVICE_FILE),
            FOOTAGE_OWNER => self.data.join(footage_keys::OWNER_FILE),
            _ if key == settings_key(VERSION) => self.settings_file.clone(),
            other => self.data.join(format!("{other}.toml")),
        }
    }

    fn identity(&self) -> (PathBuf, PathBuf) {
        let dir = self.data.join(IDENTITY);
        (dir.join("certificate.pem"), dir.join("key.pem"))
    }
}

impl Keeper for FolderKeeper {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        if key == IDENTITY {
            let (certificate, private) = self.identity();
            let (certificate, private) = (read(&certificate)?, read(&private)?);
            return Ok(certificate
                .zip(private)
                .map(|(certificate, private)| [certificate, private].concat()));
        }
        read(&self.path(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> io::Result<()> {
        if key == IDENTITY {
            let (certificate, private) = self.identity();
            let text = std::str::from_utf8(value).map_err(io::Error::other)?;
            let (first, second) = text.split_at(text.find("-----BEGIN PRIVATE").unwrap_or(text.len()));
            files::make_private_dir(&self.data.join(IDENTITY))?;
            // The key first: a certificate without its key would be taken for the whole.
            files::replace(&private, second.as_bytes())?;
            return files::replace(&certificate, first.as_bytes());
        }
        let path = self.path(key);
        if path.starts_with(self.data.join(IDENTITY)) {
            files::make_private_dir(&self.data.join(IDENTITY))?;
        }
        files::replace(&path, value)
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        let paths = match key {
            IDENTITY => <[PathBuf; 2]>::from(self.identity()).to_vec(),
            other => vec![self.path(other)],
        };
        for path in paths {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn title(&self, key: &str) -> String {
        match key {
            IDENTITY => self.data.join(IDENTITY).display().to_string(),
            other => self.path(other).display().to_string(),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_FILE_BYTES => {
            let limit = format!("{} bytes; at most {MAX_FILE_BYTES} are read", meta.len());
            Err(io::Error::new(io::ErrorKind::InvalidData, limit))
        }
        Ok(_) => fs::read(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In memory only: for a board whose flash cannot be used, which still has to record.
#[derive(Default)]
pub(crate) struct MemoryKeeper(Mutex<BTreeMap<String, Vec<u8>>>);

impl Keeper for MemoryKeeper {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(lock(&self.0).get(key).cloned())
    }

    fn set(&self, key: &str, value: &[u8]) -> io::Result<()> {
        lock(&self.0).insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        lock(&self.0).remove(key);
        Ok(())
    }

    fn title(&self, key: &str) -> String {
        format!("{key} in memory")
    }

    fn outlives_restart(&self) -> bool {
        false
    }
}

#[cfg(test)]
pub(in crate::warden) mod tests {
    use super::*;

    #[test]
    fn keeps_replaces_and_forgets() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FolderKeeper::new(dir.path().into(), dir.path().join("settings.toml"));
        check(&folder);
        check(&MemoryKeeper::default());
        assert_eq!(fs::read(dir.path().join("settings.toml")).unwrap(), b"t");
    }

    /// What every keeper does; `flash_keeper` asks for it too.
    pub(in crate::warden) fn check(keeper: &dyn Keeper) {
        let identity = "-----BEGIN CERTIFICATE-----\nQQ==\n-----BEGIN PRIVATE KEY-----\nQg==\n";
        for (key, value) in [
            (ACCOUNTS, "a"),
            (IDENTITY, identity),
            (FOOTAGE_KEY, "k"),
            ("settings-v1", "s"),
            ("settings-v2", "t"),
        ] {
            assert_eq!(keeper.get(key).unwrap(), None);
            keeper.set(key, b"before").unwrap();
            keeper.set(key, value.as_bytes()).unwrap();
            let kept = keeper.get(key).unwrap().unwrap();
            assert_eq!(String::from_utf8(kept).unwrap(), value, "{}", keeper.title(key));
        }
        keeper.remove(ACCOUNTS).unwrap();
        keeper.remove(ACCOUNTS).unwrap();
        keeper.remove(IDENTITY).unwrap();
        assert_eq!(keeper.get(ACCOUNTS).unwrap(), None);
        assert_eq!(keeper.get(IDENTITY).unwrap(), None);
        assert_eq!(keeper.get("settings-v1").unwrap().unwrap(), b"s");
    }
}
