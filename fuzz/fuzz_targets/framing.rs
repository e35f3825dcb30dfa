//! Requests and interleaved packets in one stream, however it is cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtsp::fuzzing::framing(data));
