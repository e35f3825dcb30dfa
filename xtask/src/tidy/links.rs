//! No document may point to a file that is not there.

use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, Parser, Tag};

use super::source::paths;
use crate::workspace::Failure;

/// A line for each link of a Markdown file that leads nowhere in the project.
pub(super) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let mut breaches = Vec::new();
    for path in paths(root, "md")? {
        let text = fs::read_to_string(&path)?;
        let folder = path.parent().unwrap_or(root);
        for target in targets(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !folder.join(file).exists() {
                breaches.push(format!("{}: dead link to {target}", path.strip_prefix(root)?.display()));
            }
        }
    }
    Ok(breaches)
}

/// Links and pictures, without those that leave the project.
fn targets(text: &str) -> Vec<String> {
    Parser::new(text)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.to_string())
            }
            _ => None,
        })
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_and_pictures_that_stay_in_the_project() {
        let text = "[a](docs/a.md#part) ![b](b.png) [c](https://example.org/) `[d](d.md)` [e]\n\n[e]: e.md\n";
        assert_eq!(targets(text), ["docs/a.md#part", "b.png", "e.md"]);
    }
}
