//! Flash: the kernel's MTD character devices (Linux's `mtd/mtd-abi.h`).
//!
//! A partition is found by its name, as `mtdparts=` on the kernel's command line gives it; numbers are the
//! kernel's. Does not belong here: what is kept in which partition (a board's description).
//!
//! The block devices beside them (`/dev/mtdblockN`) buffer a whole erase block and write it later: good for
//! mounting a root read-only, not for writing.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use hal::{ErrorKind, FlashGeometry, HalError, NorFlash};
use nix::fcntl::OFlag;

use crate::fault::{errno_fault, fault};

/// `MTD_NORFLASH`.
const NOR: u8 = 3;

/// One line of `/proc/mtd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MtdPartition {
    /// The kernel's number: the N of `/dev/mtdN` and `/dev/mtdblockN`.
    pub number: u32,
    /// Its name in `mtdparts=`.
    pub name: String,
    /// Its size in bytes.
    pub size: u32,
    /// What is erased at once, in bytes.
    pub erase_block: u32,
}

impl MtdPartition {
    /// The block device for mounting it.
    #[must_use]
    pub fn block_device(&self) -> PathBuf {
        PathBuf::from(format!("/dev/mtdblock{}", self.number))
    }
}

/// A NOR partition.
#[derive(Debug)]
pub struct Mtd {
    partition: MtdPartition,
    file: File,
}

impl Mtd {
    /// All partitions that the kernel knows, NAND ones too.
    ///
    /// # Errors
    /// `NotFound` when the kernel has no MTD, `Device` when its list does not read.
    pub fn list() -> Result<Vec<MtdPartition>, HalError> {
        let what = "reading /proc/mtd";
        let text = fs::read_to_string("/proc/mtd").map_err(|error| fault(what, &error))?;
        parse_list(&text).ok_or_else(|| {
            HalError::new(ErrorKind::Device, format!("{what}: it is not the list it should be"))
        })
    }

    /// The partition of that name, to read and write. Programming and erasing return when the chip is done.
    ///
    /// # Errors
    /// `NotFound` without such a partition or its device node, `Unsupported` when it is not NOR flash.
    pub fn open_partition(name: &str) -> Result<Self, HalError> {
        Self::open(name, true)
    }

    /// The same to read only: the kernel refuses to write through it.
    ///
    /// # Errors
    /// As [`Mtd::open_partition`].
    pub fn open_read_only(name: &str) -> Result<Self, HalError> {
        Self::open(name, false)
    }

    fn open(name: &str, write: bool) -> Result<Self, HalError> {
        let mut partitions = Self::list()?;
        let Some(found) = partitions.iter().position(|partition| partition.name == name) else {
            let known: Vec<String> = partitions.into_iter().map(|partition| partition.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let message = format!("no flash partition {name}; the kernel has: {known}");
            return Err(HalError::new(ErrorKind::NotFound, message));
        };
        let partition = partitions.swap_remove(found);
        let what = format!("opening flash partition {name} (/dev/mtd{})", partition.number);
        let file = OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags((OFlag::O_SYNC | OFlag::O_CLOEXEC).bits())
            .open(format!("/dev/mtd{}", partition.number))
            .map_err(|error| fault(&what, &error))?;
        let info = uapi::info(file.as_raw_fd()).map_err(|errno| errno_fault(&what, errno))?;
        if info.kind != NOR {
            let message = format!("{what}: it is not NOR flash (type {})", info.kind);
            return Err(HalError::new(ErrorKind::Unsupported, message));
        }
        Ok(Self {
            partition: MtdPartition { size: info.size, erase_block: info.erasesize, ..partition },
            file,
        })
    }

    /// Which it is.
    #[must_use]
    pub fn partition(&self) -> &MtdPartition {
        &self.partition
    }

    fn check(&self, what: &str, offset: u32, length: u64) -> Result<(), HalError> {
        if u64::from(offset).checked_add(length).is_some_and(|end| end <= u64::from(self.partition.size)) {
            return Ok(());
        }
        Err(HalError::new(
            ErrorKind::Unsupported,
            format!("{}: beyond the end", self.words(what, offset, length)),
        ))
    }

    fn words(&self, what: &str, offset: u32, length: u64) -> String {
        format!("{what} {length} bytes at {offset:#x} of flash partition {}", self.partition.name)
    }
}

impl NorFlash for Mtd {
    fn geometry(&self) -> FlashGeometry {
        FlashGeometry { size: self.partition.size, erase_block: self.partition.erase_block }
    }

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), HalError> {
        self.check("reading", offset, into.len() as u64)?;
        let read = self.file.read_exact_at(into, offset.into());
        read.map_err(|error| fault(&self.words("reading", offset, into.len() as u64), &error))
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> Result<(), HalError> {
        self.check("programming", offset, data.len() as u64)?;
        let written = self.file.write_all_at(data, offset.into());
        written.map_err(|error| fault(&self.words("programming", offset, data.len() as u64), &error))
    }

    fn erase(&mut self, offset: u32, length: u32) -> Result<(), HalError> {
        self.check("erasing", offset, length.into())?;
        let block = self.partition.erase_block;
        if !offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            let message =
                format!("{}: not whole blocks of {block}", self.words("erasing", offset, length.into()));
            return Err(HalError::new(ErrorKind::Unsupported, message));
        }
        if length == 0 {
            return Ok(());
        }
        let erased = uapi::erase(self.file.as_raw_fd(), offset, length);
        erased.map_err(|errno| errno_fault(&self.words("erasing", offset, length.into()), errno))
    }
}

