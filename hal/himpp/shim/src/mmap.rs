//! `mmap` with a 32-bit offset, for vendors' libraries under musl.
//!
//! They map the media memory through a device node, with a physical address as the offset: from 0x80000000 on it
//! must not be taken for a negative number. Under musl the word that they pass is padding, and what musl takes for
//! the offset lies beyond it on their stack: wherever that points, it is not the encoder's buffer. Does not belong
//! here: `mmap64`, whose offset has 64 bits everywhere, and which musl has.
#![allow(unsafe_code, reason = "stands in for a C function, with arguments on the stack")]

use core::arch::naked_asm;
use core::ffi::c_void;

use libc::{EINVAL, MAP_FAILED, SYS_mmap2, c_int};

use crate::caller::is_program;

/// What the kernel counts offsets in, whatever the page size.
const UNIT_BITS: u32 = 12;

/// Put in front of musl's. Four arguments are in registers, the rest on the caller's stack; that and the return address are
/// handed on.
///
/// # Safety
/// As mmap.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    bytes: usize,
    protection: c_int,
    flags: c_int,
) -> *mut c_void {
    naked_asm!(
        "mov r12, sp",
        "push {{r12, lr}}",
        "bl {map}",
        "pop {{r12, pc}}",
        map = sym map,
    )
}

/// # Safety
/// As mmap; `stack` are the caller's further arguments: the file, then an offset of 32 bits, or at the next multiple of 8 bytes
/// one of 64.
unsafe extern "C" fn map(
    address: *mut c_void,
    bytes: usize,
    protection: c_int,
    flags: c_int,
    stack: *const u32,
    return_address: usize,
) -> *mut c_void {
    // SAFETY: the file's number is always there.
    let file = unsafe { stack.read() };
    let offset = if flags & libc::MAP_ANONYMOUS != 0 {
        0
    } else if is_program(return_address) {
        // SAFETY: the program was built for musl: 64 bits, aligned.
        unsafe { u64::from(stack.add(2).read()) | u64::from(stack.add(3).read()) << 32 }
    } else {
        // SAFETY: a vendor's library was not: 32 bits.
        u64::from(unsafe { stack.add(1).read() })
    };
    let units = u32::try_from(offset >> UNIT_BITS);
    let (Ok(units), true) = (units, offset.trailing_zeros() >= UNIT_BITS) else {
        // SAFETY: this thread's error number.
        unsafe { *libc::__errno_location() = EINVAL };
        return MAP_FAILED;
    };
    // SAFETY: the caller's call, with its offset in the kernel's units.
    let mapped = unsafe { libc::syscall(SYS_mmap2, address, bytes, protection, flags, file, units) };
    core::ptr::with_exposed_provenance_mut(mapped as usize)
}
