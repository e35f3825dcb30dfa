//! `VDA`.

use mpp_abi::common::{VdaChnAttr, VdaData, VdaMbSadData, VdaMdAttr, VdaMdData, VdaObjData};
use mpp_abi::{Addr32, value};

use super::exports;
use super::library::{Ready, enter_waiting};
use super::pointer::{Filled, Given};
use crate::motion::{DetectorAttr, Look};
use crate::refusal::Module;

exports! {
    HI_MPI_VDA_CreateChn(channel: i32, attr: Given<VdaChnAttr>) of Vda => |library| {
        let attr = attr.get(Module::Vda)?;
        let motion: VdaMdAttr = attr.get();
        let attr = DetectorAttr {
            work_mode: attr.work_mode,
            algorithm: motion.algorithm,
            block_size: motion.block_size,
            sad_bits: motion.sad_bits,
            reference: motion.reference,
            buffers: motion.buffers,
            interval: motion.interval,
            threshold: motion.threshold,
            max_objects: motion.max_objects,
            width: attr.width,
            height: attr.height,
        };
        let platform = &mut library.platform;
        platform.detectors.create(&platform.limits, channel, attr)?;
        Ok(0)
    };
    HI_MPI_VDA_DestroyChn(channel: i32) of Vda => |library| {
        let platform = &mut library.platform;
        let bound = platform.bindings.source((value::MOD_VDA, 0, channel)).is_some();
        platform.detectors.destroy(&platform.limits, channel, bound)?;
        library.close_descriptor(Ready::Motion, channel);
        Ok(0)
    };
    HI_MPI_VDA_StartRecvPic(channel: i32) of Vda => |library| {
        let platform = &mut library.platform;
        platform.detectors.start(&platform.limits, channel, true)?;
        Ok(0)
    };
    HI_MPI_VDA_StopRecvPic(channel: i32) of Vda => |library| {
        let platform = &mut library.platform;
        platform.detectors.start(&platform.limits, channel, false)?;
        Ok(0)
    };
    HI_MPI_VDA_GetFd(channel: i32) of Vda => |library| {
        let platform = &mut library.platform;
        platform.detectors.check(&platform.limits, channel)?;
        library.descriptor(Ready::Motion, channel, Module::Vda)
    };
    HI_MPI_VDA_ReleaseData(channel: i32, data: Given<VdaData>) of Vda => |library| {
        let data = data.get(Module::Vda)?;
        let platform = &mut library.platform;
        platform.detectors.release(&platform.limits, channel, data.motion.sad.data.0)?;
        Ok(0)
    };
}

/// Waits, in G1 if `wait` is not 0, later for so many milliseconds.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the vendor's name")]
pub(crate) extern "C" fn HI_MPI_VDA_GetData(channel: i32, data: Filled<VdaData>, wait: i32) -> i32 {
    let millis = if cfg!(feature = "g1") && wait != 0 { -1 } else { wait };
    enter_waiting("HI_MPI_VDA_GetData", Module::Vda, true, millis, |library| {
        data.get(Module::Vda)?;
        let platform = &mut library.platform;
        let look = platform.detectors.fetch(&platform.limits, channel)?;
        data.put(Module::Vda, found(&look))?;
        Ok(0)
    })
}

fn found(look: &Look) -> VdaData {
    let motion = VdaMdData {
        sad_valid: 1,
        sad: VdaMbSadData { data: Addr32(look.address), stride: look.stride, sad_bits: look.attr.sad_bits },
        objects_valid: 1,
        objects: VdaObjData {
            count: look.objects,
            objects: Addr32(look.object),
            largest: 0,
            largest_size: look.object_pixels,
            total_size: look.object_pixels,
        },
        alarm_pixels_valid: 1,
        alarm_pixels: look.alarm_pixels,
    };
    VdaData {
        work_mode: look.attr.work_mode,
        motion,
        block_size: look.attr.block_size,
        columns: look.columns,
        rows: look.rows,
        pts: look.pts,
    }
}
