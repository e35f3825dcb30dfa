//! What the host writes to its standard error, as lines of our log.
//!
//! The vendor's library writes there, too, and when it is in trouble it writes without end. So lines have a bound, and a
//! second has so many. Does not belong here: what the lines mean.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use hal::{Clock, MonoTime};

/// What is beyond it of a line is left out.
const MAX_LINE_BYTES: usize = 400;
const LINES_PER_SEC: u32 = 20;

/// Reads until the end, on a thread of its own.
pub(crate) fn follow(from: impl Read + Send + 'static, clock: Arc<dyn Clock>) {
    let read = move || {
        let mut lines = Lines::new(from);
        let mut limit = Limit::default();
        while let Some(line) = lines.next_line() {
            let (take, missed) = limit.take(clock.mono());
            if missed > 0 {
                tracing::warn!(target: "mpp_host", missed, "lines were left out");
            }
            if take {
                tracing::info!(target: "mpp_host", "{line}");
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("mpp-host-log".to_owned()).spawn(read) {
        tracing::warn!(%error, "what mpp-host writes is not read");
    }
}

/// Lines of bounded length.
struct Lines<R>(BufReader<R>);

impl<R: Read> Lines<R> {
    fn new(from: R) -> Self {
        Self(BufReader::new(from))
    }

    /// The next line without its end; `None` at the end, or when reading fails.
    fn next_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut any = false;
        loop {
            let read = self.0.fill_buf().ok()?;
            if read.is_empty() {
                return any.then(|| legible(&line));
            }
            any = true;
            let end = read.iter().position(|&byte| byte == b'\n');
            let part = &read[..end.unwrap_or(read.len())];
            line.extend_from_slice(&part[..part.len().min(MAX_LINE_BYTES - line.len())]);
            let used = end.map_or(read.len(), |end| end + 1);
            self.0.consume(used);
            if end.is_some() {
                return Some(legible(&line));
            }
        }
    }
}

/// Control characters would reach whoever reads the log on a terminal.
fn legible(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// So many lines a second.
#[derive(Default)]
struct Limit {
    since: MonoTime,
    taken: u32,
    missed: u32,
}

impl Limit {
    /// Whether to take a line now, and how many were missed in the second before.
    fn take(&mut self, now: MonoTime) -> (bool, u32) {
        let mut missed = 0;
        if now.since(self.since) >= Duration::from_secs(1) {
            missed = self.missed;
            *self = Self { since: now, taken: 0, missed: 0 };
        }
        let take = self.taken < LINES_PER_SEC;
        self.taken += u32::from(take);
        self.missed += u32::from(!take);
        (take, missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_cleaned() {
        let long = "x".repeat(3 * 8192);
        let text = format!("one\r\n\x1b[31mtwo\n{long}\n\nlast");
        let mut lines = Lines::new(text.as_bytes());
        let all: Vec<String> = std::iter::from_fn(|| lines.next_line()).collect();
        assert_eq!(all, ["one", " [31mtwo", &"x".repeat(MAX_LINE_BYTES), "", "last"]);
    }

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let at = |ms| MonoTime::from_start(Duration::from_millis(ms));
        let mut limit = Limit::default();
        let taken = (0..1_000).filter(|n| limit.take(at(5_000 + n / 2)).0).count();
        assert_eq!(taken, LINES_PER_SEC as usize);
        assert_eq!(limit.take(at(6_000)), (true, 980));
        assert_eq!(limit.take(at(6_000)), (true, 0));
    }
}
