//! `VI`: devices, channels, and the picture shown instead of what comes in.

use std::collections::BTreeMap;

use mpp_abi::ErrorCode;

use crate::limits::Limits;
use crate::refusal::{Module, Outcome};
use crate::system::System;

/// Channels of a device that has not been bound.
const CHANNELS_PER_DEVICE: i32 = 4;

/// The smallest side of a picture that comes in.
const MIN_SIDE: u32 = 32;

/// What a channel takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InputAttr {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixel_format: i32,
    /// Pictures a second that come in; -1 leaves it.
    pub(crate) source_rate: i32,
    /// Pictures a second that go on; -1 leaves it.
    pub(crate) target_rate: i32,
}

/// A channel that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// When it began, microseconds of the monotonic clock.
    pub(crate) since: u64,
    /// Pictures so far.
    pub(crate) frames: u64,
}

#[derive(Debug, Default)]
struct Device {
    configured: bool,
    enabled: bool,
}

/// A channel.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) attr: Option<InputAttr>,
    device: Option<i32>,
    pub(crate) running: Option<Running>,
    /// Red, green, blue.
    user_colour: Option<[u8; 3]>,
    user_shown: bool,
}

impl Input {
    /// The colour that is shown instead of what comes in.
    pub(crate) fn instead(&self) -> Option<[u8; 3]> {
        self.user_colour.filter(|_| self.user_shown)
    }

    /// Pictures a second.
    pub(crate) fn rate(&self, by_itself: u32) -> u32 {
        let attr = self.attr.as_ref();
        let given = |rate: i32| u32::try_from(rate).ok().filter(|rate| *rate > 0);
        let source = attr.and_then(|attr| given(attr.source_rate)).unwrap_or(by_itself).min(by_itself);
        attr.and_then(|attr| given(attr.target_rate)).unwrap_or(source).min(source)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    devices: BTreeMap<i32, Device>,
    pub(crate) channels: BTreeMap<i32, Input>,
}

impl Inputs {
    /// `VI_SetDevAttr`.
    pub(crate) fn set_device(
        &mut self,
        limits: &Limits,
        device: i32,
        interface: i32,
        work_mode: i32,
    ) -> Outcome {
        check_device(limits, device)?;
        Module::Vi.require((0..=8).contains(&interface), format_args!("interface {interface}"))?;
        Module::Vi.require((0..=2).contains(&work_mode), format_args!("work mode {work_mode}"))?;
        let device = self.devices.entry(device).or_default();
        Module::Vi.permit(!device.enabled, "VI_SetDevAttr of a device that is enabled")?;
        device.configured = true;
        Ok(())
    }

    /// `VI_EnableDev`.
    pub(crate) fn enable_device(&mut self, limits: &Limits, device: i32) -> Outcome {
        check_device(limits, device)?;
        let device = self.devices.entry(device).or_default();
        if !device.configured {
            return Module::Vi.refuse(ErrorCode::NotConfigured, "VI_EnableDev before VI_SetDevAttr");
        }
        device.enabled = true;
        Ok(())
    }

    /// `VI_DisableDev`.
    pub(crate) fn disable_device(&mut self, limits: &Limits, device: i32) -> Outcome {
        check_device(limits, device)?;
        let used = self.channels.iter().any(|(channel, input)| {
            input.running.is_some() && input.device.unwrap_or(channel / CHANNELS_PER_DEVICE) == device
        });
        Module::Vi.permit(!used, "VI_DisableDev while a channel of it is enabled")?;
        self.devices.entry(device).or_default().enabled = false;
        Ok(())
    }

    /// `VI_BindChn`, in G1 `VI_ChnBind`.
    pub(crate) fn bind(&mut self, limits: &Limits, channel: i32, device: i32, way: i32) -> Outcome {
        Module::Vi.channel(channel, limits.vi_channels)?;
        check_device(limits, device)?;
        Module::Vi.require((0..CHANNELS_PER_DEVICE).contains(&way), format_args!("way {way}"))?;
        let input = self.channels.entry(channel).or_default();
        Module::Vi.permit(input.running.is_none(), "binding a channel that is enabled")?;
        input.device = Some(device);
        Ok(())
    }

    /// `VI_SetChnAttr`.
    pub(crate) fn set_channel(
        &mut self,
        limits: &Limits,
        channel: i32,
        formats: [i32; 2],
        attr: InputAttr,
    ) -> Outcome {
        Module::Vi.channel(channel, limits.vi_channels)?;
        let sizes = [attr.width, attr.height];
        let fits = sizes.iter().all(|side| side.is_multiple_of(2) && (MIN_SIDE..=8192).contains(side));
        Module::Vi.require(fits, format_args!("a picture of {}x{}", attr.width, attr.height))?;
        let known = formats.contains(&attr.pixel_format);
        Module::Vi.require(known, format_args!("pixel format {}", attr.pixel_format))?;
        let (source, target) = (attr.source_rate, attr.target_rate);
        let rates = (source == -1 && target == -1) || (source > 0 && (1..=source).contains(&target));
        Module::Vi.require(rates, format_args!("{target} of {source} pictures a second"))?;
        self.channels.entry(channel).or_default().attr = Some(attr);
        Ok(())
    }

