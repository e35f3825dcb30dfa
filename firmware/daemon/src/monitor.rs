//! The board's monitor: a mosaic of the channels, and a line of words.
//!
//! The line has what the recorder says on its console: its address, and a set-up code while it has no owner. Does not
//! belong here: how tiles get onto a screen (`hal::Display`).

use hal::{Area, ChannelId, Display, DisplayOutput, HalError, Tile};

use crate::backend::Backends;

/// So much of what was said fits into the line.
const WORDS: usize = 2;

/// The monitor, once a backend has one.
#[derive(Default)]
pub(crate) struct Monitor {
    display: Option<(Box<dyn Display>, DisplayOutput)>,
    words: Vec<String>,
    tiles: Vec<Tile>,
}

impl Monitor {
    /// Shows these channels. Nothing happens where nothing changed, or where there is no monitor.
    pub(crate) fn show(
        &mut self,
        backends: &mut Backends,
        channels: impl ExactSizeIterator<Item = ChannelId>,
    ) {
        let is_new = self.display.is_none();
        if is_new {
            self.display = backends.display().and_then(|display| {
                let output = display.outputs().first().copied()?;
                Some((display, output))
            });
        }
        let Some((display, output)) = &mut self.display else { return };
        let tiles = mosaic(channels);
        if !is_new && tiles == self.tiles {
            return;
        }
        let begun = if is_new { begin(&mut **display, *output) } else { Ok(()) };
        if let Err(error) = begun.and_then(|()| display.show(*output, &tiles)) {
            tracing::warn!(%error, "the monitor does not show the channels");
        }
        self.tiles = tiles;
        if is_new {
            self.write();
        }
    }

    /// Writes what was said last.
    pub(crate) fn say(&mut self, words: String) {
        if words.is_empty() || self.words.contains(&words) {
            return;
        }
        self.words.push(words);
        let old = self.words.len().saturating_sub(WORDS);
        self.words.drain(..old);
        self.write();
    }

    fn write(&mut self) {
        let Some((display, output)) = &mut self.display else { return };
        if let Err(error) = display.set_status(*output, &self.words.join("   ")) {
            tracing::warn!(%error, "the monitor's line was not written");
        }
    }
}

/// The display knows its own mode.
fn begin(display: &mut dyn Display, output: DisplayOutput) -> Result<(), HalError> {
    let mode = display.mode(output)?;
    display.set_mode(output, Some(mode))
}

/// As many rows as columns, filled row by row.
fn mosaic(channels: impl ExactSizeIterator<Item = ChannelId>) -> Vec<Tile> {
    let side = (1_u16..).find(|side| usize::from(*side) * usize::from(*side) >= channels.len()).unwrap_or(1);
    let size = Area::WHOLE / side;
    let places = (0..side).flat_map(|row| (0..side).map(move |column| (column * size, row * size)));
    let tiles = channels
        .zip(places)
        .filter_map(|(channel, (left, top))| Some(Tile { channel, area: Area::new(left, top, size, size)? }));
    tiles.take(hal::MAX_TILES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mosaic_is_square_and_in_order() {
        let channels: Vec<ChannelId> = (1..=5).filter_map(ChannelId::new).collect();
        let tiles = mosaic(channels.iter().copied());
        let areas: Vec<Area> = tiles.iter().map(|tile| tile.area).collect();
        let third = Area::WHOLE / 3;
        let place = |column: u16, row: u16| Area::new(column * third, row * third, third, third).unwrap();
        assert_eq!(areas, [place(0, 0), place(1, 0), place(2, 0), place(0, 1), place(1, 1)]);
        assert_eq!(mosaic(channels[..1].iter().copied())[0].area, Area::new(0, 0, 10_000, 10_000).unwrap());
        assert!(mosaic(channels[..0].iter().copied()).is_empty());
        let most: Vec<ChannelId> = (1..=64).filter_map(ChannelId::new).collect();
        assert_eq!(mosaic(most.into_iter()).len(), hal::MAX_TILES);
    }

    #[test]
    fn the_line_has_what_was_said_last() {
        let mut monitor = Monitor::default();
        for words in ["", "https://192.168.1.9", "Set-up code: 1", "Set-up code: 1", "Set-up code: 2"] {
            monitor.say(words.to_owned());
        }
        assert_eq!(monitor.words, ["Set-up code: 1", "Set-up code: 2"]);
    }
}
