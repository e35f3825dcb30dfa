//! The page: one file with its style and script inside.
//!
//! Nothing else may be loaded into it.

use data_encoding::BASE64;
use ring::digest::{SHA256, digest};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page and the policy that goes with it.
pub(super) struct Page {
    pub(super) html: String,
    /// `Content-Security-Policy`.
    pub(super) policy: String,
}

impl Page {
    /// `board` is the name that its bundles' files have.
    pub(super) fn new(board: &str) -> Self {
        // The board last: nothing that is put in is looked through for a place again.
        let html = HTML.replacen("{style}", STYLE, 1).replacen("{script}", SCRIPT, 1);
        let html = html.replacen("{board}", board, 1);
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            source(STYLE),
            source(SCRIPT)
        );
        Self { html, policy }
    }
}

/// How a policy names an inline text: by its hash (CSP level 3, section 2.3.1).
fn source(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(digest(&SHA256, text.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between two tags.
    fn inside<'a>(html: &'a str, open: &str, close: &str) -> &'a str {
        html.split_once(open).unwrap().1.split_once(close).unwrap().0
    }

    #[test]
    fn everything_is_inside_and_allowed_by_its_hash() {
        let page = Page::new("virt-a7");
        assert!(page.html.contains("candor-virt-a7-"));
        for (text, directive) in [
            (inside(&page.html, "<style>", "</style>"), "style-src"),
            (inside(&page.html, "<script>", "</script>"), "script-src"),
        ] {
            let allowed = format!("{directive} '{}'", source(text));
            assert!(page.policy.contains(&allowed), "{directive}");
        }
        for outside in ["src=", "href=", "http://", "https://", " on", "style="] {
            let found = page.html.match_indices(outside).find(|(at, _)| {
                // Event handlers in the markup would not run, and words may begin with "on".
                outside != " on"
                    || page.html[*at + 3..].split_once('=').is_some_and(|(name, _)| {
                        !name.is_empty() && name.len() < 12 && name.bytes().all(|b| b.is_ascii_lowercase())
                    })
            });
            assert_eq!(found, None, "{outside:?} in the page");
        }
    }
}
