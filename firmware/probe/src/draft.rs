//! A board description to start from, in a form that `board` accepts.
//!
//! Each table is tried with the description's own reader as it is added; one that does not fit the rest is written as a
//! comment with the reason, so that the draft can always be read. What is not known is marked `unknown:`, what was concluded
//! `inferred:`. Does not belong here: what each table holds (`draft_parts.rs`).

use board::Board;

use crate::draft_parts::{Part, head, parts};
use crate::facts::Facts;

/// Writes the description.
#[must_use]
pub fn draft(facts: &Facts) -> String {
    let mut text = head(facts);
    for part in parts(facts) {
        text.push('\n');
        text.push_str(&notes(&part.notes));
        if part.table.is_empty() {
            continue;
        }
        match Board::parse("the draft", &format!("{text}{}", part.table)) {
            Ok(_) => text.push_str(&part.table),
            Err(error) => {
                text.push_str(&notes(&[format!("left out: {error}")]));
                let lines = part.table.lines().map(|line| format!("# {line}\n"));
                text.extend(lines);
            }
        }
    }
    text
}

fn notes(notes: &[String]) -> String {
    notes.iter().map(|note| format!("# {note}\n")).collect()
}

impl Part {
    /// Notes alone.
    pub(crate) fn unknown(notes: impl IntoIterator<Item = String>) -> Self {
        let notes = notes.into_iter().map(|note| format!("unknown: {note}")).collect();
        Self { notes, table: String::new() }
    }
}
