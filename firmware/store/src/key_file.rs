//! `volume.keys`: the volume's key, wrapped for everyone who may open it.
//!
//! docs/storage.md, "Keys". Does not belong here: what the key seals (crate `evidence`), who has which secret (`keys`).
//!
//! Invariants
//! - Without this file nothing of an encrypted volume's footage can ever be read; so it is replaced atomically, and what it
//!   was before is overwritten in place.
//! - It opens for the devices in it and for one recovery key: that of the recorder that wrote it last.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use evidence::{SECRET_BYTES, TAG_BYTES, VolumeId, VolumeKey};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::disk::{Access, Disk};
use crate::error::{ErrorKind, StoreError};
use crate::keys::{Holder, HolderRole, Keys};
use crate::random::random;
use crate::wipe;

/// The file in a volume's folder.
pub(crate) const NAME: &str = "volume.keys";

/// The version of the file.
const VERSION: u32 = 1;

/// Devices that a volume opens for at most; the one that was let in first goes.
const MAX_DEVICES: usize = 4;

/// Wraps that are believed: more than any program writes.
const MAX_WRAPS: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// [`VERSION`].
    version: u32,
    /// As in `volume.toml`.
    volume: String,
    /// The key's name, as in chunk headers.
    key: String,
    #[serde(default)]
    wrap: Vec<Wrap>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrap {
    by: HolderRole,
    /// Which of them: 8 bytes.
    holder: String,
    /// 12 random bytes.
    nonce: String,
    /// The volume's key, encrypted, and the tag: 48 bytes.
    sealed: String,
}

/// A volume's key file.
pub(crate) struct KeyFile<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    volume: VolumeId,
}

impl<'a> KeyFile<'a> {
    pub(crate) fn new(disk: &'a dyn Disk, dir: &Path, volume: VolumeId) -> Self {
        Self { disk, path: dir.join(NAME), volume }
    }

    /// Makes a key for a new volume, and the file.
    pub(crate) fn create(&self, keys: &Keys) -> Result<VolumeKey, StoreError> {
        if keys.own().next().is_none() {
            let what = "an encrypted volume can only be made with a key that opens it again";
            return Err(self.error(ErrorKind::NoKey, what));
        }
        let key = VolumeKey::new(self.volume, Zeroizing::new(random(&self.path)?));
        let mut contents = Contents {
            version: VERSION,
            volume: HEXLOWER.encode(&self.volume),
            key: HEXLOWER.encode(&key.id()),
            wrap: Vec::new(),
        };
        for holder in keys.own() {
            contents.wrap.push(self.wrap(&key, holder)?);
        }
        self.write(&contents)?;
        Ok(key)
    }

    /// The volume's key.
    ///
    /// # Errors
    /// `NoKey` when none of `keys` opens it, or when it was erased; `Damaged`, `Unsupported`, `Io`.
    pub(crate) fn open(&self, keys: &Keys) -> Result<VolumeKey, StoreError> {
        self.unwrap(&self.read()?, keys)
    }

    /// Makes the file open for those who have `keys`, which open it already: the device is let in, and the owner's recovery
    /// key takes the place of any other one. Nothing is written when that is so.
    pub(crate) fn renew(&self, keys: &Keys) -> Result<(), StoreError> {
        let before = self.read()?;
        let missing: Vec<Holder<'_>> = keys.own().filter(|holder| !self.knows(&before, *holder)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let key = self.unwrap(&before, keys)?;
        let mut contents = before;
        for holder in missing {
            if holder.role == HolderRole::Recovery {
                contents.wrap.retain(|wrap| wrap.by != HolderRole::Recovery);
            }
            contents.wrap.push(self.wrap(&key, holder)?);
        }
        while contents.wrap.iter().filter(|wrap| wrap.by == HolderRole::Device).count() > MAX_DEVICES {
            let first = contents.wrap.iter().position(|wrap| wrap.by == HolderRole::Device);
            contents.wrap.remove(first.unwrap_or_default());
        }
        self.write(&contents)
    }

    /// Whether the file opens with the owner's key that is in `keys`.
    pub(crate) fn opens_for_owner(&self, keys: &Keys) -> bool {
        let owner = keys.own().find(|holder| holder.role == HolderRole::Recovery);
        self.read().ok().zip(owner).is_some_and(|(contents, owner)| self.knows(&contents, owner))
    }

    /// Whether there is one; not whether it is whole.
    pub(crate) fn exists(&self) -> bool {
        self.disk.open(&self.path, Access::Read).is_ok()
    }

    /// Overwrites the file, and what an interrupted change may have left of one, and removes them: from then on the
    /// footage is gone. Doing it twice does nothing the second time.
    pub(crate) fn erase(&self) -> Result<(), StoreError> {
        wipe::remove(self.disk, &self.path)
            .map_err(|error| StoreError::io(&self.path, None, "cannot be erased", error))
    }

