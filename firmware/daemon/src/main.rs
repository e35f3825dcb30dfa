//! candor: the recorder program.
fn main() {}
