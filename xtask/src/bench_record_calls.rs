//! How often recorders write and sync, for `cargo xtask bench record`.
//!
//! Does not belong here: how that is counted (`system_calls.rs`).

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

use crate::system_calls::Watch;
use crate::workspace::Failure;

/// What one process asks the kernel for, for one kind of file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallFigures {
    process: &'static str,
    to: &'static str,
    fdatasyncs_per_sec: f64,
    fsyncs_per_sec: f64,
    writes_per_sec: f64,
}

/// Counts for `span` what these processes do, all in the same time. Where that cannot be done, it says why.
pub(crate) fn count(
    processes: &[(&'static str, u32)],
    span: Duration,
    dir: &Path,
) -> Result<Vec<CallFigures>, Failure> {
    println!("==> calls are counted for {} s", span.as_secs());
    let mut watches = Vec::new();
    for (name, pid) in processes {
        match Watch::begin(*pid, dir.join(format!("{name}.calls")))? {
            Ok(watch) => watches.push((*name, watch)),
            Err(why) => println!("{name}: syncs are not counted: {why}"),
        }
    }
    if watches.is_empty() {
        return Ok(Vec::new());
    }
    sleep(span);
    let mut figures = Vec::new();
    for (process, watch) in watches {
        let counted = watch.end()?;
        let per_sec = |count: u64| count as f64 / counted.seconds;
        figures.extend(counted.by_goal.iter().map(|(goal, count)| CallFigures {
            process,
            to: goal.name(),
            fdatasyncs_per_sec: per_sec(count.fdatasyncs),
            fsyncs_per_sec: per_sec(count.fsyncs),
            writes_per_sec: per_sec(count.writes),
        }));
    }
    Ok(figures)
}

pub(crate) fn print(figures: &[CallFigures]) {
    if figures.is_empty() {
        return;
    }
    println!("calls a second  to              fdatasync   fsync  writes");
    for CallFigures { process, to, fdatasyncs_per_sec, fsyncs_per_sec, writes_per_sec } in figures {
        println!(
            "{process:<15} {to:<15} {fdatasyncs_per_sec:>9.2} {fsyncs_per_sec:>7.2} {writes_per_sec:>7.1}"
        );
    }
}
