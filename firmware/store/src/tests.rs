//! Placeholder of the module `tests`.
