//! `cargo xtask verifier`: `candor-verify` as one static program for any Linux PC.
//!
//! For somebody who has an exported file and the recorder's public key, and nothing else of ours. Does not belong here: what
//! it does (crate `verifier`).
//!
//! Invariant: what is handed out needs no interpreter and no library; that is looked at, not assumed.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::audit;
use super::places::Places;
use super::source::Source;
use super::tool;
use super::toolchain;
use crate::workspace::{self, Failure};

/// The package, and the program in it.
const PACKAGE: &str = "verifier";
const PROGRAM: &str = "candor-verify";
const TARGET: &str = "x86_64-unknown-linux-musl";
/// As small as the verify page's module, and built beside it.
const PROFILE: &str = "small";

/// Builds it into target/verifier/ and says how large it is.
pub(crate) fn make_verifier() -> Result<(), Failure> {
    tool::run_shown(Command::new("xtask/install.sh").arg("verifier").current_dir(workspace::root()))?;
    let target = workspace::target();
    let places = Places { cross: target.clone(), ..Places::of("pc", false) };
    let mut cargo = toolchain::static_cargo(&places, &Source::read()?, TARGET, PROFILE)?;
    tool::run_shown(cargo.args(["--quiet", "--package", PACKAGE]))?;
    let built = target.join(TARGET).join(PROFILE).join(PROGRAM);
    audit::check(&built, PACKAGE)?;
    is_static(&built)?;
    let out = target.join("verifier");
    fs::create_dir_all(&out)?;
    let program = out.join(PROGRAM);
    fs::copy(&built, &program)?;
    let bytes = fs::metadata(&program)?.len();
    println!("==> {}, static, {:.1} MB", program.display(), bytes as f64 / 1e6);
    Ok(())
}

/// Fails when the program asks for a dynamic loader or for libraries.
fn is_static(program: &Path) -> Result<(), Failure> {
    let said =
        tool::run(Command::new("readelf").args(["--wide", "--program-headers", "--dynamic"]).arg(program))?;
    let asks = said.lines().find(|line| line.contains("INTERP") || line.contains("(NEEDED)"));
    asks.map_or(Ok(()), |line| Err(format!("{}: is not static: {}", program.display(), line.trim()).into()))
}
