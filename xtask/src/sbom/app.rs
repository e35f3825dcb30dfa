//! The npm packages whose code is in the browser app.
//!
//! The app is bundled once more with a source map: it names the files that each byte came from, so a package that
//! only runs at build time is not listed. Does not belong here: building what is shipped (`make ui`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::part::{Kind, Part, hex};
use crate::workspace::Failure;

/// The packages, by name; `scratch` is a folder to bundle into.
pub(super) fn gather(source: &Path, scratch: &Path) -> Result<Vec<Part>, Failure> {
    let app = source.join("web/ui");
    bundle(&app, scratch)?;
    check_same(&app.join("dist/assets"), &scratch.join("assets"))?;
    let mut names = BTreeSet::new();
    for path in files(&scratch.join("assets"))?.iter().filter(|name| name.ends_with(".map")) {
        let map: Value = serde_json::from_slice(&fs::read(scratch.join("assets").join(path))?)?;
        let sources = map["sources"].as_array().ok_or("a source map without sources")?;
        names.extend(sources.iter().filter_map(|source| package_of(source.as_str()?)).map(str::to_owned));
    }
    fs::remove_dir_all(scratch)?;
    let lock: Value = serde_json::from_slice(&fs::read(app.join("package-lock.json"))?)?;
    names.iter().map(|name| part(&app, &lock, name)).collect()
}

fn bundle(app: &Path, scratch: &Path) -> Result<(), Failure> {
    let output = Command::new("node")
        .args([
            "node_modules/vite/bin/vite.js",
            "build",
            "--sourcemap",
            "hidden",
            "--emptyOutDir",
            "--outDir",
        ])
        .arg(scratch)
        .current_dir(app)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("vite build: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// The names carry a hash of the content: the same names mean that the map is about what is shipped.
fn check_same(shipped: &Path, mapped: &Path) -> Result<(), Failure> {
    let of = |folder: &Path| -> Result<BTreeSet<String>, Failure> {
        Ok(files(folder)?
            .into_iter()
            .filter(|name| name.ends_with(".js") || name.ends_with(".css"))
            .collect())
    };
    let (shipped, mapped) = (of(shipped)?, of(mapped)?);
    if shipped == mapped {
        return Ok(());
    }
    Err(format!("web/ui/dist holds {shipped:?}, its sources give {mapped:?}: run `make ui`").into())
}

fn files(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The package that a file belongs to: what follows the last `node_modules/`, two words where there is a scope.
fn package_of(path: &str) -> Option<&str> {
    let (_, inside) = path.rsplit_once("node_modules/")?;
    let parts = if inside.starts_with('@') { 2 } else { 1 };
    let end = inside.match_indices('/').nth(parts - 1).map_or(inside.len(), |(at, _)| at);
    Some(&inside[..end])
}

fn part(app: &Path, lock: &Value, name: &str) -> Result<Part, Failure> {
    let entry = &lock["packages"][format!("node_modules/{name}")];
    let version = entry["version"].as_str().ok_or_else(|| format!("package-lock.json has no {name}"))?;
    let mut part = Part::new(Kind::Npm, name, version);
    part.purl = Some(format!("pkg:npm/{}@{version}", name.replace('@', "%40")));
    part.licence = entry["license"].as_str().map(str::to_owned);
    part.folder = Some(app.join("node_modules").join(name));
    part.properties.push(("candor:program".to_owned(), "candor".to_owned()));
    if let Some(hash) = entry["integrity"].as_str().and_then(|text| text.strip_prefix("sha512-")) {
        part.sha512 = Some(hex(&data_encoding::BASE64.decode(hash.as_bytes())?));
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_innermost_package() {
        assert_eq!(package_of("../node_modules/svelte/src/index.js"), Some("svelte"));
        assert_eq!(package_of("../node_modules/@scope/name/index.js"), Some("@scope/name"));
        assert_eq!(package_of("node_modules/a/node_modules/b/c.js"), Some("b"));
        assert_eq!(package_of("../src/lib/time.ts"), None);
    }
}
