//! The crates of a program, as cargo resolves them for that program alone.
//!
//! `cargo tree` knows the features that the program really turns on; `cargo metadata` mixes those of the whole
//! workspace, so it only says more about what the tree names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use serde::Deserialize;

use super::part::{Kind, Part};
use crate::workspace::Failure;

/// Name and version.
pub(super) type Key = (String, String);

/// What cargo says of the programs.
pub(super) struct Crates {
    /// The crates that are compiled in; a part's property says into which program.
    pub(super) parts: Vec<Part>,
    /// For each program, in order.
    pub(super) programs: Vec<Resolved>,
}

/// A program's crates by name.
pub(super) struct Resolved {
    /// Those that are compiled in.
    pub(super) built: BTreeSet<Key>,
    /// Those that `cargo metadata` resolves: some more, with macros and with the whole workspace's features mixed.
    pub(super) mixed: BTreeSet<Key>,
}

/// The crates of `programs`, which are packages of the workspace at `source`.
pub(super) fn gather(source: &Path, programs: &[&str], target: &str) -> Result<Crates, Failure> {
    let metadata = MetadataCommand::new()
        .manifest_path(source.join("Cargo.toml"))
        .features(CargoOpt::NoDefaultFeatures)
        .other_options(["--locked".into(), "--filter-platform".into(), target.into()])
        .exec()?;
    let checksums = checksums(&fs::read_to_string(source.join("Cargo.lock"))?)?;
    let mut used: BTreeMap<Key, Vec<&str>> = BTreeMap::new();
    let mut resolved = Vec::new();
    for program in programs {
        let built = tree(source, program, target)?;
        for key in &built {
            used.entry(key.clone()).or_default().push(program);
        }
        resolved.push(Resolved { built, mixed: mixed(&metadata, program)? });
    }
    let packages: BTreeMap<Key, &Package> =
        metadata.packages.iter().map(|package| (key(package), package)).collect();
    let mut parts = Vec::new();
    for (key, of) in &used {
        let package =
            packages.get(key).ok_or_else(|| format!("cargo metadata has no {} {}", key.0, key.1))?;
        let mut part = Part::new(Kind::Crate, &key.0, &key.1);
        // Older manifests write `/` for `OR`.
        part.licence = package.license.as_ref().map(|licence| licence.replace('/', " OR "));
        part.folder = package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned());
        part.home.clone_from(&package.repository);
        part.properties.push(("candor:program".to_owned(), of.join(", ")));
        if package.source.is_some() {
            part.purl = Some(format!("pkg:cargo/{}@{}", key.0, key.1.replace('+', "%2B")));
            part.sha256 = checksums.get(key).cloned();
        } else {
            part.properties.push(("candor:origin".to_owned(), "this project".to_owned()));
        }
        part.uses = uses(&metadata, &package.id, &packages, &used);
        parts.push(part);
    }
    Ok(Crates { parts, programs: resolved })
}

fn key(package: &Package) -> Key {
    (package.name.to_string(), package.version.to_string())
}

/// What a crate uses at run time, of what is in the image.
fn uses(
    metadata: &Metadata,
    id: &PackageId,
    packages: &BTreeMap<Key, &Package>,
    used: &BTreeMap<Key, Vec<&str>>,
) -> Vec<String> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let deps = nodes.filter(|node| node.id == *id).flat_map(|node| &node.deps);
    let normal = deps.filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
    let ids: BTreeSet<&PackageId> = normal.map(|dep| &dep.pkg).collect();
    let found = used.keys().filter(|key| packages.get(*key).is_some_and(|package| ids.contains(&package.id)));
    found.map(|(name, version)| Part::new(Kind::Crate, name, version).reference()).collect()
}

/// Everything that a program reaches by way of `cargo metadata`, macros and what they are made of included.
fn mixed(metadata: &Metadata, program: &str) -> Result<BTreeSet<Key>, Failure> {
    let resolve = metadata.resolve.as_ref().ok_or("cargo metadata resolves nothing")?;
    let root = metadata.packages.iter().find(|package| package.name == program && package.source.is_none());
    let mut open = vec![&root.ok_or_else(|| format!("no package {program}"))?.id];
    let mut found: BTreeSet<&PackageId> = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        let deps = resolve.nodes.iter().filter(|node| node.id == *id).flat_map(|node| &node.deps);
        let normal = deps.filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        open.extend(normal.map(|dep| &dep.pkg));
    }
    Ok(found.into_iter().map(|id| key(&metadata[id])).collect())
}

/// The crates that are compiled into a program; what only runs in the compiler is not.
fn tree(source: &Path, program: &str, target: &str) -> Result<BTreeSet<Key>, Failure> {
    let output = Command::new("cargo")
        .args(["tree", "--locked", "--no-default-features", "--edges", "normal,no-proc-macro"])
        .args(["--prefix", "none", "--format", "{p}", "--package", program, "--target", target])
        .current_dir(source)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let version = words.next().and_then(|word| word.strip_prefix('v'));
            Ok((name, version.ok_or_else(|| format!("cargo tree: {line}"))?.to_owned()))
        })
        .collect()
}

/// The hashes of the packages that the lock file pins.
fn checksums(lock: &str) -> Result<BTreeMap<Key, String>, Failure> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let lock: Lock = toml::from_str(lock)?;
    let known = lock.package.into_iter();
    Ok(known.filter_map(|package| Some(((package.name, package.version), package.checksum?))).collect())
}
