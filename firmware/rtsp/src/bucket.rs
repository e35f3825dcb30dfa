//! A token bucket: how many requests a connection may send.

use hal::MonoTime;

/// Requests a second in the long run, and at once. Opening a stream takes seven, keeping it alive one in 30 s.
const REQUESTS_PER_SEC: u32 = 20;
const REQUEST_BURST: u32 = 60;

/// Fills with time, empties with requests.
#[derive(Debug)]
pub(crate) struct Bucket {
    millitokens: u64,
    filled: MonoTime,
}

impl Bucket {
    pub(crate) fn full(now: MonoTime) -> Self {
        Self { millitokens: u64::from(REQUEST_BURST) * 1000, filled: now }
    }

    /// Whether one more is allowed.
    pub(crate) fn take(&mut self, now: MonoTime) -> bool {
        let earned = now.since(self.filled).as_millis().min(u128::from(u32::MAX)) as u64;
        self.filled = now;
        let full = u64::from(REQUEST_BURST) * 1000;
        self.millitokens = (self.millitokens + earned * u64::from(REQUESTS_PER_SEC)).min(full);
        let enough = self.millitokens >= 1000;
        self.millitokens -= if enough { 1000 } else { 0 };
        enough
    }
}
