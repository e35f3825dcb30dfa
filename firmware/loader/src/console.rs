//! Lines for whoever stands before the board: the kernel's console.
//!
//! Standard error, because standard output is the way to process 1 (`note.rs`).

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::error::LoaderError;

/// Connects process 1 with the console. The kernel does that itself only when the initramfs has a node for it.
pub(crate) fn attach() -> Result<(), LoaderError> {
    let failed = |error: io::Error| LoaderError::system("opening the console", error);
    let console = OpenOptions::new().read(true).write(true).open("/dev/console").map_err(failed)?;
    dup2_stdin(&console).map_err(|errno| failed(errno.into()))?;
    dup2_stdout(&console).map_err(|errno| failed(errno.into()))?;
    dup2_stderr(&console).map_err(|errno| failed(errno.into()))
}

/// Writes a line. A console that does not take it is no reason to stop.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
