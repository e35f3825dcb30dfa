//! The recording store: segment log, index, recovery, check.
