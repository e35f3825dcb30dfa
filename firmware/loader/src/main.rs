//! What a board's kernel starts: verifies a slot and starts it, or recovers.

fn main() {}
