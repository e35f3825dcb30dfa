//! Numbers, errors and versions against what is known of the vendor's library.
//!
//! They are typed from the public headers and the libraries' own text, not taken from the code under test.

use mpp_abi::{Codes, Dialect, ErrorCode, Generation, MppError, describe, error, recognise, value};

/// One that differs: its name, how to read it, and G1, G2, G3 of 1.0.3.0, G3 of 1.0.5.0. A dash is none.
type Row = (&'static str, fn(&Codes) -> Option<i32>, [i32; 4]);

const DASH: i32 = -1;

const DIFFERENT: &[Row] = &[
    ("module RGN", |c| Some(c.mod_rgn), [18, 3, 3, 3]),
    ("module VPSS", |c| Some(c.mod_vpss), [8, 7, 7, 7]),
    ("module VENC", |c| Some(c.mod_venc), [7, 8, 8, 8]),
    ("H264 CBR", |c| Some(c.rc_h264_cbr), [1, 1, 1, 1]),
    ("H264 VBR", |c| Some(c.rc_h264_vbr), [2, 2, 2, 2]),
    ("H264 AVBR", |c| c.rc_h264_avbr, [DASH, 3, 3, 3]),
    ("H264 QVBR", |c| c.rc_h264_qvbr, [DASH, DASH, DASH, 4]),
    ("H264 FIXQP", |c| Some(c.rc_h264_fixqp), [4, 5, 4, 5]),
    ("H264 QPMAP", |c| c.rc_h264_qpmap, [DASH, DASH, 5, 6]),
    ("MJPEG CBR", |c| Some(c.rc_mjpeg_cbr), [5, 6, 6, 7]),
    ("MJPEG VBR", |c| Some(c.rc_mjpeg_vbr), [6, 7, 7, 8]),
    ("MJPEG FIXQP", |c| Some(c.rc_mjpeg_fixqp), [8, 9, 8, 9]),
    ("H265 CBR", |c| c.rc_h265_cbr, [DASH, 14, 9, 10]),
    ("H265 VBR", |c| c.rc_h265_vbr, [DASH, 15, 10, 11]),
    ("H265 AVBR", |c| c.rc_h265_avbr, [DASH, 16, 11, 12]),
    ("H265 FIXQP", |c| c.rc_h265_fixqp, [DASH, 17, 12, 14]),
    ("semiplanar 4:2:0", |c| Some(c.semiplanar_420), [19, 23, 23, 23]),
    ("semiplanar 4:2:2", |c| Some(c.semiplanar_422), [18, 22, 22, 22]),
    ("DIE off", |c| Some(c.die_off), [1, 0, 0, 0]),
    ("DIE auto", |c| Some(c.die_auto), [0, 1, 1, 1]),
    ("DIE on", |c| Some(c.die_on), [2, 2, 2, 2]),
    ("H264 NALU IDR", |c| Some(c.nalu_h264_idr), [5, 5, 5, 5]),
    ("H264 NALU I", |c| Some(c.nalu_h264_i), [5, 5, 2, 2]),
    ("payload H265", |c| c.payload_h265, [DASH, 265, 265, 265]),
    ("1080p at 60", |c| Some(c.vo_sync.p1080_60), [10, 12, 12, 12]),
    ("user's timing", |c| Some(c.vo_sync.user), [25, 33, 33, 33]),
];

#[test]
fn values_that_differ() {
    for (name, read, expected) in DIFFERENT {
        let found = Dialect::ALL.map(|dialect| read(dialect.codes()).unwrap_or(DASH));
        assert_eq!(found, *expected, "{name}");
    }
}

#[test]
fn values_that_do_not() {
    use value::*;
    let modules = [MOD_VB, MOD_SYS, MOD_VDEC, MOD_GROUP, MOD_VDA, MOD_VOU, MOD_VIU, MOD_AI, MOD_AO, MOD_AENC];
    assert_eq!(modules, [1, 2, 5, 6, 9, 15, 16, 21, 22, 23]);
    let payloads = [PT_PCMA, PT_G711A, PT_G711U, PT_JPEG, PT_H264, PT_H265, PT_MJPEG];
    assert_eq!(payloads, [8, 19, 20, 26, 96, 265, 1002]);
    assert_eq!([ARGB1555, RGB8888], [8, 10]);
    let interfaces = [VI_BT656, VI_BT601, VI_DIGITAL_CAMERA, VI_BT1120_STANDARD, VI_BT1120_INTERLEAVED];
    assert_eq!(interfaces, [0, 1, 2, 3, 4]);
    assert_eq!([VI_MULTIPLEX_1, VI_MULTIPLEX_2, VI_MULTIPLEX_4], [0, 1, 2]);
    assert_eq!([RGN_OVERLAY, RGN_COVER, RGN_COVER_EX, RGN_OVERLAY_EX], [0, 1, 2, 3]);
    assert_eq!([AIO_I2S_MASTER, AIO_I2S_SLAVE, AUDIO_16_BIT], [0, 1, 1]);
    assert_eq!([PROFILE_BASE, PROFILE_MAIN, PROFILE_HIGH], [0, 1, 2]);
}

#[test]
fn an_empty_encoder_answers_by_its_generation() {
    let empty = |dialect: Dialect| error(dialect.codes().mod_venc, ErrorCode::Empty).cast_unsigned();
    assert_eq!(empty(Dialect::G1), 0xA007_800E);
    assert_eq!(empty(Dialect::G2), 0xA008_800E);
    assert_eq!(empty(Dialect::G3Late), 0xA008_800E);

    let words = describe(Generation::G1, 0xA007_800E_u32.cast_signed()).to_string();
    assert_eq!(words, "VENC: the buffer is empty (0xA007800E)");
}

#[test]
fn codes_are_numbered_as_the_vendor_numbers_them() {
    let numbers = [
        (ErrorCode::BadChannel, 2_u32),
        (ErrorCode::BadParameter, 3),
        (ErrorCode::Exists, 4),
        (ErrorCode::Unexists, 5),
        (ErrorCode::NotConfigured, 7),
        (ErrorCode::Unsupported, 8),
        (ErrorCode::NotPermitted, 9),
        (ErrorCode::NoMemory, 12),
        (ErrorCode::NoBuffer, 13),
        (ErrorCode::Empty, 14),
        (ErrorCode::Full, 15),
        (ErrorCode::NotReady, 16),
        (ErrorCode::Busy, 18),
    ];
    for (code, number) in numbers {
        let parts = MppError::from_return((0xA010_8000 | number).cast_signed()).expect("the scheme");
        assert_eq!((parts.module, parts.known()), (16, Some(code)));
    }
}

#[test]
fn libraries_that_were_seen_are_recognised() {
    let seen = [
        ("Hi3520D_MPP_V2.0.5.1", Dialect::G1),
        ("Hi3521A_MPP_V1.0.5.0 B030 Release", Dialect::G2),
        ("Hi3521A_MPP_V1.0.4.0", Dialect::G2),
        ("HI_VERSION=Hi3531D_MPP_V1.0.3.0 B040 Release", Dialect::G3Early),
        ("HI_VERSION=Hi3531D_MPP_V1.0.5.0 B040 Release", Dialect::G3Late),
    ];
    for (text, dialect) in seen {
        assert_eq!(recognise(text).ok(), Some(dialect), "{text}");
    }
    assert!(recognise("Hi3536D_MPP_V1.0.5.0").is_err_and(|error| error.text() == "Hi3536D_MPP_V1.0.5.0"));
}
