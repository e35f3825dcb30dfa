//! `stat` and its kin in the layout of old C libraries, under musl.
//!
//! Does not belong here: the layouts (`layout.rs`), and `stat64`, whose layout all three share.
#![allow(unsafe_code, reason = "stands in for C functions that take addresses")]

use core::arch::naked_asm;
use core::ffi::{CStr, c_char, c_void};

use libc::{EINVAL, EOVERFLOW, RTLD_NEXT, SYS_fstat64, SYS_lstat64, SYS_stat64, c_int, c_long};

use crate::caller::is_program;
use crate::layout::{KernelStat, OldStat};

/// `_STAT_VER_LINUX`, the one layout that a program's `__xstat` asks for.
const VERSION: c_int = 3;

/// A function of the C library that fills a `struct stat`; `of` is a path or a descriptor.
type Theirs = unsafe extern "C" fn(of: usize, to: *mut c_void) -> c_int;

/// Puts a function in front of musl's: the same arguments, and the return address as a third.
macro_rules! in_front_of {
    ($name:ident, $own:literal, $call:expr) => {
        /// # Safety
        /// As the function of that name.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        unsafe extern "C" fn $name(of: usize, to: *mut c_void) -> c_int {
            /// # Safety
            /// As the function that it is for; `return_address` is the caller's.
            unsafe extern "C" fn ours(of: usize, to: *mut c_void, return_address: usize) -> c_int {
                if is_program(return_address) {
                    // SAFETY: the caller's call, as it was meant.
                    return unsafe { theirs($own, of, to) };
                }
                // SAFETY: the caller's call.
                unsafe { fill($call, of, to) }
            }
            naked_asm!("mov r2, lr", "b {ours}", ours = sym ours)
        }
    };
}

in_front_of!(stat, c"stat", SYS_stat64);
in_front_of!(fstat, c"fstat", SYS_fstat64);
in_front_of!(lstat, c"lstat", SYS_lstat64);

/// # Safety
/// As glibc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn __xstat(version: c_int, path: *const c_char, to: *mut c_void) -> c_int {
    // SAFETY: the caller's call.
    unsafe { fill_version(version, SYS_stat64, path.expose_provenance(), to) }
}

/// # Safety
/// As glibc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn __fxstat(version: c_int, file: c_int, to: *mut c_void) -> c_int {
    // SAFETY: the caller's call.
    unsafe { fill_version(version, SYS_fstat64, file as usize, to) }
}

/// # Safety
/// As glibc's.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lxstat(version: c_int, path: *const c_char, to: *mut c_void) -> c_int {
    // SAFETY: the caller's call.
    unsafe { fill_version(version, SYS_lstat64, path.expose_provenance(), to) }
}

unsafe fn fill_version(version: c_int, call: c_long, of: usize, to: *mut c_void) -> c_int {
    if version != VERSION {
        return refuse(EINVAL);
    }
    // SAFETY: the caller's call.
    unsafe { fill(call, of, to) }
}

/// # Safety
/// `of` must be what `call` takes, and `to` have room for an [`OldStat`].
unsafe fn fill(call: c_long, of: usize, to: *mut c_void) -> c_int {
    let mut kernel = KernelStat::default();
    // SAFETY: the kernel fills a `struct stat64`.
    if unsafe { libc::syscall(call, of, &raw mut kernel) } != 0 {
        return -1;
    }
    let Some(old) = OldStat::of(&kernel) else { return refuse(EOVERFLOW) };
    // SAFETY: the caller's room for it; nothing is said of its alignment.
    unsafe { to.cast::<OldStat>().write_unaligned(old) };
    0
}

/// musl's own function, for its own callers.
///
/// # Safety
/// `name` must be a function as [`Theirs`].
unsafe fn theirs(name: &CStr, of: usize, to: *mut c_void) -> c_int {
    // SAFETY: what comes after this library in the order of loading is musl.
    let next = unsafe { libc::dlsym(RTLD_NEXT, name.as_ptr()) };
    if next.is_null() {
        return refuse(libc::ENOSYS);
    }
    // SAFETY: the caller's word on what it is.
    unsafe { core::mem::transmute::<*mut c_void, Theirs>(next)(of, to) }
}

fn refuse(error: c_int) -> c_int {
    // SAFETY: this thread's error number.
    unsafe { *libc::__errno_location() = error };
    -1
}
