//! What this process is for: process 1, or the work that it has done.
//!
//! Does not belong here: the work itself.

use std::env;
use std::fs;
use std::process::ExitCode;

use nix::unistd::getpid;

use crate::cmdline::CommandLine;
use crate::console;
use crate::decide::decide;
use crate::error::{ErrorKind, LoaderError};
use crate::note::{self, Note};
use crate::pid1;
use crate::place::Place;
use crate::reason::RecoveryReason;
use crate::recovery;

/// Process 1 does not return. The kernel hands it the words of its command line that it does not know as arguments, so they
/// count for nothing there.
pub(crate) fn main() -> ExitCode {
    if getpid().as_raw() == 1 {
        pid1::run()
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["decide"] => {
            let decided = place().and_then(|(line, place)| decide(&line, &place));
            Ok(decided.unwrap_or_else(|error| Note::Recover(RecoveryReason::of_failure(&error))))
        }
        ["recover", reason] => recover(reason),
        _ => {
            console::say("This program is process 1 of a recorder's first stage. It does nothing here.");
            return ExitCode::FAILURE;
        }
    };
    match done
        .and_then(|note| note::hand_over(&note).map_err(|error| LoaderError::system("the result", error)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::say(format_args!("Candor loader: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn recover(reason: &str) -> Result<Note, LoaderError> {
    let reason: RecoveryReason = serde_json::from_str(reason)
        .map_err(|error| LoaderError::new(ErrorKind::System, format!("recovery's reason: {error}")))?;
    let (_, place) = place()?;
    recovery::run(&place, reason)?;
    Ok(Note::Restart)
}

fn place() -> Result<(CommandLine, Place), LoaderError> {
    let line = fs::read_to_string("/proc/cmdline")
        .map_err(|error| LoaderError::system("reading the kernel's command line", error))?;
    let line = CommandLine::parse(&line);
    let place = Place::find(&line)?;
    Ok((line, place))
}
