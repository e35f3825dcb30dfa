//! The one program that loads the vendor's media library.

fn main() {}
