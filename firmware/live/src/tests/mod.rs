//! Tests over real rings: what a viewer gets must be a file that FFmpeg plays.

mod clips;
mod muxing;
mod playing;
mod viewers;
