//! An address as 32-bit ARM has it.
//!
//! On the board it is a pointer; elsewhere it is a number that the stand-in library gives a meaning to.

use core::fmt;

/// A pointer or a physical address of the vendor's platform, 4 bytes on every target.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Addr32(pub u32);

impl Addr32 {
    /// The null pointer.
    pub const NULL: Self = Self(0);

    /// Whether this points nowhere.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Addr32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
