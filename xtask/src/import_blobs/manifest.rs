//! Writing what was kept, and what says what it is.
//!
//! The folder holds `kernel/`, `modules/` and `lib/`; beside it stand `NAME.sha256`, which is what the package candor-blobs
//! and the bill of materials read, and `NAME.json` for people. Everything is made anew: nothing that is there is touched.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use probe::Inspected;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::keep::{Keep, Kept};
use super::scan::Place;
use crate::workspace::Failure;

#[derive(Serialize)]
struct Manifest<'a> {
    dump: Dump<'a>,
    file_systems: Vec<FileSystem<'a>>,
    files: Vec<File<'a>>,
    /// Links of libraries, name to target: not made, the loader may want them.
    links: &'a std::collections::BTreeMap<String, String>,
    notes: &'a [String],
    problems: &'a [String],
}

#[derive(Serialize)]
struct Dump<'a> {
    name: &'a str,
    size_bytes: usize,
    sha256: String,
}

#[derive(Serialize)]
struct FileSystem<'a> {
    offset: usize,
    length_bytes: usize,
    format: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    sha256: String,
    size_bytes: usize,
    from: &'a str,
    #[serde(flatten)]
    inspected: Option<&'a Inspected>,
}

/// The two files beside the folder.
pub(super) fn beside(out: &Path) -> [PathBuf; 2] {
    // Not `with_extension`: a name may have a dot.
    ["sha256", "json"].map(|end| {
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{end}"));
        out.with_file_name(name)
    })
}

/// Writes all of it.
pub(super) fn write(
    out: &Path,
    name: &str,
    dump: &[u8],
    places: &[Place],
    keep: &Keep,
) -> Result<(), Failure> {
    let error = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let [sums, json] = beside(out);
    for path in [out, &sums, &json] {
        if fs::symlink_metadata(path).is_ok() {
            return Err(format!(
                "{} is there already; remove it, or name another with --out",
                path.display()
            )
            .into());
        }
    }
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(|e| error(folder, e))?;
    }
    fs::create_dir(out).map_err(|e| error(out, e))?;
    let mut lines = String::new();
    for (path, kept) in &keep.files {
        let (folder, _) = path.split_once('/').ok_or("a path without a folder")?;
        let folder = out.join(folder);
        fs::create_dir_all(&folder).map_err(|e| error(&folder, e))?;
        new_file(&out.join(path), &kept.bytes)?;
        lines += &format!("{}  {path}\n", sha256(&kept.bytes));
    }
    new_file(&sums, lines.as_bytes())?;
    let manifest = Manifest {
        dump: Dump { name, size_bytes: dump.len(), sha256: sha256(dump) },
        file_systems: places
            .iter()
            .map(|place| FileSystem {
                offset: place.offset,
                length_bytes: place.length,
                format: place.format.name(),
            })
            .collect(),
        files: keep.files.iter().map(|(path, kept)| file(path, kept)).collect(),
        links: &keep.links,
        notes: &keep.notes,
        problems: &keep.problems,
    };
    new_file(&json, (serde_json::to_string_pretty(&manifest)? + "\n").as_bytes())
}

fn file<'a>(path: &'a str, kept: &'a Kept) -> File<'a> {
    File {
        path,
        sha256: sha256(&kept.bytes),
        size_bytes: kept.bytes.len(),
        from: &kept.from,
        inspected: kept.inspected.as_ref(),
    }
}

fn new_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}
