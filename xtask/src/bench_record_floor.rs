//! The floor beside the recorders, for `cargo xtask bench record`.
//!
//! It is the floor of `cargo xtask bench store`: a process that writes as many bytes as the recorder gets, from memory, once a
//! second into files of 256 MiB on the same medium, each time with one `fdatasync`. It takes no stream in, and knows
//! nothing of what it writes.
//!
//! Does not belong here: the loop itself (`bench_store_case.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench_record_recorder::Ended;
use crate::bench_store_case::{Case, Mode, Outcome};
use crate::workspace::Failure;

/// It runs.
pub(crate) struct Floor {
    process: Ended,
    dir: PathBuf,
}

impl Floor {
    /// Writes what `streams` have in `seconds`, in real time, in a folder of its own.
    pub(crate) fn start(streams: u16, seconds: u32, dir: &Path) -> Result<Self, Failure> {
        let case = Case { dir: dir.to_owned(), ..Case::new(Mode::Floor, streams, seconds, true) };
        let process = Command::new(std::env::current_exe()?)
            .args(["bench", "store", "--case", &serde_json::to_string(&case)?])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self { process: Ended(process), dir: dir.to_owned() })
    }

    /// Waits for its end: CPU seconds for each gigabyte.
    pub(crate) fn end(mut self) -> Result<f64, Failure> {
        let said = self.process.0.stdout.take().ok_or("the floor says nothing")?;
        let outcome: Outcome = serde_json::from_reader(said)?;
        self.process.0.wait()?;
        fs::remove_dir_all(&self.dir)?;
        Ok(outcome.cpu_sec_per_gb)
    }
}
