//! Other programs: found, run to their end within a limit.

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::wait::{Stopwatch, until_within};

/// A program that was built with these tests.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    // target/debug/deps/life-0123456789abcdef: the programs lie one folder up. They start one another from beside.
    let dir = test.parent().expect("a program lies in a folder");
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace --bins` first; `make test` does",
        path.display()
    );
    path
}

/// A program that has ended.
#[derive(Debug)]
pub struct Done {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Done {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Insists that it succeeded and complained of nothing.
    ///
    /// # Panics
    /// When it failed, or wrote to standard error.
    #[must_use]
    #[track_caller]
    pub fn flawless(self) -> Self {
        assert!(self.status.success() && self.stderr.is_empty(), "{}: {}", self.status, self.stderr);
        self
    }
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started, or has not ended within `limit`.
pub fn run(limit: Duration, command: &mut Command) -> Done {
    let name = command.get_program().display().to_string();
    let watch = Stopwatch::start();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(
            |error| panic!("{name} cannot be run: {error}; `make test` installs what is missing"),
        );
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = finish(&mut child, limit);
    let took = watch.elapsed();
    let stderr = String::from_utf8_lossy(&collect(stderr)).into_owned();
    let stdout = collect(stdout);
    let Some(status) = status else { panic!("{name} did not end within {} s: {stderr}", limit.as_secs()) };
    Done { status, stdout, stderr, took }
}

/// Waits for the end; a child that outlives `limit` is killed, and `None` returned.
pub fn finish(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let watch = Stopwatch::start();
    let ended = until_within(limit + Duration::from_secs(1), "a child's end", || match child.try_wait() {
        Ok(None) if watch.elapsed() < limit => None,
        Ok(status) => Some(status),
        Err(error) => panic!("a child is lost: {error}"),
    });
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn collect(thread: JoinHandle<Vec<u8>>) -> Vec<u8> {
    thread.join().unwrap_or_default()
}
