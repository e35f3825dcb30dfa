//! The footage keys of this recorder, kept beside its identity.
//!
//! The device's key is made at the first start and stays, also through a factory reset: footage does. Of the owner's recovery
//! key only what is derived from it is kept; the key itself is told once. Does not belong here: what they open (crate
//! `store`), who is told (`desk`).

use std::io;

use store::{DeviceKey, KEY_BYTES, OwnerKey, RecoveryKey};
use zeroize::Zeroizing;

use super::keeper::{FOOTAGE_KEY, FOOTAGE_OWNER, Keeper};
use crate::footage_keys::FootageKeys;

/// The keys kept; the device's is made where there is none. None at all where nothing outlives a restart: footage would be
/// sealed with what is lost then.
pub(super) fn load_or_make(keeper: &dyn Keeper) -> io::Result<FootageKeys> {
    if !keeper.outlives_restart() {
        return Ok(FootageKeys::default());
    }
    let device = match kept(keeper, FOOTAGE_KEY, DeviceKey::from_text)? {
        Some(key) => key,
        None => {
            let key = DeviceKey::generate().map_err(io::Error::other)?;
            keeper.set(FOOTAGE_KEY, key.to_text().as_bytes())?;
            key
        }
    };
    let owner = kept(keeper, FOOTAGE_OWNER, OwnerKey::from_text)?;
    Ok(FootageKeys { device: Some(*device.as_bytes()), owner: owner.map(|owner| *owner.as_bytes()) })
}

/// Makes a recovery key in the place of any other; its text is nowhere but in the answer.
pub(super) fn new_recovery_key(keeper: &dyn Keeper) -> io::Result<(Zeroizing<String>, [u8; KEY_BYTES])> {
    let key = RecoveryKey::generate().map_err(io::Error::other)?;
    let owner = OwnerKey::of(&key);
    keeper.set(FOOTAGE_OWNER, owner.to_text().as_bytes())?;
    Ok((key.to_text(), *owner.as_bytes()))
}

fn kept<T>(keeper: &dyn Keeper, name: &str, read: fn(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
    let Some(text) = keeper.get(name)?.map(Zeroizing::new) else { return Ok(None) };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{}: no key", keeper.title(name)));
    read(&text).map(Some).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warden::keeper::{FolderKeeper, MemoryKeeper};

    #[test]
    fn the_device_key_is_made_once_and_the_owners_whenever_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = FolderKeeper::new(dir.path().into(), dir.path().join("settings.toml"));
        let first = load_or_make(&keeper).unwrap();
        assert!(first.device.is_some() && first.owner.is_none());
        assert_eq!(load_or_make(&keeper).unwrap(), first);
        let (text, owner) = new_recovery_key(&keeper).unwrap();
        assert_eq!(OwnerKey::of(&RecoveryKey::parse(&text).unwrap()).as_bytes(), &owner);
        assert_eq!(load_or_make(&keeper).unwrap(), FootageKeys { device: first.device, owner: Some(owner) });
        let (other, _) = new_recovery_key(&keeper).unwrap();
        assert_ne!(text, other);
        let kept = std::fs::read_to_string(dir.path().join(crate::footage_keys::OWNER_FILE)).unwrap();
        assert!(!kept.contains(&**other), "the recovery key itself is not kept");
    }

    #[test]
    fn a_damaged_key_is_refused_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = FolderKeeper::new(dir.path().into(), dir.path().join("settings.toml"));
        keeper.set(FOOTAGE_KEY, b"rubbish").unwrap();
        assert!(load_or_make(&keeper).unwrap_err().to_string().contains("footage.key"));
        assert_eq!(keeper.get(FOOTAGE_KEY).unwrap().unwrap(), b"rubbish");
    }

    #[test]
    fn nothing_is_sealed_with_what_is_lost_at_the_next_restart() {
        assert_eq!(load_or_make(&MemoryKeeper::default()).unwrap(), FootageKeys::default());
    }
}
