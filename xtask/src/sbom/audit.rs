//! What a program says of itself (cargo-auditable) against what is listed for it.
//!
//! cargo-auditable asks `cargo metadata`, which mixes the features of the whole workspace, and counts macros, which only
//! run in the compiler: so it names crates that are not compiled in. Those are told apart; any other difference is
//! an error.

use std::collections::BTreeSet;
use std::path::Path;

use auditable_info::{Limits, audit_info_from_file};
use auditable_serde::DependencyKind;

use super::crates::{Key, Resolved};
use crate::workspace::Failure;

/// The crates that the program at `path` names although they are not in it.
pub(super) fn check(path: &Path, resolved: &Resolved) -> Result<BTreeSet<Key>, Failure> {
    let said = audit_info_from_file(path, Limits::default())
        .map_err(|error| format!("{}: no list of its crates: {error}", path.display()))?;
    let runtime = said.packages.into_iter().filter(|package| package.kind == DependencyKind::Runtime);
    let said: BTreeSet<Key> = runtime.map(|package| (package.name, package.version.to_string())).collect();
    compare(&said, resolved).map_err(|words| format!("{}: {words}", path.display()).into())
}

fn compare(said: &BTreeSet<Key>, resolved: &Resolved) -> Result<BTreeSet<Key>, String> {
    let unsaid: Vec<&Key> = resolved.built.difference(said).collect();
    if !unsaid.is_empty() {
        return Err(format!("the bill of materials lists what the program does not name: {unsaid:?}"));
    }
    let more: BTreeSet<Key> = said.difference(&resolved.built).cloned().collect();
    let unknown: Vec<&Key> = more.difference(&resolved.mixed).collect();
    if !unknown.is_empty() {
        return Err(format!("the program names what the bill of materials does not list: {unknown:?}"));
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeSet<Key> {
        names.iter().map(|name| ((*name).to_owned(), "1.0.0".to_owned())).collect()
    }

    #[test]
    fn only_what_the_workspace_mixes_in_may_differ() {
        let resolved = Resolved { built: keys(&["a", "b"]), mixed: keys(&["a", "b", "c"]) };
        assert_eq!(compare(&keys(&["a", "b"]), &resolved).unwrap(), keys(&[]));
        assert_eq!(compare(&keys(&["a", "b", "c"]), &resolved).unwrap(), keys(&["c"]));
        assert!(compare(&keys(&["a"]), &resolved).is_err());
        assert!(compare(&keys(&["a", "b", "d"]), &resolved).is_err());
    }
}
