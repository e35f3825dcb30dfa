//! Shared memory: the one file of this crate with `unsafe` code.
//!
//! Maps a file, hands out its words as atomics, copies bytes word by word, and sleeps and wakes by futex.
//! Survives a file that somebody shortens while it is mapped: the kernel answers an access behind the new end
//! with SIGBUS; the handler here puts zeros in the mapping's place, and [`Mapping::lost`] says so from then on.
//!
//! Does not belong here: what any word means.
//!
//! Invariants: a mapping never changes its address or size while it lives; every access is inside it and goes
//! through an atomic, so that other processes writing at the same time are no data race in this one.
#![allow(unsafe_code, reason = "mmap and futex have no safe interface; each block says why it holds")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mprotect, munmap};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

const WORD: usize = size_of::<usize>();

/// A file mapped shared.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// Bytes from the start that may be written.
    writable: usize,
    guard: &'static Guard,
}

// SAFETY: the mapping is valid in every thread until it is dropped, and all access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above; no method takes more than `&self` to write, and all of them write atomically.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes, the first `writable` of them for writing as well. The file must have that
    /// size now.
    pub(crate) fn new(file: &File, len: usize, writable: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let all =
            if writable >= len { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        let guard = Guard::take()?;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe { mmap(None, length, all, MapFlags::MAP_SHARED, file, 0) }
            .inspect_err(|_| guard.give_back())?;
        guard.watch(base.as_ptr().addr(), len);
        let mapping = Self { base: base.cast(), len, writable: writable.min(len), guard };
        if writable > 0 && writable < len {
            // SAFETY: the range is inside the mapping made above, which nobody else knows yet.
            unsafe { mprotect(base, writable, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) }?;
        }
        Ok(mapping)
    }

    /// Whether the file was shortened: what has been read since may be zeros, what was written is nowhere.
    pub(crate) fn lost(&self) -> bool {
        self.guard.lost.load(Ordering::Acquire)
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

    /// Appends `len` bytes from `offset`, as [`Mapping::read`] reads them.
    pub(crate) fn append(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
        let words = self.words(offset, len);
        into.reserve(len);
        let (whole, rest) = into.spare_capacity_mut()[..len].as_chunks_mut::<WORD>();
        let whole_words = whole.len();
        for (word, bytes) in words.iter().zip(whole) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes().map(MaybeUninit::new);
        }
        if let Some(last) = words.get(whole_words) {
            for (byte, value) in rest.iter_mut().zip(last.load(Ordering::Relaxed).to_ne_bytes()) {
                byte.write(value);
            }
        }
        // SAFETY: these bytes were all written just now: `words` has as many words as `len` bytes begin.
        unsafe { into.set_len(into.len() + len) };
    }

    /// Sleeps while the word at `offset` is `value`, at most `timeout`. False when the time is over or a signal
    /// came; true when woken, or when it is another value already.
    pub(crate) fn futex_wait(&self, offset: usize, value: u32, timeout: Duration) -> bool {
        // The kernel's old timespec: two longs. Not libc's, which on 32-bit musl has a 64-bit time.
        let seconds = libc::c_long::try_from(timeout.as_secs()).unwrap_or(libc::c_long::MAX);
        let timespec: [libc::c_long; 2] = [seconds, libc::c_long::from(timeout.subsec_nanos() as i32)];
        let word = self.u32(offset).as_ptr();
        // SAFETY: `word` is an aligned word of a live mapping and `timespec` outlives the call; the kernel only
        // reads both. Not FUTEX_PRIVATE_FLAG: the word is shared between processes.
        let answer =
            unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, value, timespec.as_ptr()) };
        answer == 0 || Errno::last() == Errno::EAGAIN
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
        self.guard.give_back();
        // SAFETY: the range is the one that was mapped, and no reference into it outlives `self`.
        let result: Result<(), Errno> = unsafe { munmap(self.base.cast::<c_void>(), self.len) };
        debug_assert!(result.is_ok(), "munmap: {result:?}");
    }
}

/// Mappings a process can have: 64 channels of 3 streams, read by two parts of one process, and events.
const MAX_MAPPINGS: usize = 512;

/// A range in which SIGBUS is survived.
#[derive(Debug)]
struct Guard {
    taken: AtomicBool,
    /// 0 while it watches nothing.
    base: AtomicUsize,
    len: AtomicUsize,
    lost: AtomicBool,
}

static GUARDS: [Guard; MAX_MAPPINGS] = [const {
    Guard {
        taken: AtomicBool::new(false),
        base: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
    }
}; MAX_MAPPINGS];

/// What handled SIGBUS before: the standard library's stack overflow message, for one.
static PREVIOUS: OnceLock<Result<SigAction, Errno>> = OnceLock::new();

impl Guard {
    fn take() -> io::Result<&'static Self> {
        let handler = SigHandler::SigAction(on_sigbus);
        let action = SigAction::new(handler, SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK, SigSet::empty());
        // SAFETY: the handler calls nothing but what a signal handler may, and hands on what is not its own.
        (*PREVIOUS.get_or_init(|| unsafe { sigaction(Signal::SIGBUS, &action) }))?;
        let free = GUARDS.iter().find(|guard| !guard.taken.swap(true, Ordering::AcqRel));
        free.ok_or_else(|| {
            io::Error::other(format!("{MAX_MAPPINGS} files of the bus are open in this process"))
        })
    }

    fn watch(&self, base: usize, len: usize) {
        self.lost.store(false, Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
        self.base.store(base, Ordering::Release);
    }

    fn give_back(&self) {
        self.base.store(0, Ordering::Release);
        self.taken.store(false, Ordering::Release);
    }

    fn holds(&self, address: usize) -> bool {
        let base = self.base.load(Ordering::Acquire);
        base != 0 && address.checked_sub(base).is_some_and(|offset| offset < self.len.load(Ordering::Relaxed))
    }

    /// Puts zeros of this process in the place of the file. Async-signal-safe: a system call and atomics.
    fn cover(&self) -> bool {
        // Two threads may come here at once; the second covers zeros with zeros.
        self.lost.store(true, Ordering::Release);
        #[cfg(target_pointer_width = "64")]
        let number = libc::SYS_mmap;
        // In pages, not bytes; the offset is 0 either way.
        #[cfg(target_pointer_width = "32")]
        let number = libc::SYS_mmap2;
        let (base, len) = (self.base.load(Ordering::Relaxed), self.len.load(Ordering::Relaxed));
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: replaces exactly a mapping made by `Mapping::new`, which is alive: the thread that got the signal
        // is accessing it through a reference. All access is atomic and expects any value.
        let answer = unsafe { libc::syscall(number, base, len, access, flags, -1, 0) };
        answer != -1
    }
}

extern "C" fn on_sigbus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let before = Errno::last_raw();
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo, and for SIGBUS its address field is set.
    let address = unsafe { (*info).si_addr() }.addr();
    let covered = GUARDS.iter().find(|guard| guard.holds(address)).is_some_and(Guard::cover);
    if !covered {
        // Somebody else's: the access is made again when this returns, and then meets the handler before ours.
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        let previous = PREVIOUS.get().and_then(|previous| previous.ok()).unwrap_or(default);
        // SAFETY: sigaction is async-signal-safe, and the action was in place before.
        let _ = unsafe { sigaction(Signal::SIGBUS, &previous) };
    }
    Errno::set_raw(before);
}
