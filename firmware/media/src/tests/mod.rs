//! Tests of the whole crate: FFmpeg and ffprobe read what is written here.

mod ffmpeg;
mod fragments;
mod golden;
mod hostile;
mod movies;
