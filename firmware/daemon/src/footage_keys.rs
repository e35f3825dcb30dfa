//! The secrets that open footage volumes: as they are kept, as commands find them.
//!
//! The warden keeps them and tells `record` alone. On a PC they lie in the data folder, and `candor store` and `candor
//! export` take the device's from there; a recovery key comes from a file or from standard input, never from the command
//! line, which everyone on the machine can read. Does not belong here: what they open (crate `store`).

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use store::{DeviceKey, KEY_BYTES, Keys, OwnerKey, RecoveryKey};
use zeroize::{Zeroize, Zeroizing};

/// In a data folder: the device's key, hexadecimal.
pub(crate) const DEVICE_FILE: &str = "identity/footage.key";
/// In a data folder: what is derived from the owner's recovery key, hexadecimal.
pub(crate) const OWNER_FILE: &str = "identity/footage-owner.key";
/// A recovery key in a file has some 50 bytes.
const MAX_TEXT_BYTES: u64 = 1024;

/// What `record` opens volumes with.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FootageKeys {
    /// `None` where nothing can be kept: what it opened would be lost with the next restart.
    pub(crate) device: Option<[u8; KEY_BYTES]>,
    /// `None` until the recorder has an owner.
    pub(crate) owner: Option<[u8; KEY_BYTES]>,
}

impl FootageKeys {
    /// As the store takes them.
    pub(crate) fn keys(&self) -> Keys {
        let keys = self.device.map_or(Keys::NONE, |device| Keys::of_device(DeviceKey::from_bytes(device)));
        match self.owner {
            Some(owner) => keys.with_owner(OwnerKey::from_bytes(owner)),
            None => keys,
        }
    }
}

impl Drop for FootageKeys {
    fn drop(&mut self) {
        self.device.zeroize();
        self.owner.zeroize();
    }
}

impl std::fmt::Debug for FootageKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FootageKeys")
            .field("device", &self.device.is_some())
            .field("owner", &self.owner.is_some())
            .finish()
    }
}

/// A secret on its way to a person, or from one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SecretText(pub(crate) String);

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// The keys at hand for the volume in `dir`, which is a data folder or a volume in one: the device's where it can be read,
/// and the recovery key in `file`, or on standard input for `-`.
pub(crate) fn at_hand(dir: &Path, file: Option<&Path>) -> Result<Keys, Box<dyn Error + Send + Sync>> {
    let beside = dir.parent().unwrap_or(dir);
    let device = [dir, beside].into_iter().find_map(|data| device_key(&data.join(DEVICE_FILE)));
    let keys = device.map_or(Keys::NONE, Keys::of_device);
    let Some(file) = file else { return Ok(keys) };
    let mut text = Zeroizing::new(String::new());
    let read = |from: &mut dyn Read, text: &mut String| from.take(MAX_TEXT_BYTES).read_to_string(text);
    if file == Path::new("-") {
        read(&mut io::stdin().lock(), &mut text)?;
    } else {
        let opened = File::open(file).and_then(|mut file| read(&mut file, &mut text));
        opened.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(keys.and_recovery_key(&RecoveryKey::parse(&text)?))
}

/// Another folder's is none of ours, and somebody else's cannot be read: then there is none.
fn device_key(path: &Path) -> Option<DeviceKey> {
    DeviceKey::from_text(&Zeroizing::new(fs::read(path).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_a_data_folder_and_beside_its_volume() {
        let data = tempfile::tempdir().unwrap();
        let volume = data.path().join("volume");
        assert_eq!(at_hand(data.path(), None).unwrap(), Keys::NONE);
        fs::create_dir(data.path().join("identity")).unwrap();
        fs::write(data.path().join(DEVICE_FILE), DeviceKey::from_bytes([7; 32]).to_text().as_bytes())
            .unwrap();
        let device = Keys::of_device(DeviceKey::from_bytes([7; 32]));
        for dir in [data.path(), &volume] {
            assert_eq!(at_hand(dir, None).unwrap(), device);
        }

        let recovery = RecoveryKey::generate().unwrap();
        let file = data.path().join("recovery");
        fs::write(&file, format!("{}\n", *recovery.to_text())).unwrap();
        assert_eq!(at_hand(&volume, Some(&file)).unwrap(), device.and_recovery_key(&recovery));
        fs::write(&file, "12345").unwrap();
        assert!(at_hand(&volume, Some(&file)).unwrap_err().to_string().contains("40 signs"));
        assert!(at_hand(&volume, Some(&data.path().join("none"))).is_err());
    }

    #[test]
    fn they_do_not_print() {
        let keys = FootageKeys { device: Some([171; 32]), owner: None };
        assert_eq!(format!("{keys:?}"), "FootageKeys { device: true, owner: false }");
    }
}
