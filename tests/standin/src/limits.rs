//! How much of everything a generation has (`hi_defines.h`).

use mpp_abi::Generation;

/// Numbers go from 0 to one below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) vi_devices: i32,
    pub(crate) vi_channels: i32,
    pub(crate) vpss_groups: i32,
    pub(crate) vpss_channels: i32,
    pub(crate) encoders: i32,
    pub(crate) detectors: i32,
    pub(crate) ai_devices: i32,
    pub(crate) ai_channels: i32,
    pub(crate) sound_encoders: i32,
    pub(crate) screens: i32,
    pub(crate) layers: i32,
    /// Channels of a layer.
    pub(crate) screen_channels: i32,
    /// Largest side of a picture that is encoded as H.264.
    pub(crate) encoder_side: u32,
}

/// Regions of all kinds, everywhere.
pub(crate) const REGIONS: u32 = 1024;
/// Overlays on one channel, everywhere.
pub(crate) const OVERLAYS: usize = 8;
/// Covers on one channel, everywhere.
pub(crate) const COVERS: usize = 4;

/// Those of a generation: of Hi3520DV200, Hi3521A and Hi3531D.
pub(crate) const fn of(generation: Generation) -> Limits {
    match generation {
        Generation::G1 => Limits {
            vi_devices: 2,
            vi_channels: 8,
            vpss_groups: 128,
            vpss_channels: 5,
            encoders: 64,
            detectors: 32,
            ai_devices: 1,
            ai_channels: 16,
            sound_encoders: 32,
            screens: 6,
            layers: 6,
            screen_channels: 64,
            encoder_side: 2048,
        },
        Generation::G2 => Limits {
            vi_devices: 4,
            vi_channels: 16,
            vpss_groups: 256,
            vpss_channels: 12,
            encoders: 128,
            detectors: 128,
            ai_devices: 2,
            ai_channels: 16,
            sound_encoders: 32,
            screens: 6,
            layers: 7,
            screen_channels: 32,
            encoder_side: 2592,
        },
        Generation::G3 => Limits {
            vi_devices: 9,
            vi_channels: 33,
            vpss_groups: 256,
            vpss_channels: 12,
            encoders: 128,
            detectors: 128,
            ai_devices: 3,
            ai_channels: 20,
            sound_encoders: 49,
            screens: 9,
            layers: 10,
            screen_channels: 64,
            encoder_side: 4096,
        },
    }
}
