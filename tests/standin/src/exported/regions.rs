//! `RGN`.

use std::time::Duration;

use mpp_abi::common::{Bitmap, MppChn};
use mpp_abi::value;

use super::abi::{CoverChnAttr, OverlayChnAttr, RgnAttr, RgnChnAttr};
use super::exports;
use super::library::Library;
use super::pointer::{Array, Given};
use crate::binding::end;
use crate::refusal::{Module, Outcome};
use crate::region::{Kind, Shown, What};

exports! {
    HI_MPI_RGN_Create(handle: u32, attr: Given<RgnAttr>) of Rgn => |library| {
        let attr = attr.get(Module::Rgn)?;
        let bitmap = |on_screen| Kind::Overlay {
            format: attr.overlay.pixel_format,
            background: attr.overlay.background,
            width: attr.overlay.size.width,
            height: attr.overlay.size.height,
            on_screen,
        };
        let kind = match attr.kind {
            value::RGN_OVERLAY => bitmap(false),
            value::RGN_OVERLAY_EX => bitmap(true),
            value::RGN_COVER => Kind::Cover,
            other => {
                let why = format_args!("the stand-in has no regions of kind {other}");
                return Module::Rgn.refuse(mpp_abi::ErrorCode::Unsupported, why);
            }
        };
        library.platform.regions.create(handle, kind)?;
        Ok(0)
    };
    HI_MPI_RGN_Destroy(handle: u32) of Rgn => |library| {
        library.platform.regions.destroy(handle)?;
        Ok(0)
    };
    HI_MPI_RGN_SetBitMap(handle: u32, bitmap: Given<Bitmap>) of Rgn => |library| {
        let bitmap = bitmap.get(Module::Rgn)?;
        set_bitmap(library, handle, &bitmap)
    };
    HI_MPI_RGN_AttachToChn(handle: u32, channel: Given<MppChn>, attr: Given<RgnChnAttr>) of Rgn => |library| {
        let (to, shown) = (end(&channel.get(Module::Rgn)?), shown(&attr.get(Module::Rgn)?));
        let platform = &mut library.platform;
        platform.check_region_end(to)?;
        platform.regions.attach(platform.codes, handle, to, shown)?;
        Ok(0)
    };
    HI_MPI_RGN_SetDisplayAttr(handle: u32, channel: Given<MppChn>, attr: Given<RgnChnAttr>) of Rgn => |library| {
        let (on, shown) = (end(&channel.get(Module::Rgn)?), shown(&attr.get(Module::Rgn)?));
        let platform = &mut library.platform;
        platform.regions.set_shown(platform.codes, handle, on, shown)?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_RGN_DetachFrmChn(handle: u32, channel: Given<MppChn>) of Rgn => |library| {
        let from = end(&channel.get(Module::Rgn)?);
        library.platform.regions.detach(handle, from)?;
        Ok(0)
    };
    #[cfg(not(feature = "g1"))]
    HI_MPI_RGN_DetachFromChn(handle: u32, channel: Given<MppChn>) of Rgn => |library| {
        let from = end(&channel.get(Module::Rgn)?);
        library.platform.regions.detach(handle, from)?;
        Ok(0)
    };
}

fn set_bitmap(library: &mut Library, handle: u32, bitmap: &Bitmap) -> Outcome<i32> {
    if library.platform.regions.changes % 2 == 1 {
        std::thread::sleep(Duration::from_millis(library.platform.faults.late));
        library.tell_time();
    }
    let platform = &mut library.platform;
    let size = (bitmap.width, bitmap.height);
    let breach = platform.regions.check_bitmap(handle, bitmap.pixel_format, size, platform.now)?;
    if let Some(breach) = breach {
        platform.note(format!("VIOLATION RGN_SetBitMap region {handle}: {breach}"));
    }
    let pixels = Array::<u16>::at(bitmap.data, Module::Rgn)?;
    let pixels = (0..(size.0 * size.1) as usize).map(|number| pixels.get(number)).collect();
    platform.regions.set_bitmap(handle, size.0, size.1, pixels)?;
    Ok(0)
}

fn shown(attr: &RgnChnAttr) -> Shown {
    let show = attr.show != 0;
    match attr.kind {
        // An overlay on a screen begins with the same fields.
        value::RGN_OVERLAY | value::RGN_OVERLAY_EX => {
            let overlay: OverlayChnAttr = attr.get();
            let (x, y) = (overlay.point.x, overlay.point.y);
            let what = What::Overlay {
                x,
                y,
                foreground: overlay.foreground_alpha,
                background: overlay.background_alpha,
            };
            Shown { show, layer: overlay.layer, what }
        }
        value::RGN_COVER => {
            let cover: CoverChnAttr = attr.get();
            Shown { show, layer: cover.layer, what: rectangle(&cover) }
        }
        _ => Shown { show, layer: 0, what: What::Other },
    }
}

#[cfg(feature = "g1")]
fn rectangle(cover: &CoverChnAttr) -> What {
    let rect = cover.rect;
    What::Cover { x: rect.x, y: rect.y, width: rect.width, height: rect.height, colour: cover.colour }
}

#[cfg(not(feature = "g1"))]
fn rectangle(cover: &CoverChnAttr) -> What {
    if cover.shape != 0 {
        return What::Other;
    }
    let rect: mpp_abi::common::Rect = cover.get();
    What::Cover { x: rect.x, y: rect.y, width: rect.width, height: rect.height, colour: cover.colour }
}
