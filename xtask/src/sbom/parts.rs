//! Everything that is in an image.

use std::fs;
use std::path::Path;

use super::facts::{Facts, Packaged};
use super::part::{Kind, Part, sha256_file};
use super::{app, audit, crates, native};
use crate::workspace::Failure;

/// All parts, sorted, each once.
pub(super) fn gather(facts: &Facts) -> Result<Vec<Part>, Failure> {
    let names: Vec<&str> = facts.programs.iter().map(|program| program.name.as_str()).collect();
    let crates::Crates { mut parts, programs } = crates::gather(&facts.source, &names, &facts.target)?;
    parts.extend(native::gather(facts, &parts)?);
    let app = app::gather(&facts.source, &facts.out.join(".app-with-map"))?;
    for (program, resolved) in facts.programs.iter().zip(&programs) {
        let more = audit::check(&program.path, resolved)?;
        let mut part = Part::new(Kind::Program, &program.name, &facts.version);
        part.licence = Some("MIT OR Apache-2.0".to_owned());
        part.sha256 = Some(sha256_file(&program.path)?);
        part.properties.push(("candor:commit".to_owned(), facts.commit.clone()));
        let more = more.iter().map(|(name, version)| format!("{name} {version}"));
        part.properties.extend(more.map(|name| ("candor:named-in-dep-v0-but-not-built".to_owned(), name)));
        let own = Part::new(Kind::Crate, &program.name, &facts.version).reference();
        part.uses = parts.iter().filter(|part| part.reference() == own).map(Part::reference).collect();
        let linked =
            |part: &&Part| part.kind == Kind::Native && ["rust-std", "musl"].contains(&part.name.as_str());
        part.uses.extend(parts.iter().filter(linked).map(Part::reference));
        if program.name == "candor" {
            part.uses.extend(app.iter().map(Part::reference));
        }
        parts.push(part);
    }
    parts.extend(app);
    if let Some(kernel) = &facts.kernel {
        let mut part =
            packaged(Kind::Kernel, "linux", &kernel.source, "GPL-2.0-only WITH Linux-syscall-note")?;
        part.properties.push(("candor:config-sha256".to_owned(), sha256_file(&kernel.config)?));
        parts.push(part);
    }
    if let Some(loader) = &facts.boot_loader {
        parts.push(packaged(Kind::BootLoader, "u-boot", loader, "GPL-2.0-or-later")?);
    }
    if let Some(libc) = &facts.shared_libc {
        parts.push(packaged(Kind::Native, "glibc", libc, "LGPL-2.1-or-later")?);
    }
    if let Some(manifest) = &facts.blobs {
        parts.extend(blobs(manifest)?);
    }
    parts.sort_by_key(|part| (part.kind, part.reference()));
    Ok(parts)
}

fn packaged(kind: Kind, name: &str, from: &Packaged, licence: &str) -> Result<Part, Failure> {
    let mut part = Part::new(kind, name, &from.version);
    let version = from.version.replace('+', "%2B").replace(':', "%3A").replace('~', "%7E");
    part.purl = Some(format!("pkg:deb/debian/{}@{version}", from.package));
    part.licence = Some(licence.to_owned());
    part.sha256 = Some(sha256_file(&from.file)?);
    part.home =
        Some(format!("https://snapshot.debian.org/package/{}/{}/", from.source_package, from.version));
    part.properties.push(("candor:source-package".to_owned(), from.source_package.clone()));
    Ok(part)
}

/// The files that the owner took from the vendor's firmware: a name and a hash is all that anybody can say.
fn blobs(manifest: &Path) -> Result<Vec<Part>, Failure> {
    let text = fs::read_to_string(manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (hash, name) =
                line.split_once("  ").ok_or_else(|| format!("{}: {line}", manifest.display()))?;
            let mut part = Part::new(Kind::Blob, name, "vendor");
            part.sha256 = Some(hash.to_owned());
            part.properties.push(("candor:source".to_owned(), "closed".to_owned()));
            Ok(part)
        })
        .collect()
}
