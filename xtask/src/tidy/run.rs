//! Runs all checks and reports everything that is wrong at once.

use super::{circles, files, layers, links, source};
use crate::workspace::{Failure, root};

/// Fails when a rule is broken; each breach is a line on standard error.
pub(crate) fn run() -> Result<(), Failure> {
    let root = root();
    let sources = source::read_all(&root)?;
    let mut breaches = layers::check(&root)?;
    breaches.extend(files::check(&sources));
    breaches.extend(circles::check(&sources));
    breaches.extend(links::check(&root)?);
    for breach in &breaches {
        eprintln!("{breach}");
    }
    match breaches.len() {
        0 => {
            println!("tidy: {} source files, nothing to mend", sources.len());
            Ok(())
        }
        1 => Err("tidy: 1 rule is broken".into()),
        n => Err(format!("tidy: {n} rules are broken").into()),
    }
}
