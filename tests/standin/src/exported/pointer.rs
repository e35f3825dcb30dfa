//! Pointers of C callers, the only place where they are followed.
//!
//! Invariant: an address is followed only if it is not null, and only as the structure that the vendor's header names.

use mpp_abi::{Addr32, ErrorCode, Field};

use crate::refusal::{Module, Outcome};

/// A structure that the caller gives.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Given<T>(*const T);

/// A structure that the caller wants to have filled.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Filled<T>(*mut T);

fn null<T>(module: Module) -> Outcome<T> {
    module.refuse(ErrorCode::NullPointer, "a pointer is null")
}

impl<T: Field> Given<T> {
    /// What it is.
    pub(crate) fn get(self, module: Module) -> Outcome<T> {
        if self.0.is_null() {
            return null(module);
        }
        // SAFETY: not null; by the vendor's header a caller's pointer leads to such a structure, which is plain numbers.
        Ok(unsafe { self.0.read_unaligned() })
    }
}

impl<T: Field> Filled<T> {
    /// What it is now.
    pub(crate) fn get(self, module: Module) -> Outcome<T> {
        Given(self.0.cast_const()).get(module)
    }

    /// Fills it.
    pub(crate) fn put(self, module: Module, value: T) -> Outcome {
        if self.0.is_null() {
            return null(module);
        }
        // SAFETY: as in `Given::get`, and the caller has no reference to it while it calls.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }

    /// Writes `bytes` bytes behind it, as a library does whose structure is larger.
    pub(crate) fn overrun(self, bytes: usize) {
        // SAFETY: none: that is the point. The caller is a test of a host that keeps a guard behind its structures.
        unsafe { self.0.add(1).cast::<u8>().write_bytes(0xA5, bytes) };
    }
}

/// Structures one behind the other, at an address within another structure.
#[derive(Clone, Copy)]
pub(crate) struct Array<T>(*mut T);

impl<T: Field> Array<T> {
    pub(crate) fn at(address: Addr32, module: Module) -> Outcome<Self> {
        if address.is_null() {
            return null(module);
        }
        Ok(Self(std::ptr::with_exposed_provenance_mut(address.0 as usize)))
    }

    /// One of them; the caller said that there are as many.
    pub(crate) fn get(self, number: usize) -> T {
        // SAFETY: not null (`at`); by the vendor's header so many structures lie there.
        unsafe { self.0.add(number).read_unaligned() }
    }

    /// Fills one of them; the caller said that there are as many.
    #[cfg_attr(feature = "g1", allow(dead_code, reason = "all generations fill packs"))]
    pub(crate) fn put(self, number: usize, value: T) {
        // SAFETY: as in `get`.
        unsafe { self.0.add(number).write_unaligned(value) };
    }
}
