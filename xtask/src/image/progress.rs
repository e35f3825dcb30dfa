//! What a person sees while an image is made: steps, and what took long.

use std::time::{Duration, Instant};

use crate::workspace::Failure;

/// Quicker steps need no figure.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// Names a step of `build`, does it, and says how long it took.
pub(super) fn step<T>(
    build: &str,
    name: &str,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    println!("==> {build}{name}");
    // Durations for a person; nothing depends on them.
    #[allow(clippy::disallowed_methods)]
    let begun = Instant::now();
    let made = work().map_err(|error| -> Failure { format!("{name}: {error}").into() })?;
    let took = begun.elapsed();
    if took >= WORTH_TELLING {
        println!("    {build}{name}: {}", words(took));
    }
    Ok(made)
}

/// `3 min 4 s` or `2.5 s`.
pub(super) fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
