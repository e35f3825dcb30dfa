//! Placeholder of the module `index`.
