//! What processes use, from /proc (proc(5)) and from their clocks.

use std::fs;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::workspace::Failure;

/// CPU time, of user and kernel together, that `pid` and its threads have used, those that have ended too.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, Failure> {
    Ok(clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?.now()?.into())
}

/// Resident bytes that are its own or a file's, without shared memory.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(1024 * (number(&status, "RssAnon:") + number(&status, "RssFile:")))
}

/// Bytes that it caused to be sent to the storage layer.
pub(crate) fn written_bytes(pid: u32) -> Result<u64, Failure> {
    Ok(number(&fs::read_to_string(format!("/proc/{pid}/io"))?, "write_bytes:"))
}

/// How often it asked the kernel to write to anything: files, sockets, pipes.
pub(crate) fn write_calls(pid: u32) -> Result<u64, Failure> {
    Ok(number(&fs::read_to_string(format!("/proc/{pid}/io"))?, "syscw:"))
}

/// Whether there is such a process that has not ended. One that nobody has waited for yet has; but where its first thread is
/// over and others are not, they still hold its files.
pub(crate) fn is_running(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("X");
    let is_over = state.trim_start().starts_with(['Z', 'X']);
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    !is_over || threads > 1
}

/// The processes whose parent is `pid`, with their command lines.
pub(crate) fn children(pid: u32) -> Result<Vec<(u32, Vec<String>)>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(child) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may end between the listing and the reading.
        let Ok(status) = fs::read_to_string(format!("/proc/{child}/status")) else { continue };
        if number(&status, "PPid:") == u64::from(pid) {
            let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
            found.push((child, words.collect()));
        }
    }
    Ok(found)
}

fn number(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_was_killed_does_not_run() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(is_running(child.id()));
        let listed = children(std::process::id()).unwrap();
        assert!(listed.iter().any(|(pid, words)| *pid == child.id() && words[0] == "cat"), "{listed:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_running(child.id()));
    }
}
