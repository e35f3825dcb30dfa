//! RTSP requests, and what is read of their headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtsp::fuzzing::request(data));
