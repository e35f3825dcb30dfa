//! Leaf files: JSON lines, named after the index of their first leaf.
//!
//! Does not belong here: hashes.

use serde::de::IgnoredAny;

use crate::error::{ErrorKind, LedgerError};
use crate::leaf::MAX_LEAF_BYTES;

/// The most bytes of a leaf file: one is read whole to open a ledger and to find a leaf.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most leaves of a leaf file: their hashes are held in memory until the file is full, 64 bytes a leaf.
pub(crate) const MAX_FILE_LEAVES: u64 = 8192;

/// A leaf file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeafFile {
    /// Index of its first leaf.
    pub(crate) first: u64,
    /// How much of it counts.
    pub(crate) bytes: u64,
}

impl LeafFile {
    pub(crate) fn name(self) -> String {
        format!("leaves-{:016}.jsonl", self.first)
    }

    /// The index in a file's name; `None` for other files.
    pub(crate) fn first_of(name: &str) -> Option<u64> {
        let digits = name.strip_prefix("leaves-")?.strip_suffix(".jsonl")?;
        let decimal = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit());
        decimal.then(|| digits.parse().ok()).flatten()
    }
}

/// The lines of a file's content that are whole and can be leaves, up to the first one that is not.
pub(crate) fn whole_lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content
        .split_inclusive(|byte| *byte == b'\n')
        .map_while(|line| line.strip_suffix(b"\n"))
        .take_while(|line| is_leaf(line))
}

/// A batch of leaves as the lines to be written.
pub(crate) fn to_lines(batch: &[Vec<u8>]) -> Result<Vec<u8>, LedgerError> {
    let invalid = |what| Err(LedgerError::new(ErrorKind::Invalid, what));
    let mut lines = Vec::with_capacity(batch.iter().map(|leaf| leaf.len() + 1).sum());
    for leaf in batch {
        if !is_leaf(leaf) {
            return invalid("a leaf is one JSON object in one line of at most 64 KiB");
        }
        lines.extend_from_slice(leaf);
        lines.push(b'\n');
    }
    if lines.len() as u64 > MAX_FILE_BYTES || batch.len() as u64 > MAX_FILE_LEAVES {
        return invalid("too many leaves at once: a batch is at most 1 MiB and 8192 leaves");
    }
    Ok(lines)
}

/// Whether these bytes can be a leaf, whatever they say.
fn is_leaf(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_LEAF_BYTES
        && bytes.first() == Some(&b'{')
        && bytes.iter().all(|byte| *byte >= b' ')
        && std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}
