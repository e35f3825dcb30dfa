//! The printed table against what is known of the vendor's library.
//!
//! Sizes and offsets here were read from the debug information of the public headers, compiled for 32-bit ARM; none is
//! computed from our structures. A dash is a structure that the generation does not have.

use clap::Parser;
use mpp_abi::Generation;
use serde_json::Value;

#[path = "../examples/abi/table.rs"]
mod table;

use table::{Arguments, table};

const DASH: u64 = u64::MAX;

/// Bytes: G1, G2, G3.
const SIZES: &[(&str, [u64; 3])] = &[
    ("MPP_CHN_S", [12; 3]),
    ("VB_CONF_S", [388; 3]),
    ("MPP_SYS_CONF_S", [4; 3]),
    ("MPP_VERSION_S", [64; 3]),
    ("BITMAP_S", [16; 3]),
    ("AUDIO_STREAM_S", [32; 3]),
    ("AUDIO_FRAME_S", [48; 3]),
    ("VI_DEV_ATTR_S", [112; 3]),
    ("VI_CHN_ATTR_S", [52; 3]),
    ("VI_USERPIC_ATTR_S", [96, 152, 152]),
    ("VENC_ATTR_H264_S", [44, 36, 28]),
    ("VENC_ATTR_H265_S", [DASH, 36, 28]),
    ("VENC_ATTR_JPEG_S", [32, 28, 28]),
    ("VENC_ATTR_MJPEG_S", [36, 24, 24]),
    ("VENC_ATTR_S", [48, 40, 32]),
    ("VENC_ATTR_H264_CBR_S", [24; 3]),
    ("VENC_ATTR_H264_VBR_S", [28, 28, 32]),
    ("VENC_RC_ATTR_S", [36, 36, 40]),
    ("VENC_GOP_ATTR_S", [DASH, DASH, 16]),
    ("VENC_CHN_ATTR_S", [84, 76, 88]),
    ("VENC_CHN_STAT_S", [28, 24, 24]),
    ("VENC_PACK_S", [48, 136, 136]),
    ("VENC_PACK_INFO_S", [DASH, 12, 12]),
    ("VENC_STREAM_S", [64, 68, 376]),
    ("VIDEO_FRAME_INFO_S", [88, 144, 144]),
    ("VPSS_GRP_ATTR_S", [36; 3]),
    ("VPSS_CHN_ATTR_S", [40, 32, 32]),
    ("VPSS_CHN_MODE_S", [20, 56, 56]),
    ("RGN_ATTR_S", [20; 3]),
    ("RGN_CHN_ATTR_S", [56, 60, 64]),
    ("AIO_ATTR_S", [36, 40, 40]),
    ("AENC_CHN_ATTR_S", [12, 16, 16]),
    ("VDA_CHN_ATTR_S", [168; 3]),
    ("VDA_DATA_S", [72; 3]),
    ("VO_PUB_ATTR_S", [64, 60, 60]),
    ("VO_VIDEO_LAYER_ATTR_S", [32, 40, 40]),
    ("VO_CHN_ATTR_S", [24; 3]),
];

