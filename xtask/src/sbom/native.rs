//! Code that is no crate: C inside crates, the standard library, the C library.
//!
//! Does not belong here: kernel, boot loader and the vendor's files (`parts.rs`).

use std::fs;

use super::facts::Facts;
use super::part::{Kind, Part};
use crate::workspace::Failure;

/// What is inside the given crates, and what every program is linked with.
pub(super) fn gather(facts: &Facts, crates: &[Part]) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    for part in crates {
        match part.name.as_str() {
            "libsqlite3-sys" => parts.push(sqlite(part)?),
            "ring" => parts.push(boringssl(part)),
            _ => {}
        }
    }
    let mut words = facts.rustc.split_whitespace().skip(1);
    let mut std = Part::new(Kind::Native, "rust-std", words.next().ok_or("rustc has no version")?);
    std.licence = Some("MIT OR Apache-2.0".to_owned());
    std.home = Some("https://github.com/rust-lang/rust".to_owned());
    std.properties.push(("candor:compiler".to_owned(), facts.rustc.clone()));
    parts.push(std);
    let mut musl = Part::new(Kind::Native, "musl", &facts.libc_from.replace(' ', "-"));
    musl.licence = Some("MIT".to_owned());
    musl.folder.clone_from(&facts.libc_licence);
    musl.home = Some("https://musl.libc.org".to_owned());
    musl.properties.push(("candor:from".to_owned(), facts.libc_from.clone()));
    parts.push(musl);
    Ok(parts)
}

fn inside(carrier: &Part, name: &str, version: &str) -> Part {
    let mut part = Part::new(Kind::Native, name, version);
    part.properties.push(("candor:inside".to_owned(), carrier.reference()));
    part
}

fn sqlite(carrier: &Part) -> Result<Part, Failure> {
    let header = carrier.folder.as_ref().ok_or("libsqlite3-sys has no folder")?.join("sqlite3/sqlite3.h");
    let text = fs::read_to_string(&header).map_err(|error| format!("{}: {error}", header.display()))?;
    let version =
        text.lines().find_map(|line| line.strip_prefix("#define SQLITE_VERSION ")?.trim().split('"').nth(1));
    let mut part = inside(carrier, "sqlite", version.ok_or("sqlite3.h has no version")?);
    part.licence = Some("blessing".to_owned());
    part.home = Some("https://sqlite.org".to_owned());
    Ok(part)
}

/// Which BoringSSL it was taken from, ring does not say.
fn boringssl(carrier: &Part) -> Part {
    let mut part = inside(carrier, "boringssl-in-ring", &carrier.version);
    part.licence.clone_from(&carrier.licence);
    part.folder.clone_from(&carrier.folder);
    part.home = Some("https://boringssl.googlesource.com/boringssl".to_owned());
    part
}
