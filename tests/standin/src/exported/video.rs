//! `VI` and `VPSS`.

use super::abi::{ViChnAttr, ViDevAttr, ViUserpicAttr, VpssChnAttr, VpssChnMode};
use super::exports;
use super::pointer::Given;
use crate::input::InputAttr;
use crate::process::Mode;
use crate::refusal::Module;

/// What 1.0.5.0 of G3 added lies behind: the first fields say all that is looked at.
type VpssGrpAttr = super::abi::VpssGrpAttr;

/// Shown where a picture was given instead of a colour.
const BLUE: [u8; 3] = [0, 0, 255];

/// `VI_CHN_BIND_ATTR_S`: device and way.
type ViChnBindAttr = [i32; 2];

exports! {
    HI_MPI_VI_SetDevAttr(device: i32, attr: Given<ViDevAttr>) of Vi => |library| {
        let attr = attr.get(Module::Vi)?;
        let platform = &mut library.platform;
        platform.inputs.set_device(&platform.limits, device, attr.interface, attr.work_mode)?;
        Ok(0)
    };
    HI_MPI_VI_EnableDev(device: i32) of Vi => |library| {
        let platform = &mut library.platform;
        platform.inputs.enable_device(&platform.limits, device)?;
        Ok(0)
    };
    HI_MPI_VI_DisableDev(device: i32) of Vi => |library| {
        let platform = &mut library.platform;
        platform.inputs.disable_device(&platform.limits, device)?;
        Ok(0)
    };
    #[cfg(not(feature = "g1"))]
    HI_MPI_VI_BindChn(channel: i32, attr: Given<ViChnBindAttr>) of Vi => |library| {
        let [device, way] = attr.get(Module::Vi)?;
        let platform = &mut library.platform;
        platform.inputs.bind(&platform.limits, channel, device, way)?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_VI_ChnBind(channel: i32, attr: Given<ViChnBindAttr>) of Vi => |library| {
        let [device, way] = attr.get(Module::Vi)?;
        let platform = &mut library.platform;
        platform.inputs.bind(&platform.limits, channel, device, way)?;
        Ok(0)
    };
    HI_MPI_VI_SetChnAttr(channel: i32, attr: Given<ViChnAttr>) of Vi => |library| {
        let attr = attr.get(Module::Vi)?;
        let platform = &mut library.platform;
        let formats = [platform.codes.semiplanar_420, platform.codes.semiplanar_422];
        let attr = InputAttr {
            width: attr.size.width,
            height: attr.size.height,
            pixel_format: attr.pixel_format,
            source_rate: attr.source_frame_rate,
            target_rate: attr.target_frame_rate,
        };
        platform.inputs.set_channel(&platform.limits, channel, formats, attr)?;
        Ok(0)
    };
    HI_MPI_VI_EnableChn(channel: i32) of Vi => |library| {
        let platform = &mut library.platform;
        let format = platform.inputs.channels.get(&channel).and_then(|input| input.attr).map(|a| a.pixel_format);
        let wide = format == Some(platform.codes.semiplanar_422);
        platform.inputs.enable(&platform.limits, channel, wide, &platform.system, platform.now)?;
        Ok(0)
    };
    HI_MPI_VI_DisableChn(channel: i32) of Vi => |library| {
        let platform = &mut library.platform;
        platform.inputs.disable(&platform.limits, channel)?;
        Ok(0)
    };
    HI_MPI_VI_SetUserPic(channel: i32, attr: Given<ViUserpicAttr>) of Vi => |library| {
        let attr = attr.get(Module::Vi)?;
        // Mode 1 is a colour, which takes the union's first word.
        let [_, red, green, blue] = attr.picture.frame.width.to_be_bytes();
        let colour = if attr.mode == 1 { [red, green, blue] } else { BLUE };
        let platform = &mut library.platform;
        platform.inputs.set_user_picture(&platform.limits, channel, colour)?;
        platform.changes += 1;
        Ok(0)
    };
    HI_MPI_VI_EnableUserPic(channel: i32) of Vi => |library| {
        let platform = &mut library.platform;
        platform.inputs.show_user_picture(&platform.limits, channel, true)?;
        platform.changes += 1;
        Ok(0)
    };
    HI_MPI_VI_DisableUserPic(channel: i32) of Vi => |library| {
        let platform = &mut library.platform;
        platform.inputs.show_user_picture(&platform.limits, channel, false)?;
        platform.changes += 1;
        Ok(0)
    };
    HI_MPI_VPSS_CreateGrp(group: i32, attr: Given<VpssGrpAttr>) of Vpss => |library| {
        let attr = attr.get(Module::Vpss)?;
        let platform = &mut library.platform;
        let size = (attr.max_width, attr.max_height);
        let (limits, codes) = (&platform.limits, platform.codes);
        platform.groups.create(limits, codes, group, size, attr.pixel_format, attr.deinterlace)?;
        Ok(0)
    };
    HI_MPI_VPSS_DestroyGrp(group: i32) of Vpss => |library| {
        library.platform.destroy_group(group)?;
        Ok(0)
    };
    HI_MPI_VPSS_StartGrp(group: i32) of Vpss => |library| {
        let platform = &mut library.platform;
        platform.groups.start(&platform.limits, group, true)?;
        Ok(0)
    };
    HI_MPI_VPSS_StopGrp(group: i32) of Vpss => |library| {
        let platform = &mut library.platform;
        platform.groups.start(&platform.limits, group, false)?;
        Ok(0)
    };
    HI_MPI_VPSS_SetChnAttr(group: i32, channel: i32, attr: Given<VpssChnAttr>) of Vpss => |library| {
        attr.get(Module::Vpss)?;
        let platform = &mut library.platform;
        platform.groups.set_channel(&platform.limits, group, channel)?;
        Ok(0)
    };
    HI_MPI_VPSS_SetChnMode(group: i32, channel: i32, mode: Given<VpssChnMode>) of Vpss => |library| {
        let given = mode.get(Module::Vpss)?;
        Module::Vpss.require((0..=1).contains(&given.mode), format_args!("mode {}", given.mode))?;
        let mode = match given.mode {
            mpp_abi::value::VPSS_USER => Mode::User { width: given.width, height: given.height },
            _ => Mode::Auto,
        };
        let platform = &mut library.platform;
        let (limits, codes) = (&platform.limits, platform.codes);
        platform.groups.set_mode(limits, codes, (group, channel), mode, given.pixel_format)?;
        Ok(0)
    };
    HI_MPI_VPSS_EnableChn(group: i32, channel: i32) of Vpss => |library| {
        let platform = &mut library.platform;
        platform.groups.enable(&platform.limits, group, channel, true)?;
        Ok(0)
    };
    HI_MPI_VPSS_DisableChn(group: i32, channel: i32) of Vpss => |library| {
        let platform = &mut library.platform;
        platform.groups.enable(&platform.limits, group, channel, false)?;
        Ok(0)
    };
}
