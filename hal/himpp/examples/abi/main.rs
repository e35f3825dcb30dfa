//! Prints a generation's structures as the vendor's library sees them.
//!
//! They are computed from ours. `cargo run -p hal-himpp --example abi -- g1|g2|g3`

use clap::Parser;

mod table;

fn main() {
    let arguments = table::Arguments::parse();
    println!("{:#}", table::table(arguments.generation));
}
