//! A volume's folder: identity, names, lock, and access to single segments.
//!
//! Does not belong here: deciding what is written or recovered.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::layout::align_up;
use evidence::{KeyId, LifeKey, VolumeId, VolumeKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Cipher, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, StoreOptions, VOLUME_VERSION, VolumeFile};
use crate::disk::{Access, Disk, DiskFile, read_full};
use crate::error::{ErrorKind, StoreError};
use crate::key_file::KeyFile;
use crate::keys::Keys;
use crate::layout::BLOCK_BYTES;
use crate::random::random;
use crate::segment::{self, Contents, HEADER_BYTES, SegmentHeader, TRAILER_BYTES, Trailer, decode_footer};

/// No more is read because a footer may be that large, or this part of a large segment: a damaged commit, too, is no
/// payload that the index knows of.
const FOOTER_READ_BYTES: u64 = 256 << 10;
const FOOTER_READ_PART: u64 = 8;

/// What a small file has.
pub(crate) trait Versioned: DeserializeOwned {
    /// The only one that is understood.
    const VERSION: u32;

    /// As it was found.
    fn version(&self) -> u32;
}

/// The folder of a volume, and how to reach it.
#[derive(Clone)]
pub(crate) struct Volume {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) segments: PathBuf,
    pub(crate) id: VolumeId,
    pub(crate) segment_bytes: u64,
    pub(crate) max_bytes: u64,
    pub(crate) cipher: Cipher,
    /// Of an encrypted volume, once it was unlocked.
    pub(crate) key: Option<Arc<VolumeKey>>,
}

/// What a segment file is.
pub(crate) enum Probe {
    /// Nothing of the volume was ever written to it under this name.
    Unbegun,
    /// Begun, not sealed.
    Open(SegmentHeader),
    /// Sealed, with its footer.
    Sealed(SegmentHeader, Trailer, Contents),
    /// Sealed, but the footer is damaged: to be scanned.
    Footless(SegmentHeader),
    /// Of another volume.
    Foreign,
}

