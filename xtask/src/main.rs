//! xtask: developer commands.
fn main() {}
