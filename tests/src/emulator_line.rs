//! A line of JSON to the emulator or into the board, and its answer.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::wait::until_within;

/// QEMU makes its sockets within a second of its start.
const SOCKET_PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct JsonLine {
    reader: BufReader<UnixStream>,
}

impl JsonLine {
    /// Connects; waits for the socket to be there.
    pub(crate) fn connect(path: &Path) -> Self {
        let stream =
            until_within(SOCKET_PATIENCE, "the emulator's socket", || UnixStream::connect(path).ok());
        Self { reader: BufReader::new(stream) }
    }

    /// Sends one object.
    pub(crate) fn send(&mut self, value: &Value) -> Result<(), String> {
        let line = format!("{value}\n");
        self.reader.get_mut().write_all(line.as_bytes()).map_err(|error| error.to_string())
    }

    /// Reads one.
    pub(crate) fn receive(&mut self, limit: Duration) -> Result<Value, String> {
        self.reader.get_ref().set_read_timeout(Some(limit)).map_err(|error| error.to_string())?;
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err("the other end is closed".to_owned()),
            Ok(_) => serde_json::from_str(&line).map_err(|error| format!("{error}: {line}")),
            Err(error) => Err(error.to_string()),
        }
    }
}
