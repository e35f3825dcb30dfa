//! Which part this process plays: the system's first one, or a mere child.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, fs, process};

use crate::failure::Failure;
use crate::{gpio_sim, media, port, system_calls};

/// In the kernel's command line: system calls that Linux 3.10 has not are refused.
const OLD_KERNEL: &str = "candor.enosys=3.10";
/// What the first process becomes.
const RECORDER: &str = "/bin/candor";

/// `board-agent ran` succeeds and does nothing: whether a file system lets programs run is asked so.
pub(crate) fn run() -> Result<(), Failure> {
    if env::args().nth(1).as_deref() == Some("ran") {
        return Ok(());
    }
    if process::id() != 1 {
        return Err("only the first process of a test image".into());
    }
    // A board's chips are there when its first program starts.
    if let Err(error) = gpio_sim::create() {
        eprintln!("board-agent: no simulated pins: {error}");
    }
    if let Err(error) = media::prepare() {
        eprintln!("board-agent: no media platform: {error}");
    }
    if system_calls::fork()? {
        let Err(error) = become_recorder();
        return Err(error);
    }
    port::serve()
}

fn become_recorder() -> Result<Infallible, Failure> {
    if fs::read_to_string("/proc/cmdline")?.split_whitespace().any(|word| word == OLD_KERNEL) {
        system_calls::refuse_newer_than_3_10()?;
        eprintln!("board-agent: system calls that Linux 3.10 has not are refused");
    }
    let error = Command::new(RECORDER).arg0("/sbin/init").args(env::args_os().skip(1)).exec();
    Err(format!("{RECORDER}: {error}").into())
}
