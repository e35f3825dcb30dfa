//! A folder that is read as if it were the system's root, and never written.
//!
//! What could not be read is kept, with the reason: a report says what it did not see. Does not belong here: what is in
//! the files.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// No file of /proc or /sys that is read here comes near it.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// The longest folder looked at: /dev of a vendor's system has a few hundred names.
const MAX_NAMES: usize = 4096;

/// What was looked for and not found, or not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// The file, from the root on.
    pub path: String,
    /// Why.
    pub why: String,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    missed: RefCell<Vec<Missed>>,
}

impl Tree {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), missed: RefCell::default() }
    }

    /// Where a path of the system is.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A text that a report is poorer without: its absence is noted.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.read(path, MAX_TEXT_BYTES).map_err(|why| self.miss(path, why)).ok().map(|bytes| lossy(&bytes))
    }

    /// A text that many systems do not have.
    pub(crate) fn text_if_any(&self, path: &str) -> Option<String> {
        self.read(path, MAX_TEXT_BYTES).ok().map(|bytes| lossy(&bytes))
    }

    /// The same, without the line's end.
    pub(crate) fn line_if_any(&self, path: &str) -> Option<String> {
        let text = self.text_if_any(path)?;
        let line = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// A whole file, unless it is longer than `max`.
    pub(crate) fn bytes(&self, path: &str, max: u64) -> Option<Vec<u8>> {
        self.read(path, max).map_err(|why| self.miss(path, why)).ok()
    }

    /// The names in a folder, sorted; none where there is no such folder.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place(path)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.take(MAX_NAMES).collect();
        names.sort_by_key(|name| {
            (name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(), number(name))
        });
        names
    }

    /// The last part of what a link points to: a device's driver.
    pub(crate) fn link_name(&self, path: &str) -> Option<String> {
        fs::read_link(self.place(path)).ok()?.file_name()?.to_str().map(str::to_owned)
    }

    pub(crate) fn miss(&self, path: &str, why: impl Into<String>) {
        self.missed.borrow_mut().push(Missed { path: path.to_owned(), why: why.into() });
    }

    pub(crate) fn into_missed(self) -> Vec<Missed> {
        self.missed.into_inner()
    }

    fn read(&self, path: &str, max: u64) -> Result<Vec<u8>, String> {
        let place = self.place(path);
        let metadata = fs::metadata(&place).map_err(|error| words(&error))?;
        // To open a device or a pipe may do something; to open a file does not.
        if !metadata.is_file() {
            return Err("no plain file".to_owned());
        }
        let mut bytes = Vec::new();
        let file = File::open(&place).map_err(|error| words(&error))?;
        file.take(max + 1).read_to_end(&mut bytes).map_err(|error| words(&error))?;
        if bytes.len() as u64 > max {
            return Err(format!("longer than {max} bytes"));
        }
        Ok(bytes)
    }
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "not there".to_owned(),
        _ => error.to_string(),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `mtd10` comes behind `mtd9`.
fn number(name: &str) -> u32 {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    name[name.len() - digits..].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join("proc/version"), "Linux\n").unwrap();
        fs::write(dir.path().join("big"), [0; 9]).unwrap();
        let tree = Tree::new(dir.path());
        assert_eq!(tree.text("/proc/version").unwrap(), "Linux\n");
        assert_eq!(tree.text("/proc/mtd"), None);
        assert_eq!(tree.text("/proc"), None);
        assert_eq!(tree.bytes("/big", 8), None);
        assert_eq!(tree.text_if_any("/proc/iomem"), None);
        let missed: Vec<_> =
            tree.into_missed().into_iter().map(|m| format!("{}: {}", m.path, m.why)).collect();
        assert_eq!(missed, ["/proc/mtd: not there", "/proc: no plain file", "/big: longer than 8 bytes"]);
    }

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mtd10", "mtd9", "rtc0"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(Tree::new(dir.path()).names("/"), ["mtd9", "mtd10", "rtc0"]);
    }
}
