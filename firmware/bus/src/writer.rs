//! The writing side of a ring: creation, take-over and publishing of plain records.
//!
//! Does not belong here: what a record means (ring, events).
//!
//! Invariants: at most one writer a file, by an exclusive lock on it; a writer never waits for a reader and
//! never believes a word that a reader may have written.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, fence};

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;

use crate::area::{Area, SlotEntry};
use crate::error::BusError;
use crate::layout::{
    Content, FLAG_DISCONTINUITY, FLAG_KEYFRAME, Geometry, RingSpec, STATE_LIVE, UNIT_ALIGN, header,
};

/// Owner and group: roles run under their own users and share a group. Readers write as well: the bell and
/// the keyframe request.
const FILE_MODE: u32 = 0o660;
/// A file that changes hands this often while it is being taken over is fought over by two publishers.
const CREATE_TRIES: u32 = 8;

/// What is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) pts: i64,
    pub(crate) wall: i64,
    pub(crate) keyframe: bool,
    pub(crate) discontinuity: bool,
    pub(crate) data: &'a [u8],
}

/// The one writer of a file.
#[derive(Debug)]
pub(crate) struct RingWriter {
    area: Area,
    /// Sequence of the next unit.
    head: u64,
    /// Payload position of the next unit.
    position: u64,
    /// Keyframes published.
    gops: u64,
    /// Discontinuities published.
    discontinuities: u32,
    format: u32,
    /// Nothing published yet in this life.
    fresh: bool,
}

impl RingWriter {
    /// Creates `path`, or takes it over from a writer that died.
    pub(crate) fn create(
        path: &Path,
        content: Content,
        spec: RingSpec,
        format: &[u8],
    ) -> Result<Self, BusError> {
        let geometry = Geometry::new(content, spec)?;
        for _ in 0..CREATE_TRIES {
            match lock_existing(path)? {
                Existing::None => {
                    if let Some(writer) = Self::place(path, geometry, format, None)? {
                        return Ok(writer);
                    }
                }
                Existing::Moved => {}
                Existing::Locked(file) => {
                    let old = Area::from_file(file, path, content, true);
                    return match old {
                        Ok(area) if area.geometry() == geometry && !area.retired() => {
                            Self::take_over(area, format)
                        }
                        // Its lock is held until the new file stands in its place.
                        Ok(area) => Self::replace(path, geometry, format, Some(&area)),
                        Err(BusError::Io { action, path, source }) => {
                            Err(BusError::Io { action, path, source })
                        }
                        // Not ours, or broken: it is in the way. The lock is gone with the file handle, so another
                        // publisher could come between; it then finds the new file locked.
                        Err(_) => Self::replace(path, geometry, format, None),
                    };
                }
            }
        }
        Err(BusError::Busy { path: path.to_owned() })
    }

    fn replace(path: &Path, geometry: Geometry, format: &[u8], old: Option<&Area>) -> Result<Self, BusError> {
        let writer = Self::place(path, geometry, format, Some(()))?;
        // Only now: a reader that learns of it must find the successor.
        if let Some(old) = old {
            old.retire();
        }
        writer.ok_or_else(|| BusError::Busy { path: path.to_owned() })
    }

