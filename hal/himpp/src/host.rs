//! Starting `mpp-host`, and ending it.
//!
//! Does not belong here: what is said to it (`link.rs`).

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use board::Media;
use hal::Clock;

use crate::host_log;

/// A host that was started.
pub trait HostProcess: Send {
    /// Its id.
    fn id(&self) -> u32;
    /// Ends it by force; again is no harm.
    fn kill(&mut self);
    /// How it ended, `None` while it runs. Does not wait.
    fn ended(&mut self) -> Option<String>;
}

/// Who starts hosts: [`HostProgram`], and others in tests.
pub trait Spawn: Send {
    /// A new host, and our end of the socket that is its standard input.
    ///
    /// # Errors
    /// The kernel's.
    fn spawn(&mut self) -> io::Result<(UnixStream, Box<dyn HostProcess>)>;
}

/// The program that a board's description names.
pub struct HostProgram {
    program: String,
    preload: Option<String>,
    clock: Arc<dyn Clock>,
}

impl HostProgram {
    /// As the board says.
    #[must_use]
    pub fn new(media: &Media, clock: Arc<dyn Clock>) -> Self {
        Self { program: media.host.clone(), preload: media.preload.clone(), clock }
    }
}

impl fmt::Debug for HostProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostProgram").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Spawn for HostProgram {
    fn spawn(&mut self) -> io::Result<(UnixStream, Box<dyn HostProcess>)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&self.program);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(preload) = &self.preload {
            command.env("LD_PRELOAD", preload);
        }
        let started = command.spawn();
        // It holds the host's end of the socket, which must not outlive the host here.
        drop(command);
        let mut child = started.map_err(|error| {
            io::Error::new(error.kind(), format!("{} cannot be started: {error}", self.program))
        })?;
        if let Some(stderr) = child.stderr.take() {
            host_log::follow(stderr, Arc::clone(&self.clock));
        }
        Ok((ours, Box::new(Running { child })))
    }
}

struct Running {
    child: Child,
}

impl HostProcess for Running {
    fn id(&self) -> u32 {
        self.child.id()
    }

    fn kill(&mut self) {
        if let Err(error) = self.child.kill() {
            tracing::error!(id = self.child.id(), %error, "mpp-host could not be ended");
        }
    }

    fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.signal(), status.code()) {
                (Some(signal), _) => format!("it was ended by signal {signal}"),
                (None, Some(code)) => format!("it ended with code {code}"),
                (None, None) => "it ended".to_owned(),
            }),
            Err(error) => Some(format!("nobody knows how it ended: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use hal::SystemClock;

    use super::*;

    fn program(path: &str) -> HostProgram {
        let board = board::Board::builtin("virt-mpp").unwrap();
        let media = Media { host: path.to_owned(), ..board.media.unwrap() };
        HostProgram::new(&media, Arc::new(SystemClock::new()))
    }

    #[test]
    fn a_program_s_standard_input_is_the_socket_and_its_end_is_seen() {
        // A program that is everywhere: it copies its input until it ends.
        let (mut socket, mut process) = program("/bin/cat").spawn().unwrap();
        assert_eq!(process.ended(), None);
        socket.write_all(b"words that go nowhere").unwrap();
        process.kill();
        // Its end of the socket closes with it, and nobody else holds one.
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        let how = std::iter::from_fn(|| Some(process.ended())).flatten().next().unwrap();
        assert!(how.contains("signal 9") || how.contains("code"), "{how}");
        process.kill();
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = program("/nowhere/mpp-host").spawn().err().unwrap();
        assert!(error.to_string().starts_with("/nowhere/mpp-host cannot be started"), "{error}");
    }
}
