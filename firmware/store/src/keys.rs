//! The keys that a recorder, or whoever reads its disks, has at hand.
//!
//! A volume's own key is random and lies on the volume, wrapped for those who may open it (`key_file`): for the device,
//! and for the owner. Does not belong here: where the device keeps its secrets (crate `candor`).
//!
//! Invariants
//! - Secrets do not print, and are wiped when they are dropped.
//! - What the device keeps of the owner's recovery key opens what that opens, but does not tell it.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER;
use evidence::derive;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::random::random;
use crate::recovery_key::RecoveryKey;

/// The size of a device's key and of what it keeps of the owner's.
pub const KEY_BYTES: usize = 32;

/// A device's own random secret: it opens the volumes that this device made or was let into.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceKey(Zeroizing<[u8; KEY_BYTES]>);

impl DeviceKey {
    /// A new one.
    ///
    /// # Errors
    /// `Io` when the system has no random numbers.
    pub fn generate() -> Result<Self, StoreError> {
        random(Path::new("/dev/urandom")).map(Self::from_bytes)
    }

    /// From what the device keeps.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From [`DeviceKey::to_text`], with or without its line end; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        from_text(text).map(Self)
    }

    /// For whoever keeps it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// A line of 64 hexadecimal digits, for whoever keeps it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        to_text(&self.0)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKey").finish_non_exhaustive()
    }
}

/// What is derived from the owner's recovery key, and kept by the device so that new volumes open with that key too.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerKey(Zeroizing<[u8; KEY_BYTES]>);

impl OwnerKey {
    /// What `key` opens volumes with. The key is random, so nothing slow is needed.
    #[must_use]
    pub fn of(key: &RecoveryKey) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        derive(&[], key.as_bytes(), b"candor owner key 1", &mut *bytes);
        Self(bytes)
    }

    /// From what the device keeps.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From [`OwnerKey::to_text`], with or without its line end; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        from_text(text).map(Self)
    }

    /// For whoever keeps it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// A line of 64 hexadecimal digits, for whoever keeps it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        to_text(&self.0)
    }
}

impl fmt::Debug for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerKey").finish_non_exhaustive()
    }
}

fn to_text(key: &[u8; KEY_BYTES]) -> Zeroizing<String> {
    Zeroizing::new(HEXLOWER.encode(key) + "\n")
}

fn from_text(text: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let bytes = Zeroizing::new(HEXLOWER.decode(text.trim_ascii()).ok()?);
    <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok().map(Zeroizing::new)
}

/// What volumes are tried with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pub(crate) device: Option<DeviceKey>,
    pub(crate) owner: Option<OwnerKey>,
    pub(crate) others: Vec<OwnerKey>,
}

impl Keys {
    /// None: plain volumes only. Of encrypted ones everything but the footage can be read.
    pub const NONE: Self = Self { device: None, owner: None, others: Vec::new() };

    /// Opens, and makes, the volumes of a device.
    #[must_use]
    pub fn of_device(device: DeviceKey) -> Self {
        Self { device: Some(device), owner: None, others: Vec::new() }
    }

    /// And of its owner: volumes that are written to will open with the owner's recovery key, and with no other one.
    #[must_use]
    pub fn with_owner(mut self, owner: OwnerKey) -> Self {
        self.owner = Some(owner);
        self
    }

    /// And with the recovery key of another recorder, whose disk this is.
    #[must_use]
    pub fn and_recovery_key(mut self, key: &RecoveryKey) -> Self {
        self.others.push(OwnerKey::of(key));
        self
    }

    /// Those that new wraps are made for.
    pub(crate) fn own(&self) -> impl Iterator<Item = Holder<'_>> {
        let device = self.device.iter().map(|key| Holder { role: HolderRole::Device, secret: &key.0 });
        device.chain(self.owner.iter().map(Holder::owner))
    }

    /// All that may open something.
    pub(crate) fn all(&self) -> impl Iterator<Item = Holder<'_>> {
        self.own().chain(self.others.iter().map(Holder::owner))
    }
}

/// Who a volume's key is wrapped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HolderRole {
    Device,
    Recovery,
}

impl HolderRole {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Device => 0,
            Self::Recovery => 1,
        }
    }
}

/// A secret, and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) role: HolderRole,
    pub(crate) secret: &'a [u8; KEY_BYTES],
}

impl<'a> Holder<'a> {
    fn owner(key: &'a OwnerKey) -> Self {
        Self { role: HolderRole::Recovery, secret: &key.0 }
    }

    /// A name for the secret that tells nothing about it, and differs from volume to volume: nobody sees from two disks
    /// that they were in one recorder.
    pub(crate) fn name(&self, volume: &[u8]) -> [u8; 8] {
        let mut name = [0; 8];
        derive(volume, self.secret, &self.info(b"candor key holder 1 "), &mut name);
        name
    }

    /// The key that wraps and unwraps for this holder on one volume.
    pub(crate) fn wrapping_key(&self, volume: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        derive(volume, self.secret, &self.info(b"candor key wrap 1 "), &mut *key);
        key
    }

    fn info(&self, text: &[u8]) -> Vec<u8> {
        [text, &[self.role.code()]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let keys =
            Keys::of_device(DeviceKey::from_bytes([0xab; 32])).with_owner(OwnerKey::from_bytes([7; 32]));
        let text = format!("{keys:?}");
        assert!(!text.contains("171") && !text.contains('7') && text.contains("DeviceKey"), "{text}");
    }

    #[test]
    fn texts_come_back_and_nothing_else_does() {
        let key = DeviceKey::from_bytes([0xa5; 32]);
        assert_eq!(*key.to_text(), "a5".repeat(32) + "\n");
        assert_eq!(DeviceKey::from_text(key.to_text().as_bytes()), Some(key));
        for wrong in ["", "a5", &"a5".repeat(33), &"A5".repeat(32), &"zz".repeat(32)] {
            assert_eq!(OwnerKey::from_text(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn one_secret_has_another_name_and_key_on_every_volume_and_in_every_role() {
        let secret = [3; 32];
        let device = Holder { role: HolderRole::Device, secret: &secret };
        let recovery = Holder { role: HolderRole::Recovery, secret: &secret };
        assert_ne!(device.name(&[1; 16]), device.name(&[2; 16]));
        assert_ne!(device.name(&[1; 16]), recovery.name(&[1; 16]));
        assert_ne!(device.wrapping_key(&[1; 16]), device.wrapping_key(&[2; 16]));
        assert_ne!(device.wrapping_key(&[1; 16]), recovery.wrapping_key(&[1; 16]));
    }
}
