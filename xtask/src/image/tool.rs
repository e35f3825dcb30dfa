//! Running the tools that make an image: quiet unless they fail.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use crate::workspace::Failure;

/// How much of a failed tool's words is worth reading.
const LAST_LINES: usize = 30;

/// Runs it and returns what it wrote to its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name}: {error}; `xtask/install.sh image` installs what is missing"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{name}: {}\n{}", output.status, last_lines(&String::from_utf8_lossy(&said))).into())
}

/// Runs it with its output on the terminal.
pub(super) fn run_shown(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().display().to_string();
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{name}: {error}; `xtask/install.sh image` installs what is missing"))?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}").into()) }
}

/// Runs a tool that says a line for each `thing` that it makes, and shows how many there are.
pub(super) fn run_counted(command: &mut Command, thing: &str) -> Result<(), Failure> {
    let name = command.get_program().display().to_string();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let terminal = std::io::stdout().is_terminal();
    let (mut count, mut said) = (0_usize, Vec::new());
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            said.push(line?);
            count += 1;
            if terminal {
                print!("\r    {count} {thing}");
                std::io::stdout().flush()?;
            } else if count.is_multiple_of(500) {
                println!("    {count} {thing}");
            }
        }
    }
    if terminal {
        println!();
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{name}: {status}\n{}", last_lines(&said.join("\n"))).into())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
