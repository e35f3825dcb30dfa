//! `candor probe`: what the board is, and a description to start from.
//!
//! Runs in a vendor's shell, from a USB stick or a RAM disk. It opens nothing for writing: files by `probe`, the chip's identity
//! through a read-only map, and I2C buses only when told to. Does not belong here: what is looked at (`probe`).

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hal_linux::{DevMem, I2cBus};
use probe::{Facts, Hardware, draft, report};
use serde::Serialize;

use crate::args::ProbeArgs;

/// What `--json` prints.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    facts: Facts,
    /// The description, TOML.
    draft: String,
}

/// Prints the report and the draft.
pub(crate) fn run(args: &ProbeArgs) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    if args.i2c && args.root != Path::new("/") {
        return Err(
            "--i2c asks the buses of the system that runs here; it does not go with another --root".into()
        );
    }
    let mut kernel = Kernel { memory: args.root.join("dev/mem"), i2c: args.i2c };
    let facts = Facts::gather(&args.root, &mut kernel);
    let draft = draft(&facts);
    let text = if args.json {
        serde_json::to_string_pretty(&Answer { facts, draft })? + "\n"
    } else {
        format!("{}\nA description to start from (docs/porting.md):\n\n{draft}", report(&facts))
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The running kernel's devices.
struct Kernel {
    memory: PathBuf,
    i2c: bool,
}

impl Hardware for Kernel {
    fn register(&mut self, address: u64) -> Result<u32, String> {
        let memory = DevMem::open(&self.memory).map_err(|error| error.to_string())?;
        memory.read_u32(address).map_err(|error| error.to_string())
    }

    fn i2c_asked(&self) -> bool {
        self.i2c
    }

    fn i2c_answers(&mut self, bus: u32, address: u8) -> Result<bool, String> {
        let mut bus = I2cBus::open(bus).map_err(|error| error.to_string())?;
        Ok(bus.answers(address))
    }
}
