//! Tests of the whole store: round trips, crashes, damage, real footage.

mod clips;
mod support;
mod volumes;
mod watched;
mod witnessed;

mod beside;
mod classes;
mod crash;
mod crash_index;
mod crash_life;
mod crash_plan;
mod crash_points;
mod crash_told;
mod damage;
mod deletion;
mod deletion_crash;
mod encryption;
mod events;
mod footage;
mod index;
mod inventory;
mod killed;
mod layouts;
mod limits;
mod locks;
mod opening;
mod playback;
mod process;
mod proofs;
mod replay;
mod retention;
mod retention_crash;
mod roundtrip;
mod unread;
