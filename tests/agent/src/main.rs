//! The emulated board's tests' looks and hands inside it.
//!
//! In a test image `/sbin/init` is this program. It sets the board's simulated chips up, leaves a child behind that
//! answers the host on the virtio-serial port `candor.agent`, and becomes `/bin/candor`. No other image has it.
//!
//! Does not belong here: anything that the recorder needs, and any judgement, which is the tests' (`tests/tests/`).

mod failure;
mod gpio_sim;
mod i2c;
mod media;
mod memory;
mod operations;
mod port;
mod start;
mod system_calls;

use std::process::ExitCode;

fn main() -> ExitCode {
    match start::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("board-agent: {error}");
            ExitCode::FAILURE
        }
    }
}
