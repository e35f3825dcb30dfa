//! Each program carries the list of its crates (cargo-auditable); it is read back.

use std::path::Path;

use auditable_info::{Limits, audit_info_from_file};

use crate::workspace::Failure;

/// Fails unless the program says itself that it is `name` and what is in it.
pub(super) fn check(program: &Path, name: &str) -> Result<(), Failure> {
    let list = audit_info_from_file(program, Limits::default())
        .map_err(|error| format!("{}: no list of its crates: {error}", program.display()))?;
    if list.packages.iter().any(|package| package.root && package.name == name) {
        return Ok(());
    }
    Err(format!("{}: its list of crates is not that of {name}", program.display()).into())
}