    /// `VI_EnableChn`.
    pub(crate) fn enable(
        &mut self,
        limits: &Limits,
        channel: i32,
        wide: bool,
        system: &System,
        now: u64,
    ) -> Outcome {
        Module::Vi.channel(channel, limits.vi_channels)?;
        let inputs = 1 + self.channels.iter().filter(|(n, i)| **n != channel && i.running.is_some()).count();
        let input = self.channels.entry(channel).or_default();
        let Some(attr) = input.attr else {
            return Module::Vi.refuse(ErrorCode::NotConfigured, "VI_EnableChn before VI_SetChnAttr");
        };
        let device = input.device.unwrap_or(channel / CHANNELS_PER_DEVICE);
        let enabled = self.devices.get(&device).is_some_and(|device| device.enabled);
        Module::Vi
            .permit(enabled, format_args!("VI_EnableChn {channel} while device {device} is not enabled"))?;
        system.check_blocks(Module::Vi, attr.width, attr.height, wide, inputs as u32)?;
        if input.running.is_none() {
            input.running = Some(Running { since: now, frames: 0 });
        }
        Ok(())
    }

    /// `VI_DisableChn`.
    pub(crate) fn disable(&mut self, limits: &Limits, channel: i32) -> Outcome {
        Module::Vi.channel(channel, limits.vi_channels)?;
        if let Some(input) = self.channels.get_mut(&channel) {
            input.running = None;
        }
        Ok(())
    }

    /// `VI_SetUserPic`.
    pub(crate) fn set_user_picture(&mut self, limits: &Limits, channel: i32, colour: [u8; 3]) -> Outcome {
        Module::Vi.channel(channel, limits.vi_channels)?;
        self.channels.entry(channel).or_default().user_colour = Some(colour);
        Ok(())
    }

    /// `VI_EnableUserPic` and `VI_DisableUserPic`.
    pub(crate) fn show_user_picture(&mut self, limits: &Limits, channel: i32, shown: bool) -> Outcome {
        Module::Vi.channel(channel, limits.vi_channels)?;
        let input = self.channels.entry(channel).or_default();
        if shown && input.user_colour.is_none() {
            return Module::Vi.refuse(ErrorCode::NotConfigured, "VI_EnableUserPic before VI_SetUserPic");
        }
        input.user_shown = shown;
        Ok(())
    }
}

fn check_device(limits: &Limits, device: i32) -> Outcome {
    if (0..limits.vi_devices).contains(&device) {
        return Ok(());
    }
    Module::Vi.refuse(ErrorCode::BadDevice, format_args!("device {device}, there are {}", limits.vi_devices))
}

#[cfg(test)]
mod tests {
    use mpp_abi::Generation;

    use super::*;
    use crate::limits;
    use crate::system::Pool;

    const ATTR: InputAttr =
        InputAttr { width: 704, height: 576, pixel_format: 23, source_rate: -1, target_rate: -1 };

    fn up() -> System {
        let mut system = System::default();
        system.set_pools(64, &[Pool { block_bytes: 704 * 576 * 3 / 2, blocks: 4 }]).unwrap();
        system.init_buffers().unwrap();
        system.set_align(16).unwrap();
        system.init().unwrap();
        system
    }

    fn code(outcome: Outcome) -> ErrorCode {
        outcome.unwrap_err().code
    }

    #[test]
    fn devices_come_before_channels_and_go_after_them() {
        let (limits, system, mut inputs) = (limits::of(Generation::G2), up(), Inputs::default());
        assert_eq!(code(inputs.enable_device(&limits, 0)), ErrorCode::NotConfigured);
        assert_eq!(code(inputs.set_device(&limits, 4, 0, 2)), ErrorCode::BadDevice);
        inputs.set_device(&limits, 0, 0, 2).unwrap();
        assert_eq!(code(inputs.enable(&limits, 0, false, &system, 0)), ErrorCode::NotConfigured);
        inputs.set_channel(&limits, 0, [23, 22], ATTR).unwrap();
        assert_eq!(code(inputs.enable(&limits, 0, false, &system, 0)), ErrorCode::NotPermitted);
        inputs.enable_device(&limits, 0).unwrap();
        inputs.enable(&limits, 0, false, &system, 0).unwrap();
        assert_eq!(code(inputs.disable_device(&limits, 0)), ErrorCode::NotPermitted);
        inputs.set_channel(&limits, 1, [23, 22], ATTR).unwrap();
        assert_eq!(code(inputs.enable(&limits, 1, false, &system, 0)), ErrorCode::NoBuffer);
        inputs.disable(&limits, 0).unwrap();
        inputs.disable_device(&limits, 0).unwrap();
    }

    #[test]
    fn odd_sizes_other_formats_and_faster_targets_are_refused() {
        let (limits, mut inputs) = (limits::of(Generation::G1), Inputs::default());
        for attr in [
            InputAttr { width: 703, ..ATTR },
            InputAttr { pixel_format: 19, ..ATTR },
            InputAttr { source_rate: 25, target_rate: 30, ..ATTR },
        ] {
            assert_eq!(code(inputs.set_channel(&limits, 0, [23, 22], attr)), ErrorCode::BadParameter);
        }
        assert_eq!(code(inputs.set_channel(&limits, 8, [23, 22], ATTR)), ErrorCode::BadChannel);
    }

    #[test]
    fn a_user_picture_is_set_before_it_is_shown() {
        let (limits, mut inputs) = (limits::of(Generation::G2), Inputs::default());
        assert_eq!(code(inputs.show_user_picture(&limits, 3, true)), ErrorCode::NotConfigured);
        inputs.set_user_picture(&limits, 3, [0, 0, 255]).unwrap();
        assert_eq!(inputs.channels[&3].instead(), None);
        inputs.show_user_picture(&limits, 3, true).unwrap();
        assert_eq!(inputs.channels[&3].instead(), Some([0, 0, 255]));
    }
}
