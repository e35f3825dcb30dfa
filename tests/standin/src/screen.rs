//! `VO`: screens, layers and channels are checked and remembered; nothing is shown.

use std::collections::BTreeMap;

use mpp_abi::{Codes, ErrorCode};

use crate::limits::Limits;
use crate::refusal::{Module, Outcome};

/// A place on a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Debug, Default)]
struct Device {
    configured: bool,
    enabled: bool,
}

#[derive(Debug, Default)]
struct Layer {
    image: Option<(u32, u32)>,
    enabled: bool,
    /// Channels that have a place, and whether they are enabled.
    channels: BTreeMap<i32, bool>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Screens {
    devices: BTreeMap<i32, Device>,
    layers: BTreeMap<i32, Layer>,
}

impl Screens {
    /// `VO_SetPubAttr`.
    pub(crate) fn set_device(
        &mut self,
        limits: &Limits,
        codes: &Codes,
        device: i32,
        interface: i32,
        sync: i32,
    ) -> Outcome {
        check_device(limits, device)?;
        Module::Vo.require(interface > 0, format_args!("interface {interface}"))?;
        Module::Vo.require((0..=codes.vo_sync.user).contains(&sync), format_args!("timing {sync}"))?;
        let device = self.devices.entry(device).or_default();
        Module::Vo.permit(!device.enabled, "VO_SetPubAttr of a device that is enabled")?;
        device.configured = true;
        Ok(())
    }

    /// `VO_Enable`.
    pub(crate) fn enable_device(&mut self, limits: &Limits, device: i32) -> Outcome {
        check_device(limits, device)?;
        let device = self.devices.entry(device).or_default();
        if !device.configured {
            return Module::Vo.refuse(ErrorCode::NotConfigured, "VO_Enable before VO_SetPubAttr");
        }
        device.enabled = true;
        Ok(())
    }

    /// `VO_Disable`.
    pub(crate) fn disable_device(&mut self, limits: &Limits, device: i32) -> Outcome {
        check_device(limits, device)?;
        let used = self.layers.get(&device).is_some_and(|layer| layer.enabled);
        Module::Vo.permit(!used, "VO_Disable while its layer is enabled")?;
        self.devices.entry(device).or_default().enabled = false;
        Ok(())
    }

    /// `VO_SetVideoLayerAttr`.
    pub(crate) fn set_layer(
        &mut self,
        limits: &Limits,
        codes: &Codes,
        layer: i32,
        image: (u32, u32),
        format: i32,
        rate: u32,
    ) -> Outcome {
        let layer = self.layer(limits, layer)?;
        let fits = image.0 % 2 + image.1 % 2 == 0 && image.0 >= 32 && image.1 >= 32;
        Module::Vo.require(fits, format_args!("a layer of {}x{}", image.0, image.1))?;
        let known = [codes.semiplanar_420, codes.semiplanar_422].contains(&format);
        Module::Vo.require(known, format_args!("pixel format {format}"))?;
        Module::Vo.require((1..=60).contains(&rate), format_args!("{rate} pictures a second"))?;
        Module::Vo.permit(!layer.enabled, "VO_SetVideoLayerAttr of a layer that is enabled")?;
        layer.image = Some(image);
        Ok(())
    }

    /// `VO_EnableVideoLayer`.
    pub(crate) fn enable_layer(&mut self, limits: &Limits, layer: i32) -> Outcome {
        let screen = self.devices.values().any(|device| device.enabled);
        let layer = self.layer(limits, layer)?;
        Module::Vo.permit(screen, "VO_EnableVideoLayer before VO_Enable")?;
        if layer.image.is_none() {
            return Module::Vo
                .refuse(ErrorCode::NotConfigured, "VO_EnableVideoLayer before VO_SetVideoLayerAttr");
        }
        layer.enabled = true;
        Ok(())
    }

    /// `VO_DisableVideoLayer`.
    pub(crate) fn disable_layer(&mut self, limits: &Limits, layer: i32) -> Outcome {
        let layer = self.layer(limits, layer)?;
        let used = layer.channels.values().any(|enabled| *enabled);
        Module::Vo.permit(!used, "VO_DisableVideoLayer while a channel of it is enabled")?;
        layer.enabled = false;
        Ok(())
    }

