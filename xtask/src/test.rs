//! `xtask test`: every check and test, the quick ones first.
//!
//! `make test` begins with building all targets of the workspace and starts the xtask among them. Built alone, by
//! `cargo xtask`, it has other features of a hundred crates, which then are built twice.

use std::env;

use crate::steps::run as step;
use crate::tidy;
use crate::torture::TEST_IMAGE;
use crate::workspace::{Failure, target};

/// Leaves out what runs on the emulated board, and what that needs: its tests say so one by one.
const NO_EMULATOR: &str = "CANDOR_NO_EMULATOR";

/// Fails at the first that fails.
pub(crate) fn run() -> Result<(), Failure> {
    step("cargo", &["fmt", "--all", "--check"], &[])?;
    println!("==> tidy");
    tidy::run()?;
    // The advisory database is no package of a registry: `cargo deny check advisories` is for a connected machine.
    step("cargo", &["deny", "--log-level", "error", "check", "bans", "licenses", "sources"], &[])?;
    step("npm", &["--prefix", "web/ui", "run", "--silent", "check"], &[])?;
    step("npm", &["--prefix", "web/ui", "run", "--silent", "test"], &[])?;
    step("cargo", &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    // The recorder of boards. As one of all targets, so that what it needs has the features that are checked already.
    let boards = ["clippy", "--locked", "--workspace", "--all-targets", "--no-default-features"];
    step("cargo", &[&boards[..], &["--", "-D", "warnings"]].concat(), &[])?;
    step("cargo", &["doc", "--locked", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    step("cargo", &["test", "--locked", "--workspace", "--doc", "--quiet"], &[])?;
    // The tests drive the programs, so these are built first, and the images of the emulated board: the first one twice, since
    // another folder must give the same bytes. Then what ARM programs are tried with on this machine.
    step("cargo", &["build", "--locked", "--workspace", "--all-targets"], &[])?;
    let xtask = target().join("debug/xtask");
    let xtask = xtask.to_str().ok_or("the build folder's name is no UTF-8")?;
    if env::var_os(NO_EMULATOR).is_none() {
        step(xtask, &[TEST_IMAGE, &["--reproduce"]].concat(), &[])?;
        step(xtask, &["image", "--board", "virt-mpp", "--agent"], &[])?;
    }
    step(xtask, &["media"], &[])?;
    step(xtask, &["verifier"], &[])?;
    step("cargo", &["nextest", "run", "--locked", "--workspace"], &[])?;
    step("npm", &["--prefix", "tests/browser", "run", "--silent", "test"], &[])
}
