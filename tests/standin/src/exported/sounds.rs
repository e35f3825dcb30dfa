//! `AI` and `AENC`.

use mpp_abi::Addr32;
use mpp_abi::common::AudioStream;

use super::abi::{AencChnAttr, AioAttr};
use super::exports;
use super::library::{Ready, enter_waiting};
use super::pointer::{Filled, Given};
use crate::refusal::Module;
use crate::sound::DeviceAttr;

exports! {
    HI_MPI_AI_SetPubAttr(device: i32, attr: Given<AioAttr>) of Ai => |library| {
        let attr = attr.get(Module::Ai)?;
        let attr = DeviceAttr {
            sample_rate: attr.sample_rate,
            bit_width: attr.bit_width,
            sound_mode: attr.sound_mode,
            frames: attr.frames,
            samples_per_frame: attr.samples_per_frame,
            channels: attr.channels,
        };
        let platform = &mut library.platform;
        platform.sound.set_device(&platform.limits, device, attr)?;
        Ok(0)
    };
    HI_MPI_AI_Enable(device: i32) of Ai => |library| {
        let platform = &mut library.platform;
        platform.sound.enable_device(&platform.limits, device)?;
        Ok(0)
    };
    HI_MPI_AI_Disable(device: i32) of Ai => |library| {
        let platform = &mut library.platform;
        platform.sound.disable_device(&platform.limits, device)?;
        Ok(0)
    };
    HI_MPI_AI_EnableChn(device: i32, channel: i32) of Ai => |library| {
        let platform = &mut library.platform;
        platform.sound.enable(&platform.limits, device, channel, platform.now)?;
        Ok(0)
    };
    HI_MPI_AI_DisableChn(device: i32, channel: i32) of Ai => |library| {
        let platform = &mut library.platform;
        platform.sound.disable(&platform.limits, device, channel)?;
        Ok(0)
    };
    HI_MPI_AENC_CreateChn(channel: i32, attr: Given<AencChnAttr>) of Aenc => |library| {
        let attr = attr.get(Module::Aenc)?;
        if attr.attr.is_null() {
            return Module::Aenc.refuse(mpp_abi::ErrorCode::NullPointer, "pValue is null");
        }
        let platform = &mut library.platform;
        platform.sound.create(&platform.limits, channel, attr.payload, attr.frames)?;
        Ok(0)
    };
    HI_MPI_AENC_DestroyChn(channel: i32) of Aenc => |library| {
        let platform = &mut library.platform;
        let bound = platform.bindings.source((mpp_abi::value::MOD_AENC, 0, channel)).is_some();
        platform.sound.destroy(&platform.limits, channel, bound)?;
        library.close_descriptor(Ready::Sound, channel);
        Ok(0)
    };
    HI_MPI_AENC_GetFd(channel: i32) of Aenc => |library| {
        let platform = &mut library.platform;
        platform.sound.check(&platform.limits, channel)?;
        library.descriptor(Ready::Sound, channel, Module::Aenc)
    };
    HI_MPI_AENC_ReleaseStream(channel: i32, stream: Given<AudioStream>) of Aenc => |library| {
        let stream = stream.get(Module::Aenc)?;
        let platform = &mut library.platform;
        platform.sound.release(&platform.limits, channel, stream.data.0)?;
        Ok(0)
    };
}

/// Waits, in G1 if `wait` is not 0, later for so many milliseconds.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the vendor's name")]
pub(crate) extern "C" fn HI_MPI_AENC_GetStream(channel: i32, stream: Filled<AudioStream>, wait: i32) -> i32 {
    let millis = if cfg!(feature = "g1") && wait != 0 { -1 } else { wait };
    enter_waiting("HI_MPI_AENC_GetStream", Module::Aenc, true, millis, |library| {
        stream.get(Module::Aenc)?;
        let platform = &mut library.platform;
        let fetched = platform.sound.fetch(&platform.limits, channel)?;
        let answer = AudioStream {
            data: Addr32(fetched.address),
            physical: Addr32(fetched.physical),
            length: fetched.length,
            timestamp: fetched.timestamp,
            sequence: fetched.sequence,
        };
        stream.put(Module::Aenc, answer)?;
        Ok(0)
    })
}
