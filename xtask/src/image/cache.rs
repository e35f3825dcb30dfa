//! Nothing is made twice: a step's inputs as one hash beside what was made.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

use crate::workspace::Failure;

/// The inputs of a step. What is not fed is not noticed when it changes.
pub(super) struct Inputs(Context);

impl Inputs {
    /// `step` keeps two steps with the same inputs apart.
    pub(super) fn of(step: &str) -> Self {
        Self(Context::new(&SHA256)).text(step)
    }

    /// Adds a text.
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds bytes; the length keeps `ab`, `c` from being `a`, `bc`.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a file's content, not its name or times.
    pub(super) fn file(self, path: &Path) -> Result<Self, Failure> {
        let content = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(self.bytes(&content))
    }

    /// The hash of all.
    pub(super) fn key(self) -> String {
        HEXLOWER.encode(self.0.finish().as_ref())
    }
}

/// Makes `output` unless it was made from the same inputs before; true when it was made.
pub(super) fn make(
    output: &Path,
    inputs: Inputs,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let (stamp, key) = (stamp(output), inputs.key());
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == key) {
        return Ok(false);
    }
    // Gone before the work begins: what is half made is never taken for whole.
    let _ = fs::remove_file(&stamp);
    work()?;
    fs::write(&stamp, key)?;
    Ok(true)
}

/// Beside the outputs, out of the way of those who look at them.
fn stamp(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!(".{name}.inputs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_again_when_an_input_changes_or_the_work_failed() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out");
        let work = || Ok(fs::write(&output, "made")?);
        assert!(make(&output, Inputs::of("step").text("a"), work).unwrap());
        assert!(!make(&output, Inputs::of("step").text("a"), work).unwrap());
        assert!(make(&output, Inputs::of("step").text("b"), || Err("broken".into())).is_err());
        assert!(make(&output, Inputs::of("step").text("a"), work).unwrap());
        fs::remove_file(&output).unwrap();
        assert!(make(&output, Inputs::of("step").text("a"), work).unwrap());
    }

    #[test]
    fn inputs_do_not_run_together() {
        let one = Inputs::of("step").text("ab").text("c").key();
        assert_ne!(one, Inputs::of("step").text("a").text("bc").key());
        assert_ne!(one, Inputs::of("steps").text("ab").text("c").key());
    }
}
