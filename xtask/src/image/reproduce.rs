//! The same source in another folder makes the same image, byte for byte.
//!
//! What is compared was built by another cargo run from a copy of the files, with its own build folder. Tools, the
//! kernel, the keys and other people's crates are shared: they are inputs, and made before.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::compose::{Image, LAYOUTS, build, shared_kernel};
use super::places::Places;
use super::source::{Source, git_in};
use super::toolchain::TARGET;
use super::{keys, seed, tool, toolchain};
use crate::workspace::{self, Failure};

/// Longer than the checkout's own name is likely to be: a path that slipped into a program would move everything.
const FOLDER: &str = "reproduce/the same source in another folder";

/// Builds twice and fails at what differs.
pub(super) fn run(places: &Places, source: &Source, name: &str, agent: bool) -> Result<Image, Failure> {
    let copy = workspace::target().join(FOLDER.replace(' ', "-"));
    println!("==> twice: here and in {}", copy.display());
    copy_source(&places.source, &copy)?;
    toolchain::install()?;
    shared_kernel(places)?;
    keys::open(&places.keys, source)?;
    let first = build(places, source, name, agent)?;
    let again = places.again(&copy);
    share_crates(places, &again)?;
    let second = build(&again, source, name, agent)?;
    let mut pairs = vec![
        (first.bundle.clone(), second.bundle.clone()),
        (first.places.root(), second.places.root()),
        (first.places.stage(), second.places.stage()),
    ];
    pairs.extend(LAYOUTS.map(|layout| (first.places.nor(layout), second.places.nor(layout))));
    let mut differing = Vec::new();
    for (a, b) in &pairs {
        if let Some(words) = difference(a, b)? {
            differing.push(words);
        }
    }
    if differing.is_empty() {
        println!("==> both builds are the same: bundle, root, stage and flash images, byte for byte");
        return Ok(first);
    }
    for entry in ["bin/candor", "bin/board-agent", "etc/os-release"] {
        let (a, b) = (first.places.out.join("root").join(entry), second.places.out.join("root").join(entry));
        if a.exists()
            && let Some(words) = difference(&a, &b)?
        {
            differing.push(words);
        }
    }
    Err(format!("two builds of the same source differ:\n{}", differing.join("\n")).into())
}

/// For the programs and for the verify page; what is left of an earlier second build goes.
fn share_crates(places: &Places, again: &Places) -> Result<(), Failure> {
    let ours = seed::ours()?;
    let pages = (workspace::target(), again.source.join("target"));
    for (from, to, folders) in [
        (&places.cross, &again.cross, ["board".to_owned(), format!("{TARGET}/board")]),
        (&pages.0, &pages.1, ["small".to_owned(), "wasm32-unknown-unknown/small".to_owned()]),
    ] {
        for folder in folders {
            let (from, to) = (from.join(&folder), to.join(&folder));
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            // The verify page may have been there before, and nothing compiled for it.
            if from.exists() {
                seed::link(&from, &to, &ours)?;
            }
        }
    }
    Ok(())
}

/// Copies what git knows or would add, as it is now.
fn copy_source(from: &Path, to: &Path) -> Result<(), Failure> {
    let files = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let files = tool::run(git_in(from).args(files))?;
    // The build folder in it stays, as it does in the first.
    for entry in fs::read_dir(to).into_iter().flatten() {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "target") {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
    }
    for name in files.split('\0').filter(|name| !name.is_empty()) {
        let (source, target) = (from.join(name), to.join(name));
        let Ok(meta) = fs::symlink_metadata(&source) else { continue };
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        if meta.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    let modules = "web/ui/node_modules";
    Ok(symlink(from.join(modules), to.join(modules))?)
}

fn difference(a: &Path, b: &Path) -> Result<Option<String>, Failure> {
    let (left, right) = (fs::read(a)?, fs::read(b)?);
    if left == right {
        return Ok(None);
    }
    let at = left.iter().zip(&right).position(|(x, y)| x != y).unwrap_or(left.len().min(right.len()));
    Ok(Some(format!(
        "{} and {}, from byte {at}; {} and {} bytes long",
        a.display(),
        b.display(),
        left.len(),
        right.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_with_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "same").unwrap();
        fs::write(&b, "same").unwrap();
        assert_eq!(difference(&a, &b).unwrap(), None);
        fs::write(&b, "sane!").unwrap();
        assert!(difference(&a, &b).unwrap().unwrap().contains("from byte 2; 4 and 5 bytes"));
    }
}
