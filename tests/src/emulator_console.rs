//! The board's serial console: read line by line, kept, waited for.
//!
//! Does not belong here: what the lines mean (`board.rs`).

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::wait::Stopwatch;

/// What a failing test shows of the console.
const SHOWN_LINES: usize = 60;
/// Longer lines are noise of a cut; they are cut, too.
const MAX_LINE: usize = 4096;

/// All that the console has said.
#[derive(Clone)]
pub struct Console(Arc<(Mutex<Said>, Condvar)>);

#[derive(Default)]
struct Said {
    lines: Vec<(Duration, String)>,
    ended: bool,
}

impl Console {
    /// Reads until the other end closes. Times are counted from now.
    pub(crate) fn read(from: impl Read + Send + 'static) -> Self {
        let console = Self(Arc::new((Mutex::new(Said::default()), Condvar::new())));
        let (watch, shared) = (Stopwatch::start(), console.clone());
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                line.truncate(MAX_LINE);
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                shared.change(|said| said.lines.push((watch.elapsed(), text)));
                line.clear();
            }
            shared.change(|said| said.ended = true);
        });
        console
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        let (said, changed) = &*self.0;
        change(&mut said.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    /// How many lines there are: where to wait from.
    #[must_use]
    pub fn position(&self) -> usize {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).lines.len()
    }

    /// The first line from `position` on that contains `text`: when it came, and what stands behind `text`.
    #[must_use]
    pub fn find(&self, position: usize, text: &str) -> Option<(Duration, String)> {
        find(&self.0.0.lock().unwrap_or_else(PoisonError::into_inner), position, text)
    }

    /// The last line that contains `text`: what stands behind it.
    #[must_use]
    pub fn last(&self, text: &str) -> Option<String> {
        let said = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.lines.iter().rev().find_map(|(_, line)| Some(line.split_once(text)?.1.trim().to_owned()))
    }

    /// Waits for a line from `position` on that contains `text`.
    ///
    /// # Errors
    /// When it does not come within `limit`, or the board ended.
    pub fn try_wait(
        &self,
        position: usize,
        text: &str,
        limit: Duration,
    ) -> Result<(Duration, String), String> {
        let watch = Stopwatch::start();
        let (said, changed) = &*self.0;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = find(&said, position, text) {
                return Ok(found);
            }
            if said.ended {
                return Err(format!("the board ended before it said `{text}`"));
            }
            let Some(left) = limit.checked_sub(watch.elapsed()) else {
                return Err(format!("waited {} s in vain for `{text}` on the console", limit.as_secs()));
            };
            said = changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the line number `count` from `position` on that contains `text`.
    ///
    /// # Errors
    /// When it does not come within `limit`, or the board ended.
    pub fn try_wait_nth(
        &self,
        position: usize,
        text: &str,
        count: usize,
        limit: Duration,
    ) -> Result<(), String> {
        let (watch, mut from) = (Stopwatch::start(), position);
        for _ in 0..count {
            self.try_wait(from, text, limit.saturating_sub(watch.elapsed()))?;
            let said = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            let next = said.lines.iter().skip(from).position(|(_, line)| line.contains(text));
            from += next.unwrap_or_default() + 1;
        }
        Ok(())
    }

    /// Whether nothing more can come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// All of it, each line with its time.
    #[must_use]
    pub fn text(&self) -> String {
        self.tail(usize::MAX)
    }

    /// The end of it, for a person who looks for what went wrong.
    #[must_use]
    pub fn ending(&self) -> String {
        self.tail(SHOWN_LINES)
    }

    fn tail(&self, count: usize) -> String {
        let said = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (time, line) in &said.lines[said.lines.len().saturating_sub(count)..] {
            let _ = writeln!(text, "{:8.3} {line}", time.as_secs_f64());
        }
        text
    }
}

fn find(said: &Said, position: usize, text: &str) -> Option<(Duration, String)> {
    said.lines.iter().skip(position).find_map(|(time, line)| {
        let (_, rest) = line.split_once(text)?;
        Some((*time, rest.trim().to_owned()))
    })
}
