//! Tests of the whole store: round trips, crashes, damage, other processes, real footage.

mod support;

mod crash;
mod damage;
mod footage;
mod limits;
mod process;
mod roundtrip;
