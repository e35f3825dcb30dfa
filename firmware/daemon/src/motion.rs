//! How much of each channel's picture moves, where the hardware counts it.
//!
//! Does not belong here: zones, and what follows from motion (analytics).

use std::collections::{BTreeMap, BTreeSet};

use hal::{ChannelId, ErrorKind, MotionDetector, MotionGrid};

use crate::backend::Backends;

/// From this level on a cell has moved: above the noise of a camera at night, below a person at the end of a yard.
const MOVED: u8 = 24;

/// The detectors of a backend, once one has them.
#[derive(Default)]
pub(crate) struct Motion {
    detector: Option<Box<dyn MotionDetector>>,
    enabled: BTreeSet<ChannelId>,
    grid: MotionGrid,
    percent: BTreeMap<ChannelId, u8>,
}

impl Motion {
    /// Looks at these channels; those whose hardware has no detector are left out.
    pub(crate) fn look(&mut self, backends: &mut Backends, channels: &[ChannelId]) {
        if self.detector.is_none() {
            self.detector = backends.motion();
        }
        let Some(detector) = &mut self.detector else { return };
        self.enabled.retain(|channel| channels.contains(channel));
        self.percent.retain(|channel, _| channels.contains(channel));
        for channel in channels {
            if !self.enabled.contains(channel) {
                match detector.enable(*channel, true) {
                    Ok(()) => self.enabled.insert(*channel),
                    // Not now, or never: it is asked again, and costs no more than this.
                    Err(_) => continue,
                };
            }
            match detector.read(*channel, &mut self.grid) {
                Ok(true) => drop(self.percent.insert(*channel, moved_percent(&self.grid.levels))),
                Ok(false) => {}
                Err(error) => {
                    self.percent.remove(channel);
                    if error.kind() == ErrorKind::NotFound {
                        self.enabled.remove(channel);
                    }
                }
            }
        }
    }

    /// How much of a channel's picture moved when it was last looked at, percent; `None` where nobody counts.
    pub(crate) fn percent(&self, channel: ChannelId) -> Option<u8> {
        self.percent.get(&channel).copied()
    }
}

/// Rounded up, so that a single cell is something.
fn moved_percent(levels: &[u8]) -> u8 {
    let moved = levels.iter().filter(|level| **level >= MOVED).count();
    (moved * 100).div_ceil(levels.len().max(1)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cell_is_something_and_all_are_everything() {
        let mut levels = vec![MOVED - 1; 396];
        assert_eq!(moved_percent(&levels), 0);
        levels[395] = MOVED;
        assert_eq!(moved_percent(&levels), 1);
        assert_eq!(moved_percent(&[255; 396]), 100);
        assert_eq!(moved_percent(&[]), 0);
    }
}
