//! The monitor behind `hal::Display`: tiles and a line of text.
//!
//! The platform drives HDMI and VGA from one device with one picture, so there is one output here. Does not belong here:
//! which channels are shown (the role `capture`).

use board::MonitorMode;
use hal::{Display, DisplayMode, DisplayOutput, FrameRate, HalError, MAX_TILES, Resolution, Tile};
use mpp_wire::{DisplayPlan, TilePlan};

use crate::command::Command;
use crate::controls::Controls;
use crate::error::{not_found, unsupported};
use crate::osd::status_line;
use crate::plan::rect;

pub(crate) struct HimppDisplay {
    controls: Controls,
    /// What the board's description says, and the budget counts with.
    mode: MonitorMode,
    plan: Option<DisplayPlan>,
}

impl HimppDisplay {
    pub(crate) fn new(controls: Controls, mode: MonitorMode) -> Self {
        Self { controls, mode, plan: None }
    }

    fn resolution(&self) -> Resolution {
        Resolution { width: self.mode.width, height: self.mode.height }
    }

    fn change(
        &mut self,
        output: DisplayOutput,
        change: impl FnOnce(&mut DisplayPlan),
    ) -> Result<(), HalError> {
        check(output)?;
        let Some(plan) = &mut self.plan else { return Err(not_found("the monitor is off")) };
        let before = plan.clone();
        change(plan);
        if *plan == before {
            return Ok(());
        }
        self.controls.tell(Command::Display(Some(plan.clone())))
    }
}

impl Display for HimppDisplay {
    fn outputs(&self) -> &[DisplayOutput] {
        &[DisplayOutput::Hdmi]
    }

    fn mode(&self, output: DisplayOutput) -> Result<DisplayMode, HalError> {
        check(output)?;
        let frame_rate = FrameRate { numerator: self.mode.frame_rate.into(), denominator: 1 };
        Ok(DisplayMode { resolution: self.resolution(), frame_rate })
    }

    fn set_mode(&mut self, output: DisplayOutput, mode: Option<DisplayMode>) -> Result<(), HalError> {
        let own = self.mode(output)?;
        if mode.is_some_and(|mode| mode != own) {
            let MonitorMode { width, height, frame_rate } = self.mode;
            return Err(unsupported(format!(
                "this board's monitor has {width}x{height} at {frame_rate}, and no other"
            )));
        }
        let before = self.plan.take();
        self.plan = mode.map(|_| DisplayPlan {
            width: self.mode.width,
            height: self.mode.height,
            frame_rate: self.mode.frame_rate,
            tiles: before.as_ref().map(|plan| plan.tiles.clone()).unwrap_or_default(),
            status: before.and_then(|plan| plan.status),
        });
        self.controls.tell(Command::Display(self.plan.clone()))
    }

    fn show(&mut self, output: DisplayOutput, tiles: &[Tile]) -> Result<(), HalError> {
        if tiles.len() > MAX_TILES {
            return Err(unsupported(format!("a monitor has at most {MAX_TILES} tiles")));
        }
        let size = self.resolution();
        let tiles =
            tiles.iter().map(|tile| TilePlan { channel: tile.channel.get(), place: rect(tile.area, size) });
        self.change(output, |plan| plan.tiles = tiles.collect())
    }

    fn set_status(&mut self, output: DisplayOutput, line: &str) -> Result<(), HalError> {
        let size = self.resolution();
        self.change(output, |plan| plan.status = status_line(line, size))
    }
}

fn check(output: DisplayOutput) -> Result<(), HalError> {
    if output == DisplayOutput::Hdmi { Ok(()) } else { Err(not_found("no such monitor socket")) }
}
