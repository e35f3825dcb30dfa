//! Placeholder of the module `faults`.
