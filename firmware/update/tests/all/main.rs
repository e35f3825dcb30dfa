//! The update crate from outside: power cuts, attacks, bundles.

mod attacks;
mod bundles;
mod device;
mod fixture;
mod partition;
mod power_cuts;
mod slots;
mod state_log;
