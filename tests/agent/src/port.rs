//! The line to the host: one JSON object a line, one answer a line.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::operations;

/// The port's name on QEMU's command line.
const NAME: &str = "candor.agent";
/// Between two looks for the port, and for a host while none is there.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A longer line is none of the tests'.
const MAX_LINE: usize = 1 << 20;

/// Answers for as long as the board runs.
pub(crate) fn serve() -> Result<(), Failure> {
    let path = loop {
        if let Some(path) = find() {
            break path;
        }
        thread::sleep(LOOK_EVERY);
    };
    let mut port = File::options().read(true).write(true).open(path)?;
    let mut line = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let count = port.read(&mut bytes)?;
        if count == 0 {
            // No host has the other end open; there is nothing to wait on until one has.
            thread::sleep(LOOK_EVERY);
            continue;
        }
        for byte in &bytes[..count] {
            if *byte != b'\n' {
                line.push(*byte);
                if line.len() > MAX_LINE {
                    return Err("a line without end".into());
                }
                continue;
            }
            let mut answer = answer(&line).to_string();
            answer.push('\n');
            port.write_all(answer.as_bytes())?;
            line.clear();
        }
    }
}

fn answer(line: &[u8]) -> Value {
    let done =
        serde_json::from_slice(line).map_err(Into::into).and_then(|request| operations::perform(&request));
    match done {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn find() -> Option<PathBuf> {
    let ports = fs::read_dir("/sys/class/virtio-ports").ok()?;
    let named = ports
        .flatten()
        .find(|port| fs::read_to_string(port.path().join("name")).is_ok_and(|name| name.trim() == NAME))?;
    let path = PathBuf::from("/dev").join(named.file_name());
    path.exists().then_some(path)
}
