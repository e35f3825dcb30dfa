//! Updates: bundles, signatures, slots and the state log.
