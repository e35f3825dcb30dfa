//! Shared-memory rings of access units, and events.
