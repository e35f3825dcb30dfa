//! Logs: one structured line an event on standard error.
//!
//! For people at a terminal in columns, for everything else as JSON, one object a line. `CANDOR_LOG` sets the
//! level (`info`, `debug`, or per target as tracing-subscriber's EnvFilter reads it).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Begins logging; once a process.
pub(crate) fn begin() {
    let filter = EnvFilter::try_from_env("CANDOR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).with_ansi(has_colours()).init();
    } else {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    }
}

/// `linux` is what the kernel tells a board's first process, whose console is mostly a serial line that is kept.
fn has_colours() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term != "linux" && term != "dumb")
}
