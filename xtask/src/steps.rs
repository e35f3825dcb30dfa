//! Running other programs, one after the other, with their output on the terminal.

use std::process::Command;

use crate::workspace::{Failure, root};

/// Runs `program` in the project's folder and fails when it does.
pub(crate) fn run(program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<(), Failure> {
    let line = format!("{program} {}", args.join(" "));
    println!("==> {line}");
    let status = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(root())
        .status()
        .map_err(|error| format!("{line}: {error}; `make test` installs what is missing"))?;
    if status.success() { Ok(()) } else { Err(format!("{line}: {status}").into()) }
}
