//! What is kept of a file system: recognised names, ELF files for ARM, each once.
//!
//! Does not belong here: reading file systems, writing files (`manifest.rs`).

use std::collections::BTreeMap;

use probe::{Inspected, inspect};

use super::limits::{MAX_FILE_BYTES, MAX_FILES, MAX_NOTES, MAX_TOTAL_BYTES};
use super::uimage;

/// The folder of the kernel, which is no ELF file.
const KERNEL: &str = "kernel";

/// A file that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    /// Where it was: `squashfs at 0x50000: lib/libmpi.so`.
    pub(super) from: String,
    pub(super) bytes: Vec<u8>,
    /// What is in it; the kernel is not looked into.
    pub(super) inspected: Option<Inspected>,
}

/// All that is kept, and what is to be told.
#[derive(Debug, Default)]
pub(super) struct Keep {
    /// By the path below the output folder: `modules/mmz.ko`, as buildroot/scripts/check-blobs.sh wants it.
    pub(super) files: BTreeMap<String, Kept>,
    /// Links of libraries, told and not made: name to target.
    pub(super) links: BTreeMap<String, String>,
    /// What was left out on purpose.
    pub(super) notes: Vec<String>,
    /// What could not be read: the result is partial.
    pub(super) problems: Vec<String>,
    /// The file system that is being read.
    pub(super) place: String,
    total: usize,
}

impl Keep {
    /// Whether a file of that path is worth reading. Says why not, when one of that name is not.
    pub(super) fn wants(&mut self, path: &str, size: u64) -> bool {
        if folder(last(path)).is_none() {
            return false;
        }
        if size > MAX_FILE_BYTES as u64 {
            self.problem(&format!("{path}: {size} bytes are more than any module or library has; left out"));
            return false;
        }
        true
    }

    /// Keeps a file that was wanted.
    pub(super) fn take(&mut self, path: &str, bytes: Vec<u8>) {
        let name = last(path);
        let Some(folder) = folder(name) else { return };
        if folder == KERNEL {
            // Some boot loaders read the kernel out of a file system.
            if let Some(found) = uimage::header(&bytes) {
                self.kernel(path, uimage::kernel(&bytes, &found));
            }
            return;
        }
        if !legal(name) {
            self.note(&format!("{path}: a name that the manifest does not allow; left out"));
            return;
        }
        let Some(inspected) = inspect(&bytes) else {
            self.note(&format!("{path}: no ELF file; left out"));
            return;
        };
        if inspected.machine != "arm" && inspected.machine != "aarch64" {
            self.note(&format!("{path}: for {}; left out", inspected.machine));
            return;
        }
        self.insert(format!("{folder}/{name}"), path, bytes, Some(inspected));
    }

    /// Keeps a kernel: the first one.
    pub(super) fn kernel(&mut self, path: &str, found: Result<Option<Vec<u8>>, String>) {
        match found {
            Ok(Some(bytes)) => self.insert("kernel/zImage".to_owned(), path, bytes, None),
            Ok(None) => {}
            Err(why) => self.problem(&format!("{path}: {why}")),
        }
    }

    /// A link of a library, for the record.
    pub(super) fn link(&mut self, path: &str, target: &[u8]) {
        let name = last(path);
        let target = String::from_utf8_lossy(target).into_owned();
        if folder(name).is_some() && legal(name) && legal(&target) && self.links.len() < MAX_FILES {
            self.links.entry(name.to_owned()).or_insert(target);
        }
    }

    pub(super) fn note(&mut self, what: &str) {
        let line = format!("{}: {what}", self.place);
        push(&mut self.notes, &line);
    }

    pub(super) fn problem(&mut self, what: &str) {
        let line = format!("{}: {what}", self.place);
        push(&mut self.problems, &line);
    }

    fn insert(&mut self, to: String, path: &str, bytes: Vec<u8>, inspected: Option<Inspected>) {
        if let Some(kept) = self.files.get(&to) {
            if kept.bytes != bytes {
                let from = kept.from.clone();
                self.note(&format!("{path}: not the same as the one kept from {from}; left out"));
            }
            return;
        }
        if self.files.len() >= MAX_FILES || self.total + bytes.len() > MAX_TOTAL_BYTES {
            self.problem(&format!("{path}: more files or bytes than a recorder has; left out"));
            return;
        }
        self.total += bytes.len();
        let from = format!("{}: {path}", self.place);
        self.files.insert(to, Kept { from, bytes, inspected });
    }
}

fn push(lines: &mut Vec<String>, line: &str) {
    match lines.len() {
        count if count < MAX_NOTES => lines.push(printable(line)),
        MAX_NOTES => lines.push("and more".to_owned()),
        _ => {}
    }
}

/// Names come from the dump, and a terminal obeys control characters.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The folder of the output that a name belongs to.
fn folder(name: &str) -> Option<&'static str> {
    if name.ends_with(".ko") {
        Some("modules")
    } else if name.starts_with("zImage") || name.starts_with("uImage") {
        Some(KERNEL)
    } else if (name.starts_with("lib") || name.starts_with("ld-"))
        && (name.ends_with(".so") || name.contains(".so."))
    {
        Some("lib")
    } else {
        None
    }
}

/// What check-blobs.sh allows; no dot first, so neither `..` nor a hidden file.
fn legal(name: &str) -> bool {
    let byte = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(byte)
}
