//! The list of licences that goes with an image: who, under which, and the texts.
//!
//! Texts are those that the packages bring, each printed once. Does not belong here: which licences are allowed
//! (`deny.toml`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::facts::Facts;
use super::part::{Kind, Part};
use crate::workspace::Failure;

/// How files with licences and notices begin, in small letters.
const NAMES: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
/// Larger ones are no licence.
const MAX_TEXT_BYTES: u64 = 256 << 10;

/// The list's text.
pub(super) fn compose(facts: &Facts, parts: &[Part]) -> Result<String, Failure> {
    let mut out = format!(
        "Licences of what is in the image for {}, version {} ({}).\n\n",
        facts.board, facts.version, facts.commit
    );
    let mut by_licence: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for part in parts.iter().filter(|part| part.kind != Kind::Program) {
        let name = format!("{} {}", part.name, part.version);
        by_licence.entry(part.licence.as_deref().unwrap_or(unknown(part))).or_default().push(name.clone());
        let found = texts_of(facts, part)?;
        if found.is_empty() && part.kind != Kind::Blob {
            without.push(format!("{name}: {}", part.home.as_deref().unwrap_or("no address")));
        }
        for text in found {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (licence, names) in &by_licence {
        writeln!(out, "{licence}\n    {}\n", names.join(", "))?;
    }
    out.push_str(&sources(parts));
    if !without.is_empty() {
        writeln!(
            out,
            "These packages bring no licence file; the texts are where they live:\n    {}\n",
            without.join("\n    ")
        )?;
    }
    // In the order of the first one who has it.
    let mut texts: Vec<(Vec<String>, String)> =
        texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    for (mut names, text) in texts {
        names.dedup();
        writeln!(out, "{}\n{}\n\n{text}\n", "=".repeat(80), names.join(", "))?;
    }
    Ok(out)
}

const fn unknown(part: &Part) -> &'static str {
    match part.kind {
        Kind::Blob => "no licence: the vendor's files, supplied by the board's owner; not to be given away",
        _ => "not stated",
    }
}

/// Where the sources are of what must come with its source.
fn sources(parts: &[Part]) -> String {
    let copyleft: Vec<&Part> =
        parts.iter().filter(|part| matches!(part.kind, Kind::Kernel | Kind::BootLoader)).collect();
    if copyleft.is_empty() {
        return String::new();
    }
    let mut text = String::from("Sources of what is under the GNU General Public License:\n");
    for part in copyleft {
        let home = part.home.as_deref().unwrap_or_default();
        text.push_str(&format!("    {} {}: {home}\n", part.name, part.version));
    }
    text.push_str(
        "    The kernel's configuration is buildroot/board/NAME/linux.fragment in Candor's source, on top of\n    \
         allnoconfig; no patch is applied beyond Debian's own.\n\n",
    );
    text
}

/// The texts that a part brings; the project's own crates share those at the top.
fn texts_of(facts: &Facts, part: &Part) -> Result<Vec<String>, Failure> {
    let Some(folder) = &part.folder else { return Ok(Vec::new()) };
    let folder =
        if folder.starts_with(&facts.source) && part.kind == Kind::Crate { &facts.source } else { folder };
    let mut texts = Vec::new();
    for path in files(folder)? {
        let bytes = fs::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        texts.push(lines.join("\n").trim_matches('\n').to_owned());
    }
    Ok(texts)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let metadata = fs::metadata(entry.path())?;
        let is_text = metadata.is_file() && metadata.len() <= MAX_TEXT_BYTES && !name.ends_with(".rs");
        if is_text && NAMES.iter().any(|begin| name.starts_with(begin)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
