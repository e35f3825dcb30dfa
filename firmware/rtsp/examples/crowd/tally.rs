//! What all viewers together have had, and when.
//!
//! Does not belong here: how it comes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stream::{Stamp, now};

/// One process's viewers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Viewers that read.
    readers: u64,
    /// Microseconds from PLAY to the whole first keyframe.
    waits: Vec<u64>,
    /// From and to, in microseconds: what is published then is due, and what arrives then is counted.
    window: Option<(u64, u64)>,
    units: BTreeMap<u64, Unit>,
    bytes: u64,
}

#[derive(Debug)]
struct Unit {
    published: u64,
    /// So many viewers have it.
    have: u64,
    /// When the latest of them had.
    last: u64,
}

impl Tally {
    pub(crate) fn new(readers: u64) -> Self {
        Self { readers, ..Self::default() }
    }

    /// Those who read and have had a keyframe.
    pub(crate) fn served(&self) -> usize {
        self.waits.len()
    }

    /// A viewer's first keyframe.
    pub(crate) fn first_keyframe(&mut self, asked: u64) {
        self.waits.push(now() - asked);
    }

    /// Measures from now on.
    pub(crate) fn open(&mut self, micros: u64) {
        let from = now();
        self.window = Some((from, from + micros));
    }

    /// A viewer has a unit.
    pub(crate) fn unit(&mut self, stamp: &Stamp) {
        let Some((from, to)) = self.window else { return };
        let now = now();
        if now < to {
            self.bytes += stamp.bytes;
        }
        if (from..to).contains(&stamp.published) {
            let unit = Unit { published: stamp.published, have: 0, last: now };
            let unit = self.units.entry(stamp.number).or_insert(unit);
            unit.have += 1;
            unit.last = now;
        }
    }

    pub(crate) fn report(&mut self) -> Value {
        let numbers = self.units.first_key_value().zip(self.units.last_key_value());
        let published = numbers.map_or(0, |((first, _), (last, _))| last - first + 1);
        let mut lags: Vec<u64> = self.units.values().map(|unit| unit.last - unit.published).collect();
        json!({
            "served": self.waits.len(),
            "bytes": self.bytes,
            "units_due": published * self.readers,
            "units": self.units.values().map(|unit| unit.have).sum::<u64>(),
            "picture_p50_ms": percentile(&mut self.waits, 50),
            "picture_p99_ms": percentile(&mut self.waits, 99),
            "lag_p50_ms": percentile(&mut lags, 50),
            "lag_p99_ms": percentile(&mut lags, 99),
        })
    }
}

/// Of microseconds, in milliseconds; nothing of nothing.
fn percentile(micros: &mut [u64], percent: usize) -> Option<f64> {
    micros.sort_unstable();
    let at = (micros.len() * percent).div_ceil(100).saturating_sub(1);
    micros.get(at).map(|micros| *micros as f64 / 1e3)
}
