//! What each file must be: headed, short, and a face nothing but a face.

use syn::{Item, Visibility};

use super::source::Source;

/// A file that is longer wants to be two.
const MAX_LINES: usize = 600;
/// The first line says what the file is, at a glance.
const MAX_TAGLINE_CHARS: usize = 80;

/// A line for each breach.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(check_one).collect()
}

fn check_one(source: &Source) -> Vec<String> {
    let path = source.path.display();
    let mut breaches = Vec::new();
    match source.text.lines().next().and_then(|line| line.strip_prefix("//! ")) {
        None => breaches.push(format!("{path}:1: begins without a `//!` line that says what the file is")),
        Some(tagline) if tagline.chars().count() > MAX_TAGLINE_CHARS => {
            breaches.push(format!("{path}:1: the first line has more than {MAX_TAGLINE_CHARS} characters"));
        }
        Some(_) => {}
    }
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        breaches.push(format!("{path}: {lines} lines; a file over {MAX_LINES} wants to be two"));
    }
    let is_face = source.path.file_name().is_some_and(|name| name == "lib.rs" || name == "mod.rs");
    // Test folders' `mod.rs` are not a library's face.
    let is_test = source.path.components().any(|part| part.as_os_str() == "tests");
    if is_face && !is_test && !source.tree.items.iter().all(belongs_in_face) {
        breaches.push(format!("{path}: holds more than docs, `mod` and `pub use`"));
    }
    breaches
}

fn belongs_in_face(item: &Item) -> bool {
    match item {
        Item::Mod(module) => module.content.is_none(),
        Item::Use(import) => !matches!(import.vis, Visibility::Inherited),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(path: &str, text: &str) -> Vec<String> {
        let tree = syn::parse_file(text).unwrap();
        check_one(&Source { path: path.into(), text: text.to_owned(), tree })
    }

    #[test]
    fn each_rule_is_told_by_its_breach() {
        assert!(breaches("a/src/b.rs", "//! Fine.\nfn f() {}\n").is_empty());
        assert!(breaches("a/src/b.rs", "fn f() {}\n")[0].contains("begins without"));
        assert!(breaches("a/src/b.rs", &format!("//! {}\n", "x".repeat(81)))[0].contains("more than 80"));
        assert!(breaches("a/src/b.rs", &format!("//! Long.\n{}", "\n".repeat(600)))[0].contains("601 lines"));
        assert!(breaches("a/src/lib.rs", "//! Face.\nmod b;\npub use b::C;\n").is_empty());
        assert!(breaches("a/src/lib.rs", "//! Face.\nfn f() {}\n")[0].contains("more than docs"));
        assert!(breaches("a/src/lib.rs", "//! Face.\nuse b::C;\n")[0].contains("more than docs"));
    }
}