    fn read(&self) -> Result<Contents, StoreError> {
        let text = self.disk.read_text(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                self.error(ErrorKind::NoKey, "is gone: the footage in this volume cannot be read any more")
            }
            _ => StoreError::io(&self.path, None, "cannot be read", error),
        })?;
        let contents: Contents = toml::from_str(&text).map_err(|error| self.damaged(error.message()))?;
        if contents.version != VERSION {
            let what = format!("has version {}, this program knows {VERSION}", contents.version);
            return Err(self.error(ErrorKind::Unsupported, what));
        }
        if contents.volume != HEXLOWER.encode(&self.volume) {
            return Err(self.damaged("it is of another volume"));
        }
        if contents.wrap.len() > MAX_WRAPS {
            return Err(self.damaged("it has more keys than can be"));
        }
        Ok(contents)
    }

    fn write(&self, contents: &Contents) -> Result<(), StoreError> {
        let text = toml::to_string(contents).map_err(|error| self.damaged(&error.to_string()))?;
        let failed = |error| StoreError::io(&self.path, None, "cannot be written", error);
        // Held open: its blocks keep what a former key opens, also when they have no name any more.
        let before = self.disk.open(&self.path, Access::ReadWrite).ok();
        self.disk.replace_text(&self.path, &text).map_err(failed)?;
        if let Some(before) = before {
            wipe::overwrite(&*before)
                .map_err(|error| StoreError::io(&self.path, None, "the old keys cannot be erased", error))?;
        }
        Ok(())
    }

    fn knows(&self, contents: &Contents, holder: Holder<'_>) -> bool {
        let name = HEXLOWER.encode(&holder.name(&self.volume));
        contents.wrap.iter().any(|wrap| wrap.by == holder.role && wrap.holder == name)
    }

    fn unwrap(&self, contents: &Contents, keys: &Keys) -> Result<VolumeKey, StoreError> {
        let mut damaged = false;
        for holder in keys.all() {
            let name = HEXLOWER.encode(&holder.name(&self.volume));
            for wrap in contents.wrap.iter().filter(|wrap| wrap.by == holder.role && wrap.holder == name) {
                match self.unwrap_one(contents, wrap, holder) {
                    Some(key) => return Ok(key),
                    None => damaged = true,
                }
            }
        }
        Err(if damaged {
            self.damaged("the key in it is not as it was written")
        } else {
            self.error(
                ErrorKind::NoKey,
                "does not open with the keys at hand; the volume's recovery key opens it",
            )
        })
    }

    fn unwrap_one(&self, contents: &Contents, wrap: &Wrap, holder: Holder<'_>) -> Option<VolumeKey> {
        let nonce: [u8; NONCE_LEN] = HEXLOWER.decode(wrap.nonce.as_bytes()).ok()?.try_into().ok()?;
        let mut sealed = Zeroizing::new(HEXLOWER.decode(wrap.sealed.as_bytes()).ok()?);
        let id = HEXLOWER.decode(contents.key.as_bytes()).ok()?;
        let opened = cipher(&holder.wrapping_key(&self.volume))
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                self.associated(holder.role, &id),
                &mut sealed,
            )
            .ok()?;
        let key = VolumeKey::new(self.volume, Zeroizing::new(<[u8; SECRET_BYTES]>::try_from(&*opened).ok()?));
        (key.id()[..] == id[..]).then_some(key)
    }

    fn wrap(&self, key: &VolumeKey, holder: Holder<'_>) -> Result<Wrap, StoreError> {
        // Random, because a volume's folder can be used again for another volume key.
        let nonce: [u8; NONCE_LEN] = random(&self.path)?;
        let mut sealed = Zeroizing::new(Vec::with_capacity(SECRET_BYTES + TAG_BYTES));
        sealed.extend_from_slice(key.secret());
        cipher(&holder.wrapping_key(&self.volume))
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                self.associated(holder.role, &key.id()),
                &mut *sealed,
            )
            .map_err(|_| self.error(ErrorKind::Invalid, "the key cannot be wrapped"))?;
        Ok(Wrap {
            by: holder.role,
            holder: HEXLOWER.encode(&holder.name(&self.volume)),
            nonce: HEXLOWER.encode(&nonce),
            sealed: HEXLOWER.encode(&sealed),
        })
    }

    fn associated(&self, role: HolderRole, key_id: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([&b"candor volume.keys 1"[..], &self.volume, key_id, &[role.code()]].concat())
    }

    fn damaged(&self, what: &str) -> StoreError {
        self.error(ErrorKind::Damaged, format!("is damaged: {what}"))
    }

    fn error(&self, kind: ErrorKind, what: impl Into<String>) -> StoreError {
        StoreError::new(kind, &self.path, None, what)
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("ChaCha20 has keys of 32 bytes"))
}
