//! Tests of the whole store: round trips, crashes, damage, real footage.

mod support;

mod classes;
mod crash;
mod damage;
mod encryption;
mod footage;
mod index;
mod inventory;
mod killed;
mod limits;
mod process;
mod roundtrip;
