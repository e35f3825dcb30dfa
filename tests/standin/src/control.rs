//! Misbehaviour on demand: commands that a test writes into a file, one a line.
//!
//! | Line | Does |
//! |---|---|
//! | `stall N` | encoder N delivers nothing |
//! | `full N` | encoder N behaves as if its stream buffer were full |
//! | `go N` | ends both |
//! | `hang` | the next call into the library never returns |
//! | `crash` | the process aborts |
//! | `pts +S`, `pts -S` | the platform's clock jumps by S seconds |
//! | `wrap on`, `wrap off` | G1: every pack comes in two pieces |
//! | `loss N on`, `loss N off` | input N has no signal: black pictures, no mark |
//! | `late N` | every second bitmap reaches the library N milliseconds late |
//! | `nobuf on`, `nobuf off` | there are no picture buffers: no pictures, and no new encoders |

use std::collections::BTreeSet;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Stall(i32),
    Full(i32),
    Go(i32),
    Hang,
    Crash,
    /// Seconds.
    Jump(i64),
    Wrap(bool),
    Loss(i32, bool),
    NoBuffers(bool),
    /// Milliseconds.
    Late(u64),
}

/// Reads one line; `None` for what is no command.
pub(crate) fn parse(line: &str) -> Option<Command> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: &str| word.parse().ok();
    let switch = |word: &str| match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    Some(match words[..] {
        ["stall", encoder] => Command::Stall(number(encoder)?),
        ["full", encoder] => Command::Full(number(encoder)?),
        ["go", encoder] => Command::Go(number(encoder)?),
        ["hang"] => Command::Hang,
        ["crash"] => Command::Crash,
        ["pts", seconds] => Command::Jump(seconds.parse().ok()?),
        ["wrap", state] => Command::Wrap(switch(state)?),
        ["loss", input, state] => Command::Loss(number(input)?, switch(state)?),
        ["late", millis] => Command::Late(millis.parse().ok()?),
        ["nobuf"] => Command::NoBuffers(true),
        ["nobuf", state] => Command::NoBuffers(switch(state)?),
        _ => return None,
    })
}

/// What was read of the file so far.
#[derive(Debug, Default)]
pub(crate) struct Script {
    done: String,
    last: String,
}

impl Script {
    /// The lines that are new in `content`: those behind what was there, all if the file was written anew. A last line
    /// without an end counts when it is still the same at the next look.
    pub(crate) fn news(&mut self, content: &str) -> Vec<String> {
        let steady = self.last == content;
        content.clone_into(&mut self.last);
        let whole = if steady { content } else { content.rfind('\n').map_or("", |end| &content[..=end]) };
        if whole == self.done {
            return Vec::new();
        }
        let news = whole.strip_prefix(&self.done).unwrap_or(whole);
        let lines = news.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        whole.clone_into(&mut self.done);
        lines
    }
}

/// What commands have left behind.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) stalled: BTreeSet<i32>,
    pub(crate) full: BTreeSet<i32>,
    pub(crate) lost: BTreeSet<i32>,
    pub(crate) wrap: bool,
    pub(crate) no_buffers: bool,
    pub(crate) hang: bool,
    /// Seconds by which the platform's clock has jumped.
    pub(crate) jump: i64,
    /// Milliseconds by which every second bitmap is late.
    pub(crate) late: u64,
    /// Counts changes of what is seen.
    pub(crate) changes: u64,
}

impl Faults {
    /// Obeys a command; [`Command::Crash`] is the caller's.
    pub(crate) fn obey(&mut self, command: Command) {
        match command {
            Command::Stall(encoder) => drop(self.stalled.insert(encoder)),
            Command::Full(encoder) => drop(self.full.insert(encoder)),
            Command::Go(encoder) => {
                self.stalled.remove(&encoder);
                self.full.remove(&encoder);
            }
            Command::Hang => self.hang = true,
            Command::Crash => {}
            Command::Jump(seconds) => self.jump = self.jump.saturating_add(seconds),
            Command::Wrap(on) => self.wrap = on,
            Command::Loss(input, on) => {
                if on {
                    self.lost.insert(input);
                } else {
                    self.lost.remove(&input);
                }
                self.changes += 1;
            }
            Command::NoBuffers(on) => self.no_buffers = on,
            Command::Late(millis) => self.late = millis,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_nothing() {
        for (line, command) in [
            ("stall 3", Some(Command::Stall(3))),
            ("  full 0 ", Some(Command::Full(0))),
            ("pts +5", Some(Command::Jump(5))),
            ("pts -90", Some(Command::Jump(-90))),
            ("late 300", Some(Command::Late(300))),
            ("loss 2 on", Some(Command::Loss(2, true))),
            ("nobuf", Some(Command::NoBuffers(true))),
            ("wrap maybe", None),
            ("stall", None),
            ("", None),
        ] {
            assert_eq!(parse(line), command, "{line}");
        }
    }

    #[test]
    fn lines_that_are_added_count_once_and_a_new_file_counts_whole() {
        let mut script = Script::default();
        assert_eq!(script.news("pts +1\nsta"), ["pts +1"]);
        assert_eq!(script.news("pts +1\nstall 1\n"), ["stall 1"]);
        assert_eq!(script.news("pts +1\nstall 1\n"), Vec::<String>::new());
        assert_eq!(script.news("go 1\n"), ["go 1"]);
        assert_eq!(script.news(""), Vec::<String>::new());
        assert_eq!(script.news("go 1"), Vec::<String>::new());
        assert_eq!(script.news("go 1"), ["go 1"], "it stayed");
    }

    #[test]
    fn going_ends_a_stall() {
        let mut faults = Faults::default();
        faults.obey(Command::Stall(1));
        faults.obey(Command::Full(1));
        faults.obey(Command::Go(1));
        assert!(faults.stalled.is_empty() && faults.full.is_empty());
    }
}
