//! A broken rule: where in a description, and what is wrong.
//!
//! Does not belong here: the rules (`check.rs`, `check_flash.rs`), and lines (`parse.rs`).

/// A step on the way to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Key(&'static str),
    Item(usize),
}

impl From<&'static str> for Step {
    fn from(key: &'static str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step {
    fn from(item: usize) -> Self {
        Self::Item(item)
    }
}

/// The way to a value: `at!["flash", 0, "size"]`.
macro_rules! at {
    ($($step:expr),*) => { [$(Step::from($step)),*] };
}
pub(crate) use at;

/// A broken rule.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) place: Vec<Step>,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(place: impl Into<Vec<Step>>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

/// The message for a name that is taken.
pub(crate) fn twice(what: &str, name: &str) -> String {
    format!("a second {what} {name}; give each a name of its own")
}

/// The message for a name that is nothing's.
pub(crate) fn unknown(what: &str, name: &str, table: &str) -> String {
    format!("there is no {what} {name}; add a [[{table}]] of that name or correct this")
}
