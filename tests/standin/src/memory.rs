//! Memory that the caller reads by address while the library writes in it.
//!
//! The vendor's buffers are physical memory, mapped. Here they are the process's own: bytes that both sides may touch, so
//! that no exclusive reference is claimed over what the other side reads.
#![allow(unsafe_code, reason = "zeroed memory that is not touched until it is used")]

use std::sync::atomic::{AtomicU8, Ordering};

/// Where the pretended physical memory begins.
const PHYSICAL: u32 = 0x8000_0000;

/// A buffer whose address does not change.
#[derive(Debug)]
pub(crate) struct Memory(Box<[AtomicU8]>);

impl Memory {
    /// That many zeros; pages that nobody writes cost nothing.
    pub(crate) fn new(bytes: usize) -> Self {
        let zeros = Box::<[AtomicU8]>::new_zeroed_slice(bytes);
        // SAFETY: an AtomicU8 may have any value, and zero is one.
        Self(unsafe { zeros.assume_init() })
    }

    /// A buffer that holds those bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let memory = Self::new(bytes.len());
        memory.write(0, bytes);
        memory
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes `bytes` from `at` on.
    ///
    /// # Panics
    /// If they do not fit.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        for (place, &byte) in self.0[at..at + bytes.len()].iter().zip(bytes) {
            place.store(byte, Ordering::Relaxed);
        }
    }

    /// Reads `length` bytes from `at` on.
    #[cfg(test)]
    pub(crate) fn read(&self, at: usize, length: usize) -> Vec<u8> {
        self.0[at..at + length].iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    /// The address of byte `at`, for the caller. On targets with wider pointers it is cut: nobody reads it there.
    pub(crate) fn address(&self, at: usize) -> u32 {
        (self.0.as_ptr().expose_provenance() + at) as u32
    }

    /// What is pretended to be the physical address of byte `at`.
    pub(crate) fn physical(&self, at: usize) -> u32 {
        PHYSICAL | self.address(at)
    }
}
