//! What an honest file gets, and what no tampered one may get.

mod flips;
mod footage;
mod gaps;
mod recorder;
mod tampering;
mod verdicts;
