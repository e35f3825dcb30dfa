//! What the emulated board's tests run beside the recorder.

fn main() {}
