//! What begins a tunnel through HTTP, and what is in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtsp::fuzzing::tunnel(data));
