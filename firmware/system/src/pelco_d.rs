//! Pelco-D: frames of 7 bytes to a camera, and its answers.
//!
//! Source: Pelco TF-0002, "Pelco D Protocol Manual", version 2.1.
//!
//! | Byte | Holds |
//! |---|---|
//! | 0 | FF |
//! | 1 | address, 1 to 255 |
//! | 2, 3 | command: bits for movements, or an odd number for everything else |
//! | 4, 5 | data: pan and tilt speed, 0 to 3F; or a preset's number |
//! | 6 | sum of bytes 1 to 5, modulo 256 |
//!
//! The 4-byte answers to plain commands are not read: they carry alarms that no camera of today has, and their checksum depends on
//! the command they follow.

use crate::ptz::{Focus, Iris, PtzCommand, PtzMove, Zoom};

/// A frame's length.
pub(crate) const FRAME_BYTES: usize = 7;
/// The first byte of every frame.
const SYNC: u8 = 0xFF;
/// The fastest pan and tilt. 40 to FF are "turbo" for pan, which cameras understand differently.
const FASTEST: u8 = 0x3F;

/// Bits of the first command byte.
const FOCUS_NEAR: u8 = 0x01;
const IRIS_OPEN: u8 = 0x02;
const IRIS_CLOSE: u8 = 0x04;
/// Bits of the second one; bit 0 is clear for movements.
const RIGHT: u8 = 0x02;
const LEFT: u8 = 0x04;
const UP: u8 = 0x08;
const DOWN: u8 = 0x10;
const TELE: u8 = 0x20;
const WIDE: u8 = 0x40;
const FOCUS_FAR: u8 = 0x80;
/// What it is for everything else.
const SET_PRESET: u8 = 0x03;
const CLEAR_PRESET: u8 = 0x05;
const CALL_PRESET: u8 = 0x07;

/// A question that cameras with an "extended" command set answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PelcoDQuestion {
    /// Where it points to: left and right.
    Pan,
    /// Where it points to: up and down.
    Tilt,
    /// How far it has zoomed.
    Zoom,
}

/// An answer. The unit of angles is 1/100 degree; what a zoom's number means is the camera's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PelcoDAnswer {
    /// 0 to 35 999, clockwise.
    PanCentidegrees(u16),
    /// 0 to 35 999; 0 is the horizon, and it counts downwards.
    TiltCentidegrees(u16),
    /// 0 to 65 535.
    Zoom(u16),
}

/// The frame that says `command`.
pub(crate) fn encode(address: u8, command: PtzCommand) -> [u8; FRAME_BYTES] {
    let (commands, data) = match command {
        PtzCommand::Stop => ([0, 0], [0, 0]),
        PtzCommand::Move(movement) => {
            (bits(&movement), [movement.pan.step(FASTEST), movement.tilt.step(FASTEST)])
        }
        PtzCommand::SetPreset(preset) => ([0, SET_PRESET], [0, preset.number()]),
        PtzCommand::ClearPreset(preset) => ([0, CLEAR_PRESET], [0, preset.number()]),
        PtzCommand::CallPreset(preset) => ([0, CALL_PRESET], [0, preset.number()]),
    };
    frame(address, commands, data)
}

impl PelcoDQuestion {
    /// The frame that asks it of the camera with this address.
    #[must_use]
    pub fn frame(self, address: crate::ptz::PtzAddress) -> [u8; FRAME_BYTES] {
        let command = match self {
            Self::Pan => 0x51,
            Self::Tilt => 0x53,
            Self::Zoom => 0x55,
        };
        frame(address.number(), [0, command], [0, 0])
    }
}

impl PelcoDAnswer {
    /// Reads a camera's 7 bytes; `None` when they are no answer, another camera's or damaged.
    #[must_use]
    pub fn read(bytes: &[u8; FRAME_BYTES], address: crate::ptz::PtzAddress) -> Option<Self> {
        let [SYNC, from, 0, command, high, low, sum] = *bytes else { return None };
        if from != address.number() || sum != checksum(&[from, 0, command, high, low]) {
            return None;
        }
        let value = u16::from_be_bytes([high, low]);
        match command {
            0x59 => Some(Self::PanCentidegrees(value)),
            0x5B => Some(Self::TiltCentidegrees(value)),
            0x5D => Some(Self::Zoom(value)),
            _ => None,
        }
    }
}

