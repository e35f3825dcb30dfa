//! Decides what is recorded and feeds the store.
