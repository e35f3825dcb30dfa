//! What is said between a role and whoever measures it.

use std::error::Error;
use std::io::{self, Write};

/// What goes wrong is told in words.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Tells that a server is there.
pub(crate) fn say_port(port: u16) -> io::Result<()> {
    say(&format!("port {port}"))
}

/// A line, at once.
pub(crate) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Until whoever started this wants its end, or has ended itself.
pub(crate) fn until_told() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
