//! The project's Rust files, parsed once for all checks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::Failure;

/// Folders that hold no sources of ours.
const SKIPPED: &[&str] = &["target", "node_modules", "dist", ".git", "testdata"];

/// One parsed file.
pub(super) struct Source {
    /// From the project's folder.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) tree: syn::File,
}

/// Every `.rs` file.
pub(super) fn read_all(root: &Path) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in paths(root, "rs")? {
        let text = fs::read_to_string(&path)?;
        let path = path.strip_prefix(root)?.to_owned();
        let tree = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        sources.push(Source { path, text, tree });
    }
    Ok(sources)
}

/// Every file with that extension, in order of path.
pub(super) fn paths(root: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
