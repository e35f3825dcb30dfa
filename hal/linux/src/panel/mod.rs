//! TVT's panel: a microcontroller on a serial line, and what is behind it.
//!
//! LEDs, relays, a buzzer, alarm inputs and a watchdog share the line: `frames` is what is on it, `link` what is said when, and
//! `tvt` has the port and hands out the devices.

mod frames;
mod link;
mod tvt;

pub use tvt::TvtPanel;
