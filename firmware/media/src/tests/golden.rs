//! Golden dumps of init segments; what is read from cameras' parameter sets.

use bytes::Bytes;
use hal::{AudioCodec, AudioFormat, FrameRate, Resolution, VideoCodec};
use mp4_atom::{Any, Decode};

use crate::{NalKind, ParameterSets, SampleEntry, TrackInit, VideoParams, init_segment};

/// High profile at 1920x1080, 25 frames a second, cropped from 1088 lines (x264).
pub(super) const H264_SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04,
    0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
];
pub(super) const H264_PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// The sets of the MPEG file format conformance clip that mp4-atom tests with: Main, 960x540 (the VPS speaks of 1920x1080 for a
/// second layer, which nobody here decodes).
pub(super) const H265_VPS: &[u8] = &[
    0x40, 0x01, 0x0c, 0x11, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
    0x00, 0x00, 0x03, 0x00, 0x7b, 0x94, 0x90, 0x57, 0x00, 0x00, 0x03, 0x03, 0xe9, 0x00, 0x00, 0xea, 0x60,
    0x7f, 0x7b, 0x10, 0x00, 0x04, 0x30, 0x24, 0xcf, 0x75, 0x88, 0x0f, 0x00, 0x08, 0x82, 0x80, 0x7b, 0x07,
    0x80, 0x04, 0x38, 0xa0, 0x0e, 0x0a, 0x52, 0x7b, 0x90, 0xa0, 0x20, 0x20, 0x2c, 0x10,
];
pub(super) const H265_SPS: &[u8] = &[
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
    0x00, 0x7b, 0xa0, 0x07, 0x82, 0x00, 0x88, 0x7d, 0xe5, 0x94, 0x99, 0x24, 0x6d, 0x86, 0x96, 0x22, 0xaa,
    0x4c, 0x4c, 0x32, 0xfb, 0x3e, 0xbc, 0xdf, 0x96, 0x7d, 0x78, 0x51, 0x18, 0x9c, 0xbb, 0x64,
];
pub(super) const H265_PPS: &[u8] = &[0x44, 0x01, 0xc1, 0xa5, 0x58, 0x11, 0xd0, 0x2a];

pub(super) fn sets(vps: &'static [u8], sps: &'static [u8], pps: &'static [u8]) -> ParameterSets {
    let mut sets = ParameterSets::default();
    for (kind, nal) in [(NalKind::Vps, vps), (NalKind::Sps, sps), (NalKind::Pps, pps)] {
        if !nal.is_empty() {
            sets.push(kind, Bytes::from_static(nal)).unwrap();
        }
    }
    sets
}

fn dump(tracks: &[TrackInit]) -> Vec<Any> {
    let bytes = init_segment(tracks).unwrap();
    let mut rest = &bytes[..];
    let mut boxes = Vec::new();
    while !rest.is_empty() {
        boxes.push(Any::decode(&mut rest).unwrap());
    }
    boxes
}

#[test]
fn h264_and_aac_init_segment() {
    let params = VideoParams::new(VideoCodec::H264, &sets(&[], H264_SPS, H264_PPS)).unwrap();
    assert_eq!(params.resolution, Resolution { width: 1920, height: 1080 });
    assert_eq!(params.frame_rate, Some(FrameRate { numerator: 25, denominator: 1 }));
    assert_eq!(params.rfc6381, "avc1.640028");
    let aac =
        AudioFormat { codec: AudioCodec::Aac, sample_rate: 48_000, channels: 2, config: vec![0x11, 0x90] };
    let audio = SampleEntry::Audio(aac);
    assert_eq!(audio.rfc6381(), "mp4a.40.2");
    insta::assert_debug_snapshot!(dump(&[
        TrackInit { id: 1, entry: SampleEntry::Video(params) },
        TrackInit { id: 2, entry: audio },
    ]));
}

#[test]
fn h265_init_segment() {
    let params = VideoParams::new(VideoCodec::H265, &sets(H265_VPS, H265_SPS, H265_PPS)).unwrap();
    assert_eq!(params.resolution, Resolution { width: 960, height: 540 });
    assert_eq!(params.rfc6381, "hvc1.1.6.L123");
    insta::assert_debug_snapshot!(dump(&[TrackInit { id: 1, entry: SampleEntry::Video(params) }]));
}

#[test]
fn missing_sets_are_named() {
    let missing = |codec, sets| VideoParams::new(codec, &sets).unwrap_err().to_string();
    assert_eq!(
        missing(VideoCodec::H264, sets(&[], &[], H264_PPS)),
        "the stream has no sequence parameter set"
    );
    assert_eq!(
        missing(VideoCodec::H264, sets(&[], H264_SPS, &[])),
        "the stream has no picture parameter set"
    );
    assert_eq!(
        missing(VideoCodec::H265, sets(&[], H265_SPS, H265_PPS)),
        "the stream has no video parameter set"
    );
}

#[test]
fn a_broken_vui_costs_only_the_frame_rate() {
    // Cut inside the VUI.
    let params = VideoParams::new(VideoCodec::H264, &sets(&[], &H264_SPS[..18], H264_PPS)).unwrap();
    assert_eq!(params.resolution, Resolution { width: 1920, height: 1080 });
    assert_eq!(params.frame_rate, None);
}
