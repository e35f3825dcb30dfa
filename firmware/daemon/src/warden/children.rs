//! Processes that nobody waits for: process 1 of a board inherits them.
//!
//! A role's process is waited for by its supervisor; everything else that ends is an orphan of somebody who
//! ended before, and is only taken note of, so that the kernel can forget it.
//!
//! Invariant: a role's end is never taken from its supervisor: starting a role and looking for orphans exclude
//! one another, and what the supervisors wait for is on the list before anybody looks.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::{Mutex, PoisonError};

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// The processes that supervisors wait for.
#[derive(Debug, Default)]
pub(super) struct Children {
    ours: Mutex<HashSet<u32>>,
}

impl Children {
    /// Starts a process that the caller waits for.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        ours.extend(child.id());
        Ok(child)
    }

    /// The caller waited for it: its number may be another's from now on.
    pub(super) fn forget(&self, pid: Option<u32>) {
        if let Some(pid) = pid {
            self.ours.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
        }
    }

    /// Takes note of orphans that ended; how many.
    pub(super) fn reap_orphans(&self) -> usize {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = ended_children(std::process::id());
        let orphans = ended.into_iter().filter(|pid| !ours.contains(pid));
        orphans
            .filter(|pid| {
                let pid = Pid::from_raw(i32::try_from(*pid).unwrap_or_default());
                waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_ok()
            })
            .count()
    }
}

/// Children of `parent` that ended and were not waited for.
fn ended_children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| is_ended_child(*pid, parent)).collect()
}

/// proc(5): `pid (comm) state ppid …`; comm may hold anything, so what follows the last `)` counts.
fn is_ended_child(pid: u32, parent: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.next() == Some("Z") && fields.next().and_then(|ppid| ppid.parse().ok()) == Some(parent)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn orphans_are_reaped_and_a_waited_for_child_is_left_to_its_waiter() {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        let children = Children::default();
        // Its child outlives it and is then ours; it says its number and ends when its input does.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec 3<&0; sh -c 'read x; exit 7' <&3 & echo $!; exit 3"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = children.spawn(&mut command).unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut said = [0; 16];
        let length = child.stdout.take().unwrap().read(&mut said).await.unwrap();
        let orphan: u32 = std::str::from_utf8(&said[..length]).unwrap().trim().parse().unwrap();
        let pid = child.id().unwrap();
        until(|| is_ended_child(pid, std::process::id())).await;
        assert_eq!(children.reap_orphans(), 0, "a role's end was taken from its supervisor");
        tokio::io::AsyncWriteExt::shutdown(&mut input).await.unwrap();
        drop(input);
        until(|| is_ended_child(orphan, std::process::id())).await;
        assert_eq!(children.reap_orphans(), 1);
        assert_eq!(child.wait().await.unwrap().code(), Some(3));
        children.forget(Some(pid));
        assert_eq!(children.reap_orphans(), 0);
    }

    async fn until(mut holds: impl FnMut() -> bool) {
        for _ in 0..1000 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come to be within 10 s");
    }
}
