//! What the loader left to say: which image runs, and from where.
//!
//! `/run/candor-boot.json`, written by the loader before it starts this program. A PC has none.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where the loader writes it.
pub(crate) const PATH: &str = "/run/candor-boot.json";

/// The root document that the loader begins with: as it left it, or as the image has it.
pub(crate) const ROOT_KEYS: [&str; 2] = ["/run/candor-root-keys.json", "/etc/candor/root-keys.json"];

/// The loader's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootFacts {
    /// The board and its variant: `virt-a7:16`.
    pub(crate) board: String,
    /// `a` or `b`.
    pub(crate) slot: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) commit: String,
    /// Of the whole root, hexadecimal.
    pub(crate) root_sha256: String,
    /// RFC 3339.
    #[serde(default)]
    pub(crate) created: String,
    /// `release` or `owner`.
    #[serde(default)]
    pub(crate) signed_by: String,
    /// The image is on trial: it must be confirmed, or the next starts go back.
    #[serde(default)]
    pub(crate) trying: bool,
    #[serde(default)]
    pub(crate) tries_left: Option<u8>,
    /// What became of an update that did not stay.
    #[serde(default)]
    pub(crate) previous: Option<PreviousBoot>,
}

/// An image that ran before this one and was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PreviousBoot {
    pub(crate) version: String,
    /// `rolled_back`.
    pub(crate) outcome: String,
    pub(crate) message: String,
}

impl BootFacts {
    /// Reads them.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The name that `board::Board::builtin` takes: variants follow a dash there.
    pub(crate) fn board_name(&self) -> String {
        self.board.replace(':', "-")
    }

    /// One line for console and log.
    pub(crate) fn line(&self) -> String {
        let commit = if self.commit.is_empty() { String::new() } else { format!(" ({})", self.commit) };
        let image: String = self.root_sha256.chars().take(16).collect();
        let trial = if self.trying { ", on trial" } else { "" };
        format!(
            "Candor {}{commit} board {} slot {} image {image}… signed by {}{trial}",
            self.version, self.board, self.slot, self.signed_by
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_file_is_read_and_said_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot.json");
        let text = r#"{"board":"virt-a7:16","slot":"a","version":"0.1.0","commit":"abc1234","root_sha256":
            "1f2e3d4c5b6a79880123456789abcdef0123456789abcdef0123456789abcdef","created":"2026-11-20T14:00:00Z",
            "signed_by":"release","trying":false,"tries_left":null,"previous":null}"#;
        fs::write(&path, text).unwrap();
        let facts = BootFacts::read(&path).unwrap();
        assert_eq!(facts.board_name(), "virt-a7-16");
        assert_eq!(
            facts.line(),
            "Candor 0.1.0 (abc1234) board virt-a7:16 slot a image 1f2e3d4c5b6a7988… signed by release"
        );
        fs::write(&path, "{").unwrap();
        assert_eq!(BootFacts::read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