/// `None` when it is not what the kernel writes: `mtd0: 00080000 00040000 "boot"` under a line of headings.
fn parse_list(text: &str) -> Option<Vec<MtdPartition>> {
    let mut lines = text.lines();
    if !lines.next()?.starts_with("dev:") {
        return None;
    }
    lines
        .map(|line| {
            let (number, rest) = line.strip_prefix("mtd")?.split_once(": ")?;
            let (size, rest) = rest.trim_start().split_once(' ')?;
            let (erase_block, name) = rest.trim_start().split_once(' ')?;
            Some(MtdPartition {
                number: number.parse().ok()?,
                name: name.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned(),
                size: u32::from_str_radix(size, 16).ok()?,
                erase_block: u32::from_str_radix(erase_block, 16).ok()?,
            })
        })
        .collect()
}

/// The two calls that nix has no safe form of.
#[expect(unsafe_code, reason = "ioctls of the MTD character device")]
mod uapi {
    use std::os::fd::RawFd;

    use nix::errno::Errno;

    /// `struct mtd_info_user`.
    #[repr(C)]
    #[derive(Default)]
    pub(super) struct MtdInfoUser {
        pub(super) kind: u8,
        pub(super) flags: u32,
        pub(super) size: u32,
        pub(super) erasesize: u32,
        writesize: u32,
        oobsize: u32,
        padding: u64,
    }

    /// `struct erase_info_user`.
    #[repr(C)]
    struct EraseInfoUser {
        start: u32,
        length: u32,
    }

    // The number of an ioctl holds the size of what it carries: a wrong one is another call. 32-bit x86 would align
    // the padding otherwise; no board has it.
    const _: () = assert!(size_of::<MtdInfoUser>() == 32 && size_of::<EraseInfoUser>() == 8);

    nix::ioctl_read!(mem_get_info, b'M', 1, MtdInfoUser);
    nix::ioctl_write_ptr!(mem_erase, b'M', 2, EraseInfoUser);

    pub(super) fn info(fd: RawFd) -> Result<MtdInfoUser, Errno> {
        let mut info = MtdInfoUser::default();
        // SAFETY: MEMGETINFO fills the structure, which is laid out as the kernel's and outlives the call.
        unsafe { mem_get_info(fd, &raw mut info) }?;
        Ok(info)
    }

    pub(super) fn erase(fd: RawFd, start: u32, length: u32) -> Result<(), Errno> {
        let range = EraseInfoUser { start, length };
        // SAFETY: MEMERASE only reads the structure, which is laid out as the kernel's and outlives the call.
        unsafe { mem_erase(fd, &raw const range) }?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let text = "dev:    size   erasesize  name\n\
                    mtd0: 00080000 00040000 \"boot\"\n\
                    mtd3: 009c0000 00040000 \"main\"\n\
                    mtd12: 01000000 00010000 \"a name, with blanks\"\n";
        let list = parse_list(text).unwrap();
        assert_eq!(list.len(), 3);
        let main = MtdPartition { number: 3, name: "main".into(), size: 9_984 << 10, erase_block: 256 << 10 };
        assert_eq!(list[1], main);
        assert_eq!(main.block_device(), PathBuf::from("/dev/mtdblock3"));
        assert_eq!((list[2].number, list[2].name.as_str()), (12, "a name, with blanks"));
        assert_eq!(parse_list("dev:    size   erasesize  name\n"), Some(vec![]), "a kernel without flash");
    }

    #[test]
    fn another_text_is_no_list() {
        for text in [
            "",
            "major minor\n",
            "dev: x\nmtd0: 00080000\n",
            "dev: x\nmtd0: 00080000 00040000 boot\n",
            "dev: x\nmtdx: 00080000 00040000 \"boot\"\n",
            "dev: x\nmtd0: 0g080000 00040000 \"boot\"\n",
            "dev: x\nmtd0: 100000000 00040000 \"boot\"\n",
        ] {
            assert_eq!(parse_list(text), None, "{text:?}");
        }
    }
}