impl Volume {
    /// Opens the volume in `dir` for writing, or makes it. One that `keys` do not open is left as it is.
    pub(crate) fn open_or_create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: StoreOptions,
        keys: &Keys,
    ) -> Result<Self, StoreError> {
        let segments = dir.join("segments");
        disk.create_dir(&segments)
            .map_err(|error| StoreError::io(dir, None, "the volume's folder cannot be made", error))?;
        let mut volume = match Self::open(Arc::clone(&disk), dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let segment_bytes = align_up(options.segment_bytes.0, BLOCK_BYTES);
                if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&segment_bytes) {
                    let what = format!("segments of {segment_bytes} bytes are outside the limits");
                    return Err(StoreError::new(ErrorKind::Invalid, dir, None, what));
                }
                let id = random(dir)?;
                let mut volume = Self {
                    disk,
                    dir: dir.to_owned(),
                    segments,
                    id,
                    segment_bytes,
                    max_bytes: 0,
                    cipher: options.cipher,
                    key: None,
                };
                volume.refuse_to_hide_footage()?;
                // The folder's own name must be as durable as what is in it.
                if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    let synced = volume.disk.sync_dir(parent).and_then(|()| volume.disk.sync_dir(dir));
                    synced.map_err(|error| StoreError::io(dir, None, "the folder cannot be made", error))?;
                }
                // Before there is a volume: what has a name has its key.
                if volume.cipher == Cipher::ChaCha20Poly1305 {
                    volume.key = Some(Arc::new(volume.key_file().create(keys)?));
                }
                volume
            }
            other => {
                let mut volume = other?;
                volume.unlock(keys)?;
                volume
            }
        };
        if volume.max_bytes != options.max_bytes.0 {
            volume.max_bytes = options.max_bytes.0;
            let file = VolumeFile {
                version: VOLUME_VERSION,
                id: hex(&volume.id),
                segment_bytes: volume.segment_bytes,
                max_bytes: volume.max_bytes,
                cipher: volume.cipher,
            };
            volume.replace_small(&volume.file(), &file)?;
        }
        Ok(volume)
    }

    /// Opens an existing volume.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join("volume.toml");
        let text = disk
            .read_text(&file)
            .map_err(|error| StoreError::io(&file, None, "there is no volume to read", error))?;
        let damaged =
            |what: &str| StoreError::new(ErrorKind::Damaged, &file, None, format!("is damaged: {what}"));
        let parsed: VolumeFile = toml::from_str(&text).map_err(|error| damaged(error.message()))?;
        if parsed.version != VOLUME_VERSION {
            let what = format!("has version {}, this program knows {VOLUME_VERSION}", parsed.version);
            return Err(StoreError::new(ErrorKind::Unsupported, &file, None, what));
        }
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&parsed.segment_bytes)
            || !parsed.segment_bytes.is_multiple_of(BLOCK_BYTES)
        {
            return Err(damaged("segment_bytes is impossible"));
        }
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            segments: dir.join("segments"),
            id: unhex(&parsed.id).ok_or_else(|| damaged("id is not 32 hexadecimal digits"))?,
            segment_bytes: parsed.segment_bytes,
            max_bytes: parsed.max_bytes,
            cipher: parsed.cipher,
            key: None,
        })
    }

    /// A key file and segments without `volume.toml`: a new volume here would take the place of the key.
    fn refuse_to_hide_footage(&self) -> Result<(), StoreError> {
        if !self.key_file().exists() || self.numbers()?.is_empty() {
            return Ok(());
        }
        let what = "is missing, but there is a key file and footage that belong to it";
        Err(StoreError::new(ErrorKind::Damaged, &self.file(), None, what))
    }

    /// Takes the volume's key from its key file; nothing to do for a plain volume.
    ///
    /// # Errors
    /// `NoKey` when none of `keys` opens it; `Damaged`, `Unsupported`, `Io`.
    pub(crate) fn unlock(&mut self, keys: &Keys) -> Result<(), StoreError> {
        if self.cipher != Cipher::None && self.key.is_none() {
            self.key = Some(Arc::new(self.key_file().open(keys)?));
        }
        Ok(())
    }

    /// As [`Volume::unlock`], for who can do without: of a locked volume everything but the footage can be read.
    pub(crate) fn unlock_if_possible(&mut self, keys: &Keys) -> Result<(), StoreError> {
        match self.unlock(keys) {
            Err(error) if error.kind() == ErrorKind::NoKey => Ok(()),
            other => other,
        }
    }

    /// The key of a writer's life, if the volume's key is at hand and has this name.
    pub(crate) fn life_key(&self, id: KeyId, writer: u64) -> Option<LifeKey> {
        self.key.as_ref().filter(|key| key.id() == id).map(|key| key.life(writer))
    }

    pub(crate) fn key_file(&self) -> KeyFile<'_> {
        KeyFile::new(&*self.disk, &self.dir, self.id)
    }

    /// `volume.toml`.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("volume.toml")
    }

    /// Takes the volume for one writer, until the file is dropped or the process ends.
    pub(crate) fn lock(&self) -> Result<File, StoreError> {
        let path = self.dir.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| StoreError::io(&path, None, "cannot be opened", error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::new(ErrorKind::Locked, &path, None, "another writer has this volume"))
            }
            Err(TryLockError::Error(error)) => {
                Err(StoreError::io(&path, None, "the volume cannot be locked", error))
            }
        }
    }

    pub(crate) fn path(&self, segment: u64) -> PathBuf {
        segment::path(&self.segments, segment)
    }

    pub(crate) fn index_path(&self) -> PathBuf {
        self.dir.join("index.db")
    }

    /// The numbers of all segment files, in order.
    pub(crate) fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let mut numbers: Vec<u64> = self
            .disk
            .list(&self.segments)
            .map_err(|error| StoreError::io(&self.segments, None, "cannot be listed", error))?
            .iter()
            .filter_map(|path| segment::number(path))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn open_segment(&self, segment: u64, access: Access) -> Result<Arc<dyn DiskFile>, StoreError> {
        let path = self.path(segment);
        self.disk.open(&path, access).map_err(|error| StoreError::io(&path, None, "cannot be opened", error))
    }

    /// The header of a segment, if it was begun under this number.
    pub(crate) fn header(
        &self,
        segment: u64,
        file: &dyn DiskFile,
    ) -> Result<Option<SegmentHeader>, StoreError> {
        let bytes = self.read(segment, file, 0, HEADER_BYTES)?;
        let header = SegmentHeader::decode(&bytes).map_err(|what| self.unsupported(segment, 0, what))?;
        Ok(header.filter(|header| header.segment == segment))
    }

    /// What a segment file is, without scanning it.
    pub(crate) fn probe(&self, segment: u64, file: &dyn DiskFile) -> Result<Probe, StoreError> {
        let Some(header) = self.header(segment, file)? else { return Ok(Probe::Unbegun) };
        if header.volume != self.id {
            return Ok(Probe::Foreign);
        }
        Ok(match self.seal(segment, file, TRAILER_BYTES as u64)? {
            None => Probe::Open(header),
            Some((_, None)) => Probe::Footless(header),
            Some((trailer, Some(contents))) => Probe::Sealed(header, trailer, contents),
        })
    }

    /// The contents of a segment that the index knows as sealed, with a footer of up to `footer_bytes`; `None` when its end is no
    /// seal of it.
    pub(crate) fn footer(
        &self,
        segment: u64,
        file: &dyn DiskFile,
        footer_bytes: u64,
    ) -> Result<Option<Contents>, StoreError> {
        let first_read = footer_bytes.min(FOOTER_READ_BYTES.max(self.segment_bytes / FOOTER_READ_PART));
        Ok(self.seal(segment, file, first_read)?.and_then(|(_, contents)| contents))
    }

    /// A small file in the volume's folder; `None` where there is none.
    ///
    /// # Errors
    /// `Damaged`, `Unsupported` where it is not of [`Versioned::VERSION`], `Io`.
    pub(crate) fn read_small<T: Versioned>(&self, path: &Path) -> Result<Option<T>, StoreError> {
        let text = match self.disk.read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(path, None, "cannot be read", error)),
        };
        let file: T = toml::from_str(&text)
            .map_err(|error| StoreError::new(ErrorKind::Damaged, path, None, error.message()))?;
        if file.version() != T::VERSION {
            return Err(StoreError::new(ErrorKind::Unsupported, path, None, "has an unknown version"));
        }
        Ok(Some(file))
    }

    /// Replaces one, atomically and durably.
    ///
    /// # Errors
    /// `Unwritable`, `Io`.
    pub(crate) fn replace_small(&self, path: &Path, file: &impl Serialize) -> Result<(), StoreError> {
        let text = toml::to_string(file)
            .map_err(|error| StoreError::new(ErrorKind::Invalid, path, None, error.to_string()))?;
        self.disk
            .replace_text(path, &text)
            .map_err(|error| StoreError::io(path, None, "cannot be written", error))
    }

    /// The trailer of a segment that was sealed under this number, and its footer when that is whole. The first read is of the
    /// last `first_read` bytes, which may be all that is needed; where nothing is sealed it is the only one.
    fn seal(
        &self,
        segment: u64,
        file: &dyn DiskFile,
        first_read: u64,
    ) -> Result<Option<(Trailer, Option<Contents>)>, StoreError> {
        let mut begin = self.segment_bytes - self.segment_bytes.min(first_read);
        let mut bytes = self.read(segment, file, begin, (self.segment_bytes - begin) as usize)?;
        let trailer_at = self.segment_bytes - TRAILER_BYTES as u64;
        let Some(list_end) = bytes.len().checked_sub(TRAILER_BYTES) else { return Ok(None) };
        let trailer = Trailer::decode(&bytes[list_end..])
            .map_err(|what| self.unsupported(segment, trailer_at, what))?;
        let Some(trailer) = trailer.filter(|trailer| trailer.segment == segment) else { return Ok(None) };
        let Some(list_at) = trailer_at.checked_sub(trailer.list_bytes()) else {
            return Ok(Some((trailer, None)));
        };
        if list_at < begin {
            let mut rest = self.read(segment, file, list_at, (begin - list_at) as usize)?;
            rest.append(&mut bytes);
            (begin, bytes) = (list_at, rest);
        }
        let list = (list_at - begin) as usize..(trailer_at - begin) as usize;
        let contents = bytes.get(list).and_then(|list| decode_footer(&trailer, list));
        Ok(Some((trailer, contents)))
    }

    fn read(&self, segment: u64, file: &dyn DiskFile, at: u64, count: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; count];
        let got = read_full(file, at, &mut bytes)
            .map_err(|error| StoreError::io(&self.path(segment), Some(at), "cannot be read", error))?;
        bytes.truncate(got);
        Ok(bytes)
    }

    pub(crate) fn unsupported(&self, segment: u64, at: u64, what: &str) -> StoreError {
        StoreError::new(ErrorKind::Unsupported, &self.path(segment), Some(at), what)
    }

    pub(crate) fn damaged(&self, segment: u64, at: u64, what: &str) -> StoreError {
        StoreError::new(ErrorKind::Damaged, &self.path(segment), Some(at), what)
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<VolumeId> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut id = [0; 16];
    for (byte, at) in id.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(id)
}
