//! The vendor's media platform behind the HAL: starts `mpp-host`, watches it, and hands on what it encodes.

#![allow(dead_code)]
mod budget;
mod error;
mod gate;
mod osd;
mod plan;
mod timeline;
