//! `VO`. G1 names a device where the others name a layer.

use mpp_abi::common::VoChnAttr;

use super::abi::{VoPubAttr, VoVideoLayerAttr};
use super::exports;
use super::pointer::Given;
use crate::refusal::Module;
use crate::screen::Place;

exports! {
    HI_MPI_VO_SetPubAttr(device: i32, attr: Given<VoPubAttr>) of Vo => |library| {
        let attr = attr.get(Module::Vo)?;
        let platform = &mut library.platform;
        let (limits, codes) = (&platform.limits, platform.codes);
        platform.screens.set_device(limits, codes, device, attr.interface, attr.sync)?;
        Ok(0)
    };
    HI_MPI_VO_Enable(device: i32) of Vo => |library| {
        let platform = &mut library.platform;
        platform.screens.enable_device(&platform.limits, device)?;
        Ok(0)
    };
    HI_MPI_VO_Disable(device: i32) of Vo => |library| {
        let platform = &mut library.platform;
        platform.screens.disable_device(&platform.limits, device)?;
        Ok(0)
    };
    HI_MPI_VO_SetVideoLayerAttr(layer: i32, attr: Given<VoVideoLayerAttr>) of Vo => |library| {
        let attr = attr.get(Module::Vo)?;
        let platform = &mut library.platform;
        let (limits, codes) = (&platform.limits, platform.codes);
        let image = (attr.image.width, attr.image.height);
        platform.screens.set_layer(limits, codes, layer, image, attr.pixel_format, attr.frame_rate)?;
        Ok(0)
    };
    HI_MPI_VO_EnableVideoLayer(layer: i32) of Vo => |library| {
        let platform = &mut library.platform;
        platform.screens.enable_layer(&platform.limits, layer)?;
        Ok(0)
    };
    HI_MPI_VO_DisableVideoLayer(layer: i32) of Vo => |library| {
        let platform = &mut library.platform;
        platform.screens.disable_layer(&platform.limits, layer)?;
        Ok(0)
    };
    HI_MPI_VO_SetChnAttr(layer: i32, channel: i32, attr: Given<VoChnAttr>) of Vo => |library| {
        let rect = attr.get(Module::Vo)?.rect;
        let place = Place { x: rect.x, y: rect.y, width: rect.width, height: rect.height };
        let platform = &mut library.platform;
        platform.screens.set_channel(&platform.limits, layer, channel, place)?;
        Ok(0)
    };
    HI_MPI_VO_EnableChn(layer: i32, channel: i32) of Vo => |library| {
        let platform = &mut library.platform;
        platform.screens.enable(&platform.limits, layer, channel, true)?;
        Ok(0)
    };
    HI_MPI_VO_DisableChn(layer: i32, channel: i32) of Vo => |library| {
        let platform = &mut library.platform;
        platform.screens.enable(&platform.limits, layer, channel, false)?;
        Ok(0)
    };
}
