//! Where a vendor's system keeps the media platform's library.
//!
//! And which C library it has. The search has an end: folders where vendors put programs, so deep and so many names. Links
//! are not followed.

use std::fs;

use crate::facts::Library;
use crate::inspect::inspect;
use crate::tree::Tree;

/// Folders that vendors' systems keep programs in.
const FOLDERS: [&str; 12] =
    ["/lib", "/usr", "/mnt", "/opt", "/app", "/home", "/root", "/komod", "/dav", "/program", "/var", "/tmp"];
/// `/mnt/custom/lib/hisi/x` is the deepest heard of.
const MAX_DEPTH: usize = 6;
/// Names in one of the folders: a vendor's root has fewer than 5000 in all; a disk of footage may hang in it.
const MAX_ENTRIES: usize = 10_000;
/// The largest libmpi heard of has 6 MB.
const MAX_LIBRARY_BYTES: u64 = 32 << 20;
/// More copies than that are told by none.
const MAX_FOUND: usize = 16;

/// What was found.
pub(crate) struct Found {
    pub(crate) libraries: Vec<Library>,
    /// Names of loaders and C libraries: `ld-uClibc-0.9.32.1.so`.
    pub(crate) libc: Vec<String>,
}

/// Looks through the folders.
pub(crate) fn search(tree: &Tree) -> Found {
    let mut found = Found { libraries: Vec::new(), libc: Vec::new() };
    for folder in FOLDERS {
        let mut left = MAX_ENTRIES;
        walk(tree, folder, MAX_DEPTH, &mut left, &mut found);
        if left == 0 {
            tree.miss(folder, format!("the search for libmpi.so ended after {MAX_ENTRIES} names"));
        }
    }
    if found.libraries.is_empty() {
        tree.miss(
            "libmpi.so",
            format!("in none of {}; it may be inside the vendor's program", FOLDERS.join(" ")),
        );
    }
    found.libc.sort();
    found.libc.dedup();
    found
}

fn walk(tree: &Tree, folder: &str, depth: usize, left: &mut usize, found: &mut Found) {
    for name in tree.names(folder) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = format!("{folder}/{name}");
        let Ok(metadata) = fs::symlink_metadata(tree.place(&path)) else { continue };
        if metadata.is_dir() && depth > 1 {
            walk(tree, &path, depth - 1, left, found);
        } else if metadata.is_file() {
            if name.starts_with("libmpi") && name.contains(".so") && found.libraries.len() < MAX_FOUND {
                library(tree, path, metadata.len(), found);
            } else if is_libc(&name) {
                found.libc.push(name);
            }
        }
    }
}

fn library(tree: &Tree, path: String, size: u64, found: &mut Found) {
    let Some(bytes) = tree.bytes(&path, MAX_LIBRARY_BYTES) else { return };
    match inspect(&bytes) {
        Some(inspected) => found.libraries.push(Library { path, size_bytes: size, inspected }),
        None => tree.miss(&path, "no ELF file, or a damaged one"),
    }
}

fn is_libc(name: &str) -> bool {
    name.contains(".so")
        && ["ld-", "libuClibc", "libc-2", "libc.musl"].iter().any(|start| name.starts_with(start))
}
