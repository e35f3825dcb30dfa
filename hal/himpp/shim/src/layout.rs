//! Layout: `struct stat` as the kernel fills it, and as old C libraries did.
//!
//! uClibc and glibc, where sizes have 32 bits, have the same 88 bytes (uClibc 0.9.32 `bits/stat.h`, glibc for ARM,
//! compared field by field). musl has 104, which in a vendor's stack frame is 16 too many. Does not belong here: who
//! asks (`stat.rs`).

/// `struct stat64` of the kernel, EABI: 104 bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct KernelStat {
    pub(crate) device: [u32; 2],
    pub(crate) _pad: u32,
    pub(crate) _short_inode: u32,
    pub(crate) mode: u32,
    pub(crate) links: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) special_device: [u32; 2],
    pub(crate) _pad2: [u32; 2],
    /// Low half, high half; the kernel's are little-endian here.
    pub(crate) bytes: [u32; 2],
    pub(crate) block_bytes: u32,
    pub(crate) _pad3: u32,
    pub(crate) blocks: [u32; 2],
    /// Seconds and nanoseconds of the last access, change of the data, change of the status.
    pub(crate) times: [u32; 6],
    pub(crate) inode: [u32; 2],
}

/// `struct stat` of uClibc and glibc: 88 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct OldStat {
    device: [u32; 2],
    pad: u32,
    inode: u32,
    mode: u32,
    links: u32,
    user: u32,
    group: u32,
    special_device: [u32; 2],
    pad2: u32,
    bytes: u32,
    block_bytes: u32,
    blocks: u32,
    times: [u32; 6],
    unused: [u32; 2],
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<KernelStat>() == 104 && size_of::<OldStat>() == 88);
    assert!(offset_of!(KernelStat, mode) == 16 && offset_of!(OldStat, mode) == 16);
    assert!(offset_of!(KernelStat, bytes) == 48 && offset_of!(OldStat, bytes) == 44);
    assert!(offset_of!(KernelStat, times) == 72 && offset_of!(OldStat, times) == 56);
};

impl OldStat {
    /// `None` where a number does not fit (`EOVERFLOW`): a size from 2 GiB on, an inode number or blocks beyond 32 bits.
    pub(crate) fn of(kernel: &KernelStat) -> Option<Self> {
        let is_small = kernel.bytes[1] == 0
            && kernel.bytes[0] <= i32::MAX.cast_unsigned()
            && kernel.blocks[1] == 0
            && kernel.inode[1] == 0;
        is_small.then(|| Self {
            device: kernel.device,
            pad: 0,
            inode: kernel.inode[0],
            mode: kernel.mode,
            links: kernel.links,
            user: kernel.user,
            group: kernel.group,
            special_device: kernel.special_device,
            pad2: 0,
            bytes: kernel.bytes[0],
            block_bytes: kernel.block_bytes,
            blocks: kernel.blocks[0],
            times: kernel.times,
            unused: [0; 2],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> KernelStat {
        KernelStat {
            mode: 0o100_644,
            bytes: [12_345, 0],
            block_bytes: 4096,
            blocks: [32, 0],
            times: [1, 2, 3, 4, 5, 6],
            inode: [77, 0],
            ..KernelStat::default()
        }
    }

    #[test]
    fn what_fits_is_kept() {
        let old = OldStat::of(&kernel()).unwrap();
        assert_eq!((old.mode, old.bytes, old.block_bytes), (0o100_644, 12_345, 4096));
        assert_eq!((old.inode, old.blocks, old.times), (77, 32, [1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for too_much in [
            KernelStat { bytes: [0x8000_0000, 0], ..kernel() },
            KernelStat { bytes: [0, 1], ..kernel() },
            KernelStat { blocks: [0, 1], ..kernel() },
            KernelStat { inode: [0, 1], ..kernel() },
        ] {
            assert_eq!(OldStat::of(&too_much), None, "{too_much:?}");
        }
    }
}