fn bits(movement: &PtzMove) -> [u8; 2] {
    let (mut first, mut second) = (0, 0);
    first |= match movement.iris {
        Some(Iris::Open) => IRIS_OPEN,
        Some(Iris::Close) => IRIS_CLOSE,
        None => 0,
    };
    match movement.focus {
        Some(Focus::Near) => first |= FOCUS_NEAR,
        Some(Focus::Far) => second |= FOCUS_FAR,
        None => {}
    }
    second |= pan_tilt_zoom(movement);
    [first, second]
}

/// The bits that Pelco-D and Pelco-P have in common.
pub(crate) fn pan_tilt_zoom(movement: &PtzMove) -> u8 {
    let way = |way: i8, negative, positive| match way {
        -1 => negative,
        1 => positive,
        _ => 0,
    };
    let zoom = match movement.zoom {
        Some(Zoom::Tele) => TELE,
        Some(Zoom::Wide) => WIDE,
        None => 0,
    };
    way(movement.pan.way(), LEFT, RIGHT) | way(movement.tilt.way(), DOWN, UP) | zoom
}

fn frame(address: u8, [first, second]: [u8; 2], [left, right]: [u8; 2]) -> [u8; FRAME_BYTES] {
    let sum = checksum(&[address, first, second, left, right]);
    [SYNC, address, first, second, left, right, sum]
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ptz::{Preset, PtzAddress, PtzSpeed, strategy};

    fn movement(movement: PtzMove) -> PtzCommand {
        PtzCommand::Move(movement)
    }

    fn pan(percent: i8) -> PtzMove {
        PtzMove { pan: PtzSpeed::percent(percent), ..PtzMove::default() }
    }

    #[test]
    fn frames_are_those_of_public_documents() {
        let preset = |number| Preset::new(number).unwrap();
        let iris = |iris| movement(PtzMove { iris: Some(iris), ..PtzMove::default() });
        let focus = |focus| movement(PtzMove { focus: Some(focus), ..PtzMove::default() });
        let tilt = |percent| movement(PtzMove { tilt: PtzSpeed::percent(percent), ..PtzMove::default() });
        for (address, command, bytes) in [
            // TF-0002, "The Message Format": camera 2 pans left at half speed, and stops.
            (2, movement(pan(-50)), [0xFF, 0x02, 0x00, 0x04, 0x20, 0x00, 0x26]),
            (2, PtzCommand::Stop, [0xFF, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02]),
            // Manuals of cameras: right at 20, left and up and down at 23, lens functions.
            (1, movement(pan(50)), [0xFF, 0x01, 0x00, 0x02, 0x20, 0x00, 0x23]),
            (1, movement(pan(-55)), [0xFF, 0x01, 0x00, 0x04, 0x23, 0x00, 0x28]),
            (1, tilt(55), [0xFF, 0x01, 0x00, 0x08, 0x00, 0x23, 0x2C]),
            (1, tilt(-55), [0xFF, 0x01, 0x00, 0x10, 0x00, 0x23, 0x34]),
            (1, iris(Iris::Open), [0xFF, 0x01, 0x02, 0x00, 0x00, 0x00, 0x03]),
            (1, iris(Iris::Close), [0xFF, 0x01, 0x04, 0x00, 0x00, 0x00, 0x05]),
            (1, focus(Focus::Near), [0xFF, 0x01, 0x01, 0x00, 0x00, 0x00, 0x02]),
            (1, focus(Focus::Far), [0xFF, 0x01, 0x00, 0x80, 0x00, 0x00, 0x81]),
            (1, PtzCommand::SetPreset(preset(1)), [0xFF, 0x01, 0x00, 0x03, 0x00, 0x01, 0x05]),
            (1, PtzCommand::ClearPreset(preset(32)), [0xFF, 0x01, 0x00, 0x05, 0x00, 0x20, 0x26]),
            (1, PtzCommand::CallPreset(preset(255)), [0xFF, 0x01, 0x00, 0x07, 0x00, 0xFF, 0x07]),
        ] {
            assert_eq!(encode(address, command), bytes, "{command:?}");
        }
    }

    #[test]
    fn answers_are_read_and_damaged_or_others_are_not() {
        let one = PtzAddress::new(1).unwrap();
        let read = |bytes: [u8; 7]| PelcoDAnswer::read(&bytes, one);
        let pan = [0xFF, 0x01, 0x00, 0x59, 0x46, 0x50, 0xF0];
        assert_eq!(read(pan), Some(PelcoDAnswer::PanCentidegrees(18_000)));
        assert_eq!(read([0xFF, 1, 0, 0x5B, 0, 1, 0x5D]), Some(PelcoDAnswer::TiltCentidegrees(1)));
        assert_eq!(read([0xFF, 1, 0, 0x5D, 0, 2, 0x60]), Some(PelcoDAnswer::Zoom(2)));
        assert_eq!(read([0xFF, 2, 0, 0x59, 0x46, 0x50, 0xF1]), None);
        for place in 0..7 {
            let mut damaged = pan;
            damaged[place] ^= 0x04;
            assert_eq!(read(damaged), None, "{damaged:02x?}");
        }
        assert_eq!(PelcoDQuestion::Pan.frame(one), [0xFF, 1, 0, 0x51, 0, 0, 0x52]);
        assert_eq!(PelcoDQuestion::Tilt.frame(one), [0xFF, 1, 0, 0x53, 0, 0, 0x54]);
        assert_eq!(PelcoDQuestion::Zoom.frame(one), [0xFF, 1, 0, 0x55, 0, 0, 0x56]);
    }

    /// What a camera makes of a frame; speeds in steps.
    fn decode(frame: [u8; 7]) -> (u8, PtzCommand) {
        let [sync, address, first, second, left, right, sum] = frame;
        assert_eq!(sync, 0xFF);
        assert_eq!(u32::from(sum), (1..6).map(|at| u32::from(frame[at])).sum::<u32>() % 256);
        let preset = || Preset::new(right).unwrap();
        let has = |byte: u8, bit: u8| byte >> bit & 1 == 1;
        let speed = |steps: u8, back: bool, forth: bool| {
            assert!(!(back && forth) && steps <= 0x3F && (steps > 0) == (back || forth), "{frame:02x?}");
            let percent = i8::try_from(u16::from(steps) * 100 / 0x3F).unwrap();
            PtzSpeed::percent(if back { -percent } else { percent })
        };
        let command = match (first, second, left) {
            (0, 0x03, 0) => PtzCommand::SetPreset(preset()),
            (0, 0x05, 0) => PtzCommand::ClearPreset(preset()),
            (0, 0x07, 0) => PtzCommand::CallPreset(preset()),
            (0, 0, 0) => PtzCommand::Stop,
            _ => {
                assert!(!has(second, 0), "a movement with the bit of an extended command");
                PtzCommand::Move(PtzMove {
                    pan: speed(left, has(second, 2), has(second, 1)),
                    tilt: speed(right, has(second, 4), has(second, 3)),
                    zoom: [has(second, 5).then_some(Zoom::Tele), has(second, 6).then_some(Zoom::Wide)]
                        .into_iter()
                        .flatten()
                        .next(),
                    focus: [has(first, 0).then_some(Focus::Near), has(second, 7).then_some(Focus::Far)]
                        .into_iter()
                        .flatten()
                        .next(),
                    iris: [has(first, 1).then_some(Iris::Open), has(first, 2).then_some(Iris::Close)]
                        .into_iter()
                        .flatten()
                        .next(),
                })
            }
        };
        (address, command)
    }

    proptest! {
        #[test]
        fn a_camera_understands_every_command(address in 1u8.., command in strategy::command()) {
            let (to, understood) = decode(encode(address, command));
            prop_assert_eq!(to, address);
            // Percents are coarser on the line; the same steps are the same speed.
            prop_assert_eq!(encode(address, understood), encode(address, command));
            prop_assert_eq!(std::mem::discriminant(&understood), std::mem::discriminant(&command));
        }
    }
}
