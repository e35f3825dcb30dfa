//! Where things are.

use std::error::Error;
use std::path::{Path, PathBuf};

/// What a command fails with: a sentence for the person at the terminal.
pub(crate) type Failure = Box<dyn Error>;

/// The project's top folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The build folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