/// Bytes from the structure's start: G1, G2, G3. Names are the vendor's.
const OFFSETS: &[(&str, &str, [u64; 3])] = &[
    ("MPP_CHN_S", "enModId", [0; 3]),
    ("MPP_CHN_S", "s32DevId", [4; 3]),
    ("MPP_CHN_S", "s32ChnId", [8; 3]),
    ("VB_CONF_S", "u32MaxPoolCnt", [0; 3]),
    ("VB_CONF_S", "astCommPool", [4; 3]),
    ("VB_CPOOL_S", "u32BlkCnt", [4; 3]),
    ("VB_CPOOL_S", "acMmzName", [8; 3]),
    ("BITMAP_S", "enPixelFormat", [0; 3]),
    ("BITMAP_S", "u32Width", [4; 3]),
    ("BITMAP_S", "u32Height", [8; 3]),
    ("BITMAP_S", "pData", [12; 3]),
    ("AUDIO_STREAM_S", "pStream", [0; 3]),
    ("AUDIO_STREAM_S", "u32PhyAddr", [4; 3]),
    ("AUDIO_STREAM_S", "u32Len", [8; 3]),
    ("AUDIO_STREAM_S", "u64TimeStamp", [16; 3]),
    ("AUDIO_STREAM_S", "u32Seq", [24; 3]),
    ("AUDIO_FRAME_S", "enSoundmode", [4; 3]),
    ("AUDIO_FRAME_S", "pVirAddr", [8; 3]),
    ("AUDIO_FRAME_S", "u32PhyAddr", [16; 3]),
    ("AUDIO_FRAME_S", "u64TimeStamp", [24; 3]),
    ("AUDIO_FRAME_S", "u32Seq", [32; 3]),
    ("AUDIO_FRAME_S", "u32Len", [36; 3]),
    ("AUDIO_FRAME_S", "u32PoolId", [40; 3]),
    ("VI_DEV_ATTR_S", "enIntfMode", [0; 3]),
    ("VI_DEV_ATTR_S", "enWorkMode", [4; 3]),
    ("VI_DEV_ATTR_S", "au32CompMask", [8; 3]),
    ("VI_DEV_ATTR_S", "enScanMode", [16, DASH, DASH]),
    ("VI_DEV_ATTR_S", "enClkEdge", [DASH, 16, 16]),
    ("VI_DEV_ATTR_S", "s32AdChnId", [20; 3]),
    ("VI_DEV_ATTR_S", "enDataSeq", [36; 3]),
    ("VI_DEV_ATTR_S", "stSynCfg", [40; 3]),
    ("VI_DEV_ATTR_S", "stSynCfg.stTimingBlank", [64; 3]),
    ("VI_DEV_ATTR_S", "enDataPath", [100; 3]),
    ("VI_DEV_ATTR_S", "enInputDataType", [104; 3]),
    ("VI_DEV_ATTR_S", "bDataRev", [108; 3]),
    ("VI_CHN_ATTR_S", "stCapRect", [0; 3]),
    ("VI_CHN_ATTR_S", "stDestSize", [16; 3]),
    ("VI_CHN_ATTR_S", "enCapSel", [24; 3]),
    ("VI_CHN_ATTR_S", "enScanMode", [DASH, 28, 28]),
    ("VI_CHN_ATTR_S", "enPixFormat", [28, 32, 32]),
    ("VI_CHN_ATTR_S", "bMirror", [32, 36, 36]),
    ("VI_CHN_ATTR_S", "bFlip", [36, 40, 40]),
    ("VI_CHN_ATTR_S", "bChromaResample", [40, DASH, DASH]),
    ("VI_CHN_ATTR_S", "s32SrcFrameRate", [44; 3]),
    ("VENC_ATTR_H264_CBR_S", "u32StatTime", [4; 3]),
    ("VENC_ATTR_H264_CBR_S", "u32BitRate", [16; 3]),
    ("VENC_ATTR_H264_CBR_S", "u32FluctuateLevel", [20; 3]),
    ("VENC_ATTR_H264_S", "u32Profile", [12; 3]),
    ("VENC_ATTR_H264_S", "bByFrame", [16; 3]),
    ("VENC_ATTR_H264_S", "bVIField", [32, DASH, DASH]),
    ("VENC_ATTR_H264_S", "u32PicWidth", [36, 20, 20]),
    ("VENC_ATTR_H264_S", "u32PicHeight", [40, 24, 24]),
    ("VENC_ATTR_H264_S", "u32BFrameNum", [DASH, 28, DASH]),
    ("VENC_ATTR_H264_S", "u32RefNum", [DASH, 32, DASH]),
    ("VENC_ATTR_JPEG_S", "u32PicWidth", [24, 16, 16]),
    ("VENC_ATTR_JPEG_S", "bSupportDCF", [DASH, 24, 24]),
    ("VENC_ATTR_H264_VBR_S", "u32MaxBitRate", [16; 3]),
    ("VENC_ATTR_H264_VBR_S", "u32MaxQp", [20; 3]),
    ("VENC_ATTR_H264_VBR_S", "u32MinQp", [24; 3]),
    ("VENC_ATTR_H264_VBR_S", "u32MinIQp", [DASH, DASH, 28]),
    ("VENC_ATTR_S", "enType", [0; 3]),
    ("VENC_ATTR_S", "stAttrH264e", [4; 3]),
    ("VENC_ATTR_S", "stAttrH265e", [DASH, 4, 4]),
    ("VENC_CHN_ATTR_S", "stRcAttr.enRcMode", [48, 40, 32]),
    ("VENC_CHN_ATTR_S", "stRcAttr.stAttrH264Cbr", [52, 44, 36]),
    ("VENC_CHN_ATTR_S", "stRcAttr.pRcAttr", [80, 72, 68]),
    ("VENC_CHN_ATTR_S", "stGopAttr", [DASH, DASH, 72]),
    ("VENC_CHN_STAT_S", "bRegistered", [0, DASH, DASH]),
    ("VENC_CHN_STAT_S", "u32LeftPics", [4, 0, 0]),
    ("VENC_CHN_STAT_S", "u32LeftStreamBytes", [8, 4, 4]),
    ("VENC_CHN_STAT_S", "u32LeftStreamFrames", [12, 8, 8]),
    ("VENC_CHN_STAT_S", "u32CurPacks", [16, 12, 12]),
    ("VENC_CHN_STAT_S", "u32LeftRecvPics", [20, 16, 16]),
    ("VENC_CHN_STAT_S", "u32LeftEncPics", [24, 20, 20]),
    ("VENC_PACK_S", "u32PhyAddr", [0; 3]),
    ("VENC_PACK_S", "pu8Addr", [8, 4, 4]),
    ("VENC_PACK_S", "u32Len", [16, 8, 8]),
    ("VENC_PACK_S", "u64PTS", [24, 16, 16]),
    ("VENC_PACK_S", "bFieldEnd", [32, DASH, DASH]),
    ("VENC_PACK_S", "bFrameEnd", [36, 24, 24]),
    ("VENC_PACK_S", "DataType", [40, 28, 28]),
    ("VENC_PACK_S", "u32Offset", [44, 32, 32]),
    ("VENC_PACK_S", "u32DataNum", [DASH, 36, 36]),
    ("VENC_PACK_S", "stPackInfo", [DASH, 40, 40]),
    ("VENC_STREAM_S", "pstPack", [0; 3]),
    ("VENC_STREAM_S", "u32PackCount", [4; 3]),
    ("VENC_STREAM_S", "u32Seq", [8; 3]),
    ("VENC_STREAM_S", "stH264Info", [12; 3]),
    ("VIDEO_FRAME_INFO_S", "stVFrame.u64pts", [64, 104, 104]),
    ("VIDEO_FRAME_INFO_S", "u32PoolId", [80, 136, 136]),
    ("VPSS_GRP_ATTR_S", "enPixFmt", [8; 3]),
    ("VPSS_GRP_ATTR_S", "bDrEn", [12, DASH, DASH]),
    ("VPSS_GRP_ATTR_S", "bDbEn", [16, DASH, DASH]),
    ("VPSS_GRP_ATTR_S", "bIeEn", [20, 12, 12]),
    ("VPSS_GRP_ATTR_S", "bDciEn", [DASH, 16, 16]),
    ("VPSS_GRP_ATTR_S", "bNrEn", [24, 20, 20]),
    ("VPSS_GRP_ATTR_S", "bHistEn", [28, 24, 24]),
    ("VPSS_GRP_ATTR_S", "bEsEn", [DASH, 28, 28]),
    ("VPSS_GRP_ATTR_S", "enDieMode", [32; 3]),
    ("VPSS_CHN_MODE_S", "enChnMode", [0; 3]),
    ("VPSS_CHN_MODE_S", "u32Width", [4; 3]),
    ("VPSS_CHN_MODE_S", "u32Height", [8; 3]),
    ("VPSS_CHN_MODE_S", "bDouble", [12; 3]),
    ("VPSS_CHN_MODE_S", "stFrameRate.s32SrcFrmRate", [DASH, 16, 16]),
    ("VPSS_CHN_MODE_S", "stFrameRate.s32DstFrmRate", [DASH, 20, 20]),
    ("VPSS_CHN_MODE_S", "stAspectRatio", [DASH, 24, 24]),
    ("VPSS_CHN_MODE_S", "stAspectRatio.stVideoRect", [DASH, 32, 32]),
    ("VPSS_CHN_MODE_S", "enPixelFormat", [16, 48, 48]),
    ("VPSS_CHN_MODE_S", "enCompressMode", [DASH, 52, 52]),
    ("RGN_ATTR_S", "enType", [0; 3]),
    ("RGN_ATTR_S", "unAttr.enPixelFmt", [4; 3]),
    ("RGN_ATTR_S", "unAttr.u32BgColor", [8; 3]),
    ("RGN_ATTR_S", "unAttr.stSize.u32Width", [12; 3]),
    ("RGN_ATTR_S", "unAttr.stSize.u32Height", [16; 3]),
    ("RGN_CHN_ATTR_S", "bShow", [0; 3]),
    ("RGN_CHN_ATTR_S", "enType", [4; 3]),
    ("RGN_CHN_ATTR_S", "unChnAttr", [8; 3]),
    ("OVERLAY_CHN_ATTR_S", "u32FgAlpha", [8; 3]),
    ("OVERLAY_CHN_ATTR_S", "u32BgAlpha", [12; 3]),
    ("OVERLAY_CHN_ATTR_S", "u32Layer", [16; 3]),
    ("OVERLAY_CHN_ATTR_S", "stQpInfo.bQpDisable", [DASH, 20, 20]),
    ("OVERLAY_CHN_ATTR_S", "stQpInfo.bAbsQp", [20, 24, 24]),
    ("OVERLAY_CHN_ATTR_S", "stQpInfo.s32Qp", [24, 28, 28]),
    ("OVERLAY_CHN_ATTR_S", "stInvertColor.stInvColArea", [28, 32, 32]),
    ("OVERLAY_CHN_ATTR_S", "stInvertColor.bInvColEn", [44, 48, 48]),
    ("VDA_DATA_S", "unData.stMbSadData", [8; 3]),
    ("VDA_DATA_S", "u32MbWidth", [56; 3]),
    ("VDA_DATA_S", "u64Pts", [64; 3]),
];

