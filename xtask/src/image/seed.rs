//! Other people's crates for a second build, as the first one compiled them.
//!
//! They come from the registry, and where that lies is told to neither build's programs. Does not belong here: ours, which
//! the second build compiles itself.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use cargo_metadata::MetadataCommand;

use crate::workspace::{self, Failure};

/// In a build folder of a profile: what is compiled, what build scripts made, and what both were made from.
const PARTS: [&str; 3] = ["deps", "build", ".fingerprint"];
/// cargo puts a hash of so many digits behind the name of everything.
const HASH_DIGITS: usize = 16;

/// Names of our packages and of their targets, as files are named by them.
pub(super) fn ours() -> Result<BTreeSet<String>, Failure> {
    let metadata = MetadataCommand::new().current_dir(workspace::root()).no_deps().exec()?;
    let names = |package: cargo_metadata::Package| {
        let targets: Vec<String> = package.targets.iter().map(|target| target.name.clone()).collect();
        targets.into_iter().chain([package.name.to_string()])
    };
    Ok(metadata.packages.into_iter().flat_map(names).map(|name| name.replace('-', "_")).collect())
}

/// Gives a profile's build folder what `from` has that is not ours. Files are shared, not copied: cargo goes by their times.
pub(super) fn link(from: &Path, to: &Path, ours: &BTreeSet<String>) -> Result<(), Failure> {
    for part in PARTS {
        let (from, to) = (from.join(part), to.join(part));
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from).map_err(|error| format!("{}: {error}", from.display()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_others(&name, ours) {
                link_all(&from.join(&name), &to.join(&name))?;
            }
        }
    }
    Ok(())
}

/// Whether this is part of a crate that is not ours: `libserde-0123456789abcdef.rlib`, `serde-0123456789abcdef`.
fn is_others(file: &str, ours: &BTreeSet<String>) -> bool {
    let hash_at = file.rmatch_indices('-').map(|(at, _)| at).find(|&at| {
        let hash = file[at + 1..].bytes().take_while(u8::is_ascii_hexdigit).count();
        hash == HASH_DIGITS
    });
    let Some(stem) = hash_at.map(|at| file[..at].replace('-', "_")) else { return false };
    let bare = stem.strip_prefix("lib").unwrap_or(&stem);
    !ours.contains(&stem) && !ours.contains(bare)
}

fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::hard_link(from, to);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        link_all(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_told_from_others_by_their_files() {
        let ours =
            BTreeSet::from(["store".to_owned(), "mpp_host".to_owned(), "build_script_build".to_owned()]);
        for (file, others) in [
            ("libserde_json-0123456789abcdef.rlib", true),
            ("libc-0123456789abcdef", true),
            ("liblibc-0123456789abcdef.rmeta", true),
            ("ring-0123456789abcdef", true),
            ("store-0123456789abcdef", false),
            ("libstore-0123456789abcdef.rlib", false),
            ("mpp-host-0123456789abcdef", false),
            ("mpp_host-0123456789abcdef.d", false),
            ("candor", false),
            ("serde-0123", false),
        ] {
            assert_eq!(is_others(file, &ours), others, "{file}");
        }
    }

    #[test]
    fn folders_are_linked_whole_and_ours_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        for part in PARTS {
            fs::create_dir_all(from.join(part).join("ring-0123456789abcdef/out")).unwrap();
            fs::create_dir_all(from.join(part).join("store-0123456789abcdef")).unwrap();
        }
        fs::write(from.join("build/ring-0123456789abcdef/out/lib.a"), "x").unwrap();
        link(&from, &to, &BTreeSet::from(["store".to_owned()])).unwrap();
        assert_eq!(fs::read(to.join("build/ring-0123456789abcdef/out/lib.a")).unwrap(), b"x");
        assert!(!to.join("deps/store-0123456789abcdef").exists());
    }
}
