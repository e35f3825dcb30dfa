//! `VENC`: encoders and their pictures, in the structures of the generation.

use mpp_abi::common::VencRecvPicParam;
use mpp_abi::{Addr32, Codes, ErrorCode, value};

use super::abi::{
    VencAttrH264, VencAttrH264Cbr, VencAttrH264Fixqp, VencAttrH264Vbr, VencAttrJpeg, VencChnAttr,
    VencChnStat, VencPack, VencStream,
};
use super::exports;
use super::library::{Library, Ready, enter_waiting};
use super::pointer::{Array, Filled, Given};
use crate::config::{EncoderConfig, Rate};
use crate::encoder::{Coded, Pack};
use crate::refusal::{Module, Outcome};

/// What a library with larger structures writes behind the ones that it is given.
const OVERRUN_BYTES: usize = 64;

exports! {
    HI_MPI_VENC_CreateChn(channel: i32, attr: Given<VencChnAttr>) of Venc => |library| {
        let attr = attr.get(Module::Venc)?;
        let config = config(library.platform.codes, &attr)?;
        library.platform.create_encoder(channel, config)?;
        library.attributes.insert(channel, attr);
        Ok(0)
    };
    HI_MPI_VENC_DestroyChn(channel: i32) of Venc => |library| {
        library.platform.destroy_encoder(channel)?;
        library.attributes.remove(&channel);
        library.close_descriptor(Ready::Picture, channel);
        Ok(0)
    };
    HI_MPI_VENC_StartRecvPic(channel: i32) of Venc => |library| {
        library.platform.start_encoder(channel, None)?;
        Ok(0)
    };
    HI_MPI_VENC_StartRecvPicEx(channel: i32, param: Given<VencRecvPicParam>) of Venc => |library| {
        let pictures = param.get(Module::Venc)?.pictures;
        Module::Venc.require(pictures == -1 || pictures > 0, format_args!("{pictures} pictures"))?;
        library.platform.start_encoder(channel, u32::try_from(pictures).ok())?;
        Ok(0)
    };
    HI_MPI_VENC_StopRecvPic(channel: i32) of Venc => |library| {
        library.platform.encoder(channel)?.stop();
        Ok(0)
    };
    HI_MPI_VENC_Query(channel: i32, status: Filled<VencChnStat>) of Venc => |library| {
        let found = library.platform.encoder(channel)?.status();
        let answer = VencChnStat {
            #[cfg(feature = "g1")]
            registered: i32::from(found.registered),
            left_bytes: found.left_bytes,
            left_frames: found.left_frames,
            packs: found.packs,
            left_to_receive: found.left_to_take,
            left_to_encode: found.left_to_take,
            ..VencChnStat::default()
        };
        status.put(Module::Venc, answer)?;
        Ok(0)
    };
    HI_MPI_VENC_SetChnAttr(channel: i32, attr: Given<VencChnAttr>) of Venc => |library| {
        let attr = attr.get(Module::Venc)?;
        let codes = library.platform.codes;
        let config = config(codes, &attr)?;
        library.platform.encoder(channel)?.change(codes, config)?;
        library.attributes.insert(channel, attr);
        Ok(0)
    };
    HI_MPI_VENC_GetChnAttr(channel: i32, attr: Filled<VencChnAttr>) of Venc => |library| {
        library.platform.encoder(channel)?;
        match library.attributes.get(&channel) {
            Some(known) => attr.put(Module::Venc, *known)?,
            None => return Module::Venc.refuse(ErrorCode::Unexists, format_args!("channel {channel}")),
        }
        Ok(0)
    };
    HI_MPI_VENC_ReleaseStream(channel: i32, stream: Filled<VencStream>) of Venc => |library| {
        let stream = stream.get(Module::Venc)?;
        let first = Array::<VencPack>::at(stream.packs, Module::Venc)?.get(0);
        library.platform.encoder(channel)?.release(stream.sequence, first_address(&first))?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_VENC_RequestIDR(channel: i32) of Venc => |library| {
        library.platform.encoder(channel)?.request_keyframe()?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_VENC_RequestIDRInst(channel: i32) of Venc => |library| {
        library.platform.encoder(channel)?.request_keyframe()?;
        Ok(0)
    };
    #[cfg(not(feature = "g1"))]
    HI_MPI_VENC_RequestIDR(channel: i32, at_once: i32) of Venc => |library| {
        Module::Venc.require((0..=1).contains(&at_once), format_args!("bInstant {at_once}"))?;
        library.platform.encoder(channel)?.request_keyframe()?;
        Ok(0)
    };
    HI_MPI_VENC_GetFd(channel: i32) of Venc => |library| {
        library.platform.encoder(channel)?;
        library.descriptor(Ready::Picture, channel, Module::Venc)
    };
    #[cfg(not(feature = "g1"))]
    HI_MPI_VENC_CloseFd(channel: i32) of Venc => |library| {
        library.platform.encoder(channel)?;
        let open = library.close_descriptor(Ready::Picture, channel);
        Module::Venc.permit(open, "VENC_CloseFd before VENC_GetFd")?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_VENC_CreateGroup(group: i32) of Venc => |library| {
        library.platform.create_encoder_group(group)?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_VENC_DestroyGroup(group: i32) of Venc => |library| {
        library.platform.destroy_encoder_group(group)?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_VENC_RegisterChn(group: i32, channel: i32) of Venc => |library| {
        library.platform.register_encoder(group, channel)?;
        Ok(0)
    };
    #[cfg(feature = "g1")]
    HI_MPI_VENC_UnRegisterChn(channel: i32) of Venc => |library| {
        library.platform.unregister_encoder(channel)?;
        Ok(0)
    };
}

/// Waits, in G1 if `wait` is not 0, later for so many milliseconds.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the vendor's name")]
pub(crate) extern "C" fn HI_MPI_VENC_GetStream(channel: i32, stream: Filled<VencStream>, wait: i32) -> i32 {
    let millis = if cfg!(feature = "g1") && wait != 0 { -1 } else { wait };
    enter_waiting("HI_MPI_VENC_GetStream", Module::Venc, true, millis, |library| {
        get_stream(library, channel, stream)
    })
}

fn get_stream(library: &mut Library, channel: i32, stream: Filled<VencStream>) -> Outcome<i32> {
    let mut answer = stream.get(Module::Venc)?;
    let packs = Array::<VencPack>::at(answer.packs, Module::Venc)?;
    let picture = library.platform.encoder(channel)?.fetch(answer.pack_count)?;
    for (number, pack) in picture.packs.iter().enumerate() {
        packs.put(number, packed(pack, &picture));
    }
    answer.pack_count = picture.packs.len() as u32;
    answer.sequence = picture.sequence;
    answer.info = Default::default();
    answer.info[0] = picture.bytes;
    stream.put(Module::Venc, answer)?;
    if library.writes_more {
        stream.overrun(OVERRUN_BYTES);
    }
    Ok(0)
}

#[cfg(feature = "g1")]
fn packed(pack: &Pack, picture: &Coded) -> VencPack {
    VencPack {
        physical: pack.physical.map(Addr32),
        data: pack.pieces.map(|(address, _)| Addr32(address)),
        length: pack.pieces.map(|(_, bytes)| bytes),
        pts: picture.pts,
        field_end: i32::from(pack.frame_end),
        frame_end: i32::from(pack.frame_end),
        data_type: pack.data_type,
        offset: pack.offset,
    }
}

#[cfg(not(feature = "g1"))]
fn packed(pack: &Pack, picture: &Coded) -> VencPack {
    VencPack {
        physical: Addr32(pack.physical[0]),
        data: Addr32(pack.pieces[0].0),
        length: pack.pieces[0].1,
        pts: picture.pts,
        frame_end: i32::from(pack.frame_end),
        data_type: pack.data_type,
        offset: pack.offset,
        ..VencPack::default()
    }
}

fn first_address(pack: &VencPack) -> u32 {
    #[cfg(feature = "g1")]
    return pack.data[0].0;
    #[cfg(not(feature = "g1"))]
    return pack.data.0;
}

/// What the vendor's structure asks for.
fn config(codes: &Codes, attr: &VencChnAttr) -> Outcome<EncoderConfig> {
    let payload = attr.encoder.kind;
    if payload == value::PT_JPEG {
        let jpeg: VencAttrJpeg = attr.encoder.get();
        return Ok(EncoderConfig {
            payload,
            max_width: jpeg.max_width,
            max_height: jpeg.max_height,
            buffer_bytes: jpeg.buffer_size,
            profile: 0,
            by_frame: jpeg.by_frame != 0,
            width: jpeg.width,
            height: jpeg.height,
            rate: Rate::default(),
        });
    }
    // H.265's structure is the same; other payloads are refused by their number.
    let video: VencAttrH264 = attr.encoder.get();
    Ok(EncoderConfig {
        payload,
        max_width: video.max_width,
        max_height: video.max_height,
        buffer_bytes: video.buffer_size,
        profile: video.profile,
        by_frame: video.by_frame != 0,
        width: video.width,
        height: video.height,
        rate: rate(codes, attr),
    })
}

/// Gop, two rates and the bit rate begin every structure; what follows differs.
fn rate(codes: &Codes, attr: &VencChnAttr) -> Rate {
    let mode = attr.rate.mode;
    if mode == codes.rc_h264_fixqp {
        let fixed: VencAttrH264Fixqp = attr.rate.get();
        return Rate {
            mode,
            gop: fixed.gop,
            source_rate: fixed.source_frame_rate,
            target_rate: fixed.target_frame_rate,
            qp: Some((0, fixed.i_qp.max(fixed.p_qp))),
            ..Rate::default()
        };
    }
    let constant: VencAttrH264Cbr = attr.rate.get();
    let rate = Rate {
        mode,
        gop: constant.gop,
        stat_time: Some(constant.stat_time),
        source_rate: constant.source_frame_rate,
        target_rate: constant.target_frame_rate,
        kilobits: Some(constant.bit_rate),
        fluctuate: None,
        qp: None,
    };
    if mode == codes.rc_h264_vbr {
        let variable: VencAttrH264Vbr = attr.rate.get();
        return Rate { qp: Some((variable.min_qp, variable.max_qp)), ..rate };
    }
    Rate { fluctuate: (mode == codes.rc_h264_cbr).then_some(constant.fluctuate_level), ..rate }
}