    /// Makes a complete new file and puts it at `path`. `None` when there is one in the meantime and it is not
    /// to be replaced.
    fn place(
        path: &Path,
        geometry: Geometry,
        format: &[u8],
        replace: Option<()>,
    ) -> Result<Option<Self>, BusError> {
        let io = |action| move |source| BusError::Io { action, path: path.to_owned(), source };
        let new = new_path(path);
        let file = match create_locked(&new) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Of a publisher killed while it was here, or at work right now.
                let left = File::open(&new).map_err(io("create"))?;
                return match left.try_lock() {
                    Ok(()) => {
                        fs::remove_file(&new).map_err(io("create"))?;
                        Self::place(path, geometry, format, replace)
                    }
                    Err(TryLockError::WouldBlock) => Err(BusError::Busy { path: path.to_owned() }),
                    Err(TryLockError::Error(source)) => Err(io("lock")(source)),
                };
            }
            Err(error) => return Err(io("create")(error)),
        };
        let placed = initialise(&file, geometry).map_err(io("allocate")).and_then(|()| {
            let area = Area::from_file(file, path, geometry.content(), true)?;
            let mut writer =
                Self { area, head: 0, position: 0, gops: 0, discontinuities: 0, format: 0, fresh: true };
            writer.begin(format)?;
            let put = if replace.is_some() { fs::rename(&new, path) } else { fs::hard_link(&new, path) };
            match put {
                Ok(()) => Ok(Some(writer)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(io("create")(error)),
            }
        });
        // After a rename it is gone already.
        let _ = fs::remove_file(&new);
        placed
    }

    fn take_over(area: Area, format: &[u8]) -> Result<Self, BusError> {
        let head = area.head().load(Ordering::Acquire);
        // Up to there the dead writer may have written: readers already count those bytes as gone.
        let reserved = area.reserved().load(Ordering::Relaxed);
        let position = reserved.wrapping_add(UNIT_ALIGN - 1) & !(UNIT_ALIGN - 1);
        let gops = area.gops().load(Ordering::Relaxed);
        let discontinuities = area.discontinuities().load(Ordering::Relaxed);
        let mut writer = Self { area, head, position, gops, discontinuities, format: 0, fresh: true };
        writer.begin(format)?;
        // Tells those who watch the folder (IN_ATTRIB): the file is good again.
        // Not a failure of the ring when it fails: readers that follow it need no telling.
        let _ = futimens(writer.area.file(), &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
        writer.area.ring_bell();
        Ok(writer)
    }

    fn begin(&mut self, format: &[u8]) -> Result<(), BusError> {
        let area = &self.area;
        area.epoch().fetch_add(1, Ordering::Relaxed);
        area.pid().store(std::process::id(), Ordering::Relaxed);
        area.state().store(STATE_LIVE, Ordering::Release);
        self.set_format(format)
    }

    pub(crate) fn area(&self) -> &Area {
        &self.area
    }

    /// Takes a new format from the next unit on; the same one again changes nothing.
    pub(crate) fn set_format(&mut self, format: &[u8]) -> Result<(), BusError> {
        self.format = match self.area.format() {
            // Generation 0 is a new file's, which no format has been written to.
            Some((generation, current)) if generation != 0 && current == format => generation,
            _ => self.area.set_format(format)?,
        };
        Ok(())
    }

    pub(crate) fn publish(&mut self, record: Record<'_>) -> Result<u64, BusError> {
        let area = &self.area;
        let limit = area.geometry().unit_limit();
        let len = record.data.len();
        if len == 0 {
            return Err(BusError::Invalid { what: "a unit without bytes".to_owned() });
        }
        if len > limit {
            return Err(BusError::TooLarge { path: area.path().to_owned(), bytes: len, limit });
        }
        let sequence = self.head;
        let end = self.position.wrapping_add((len as u64).next_multiple_of(UNIT_ALIGN));
        let slot = area.slot(sequence);

        // A seqlock after Boehm, "Can seqlocks get along with programming language memory models" (2012): a
        // reader that saw any of the bytes stored below sees these two stores after its own acquire fence.
        area.reserved().store(end, Ordering::Relaxed);
        slot.stamp().store(0, Ordering::Relaxed);
        fence(Ordering::Release);

        area.write_payload(self.position, record.data);
        self.gops = self.gops.wrapping_add(u64::from(record.keyframe));
        let mut flags = 0;
        if record.keyframe {
            flags |= FLAG_KEYFRAME;
        }
        if record.discontinuity || self.fresh {
            flags |= FLAG_DISCONTINUITY;
            self.discontinuities = self.discontinuities.wrapping_add(1);
        }
        slot.store(&SlotEntry {
            position: self.position,
            len: len as u32,
            flags,
            pts: record.pts,
            wall: record.wall,
            gop: self.gops,
            format: self.format,
            discontinuities: self.discontinuities,
        });

        self.head = sequence.wrapping_add(1);
        self.position = end;
        self.fresh = false;
        slot.stamp().store(self.head, Ordering::Release);
        area.gops().store(self.gops, Ordering::Relaxed);
        area.discontinuities().store(self.discontinuities, Ordering::Relaxed);
        area.head().store(self.head, Ordering::Release);
        area.ring_bell();
        area.check_whole()?;
        Ok(sequence)
    }

    pub(crate) fn take_keyframe_request(&self) -> bool {
        let request = self.area.keyframe_request();
        // Looked at first: asked once a unit, and mostly nobody has written to its cache line.
        request.load(Ordering::Relaxed) != 0 && request.swap(0, Ordering::AcqRel) != 0
    }
}