    /// `VO_SetChnAttr`.
    pub(crate) fn set_channel(&mut self, limits: &Limits, layer: i32, channel: i32, place: Place) -> Outcome {
        let layer = self.layer(limits, layer)?;
        Module::Vo.channel(channel, limits.screen_channels)?;
        let Some(image) = layer.image.filter(|_| layer.enabled) else {
            return Module::Vo.refuse(ErrorCode::NotPermitted, "VO_SetChnAttr before VO_EnableVideoLayer");
        };
        let even = (place.x | place.y) % 2 == 0 && (place.width | place.height).is_multiple_of(2);
        let side = |start: i32, length: u32, whole: u32| {
            length >= 32 && u32::try_from(start).is_ok_and(|start| start + length <= whole)
        };
        let inside = side(place.x, place.width, image.0) && side(place.y, place.height, image.1);
        Module::Vo
            .require(even && inside, format_args!("{place:?} on a layer of {}x{}", image.0, image.1))?;
        layer.channels.entry(channel).or_default();
        Ok(())
    }

    /// `VO_EnableChn` and `VO_DisableChn`.
    pub(crate) fn enable(&mut self, limits: &Limits, layer: i32, channel: i32, enabled: bool) -> Outcome {
        let layer = self.layer(limits, layer)?;
        Module::Vo.channel(channel, limits.screen_channels)?;
        match layer.channels.get_mut(&channel) {
            Some(before) => *before = enabled,
            None if enabled => {
                return Module::Vo.refuse(ErrorCode::NotConfigured, "VO_EnableChn before VO_SetChnAttr");
            }
            None => {}
        }
        Ok(())
    }

    fn layer(&mut self, limits: &Limits, layer: i32) -> Outcome<&mut Layer> {
        Module::Vo.channel(layer, limits.layers)?;
        Ok(self.layers.entry(layer).or_default())
    }
}

fn check_device(limits: &Limits, device: i32) -> Outcome {
    if (0..limits.screens).contains(&device) {
        return Ok(());
    }
    Module::Vo.refuse(ErrorCode::BadDevice, format_args!("device {device}, there are {}", limits.screens))
}

#[cfg(test)]
mod tests {
    use mpp_abi::{Dialect, Generation};

    use super::*;
    use crate::limits;

    #[test]
    fn screens_layers_and_channels_come_up_in_order_and_go_down_in_reverse() {
        let (limits, codes) = (limits::of(Generation::G2), Dialect::G2.codes());
        let mut screens = Screens::default();
        let code = |outcome: Outcome| outcome.unwrap_err().code;
        let place = Place { x: 0, y: 0, width: 960, height: 540 };
        assert_eq!(code(screens.enable_device(&limits, 0)), ErrorCode::NotConfigured);
        screens.set_device(&limits, codes, 0, 4, codes.vo_sync.p1080_60).unwrap();
        assert_eq!(code(screens.set_layer(&limits, codes, 0, (1920, 1080), 19, 60)), ErrorCode::BadParameter);
        screens.set_layer(&limits, codes, 0, (1920, 1080), 23, 60).unwrap();
        assert_eq!(code(screens.enable_layer(&limits, 0)), ErrorCode::NotPermitted);
        screens.enable_device(&limits, 0).unwrap();
        assert_eq!(code(screens.set_channel(&limits, 0, 0, place)), ErrorCode::NotPermitted);
        screens.enable_layer(&limits, 0).unwrap();
        assert_eq!(code(screens.enable(&limits, 0, 0, true)), ErrorCode::NotConfigured);
        let outside = Place { x: 1000, ..place };
        assert_eq!(code(screens.set_channel(&limits, 0, 0, outside)), ErrorCode::BadParameter);
        screens.set_channel(&limits, 0, 0, place).unwrap();
        screens.enable(&limits, 0, 0, true).unwrap();
        assert_eq!(code(screens.disable_layer(&limits, 0)), ErrorCode::NotPermitted);
        assert_eq!(code(screens.disable_device(&limits, 0)), ErrorCode::NotPermitted);
        screens.enable(&limits, 0, 0, false).unwrap();
        screens.disable_layer(&limits, 0).unwrap();
        screens.disable_device(&limits, 0).unwrap();
    }
}
