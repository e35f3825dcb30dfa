//! The crate's one error: which file, which line, what is wrong and what to do.
//!
//! Does not belong here: finding the line (`parse.rs`).

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No board of that name is compiled in, or the description has no such variant.
    NotFound,
    /// The text is no TOML, or a key or value is not one that a description has.
    Syntax,
    /// Every value is legal but they do not fit together.
    Invalid,
}

/// A board description that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.file, *.line))]
pub struct BoardError {
    pub(crate) kind: ErrorKind,
    pub(crate) file: String,
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

impl BoardError {
    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The line, from 1, where there is one.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

fn place(file: &str, line: Option<usize>) -> String {
    match (file, line) {
        ("", _) => String::new(),
        (file, None) => format!("{file}: "),
        (file, Some(line)) => format!("{file}:{line}: "),
    }
}
