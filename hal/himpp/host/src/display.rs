//! The monitor: tiles of live channels, a line of text over them.
//!
//! One device and its one layer of video. Channels are bound to it straight from their scaler, so that nothing is copied and
//! a channel without a picture stays black. The line is a region where the chip lets regions lie on the monitor; where not,
//! it is left out and said so.
//!
//! Does not belong here: what the line says, and where tiles are (`hal-himpp`).

use mpp_abi::common::{MppChn, VoChnAttr};
use mpp_abi::value;
use mpp_wire::{DisplayPlan, Fault, TilePlan};

use crate::channel::Outputs;
use crate::library::Arg;
use crate::overlay::Region;
use crate::param::Param;
use crate::platform::Platform;
use crate::shapes::{Monitor, rect};

/// `VO_DEV` and `VO_LAYER`: the one that drives HDMI on all chips of the family.
const DEVICE: i32 = 0;
/// The handle of the line's region: behind those of all channels.
const STATUS_HANDLE: i32 = 1000;

/// The monitor while it is on.
#[derive(Debug)]
pub(crate) struct Display {
    plan: DisplayPlan,
    /// Sources that are bound, by tile.
    bound: Vec<(MppChn, MppChn)>,
    status: Option<Region>,
}

impl Display {
    /// Starts the monitor; `outputs` are the open channels'.
    pub(crate) fn open(platform: &Platform, plan: DisplayPlan, outputs: &dyn Outputs) -> Result<Self, Fault> {
        let mut display = Self { plan, bound: Vec::new(), status: None };
        display.start(platform, outputs).inspect_err(|_| display.close(platform))?;
        Ok(display)
    }

    fn start(&mut self, platform: &Platform, outputs: &dyn Outputs) -> Result<(), Fault> {
        let (library, shapes) = (&platform.library, &platform.shapes);
        let monitor =
            Monitor { width: self.plan.width, height: self.plan.height, frame_rate: self.plan.frame_rate };
        let device = || Arg::Int(DEVICE);
        library.call("VO_SetPubAttr", &mut [device(), Arg::Of(&mut shapes.monitor(monitor))])?;
        library.call("VO_Enable", &mut [device()])?;
        library.call("VO_SetVideoLayerAttr", &mut [device(), Arg::Of(&mut shapes.layer(monitor))])?;
        library.call("VO_EnableVideoLayer", &mut [device()])?;
        for (number, tile) in self.plan.tiles.iter().enumerate() {
            let number = number as i32;
            let attr = VoChnAttr { rect: rect(tile.place), ..VoChnAttr::default() };
            let mut attr = Param::new(attr);
            library.call("VO_SetChnAttr", &mut [device(), Arg::Int(number), Arg::Of(&mut attr)])?;
            library.call("VO_EnableChn", &mut [device(), Arg::Int(number)])?;
        }
        self.connect(platform, outputs)?;
        self.show_status(platform);
        Ok(())
    }

    /// Binds tiles to the channels that are open now.
    pub(crate) fn connect(&mut self, platform: &Platform, outputs: &dyn Outputs) -> Result<(), Fault> {
        self.disconnect(platform);
        for (number, TilePlan { channel, place }) in self.plan.tiles.iter().enumerate() {
            let Some(from) = outputs.monitor_output(platform, *channel, *place)? else { continue };
            let to = MppChn::new(value::MOD_VOU, DEVICE, number as i32);
            platform.bind(from, to)?;
            self.bound.push((from, to));
        }
        Ok(())
    }

    /// Before a channel that may be shown is closed.
    pub(crate) fn disconnect(&mut self, platform: &Platform) {
        for (from, to) in self.bound.drain(..) {
            platform.unbind(from, to);
        }
    }

    /// Whether another plan differs in its line alone; then that is all that changes.
    pub(crate) fn change_status(&mut self, platform: &Platform, plan: &DisplayPlan) -> bool {
        let same =
            DisplayPlan { status: None, ..plan.clone() } == DisplayPlan { status: None, ..self.plan.clone() };
        if same {
            self.plan.status.clone_from(&plan.status);
            self.show_status(platform);
        }
        same
    }

    /// Writes what came too soon after something else was written.
    pub(crate) fn draw_late(&mut self, platform: &Platform) {
        if let Some(Err(fault)) = self.status.as_mut().map(|region| region.fill_late(platform)) {
            eprintln!("the monitor's line of text is an old one: {fault}");
        }
    }

    fn show_status(&mut self, platform: &Platform) {
        let shown = match (&self.plan.status, &mut self.status) {
            (Some(plan), Some(region)) if region.fits(plan) => region.fill(platform, plan),
            (plan, _) => {
                if let Some(region) = self.status.take() {
                    region.remove(platform);
                }
                plan.as_ref().map_or(Ok(()), |plan| {
                    let target = MppChn::new(value::MOD_VOU, DEVICE, 0);
                    self.status = Some(Region::bitmap(platform, STATUS_HANDLE, target, plan, 0, true)?);
                    Ok(())
                })
            }
        };
        if let Err(fault) = shown {
            eprintln!("the monitor has no line of text: {fault}");
        }
    }

    pub(crate) fn close(&mut self, platform: &Platform) {
        let library = &platform.library;
        if let Some(region) = self.status.take() {
            region.remove(platform);
        }
        self.disconnect(platform);
        for number in 0..self.plan.tiles.len() {
            library.try_call("VO_DisableChn", &mut [Arg::Int(DEVICE), Arg::Int(number as i32)]);
        }
        library.try_call("VO_DisableVideoLayer", &mut [Arg::Int(DEVICE)]);
        library.try_call("VO_Disable", &mut [Arg::Int(DEVICE)]);
    }
}
