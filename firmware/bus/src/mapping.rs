//! Shared memory: the one file of this crate with `unsafe` code.
//!
//! Maps a file, hands out its words as atomics, copies bytes word by word, and sleeps and wakes by futex.
//!
//! Does not belong here: what any word means.
//!
//! Invariants: a mapping never changes its address or size while it lives; every access is inside it and goes
//! through an atomic, so that other processes writing at the same time are no data race in this one.
#![allow(unsafe_code, reason = "mmap and futex have no safe interface; each block says why it holds")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mprotect, munmap};

const WORD: usize = size_of::<usize>();

/// A file mapped shared.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// Bytes from the start that may be written.
    writable: usize,
}

// SAFETY: the mapping is valid in every thread until it is dropped, and all access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above; no method takes more than `&self` to write, and all of them write atomically.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes, the first `writable` of them for writing as well. The file must have that
    /// size; who shortens it later makes this process fail with SIGBUS.
    pub(crate) fn new(file: &File, len: usize, writable: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let all =
            if writable >= len { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe { mmap(None, length, all, MapFlags::MAP_SHARED, file, 0) }?;
        let mapping = Self { base: base.cast(), len, writable: writable.min(len) };
        if writable > 0 && writable < len {
            // SAFETY: the range is inside the mapping made above, which nobody else knows yet.
            unsafe { mprotect(base, writable, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) }?;
        }
        Ok(mapping)
    }

    /// The 32-bit word at `offset`. Writing is up to the caller: only below `writable`.
    pub(crate) fn u32(&self, offset: usize) -> &AtomicU32 {
        self.check(offset, size_of::<u32>(), size_of::<u32>());
        // SAFETY: in bounds and aligned (checked above); the memory lives as long as `self`, and is only
        // accessed atomically, by this process and by others.
        unsafe { self.base.add(offset).cast::<AtomicU32>().as_ref() }
    }

    /// The 64-bit word at `offset`. Writing is up to the caller: only below `writable`.
    pub(crate) fn u64(&self, offset: usize) -> &AtomicU64 {
        self.check(offset, size_of::<u64>(), size_of::<u64>());
        // SAFETY: as for `u32`.
        unsafe { self.base.add(offset).cast::<AtomicU64>().as_ref() }
    }

    /// Copies `data` to `offset`, a multiple of the word size, with relaxed stores. Fills the last word with
    /// zeros.
    pub(crate) fn write(&self, offset: usize, data: &[u8]) {
        let words = self.words(offset, data.len());
        assert!(offset + data.len().next_multiple_of(WORD) <= self.writable, "write into a read-only part");
        let (whole, rest) = data.as_chunks::<WORD>();
        for (word, bytes) in words.iter().zip(whole) {
            word.store(usize::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let mut last = [0; WORD];
            last[..rest.len()].copy_from_slice(rest);
            words[whole.len()].store(usize::from_ne_bytes(last), Ordering::Relaxed);
        }
    }

    /// Copies from `offset`, a multiple of the word size, with relaxed loads. What comes may be torn: the
    /// caller validates.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        let words = self.words(offset, into.len());
        let (whole, rest) = into.as_chunks_mut::<WORD>();
        let whole_words = whole.len();
        for (word, bytes) in words.iter().zip(whole) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        if !rest.is_empty() {
            let last = words[whole_words].load(Ordering::Relaxed).to_ne_bytes();
            let len = rest.len();
            rest.copy_from_slice(&last[..len]);
        }
    }

    /// Sleeps while the word at `offset` is `value`, at most `timeout`. May return early for no reason.
    pub(crate) fn futex_wait(&self, offset: usize, value: u32, timeout: Duration) {
        // The kernel's old timespec: two longs. Not libc's, which on 32-bit musl has a 64-bit time.
        let seconds = libc::c_long::try_from(timeout.as_secs()).unwrap_or(libc::c_long::MAX);
        let timespec: [libc::c_long; 2] = [seconds, libc::c_long::from(timeout.subsec_nanos() as i32)];
        let word = self.u32(offset).as_ptr();
        // SAFETY: `word` is an aligned word of a live mapping and `timespec` outlives the call; the kernel only
        // reads both. Not FUTEX_PRIVATE_FLAG: the word is shared between processes.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, value, timespec.as_ptr()) };
    }

    /// Wakes everybody who sleeps on the word at `offset`, in every process.
    pub(crate) fn futex_wake(&self, offset: usize) {
        let word = self.u32(offset).as_ptr();
        // SAFETY: `word` is an aligned word of a live mapping; the kernel uses its address as a key only.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX) };
    }

    fn words(&self, offset: usize, bytes: usize) -> &[AtomicUsize] {
        let bytes = bytes.next_multiple_of(WORD);
        self.check(offset, bytes, WORD);
        // SAFETY: in bounds and aligned (checked above); the memory lives as long as `self` and is only accessed
        // atomically.
        unsafe {
            std::slice::from_raw_parts(self.base.add(offset).cast::<AtomicUsize>().as_ptr(), bytes / WORD)
        }
    }

    fn check(&self, offset: usize, bytes: usize, align: usize) {
        assert!(
            offset.is_multiple_of(align) && offset.checked_add(bytes).is_some_and(|end| end <= self.len),
            "offset {offset} is outside the mapping"
        );
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the one that was mapped, and no reference into it outlives `self`.
        let result: Result<(), Errno> = unsafe { munmap(self.base.cast::<c_void>(), self.len) };
        debug_assert!(result.is_ok(), "munmap: {result:?}");
    }
}
