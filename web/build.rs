//! Collects the browser app and the verify page for embedding; or placeholders.
//!
//! The files are copied to OUT_DIR, so that the crate always embeds from one place and a missing UI build is
//! not an error. Where that is, only this script knows: it writes the type that embeds them (`src/assets.rs`
//! includes it).

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The longest path below `dist` that is taken; the UI's build makes two levels.
const MAX_DEPTH: u32 = 8;

const PLACEHOLDER: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>Candor</title></head><body><h1>Candor</h1><p>This program was built without its pages. \
Run <code>npm ci &amp;&amp; npm run build</code> in <code>web/ui</code> and build again. \
The API is there: <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p></body></html>\n";

const NO_VERIFY_PAGE: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>Candor</title></head><body><h1>Candor</h1><p>This program was built without the page that verifies files. \
Run <code>make ui</code> and build again, or use <code>candor verify</code>.</p></body></html>\n";
/// What the page may do, for the header (`src/assets.rs`).
const NO_VERIFY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let (dist, verify) = (here.join("ui/dist"), here.join("verify/dist"));
    let embedded = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("ui");
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo reruns for ever when a watched path is missing; an empty folder is enough to be watched.
    for folder in [&dist, &verify] {
        fs::create_dir_all(folder).ok();
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    if embedded.exists() {
        fs::remove_dir_all(&embedded)?;
    }
    fs::create_dir_all(&embedded)?;
    if dist.join("index.html").is_file() {
        copy(&dist, &embedded, MAX_DEPTH)?;
    } else {
        fs::write(embedded.join("index.html"), PLACEHOLDER)?;
    }
    if verify.join("verify.html").is_file() && verify.join("verify.csp").is_file() {
        copy(&verify, &embedded, MAX_DEPTH)?;
    } else {
        fs::write(embedded.join("verify.html"), NO_VERIFY_PAGE)?;
        fs::write(embedded.join("verify.csp"), NO_VERIFY_POLICY)?;
    }
    let text = format!("#[derive(rust_embed::RustEmbed)]\n#[folder = {embedded:?}]\nstruct Ui;\n");
    fs::write(embedded.with_extension("rs"), text)
}

fn copy(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other(format!("{} lies too deep", from.display())));
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target, depth - 1)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
