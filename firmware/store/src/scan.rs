//! Placeholder of the module `scan`.