impl Drop for RingWriter {
    /// Removes the file, then tells its readers, who keep what is in it until they have read it.
    fn drop(&mut self) {
        let path = self.area.path();
        if fs::metadata(path).is_ok_and(|metadata| metadata.ino() == self.area.inode()) {
            let _ = fs::remove_file(path);
        }
        self.area.retire();
    }
}

/// A file without a writer of its own, made by whoever comes first.
pub(crate) fn shared_file(path: &Path, content: Content) -> Result<Area, BusError> {
    let geometry = Geometry::new(content, RingSpec { payload_bytes: 0, slots: 0 })?;
    for _ in 0..CREATE_TRIES {
        match Area::open(path, content, true) {
            Err(BusError::NotFound { .. }) => {}
            other => return other,
        }
        let io = |source| BusError::Io { action: "create", path: path.to_owned(), source };
        // Every process its own: nobody waits for somebody who died half-way.
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.{:?}", std::process::id(), std::thread::current().id()));
        let new = path.with_file_name(name);
        let _ = fs::remove_file(&new);
        let made = create_locked(&new).and_then(|file| initialise(&file, geometry));
        let placed = made.and_then(|()| match fs::hard_link(&new, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
        let _ = fs::remove_file(&new);
        placed.map_err(io)?;
    }
    Err(BusError::Busy { path: path.to_owned() })
}

enum Existing {
    None,
    /// It was replaced or removed between opening and locking.
    Moved,
    Locked(File),
}

fn lock_existing(path: &Path) -> Result<Existing, BusError> {
    let io = |action| move |source| BusError::Io { action, path: path.to_owned(), source };
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Existing::None),
        Err(error) => return Err(io("open")(error)),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BusError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
    }
    let locked = file.metadata().map_err(io("examine"))?;
    match fs::metadata(path) {
        Ok(there) if there.ino() == locked.ino() => Ok(Existing::Locked(file)),
        Ok(_) => Ok(Existing::Moved),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Existing::Moved),
        Err(error) => Err(io("examine")(error)),
    }
}

/// Where a file is made before it takes its name, so that nobody meets half a header.
fn new_path(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn create_locked(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.lock()?;
    // The process's umask has no say: a reader of the group that cannot write could not sleep.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

fn initialise(mut file: &File, geometry: Geometry) -> io::Result<()> {
    let bytes = geometry.file_bytes();
    // All memory is taken now: a tmpfs that is full later would end the publisher with SIGBUS.
    match posix_fallocate(file, 0, bytes as i64) {
        Ok(()) => {}
        // Linux 3.0's tmpfs cannot.
        Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => {
            let zeros = [0; 64 << 10];
            let mut left = bytes;
            while left > 0 {
                let part = left.min(zeros.len());
                file.write_all(&zeros[..part])?;
                left -= part;
            }
        }
        Err(errno) => return Err(errno.into()),
    }
    std::os::unix::fs::FileExt::write_all_at(file, &geometry.encode(), 0)
}

// The fixed part must not reach into the words.
const _: () = assert!(crate::layout::FIXED_BYTES <= header::EPOCH);