/// A structure by the name that prototypes use.
fn find<'a>(table: &'a Value, typedef: &str) -> Option<&'a Value> {
    let structures = table.as_object().expect("the table is an object");
    structures
        .iter()
        .find(|(tag, value)| !tag.contains(' ') && value["typedef"] == typedef)
        .map(|(_, value)| value)
}

fn offset(table: &Value, structure: &Value, path: &str) -> Option<u64> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let member = structure["members"].as_array()?.iter().find(|member| member["name"] == name)?;
    let here = member["offset"].as_u64()?;
    match rest {
        Some(rest) => Some(here + offset(table, &table[member["struct"].as_str()?], rest)?),
        None => Some(here),
    }
}

#[test]
fn sizes_are_the_vendors() {
    for (i, generation) in Generation::ALL.into_iter().enumerate() {
        let table = table(generation);
        for (typedef, sizes) in SIZES {
            let size = find(&table, typedef).and_then(|structure| structure["size"].as_u64());
            assert_eq!(size.unwrap_or(DASH), sizes[i], "{generation} {typedef}");
        }
    }
}

#[test]
fn members_lie_where_the_vendor_has_them() {
    for (i, generation) in Generation::ALL.into_iter().enumerate() {
        let table = table(generation);
        for (typedef, path, offsets) in OFFSETS {
            let structure = find(&table, typedef).unwrap_or_else(|| panic!("{generation} {typedef}"));
            let found = offset(&table, structure, path);
            assert_eq!(found.unwrap_or(DASH), offsets[i], "{generation} {typedef}.{path}");
        }
    }
}

#[test]
fn what_grew_is_there_in_both_sizes() {
    let table = table(Generation::G3);
    let late = |tag: &str| &table[format!("{tag} (Hi3531D_MPP_V1.0.5.0)")];
    assert_eq!(late("hiVPSS_GRP_ATTR_S")["size"], 44);
    assert_eq!(late("hiRGN_ATTR_S")["size"], 24);
    assert_eq!(offset(&table, late("hiOVERLAY_ATTR_S"), "u32CanvasNum"), Some(16));
    assert_eq!(table["hiVENC_STREAM_S"]["size"], 376);
}

#[test]
fn an_unknown_generation_is_refused_by_name() {
    assert!(
        Arguments::try_parse_from(["abi", "g2"])
            .is_ok_and(|arguments| arguments.generation == Generation::G2)
    );
    for arguments in [vec!["abi", "g4"], vec!["abi", "G1"], vec!["abi"]] {
        let error = Arguments::try_parse_from(&arguments).err().expect("no such generation");
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
        assert_eq!(error.to_string().contains("there are g1, g2 and g3"), arguments.len() == 2, "{error}");
    }
}
