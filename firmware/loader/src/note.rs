//! What the working process tells process 1: a line of JSON each.
//!
//! Process 1 must not end, whatever happens, so it does little itself: the work is done in a process of its own that may panic or
//! run out of memory. Each note also shows that work goes on, for the watchdog.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::boot_facts::BootFacts;
use crate::reason::RecoveryReason;

/// A note.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// Work goes on.
    Alive,
    /// This is to be started.
    Boot(Box<Start>),
    /// Nothing can be started, or recovery was asked for.
    Recover(RecoveryReason),
    /// The board is to be restarted: recovery installed something.
    Restart,
}

/// What is to be started.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Where the root is.
    pub(crate) root: RootPlace,
    /// What the new system is told.
    pub(crate) facts: BootFacts,
}

/// Where a root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RootPlace {
    /// In the flash partition with that number of the kernel's.
    Mtd(u32),
    /// In the initramfs itself: a stage that was made to try a board without writing to its flash.
    Ram,
}

/// Hands a note to process 1: over standard output, which is a pipe there.
pub(crate) fn hand_over(note: &Note) -> io::Result<()> {
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Reads a line; `None` for anything else.
pub(crate) fn read(line: &str) -> Option<Note> {
    serde_json::from_str(line).ok()
}
