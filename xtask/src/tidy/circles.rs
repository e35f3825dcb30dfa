//! No file may import one that imports it: files read one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree};

use super::source::Source;

/// A line for each circle.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut crates: BTreeMap<PathBuf, BTreeMap<Vec<String>, &Source>> = BTreeMap::new();
    for source in sources {
        if let Some((root, module)) = place(&source.path) {
            crates.entry(root).or_default().insert(module, source);
        }
    }
    crates.values().flat_map(circles).collect()
}

/// The crate's source folder and the module's path in it; `None` for what is no part of a `src` folder.
fn place(path: &Path) -> Option<(PathBuf, Vec<String>)> {
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let src = parts.iter().rposition(|part| part == "src")?;
    let mut module = parts[src + 1..].to_vec();
    let file = module.pop()?;
    match file.as_str() {
        "lib.rs" | "main.rs" | "mod.rs" => {}
        other => module.push(other.trim_end_matches(".rs").to_owned()),
    }
    Some((parts[..=src].iter().collect(), module))
}

fn circles(modules: &BTreeMap<Vec<String>, &Source>) -> Vec<String> {
    let arrows: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = modules
        .iter()
        .map(|(module, source)| {
            let mut imports = Imports { module, modules, found: BTreeSet::new() };
            imports.visit_file(&source.tree);
            let targets = imports.found.iter().filter_map(|path| defining_file(modules, path));
            (module, targets.filter(|target| *target != module).collect())
        })
        .collect();
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for start in arrows.keys() {
        walk(start, &arrows, &mut Vec::new(), &mut done, &mut |circle| {
            let names: Vec<String> =
                circle.iter().map(|module| modules[*module].path.display().to_string()).collect();
            found.push(format!("imports go in a circle: {} -> {}", names.join(" -> "), names[0]));
        });
    }
    found
}

fn walk<'a>(
    module: &'a Vec<String>,
    arrows: &BTreeMap<&'a Vec<String>, BTreeSet<&'a Vec<String>>>,
    way: &mut Vec<&'a Vec<String>>,
    done: &mut BTreeSet<&'a Vec<String>>,
    report: &mut impl FnMut(&[&Vec<String>]),
) {
    if let Some(first) = way.iter().position(|m| *m == module) {
        report(&way[first..]);
        return;
    }
    if done.contains(module) {
        return;
    }
    way.push(module);
    for next in &arrows[module] {
        walk(next, arrows, way, done, report);
    }
    way.pop();
    done.insert(module);
}

/// The longest part of `path` that is a module with a file of its own.
fn defining_file<'a>(
    modules: &'a BTreeMap<Vec<String>, &Source>,
    path: &[String],
) -> Option<&'a Vec<String>> {
    (0..=path.len()).rev().find_map(|length| modules.get_key_value(&path[..length])).map(|(module, _)| module)
}

/// Collects the paths that a file takes from its own crate.
struct Imports<'a> {
    module: &'a [String],
    modules: &'a BTreeMap<Vec<String>, &'a Source>,
    found: BTreeSet<Vec<String>>,
}

impl Imports<'_> {
    /// Counts `path` when it begins in this crate: `crate::`, `super::`, `self::` or a module inside this one.
    fn take(&mut self, path: &[String]) {
        let mut place = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.to_vec(),
            Some(name) if self.modules.contains_key(&[self.module, &[name.to_owned()]].concat()) => {
                self.module.to_vec()
            }
            _ => return,
        };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => {
                    place.pop();
                }
                name => place.push(name.to_owned()),
            }
        }
        self.found.insert(place);
    }

    fn take_tree(&mut self, tree: &UseTree, way: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                way.push(path.ident.to_string());
                self.take_tree(&path.tree, way);
                way.pop();
            }
            UseTree::Name(name) if name.ident == "self" => self.take(way),
            UseTree::Name(name) => self.take(&[way.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Rename(name) => self.take(&[way.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.take(way),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.take_tree(item, way)),
        }
    }
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        // Tests look at everything; that binds nobody.
        let attributes: &[Attribute] = match item {
            Item::Mod(module) => &module.attrs,
            Item::Use(import) => &import.attrs,
            Item::Fn(function) => &function.attrs,
            Item::Impl(block) => &block.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_test_only) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        self.take_tree(&import.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.take(&parts);
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

fn is_test_only(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string().contains("test"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_files(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source {
                path: path.into(),
                text: (*text).to_owned(),
                tree: syn::parse_file(text).unwrap(),
            })
            .collect();
        check(&sources)
    }

    #[test]
    fn a_circle_is_found_through_uses_and_paths() {
        let found = check_files(&[
            ("x/src/lib.rs", "mod a; mod b; mod c;"),
            ("x/src/a.rs", "use crate::b::B; pub struct A;"),
            ("x/src/b.rs", "pub struct B(super::c::C);"),
            ("x/src/c.rs", "pub struct C; fn f() { crate::a::A; }"),
        ]);
        assert_eq!(found, ["imports go in a circle: x/src/a.rs -> x/src/b.rs -> x/src/c.rs -> x/src/a.rs"]);
    }

    #[test]
    fn a_face_that_is_used_from_within_is_a_circle() {
        let found = check_files(&[
            ("x/src/lib.rs", "mod a; mod b; pub use a::A;"),
            ("x/src/a.rs", "use crate::b::B; pub struct A;"),
            ("x/src/b.rs", "use crate::A;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn tests_and_other_crates_make_no_arrows() {
        let found = check_files(&[
            ("x/src/lib.rs", "mod a; mod b; pub use a::A;"),
            ("x/src/a.rs", "use crate::b::B; pub(in crate::b) struct A;"),
            ("x/src/b.rs", "use std::fmt; pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
            ("y/src/lib.rs", "mod a; pub use a::A;"),
            ("y/src/a.rs", "use x::A;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
