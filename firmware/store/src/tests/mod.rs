//! Tests of the whole store: round trips, crashes, damage, real footage.

mod clips;
mod support;
mod volumes;
mod watched;

mod classes;
mod crash;
mod crash_index;
mod crash_life;
mod crash_plan;
mod crash_points;
mod crash_told;
mod damage;
mod encryption;
mod footage;
mod index;
mod inventory;
mod killed;
mod limits;
mod playback;
mod process;
mod roundtrip;
mod unread;
