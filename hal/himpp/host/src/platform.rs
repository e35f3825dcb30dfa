//! The platform: the library, and what is set up once for all channels.
//!
//! Does not belong here: channels (`channel.rs`).

use mpp_abi::Codes;
use mpp_abi::common::{MppChn, MppSysConf, VbConf};
use mpp_wire::{AudioPlan, Fault, FaultKind, SystemPlan};

use crate::generations::shapes_of;
use crate::library::{Arg, CallError, Library};
use crate::param::Param;
use crate::shapes::Shapes;

/// `MPP_SYS_CONF_S.u32AlignWidth`: what the vendor's samples take.
const ALIGN_WIDTH: u32 = 16;
/// `VB_CONF_S.u32MaxPoolCnt`: common pools and those that modules make for themselves.
const MAX_POOLS: u32 = 128;

/// Which call says "no" decides which fault the client sees.
pub(crate) struct Platform {
    pub(crate) library: Library,
    pub(crate) shapes: Box<dyn Shapes>,
    devices: Vec<u8>,
    /// Sound devices that run.
    sound_devices: Vec<u8>,
}

impl Platform {
    /// Takes over whatever a predecessor left, and sets the platform up.
    ///
    /// # Errors
    /// What the library says, with the function's name.
    pub(crate) fn begin(library: Library, plan: &SystemPlan) -> Result<Self, Fault> {
        let shapes = shapes_of(library.dialect);
        let mut platform = Self { library, shapes, devices: Vec::new(), sound_devices: Vec::new() };
        // State outlives a process that crashed: these clear it, and fail where there is none.
        platform.library.try_call("SYS_Exit", &mut []);
        platform.library.try_call("VB_Exit", &mut []);
        platform.set_up(plan).inspect_err(|_| platform.end())?;
        Ok(platform)
    }

    fn set_up(&mut self, plan: &SystemPlan) -> Result<(), Fault> {
        let mut pools = VbConf { max_pools: MAX_POOLS, ..VbConf::default() };
        if plan.pools.len() > pools.pools.len() {
            let message =
                format!("{} pools of buffers; the platform has {}", plan.pools.len(), pools.pools.len());
            return Err(Fault::new(FaultKind::Unsupported, message));
        }
        for (pool, plan) in pools.pools.iter_mut().zip(&plan.pools) {
            (pool.block_size, pool.blocks) = (plan.block_bytes, plan.blocks);
        }
        let library = &self.library;
        library.call("VB_SetConf", &mut [Arg::Of(&mut Param::new(pools))])?;
        library.call("VB_Init", &mut [])?;
        let conf = MppSysConf { align_width: ALIGN_WIDTH };
        library.call("SYS_SetConf", &mut [Arg::Of(&mut Param::new(conf))])?;
        library.call("SYS_Init", &mut [])?;
        for device in &plan.devices {
            let number = i32::from(device.device);
            let mut attr = self.shapes.device(device);
            self.library.call("VI_SetDevAttr", &mut [Arg::Int(number), Arg::Of(&mut attr)])?;
            self.library.call("VI_EnableDev", &mut [Arg::Int(number)])?;
            self.devices.push(device.device);
        }
        Ok(())
    }

    /// Undoes what [`Platform::begin`] did; channels are closed.
    pub(crate) fn end(&mut self) {
        for device in self.sound_devices.drain(..) {
            self.library.try_call("AI_Disable", &mut [Arg::Int(device.into())]);
        }
        for device in self.devices.drain(..) {
            self.library.try_call("VI_DisableDev", &mut [Arg::Int(device.into())]);
        }
        self.library.try_call("SYS_Exit", &mut []);
        self.library.try_call("VB_Exit", &mut []);
    }

    /// Starts the device behind an input, unless it runs.
    pub(crate) fn start_sound_device(&mut self, plan: &AudioPlan) -> Result<(), CallError> {
        if self.sound_devices.contains(&plan.device) {
            return Ok(());
        }
        let device = || Arg::Int(plan.device.into());
        let mut attr = self.shapes.sound_device(plan.sample_rate, plan.device_channels.into());
        self.library.call("AI_SetPubAttr", &mut [device(), Arg::Of(&mut attr)])?;
        self.library.call("AI_Enable", &mut [device()])?;
        self.sound_devices.push(plan.device);
        Ok(())
    }

    pub(crate) fn codes(&self) -> &'static Codes {
        self.library.dialect.codes()
    }

    pub(crate) fn bind(&self, from: MppChn, to: MppChn) -> Result<(), CallError> {
        self.bound("SYS_Bind", from, to)
    }

    /// Undoes a binding that may not be there.
    pub(crate) fn unbind(&self, from: MppChn, to: MppChn) {
        let _ = self.bound("SYS_UnBind", from, to);
    }

    fn bound(&self, function: &'static str, from: MppChn, to: MppChn) -> Result<(), CallError> {
        let (mut from, mut to) = (Param::new(from), Param::new(to));
        self.library.call(function, &mut [Arg::Of(&mut from), Arg::Also(&mut to)])
    }

    /// The platform's clock, microseconds; `None` where it cannot be asked.
    pub(crate) fn now(&self) -> Option<u64> {
        let mut micros = Param::new(0_u64);
        self.library.call("SYS_GetCurPts", &mut [Arg::Of(&mut micros)]).ok()?;
        Some(micros.get())
    }
}
