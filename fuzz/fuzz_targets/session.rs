//! Whole conversations with an RTSP session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtsp::fuzzing::session(data));
