//! A media library with the vendor's C interface, for tests.
