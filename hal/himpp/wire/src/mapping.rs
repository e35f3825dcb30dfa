//! Shared memory: the one file of this crate with `unsafe` code.
//!
//! Maps a file and hands out its 32-bit words as atomics. Does not belong here: what any word means (`ring.rs`).
//!
//! Invariants: a mapping never changes its address or size while it lives; every access is inside it and goes through an
//! atomic, so that the other process writing at the same time is no data race in this one. The file must not shrink while it
//! is mapped: the client seals it where the kernel can (`memfd_create`), and the host gives up the right to open files.
#![allow(unsafe_code, reason = "mmap has no safe interface; each block says why it holds")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::libc;

/// What a word has.
pub(crate) const WORD: usize = 4;

/// A file mapped shared, for reading and writing.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is valid in every thread until it is dropped, and all access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above; whatever takes `&self` to write writes atomically.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `bytes` of a file, which must have as many now.
    pub(crate) fn new(file: &File, bytes: usize) -> io::Result<Self> {
        if bytes == 0 || file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the ring's file is too short"));
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe { map(bytes, protection, file.as_raw_fd()) };
        let base = NonNull::new(base).filter(|base| base.as_ptr().addr() != usize::MAX);
        base.map(|base| Self { base, bytes }).ok_or_else(io::Error::last_os_error)
    }

    /// The word at `offset`, a multiple of 4.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        &self.words(offset, WORD)[0]
    }

    /// Copies `data` to `offset`, a multiple of 4, and fills the last word with zeros.
    pub(crate) fn write(&self, offset: usize, data: &[u8]) {
        let words = self.words(offset, data.len());
        for (word, bytes) in words.iter().zip(data.chunks(WORD)) {
            let mut whole = [0; WORD];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u32::from_ne_bytes(whole), Ordering::Relaxed);
        }
    }

    /// Appends `bytes` bytes from `offset`, a multiple of 4.
    pub(crate) fn read(&self, offset: usize, bytes: usize, into: &mut Vec<u8>) {
        let end = into.len() + bytes;
        into.reserve(bytes.next_multiple_of(WORD));
        for word in self.words(offset, bytes) {
            into.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        into.truncate(end);
    }

    fn words(&self, offset: usize, bytes: usize) -> &[AtomicU32] {
        let bytes = bytes.next_multiple_of(WORD);
        let inside = offset.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        assert!(inside && offset.is_multiple_of(WORD), "{bytes} bytes at {offset} of {}", self.bytes);
        // SAFETY: in bounds and aligned (checked above; the mapping begins at a page); the memory lives as long as `self` and is
        // only accessed atomically, by this process and by the other.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset).cast(), bytes / WORD) }
    }
}

/// mmap as the kernel has it. Not the C library's on 32-bit ARM: under musl, a host may have put one in its place whose
/// offset has 32 bits, as vendors' libraries expect (docs/mpp-host.md).
///
/// # Safety
/// As mmap without an address.
unsafe fn map(bytes: usize, protection: i32, file: i32) -> *mut u8 {
    #[cfg(target_arch = "arm")]
    // SAFETY: the caller's.
    let base = unsafe {
        libc::syscall(libc::SYS_mmap2, 0, bytes, protection, libc::MAP_SHARED, file, 0) as usize as *mut u8
    };
    #[cfg(not(target_arch = "arm"))]
    // SAFETY: the caller's.
    let base =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file, 0) }.cast();
    base
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, and nobody has a reference into it any more.
        let outcome = Errno::result(unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) });
        debug_assert!(outcome.is_ok(), "munmap of a mapping that is there");
    }
}
