//! The simulator backend: deterministic cameras, clock and flash.
