//! Classes of retention: footage that is kept by the same rule lies together.
//!
//! Does not belong here: files (`pool`), which channel is kept how long (settings, crate `candor`).
//!
//! Invariant: a segment holds footage of one class, so that forgetting one class never costs another.

use std::fmt;

/// A class of retention, 0 to [`Class::COUNT`] - 1. Streams are in class 0 unless told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(u8);

impl Class {
    /// How many there are: each in use has a segment of its own open and costs a write and a sync a commit.
    pub const COUNT: u8 = 8;

    /// Where streams are unless told otherwise.
    pub const DEFAULT: Self = Self(0);

    /// `None` from [`Class::COUNT`] on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Every class.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class {}", self.0)
    }
}
