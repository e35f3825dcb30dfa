//! Processes of crate `rtsp`'s example `crowd`, for `cargo xtask bench rtsp`.
//!
//! Does not belong here: what a role does (the example), servers that are not ours (`bench_rtsp_peer.rs`).
//!
//! Invariant: a process ends with its `Role`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::workspace::{Failure, target};

/// One that was told ends in milliseconds; one that hangs is not waited for.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// A process of the example.
pub(crate) struct Role {
    child: Child,
    /// What it prints.
    pub(crate) lines: Receiver<String>,
}

impl Role {
    /// The example with these words.
    pub(crate) fn start(words: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new(target().join("release/examples/crowd"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let console = child.stdout.take().ok_or("no console")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(console).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Self { child, lines })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What stands behind `name` in its next line.
    pub(crate) fn said(&self, name: &str, limit: Duration) -> Result<String, Failure> {
        let line = self.lines.recv_timeout(limit)?;
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
        value.map(str::to_owned).ok_or_else(|| format!("{line:?} instead of its {name}").into())
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Its standard input ends, which is its sign; its output ends with it.
        drop(self.child.stdin.take());
        while let Ok(_line) = self.lines.recv_timeout(END_TIMEOUT) {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
