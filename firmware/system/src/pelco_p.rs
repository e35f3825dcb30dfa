//! Pelco-P: frames of 8 bytes to a camera.
//!
//! Source: Pelco C466M, section 5.3, and public manuals of cameras.
//!
//! | Byte | Holds |
//! |---|---|
//! | 0 | A0 |
//! | 1 | address, from 0 with Pelco's own receivers |
//! | 2, 3 | command: bits for movements, or an odd number for everything else |
//! | 4, 5 | data: pan and tilt speed, 0 to 3F; or a preset's number |
//! | 6 | AF |
//! | 7 | exclusive or of bytes 0 to 6 |
//!
//! The second command byte and the data are Pelco-D's; focus and iris are at other bits. A receiver may answer with one byte,
//! [`PELCO_P_ACKNOWLEDGED`]; most say nothing.

use crate::pelco_d::pan_tilt_zoom;
use crate::ptz::{Focus, Iris, PtzCommand, PtzMove};

/// A frame's length.
pub(crate) const FRAME_BYTES: usize = 8;
/// The highest address on the line of Pelco's own receivers.
pub(crate) const MAX_ADDRESS: u8 = 0x1F;
/// The one byte that receivers of the first generation answer with.
pub const PELCO_P_ACKNOWLEDGED: u8 = 0xA2;

/// The first and the last but one byte of every frame.
const START: u8 = 0xA0;
const END: u8 = 0xAF;
/// The fastest pan and tilt; 40 is "turbo" for pan.
const FASTEST: u8 = 0x3F;

/// Bits of the first command byte.
const FOCUS_FAR: u8 = 0x01;
const FOCUS_NEAR: u8 = 0x02;
const IRIS_OPEN: u8 = 0x04;
const IRIS_CLOSE: u8 = 0x08;
/// The second one for everything that is no movement.
const SET_PRESET: u8 = 0x03;
const CLEAR_PRESET: u8 = 0x05;
const CALL_PRESET: u8 = 0x07;

/// The frame that says `command` to `address`, as it is on the line.
pub(crate) fn encode(address: u8, command: PtzCommand) -> [u8; FRAME_BYTES] {
    let ([first, second], [left, right]) = match command {
        PtzCommand::Stop => ([0, 0], [0, 0]),
        PtzCommand::Move(movement) => (
            [lens(&movement), pan_tilt_zoom(&movement)],
            [movement.pan.step(FASTEST), movement.tilt.step(FASTEST)],
        ),
        PtzCommand::SetPreset(preset) => ([0, SET_PRESET], [0, preset.number()]),
        PtzCommand::ClearPreset(preset) => ([0, CLEAR_PRESET], [0, preset.number()]),
        PtzCommand::CallPreset(preset) => ([0, CALL_PRESET], [0, preset.number()]),
    };
    let said = [START, address, first, second, left, right, END];
    let check = said.iter().fold(0, |check, byte| check ^ byte);
    [START, address, first, second, left, right, END, check]
}

fn lens(movement: &PtzMove) -> u8 {
    let focus = match movement.focus {
        Some(Focus::Far) => FOCUS_FAR,
        Some(Focus::Near) => FOCUS_NEAR,
        None => 0,
    };
    let iris = match movement.iris {
        Some(Iris::Open) => IRIS_OPEN,
        Some(Iris::Close) => IRIS_CLOSE,
        None => 0,
    };
    focus | iris
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pelco_d;
    use crate::ptz::{Preset, PtzSpeed, Zoom, strategy};

    #[test]
    fn frames_are_those_of_public_documents() {
        let preset = |number| Preset::new(number).unwrap();
        let still = PtzMove::default();
        let (left, up) = (PtzSpeed::percent(-50), PtzSpeed::percent(50));
        for (address, command, bytes) in [
            // The tables of public manuals, with speed 20; the check is the XOR of what stands before it.
            (0, PtzCommand::Move(PtzMove { pan: left, ..still }), [0xA0, 0, 0, 0x04, 0x20, 0, 0xAF, 0x2B]),
            (0, PtzCommand::Move(PtzMove { tilt: up, ..still }), [0xA0, 0, 0, 0x08, 0, 0x20, 0xAF, 0x27]),
            (
                1,
                PtzCommand::Move(PtzMove { zoom: Some(Zoom::Tele), ..still }),
                [0xA0, 1, 0, 0x20, 0, 0, 0xAF, 0x2E],
            ),
            (
                1,
                PtzCommand::Move(PtzMove { zoom: Some(Zoom::Wide), ..still }),
                [0xA0, 1, 0, 0x40, 0, 0, 0xAF, 0x4E],
            ),
            (
                1,
                PtzCommand::Move(PtzMove { focus: Some(Focus::Far), ..still }),
                [0xA0, 1, 1, 0, 0, 0, 0xAF, 0x0F],
            ),
            (
                1,
                PtzCommand::Move(PtzMove { focus: Some(Focus::Near), ..still }),
                [0xA0, 1, 2, 0, 0, 0, 0xAF, 0x0C],
            ),
            (
                1,
                PtzCommand::Move(PtzMove { iris: Some(Iris::Open), ..still }),
                [0xA0, 1, 4, 0, 0, 0, 0xAF, 0x0A],
            ),
            (
                1,
                PtzCommand::Move(PtzMove { iris: Some(Iris::Close), ..still }),
                [0xA0, 1, 8, 0, 0, 0, 0xAF, 0x06],
            ),
            (0, PtzCommand::Stop, [0xA0, 0, 0, 0, 0, 0, 0xAF, 0x0F]),
            (0, PtzCommand::SetPreset(preset(1)), [0xA0, 0, 0, 3, 0, 1, 0xAF, 0x0D]),
            (0, PtzCommand::ClearPreset(preset(2)), [0xA0, 0, 0, 5, 0, 2, 0xAF, 0x08]),
            (0, PtzCommand::CallPreset(preset(3)), [0xA0, 0, 0, 7, 0, 3, 0xAF, 0x0B]),
        ] {
            assert_eq!(encode(address, command), bytes, "{command:?}");
        }
    }

    proptest! {
        /// A frame says what Pelco-D's says: all but focus and iris is at the same place, and those are told apart.
        #[test]
        fn a_camera_understands_every_command(address in 0u8..=MAX_ADDRESS, command in strategy::command()) {
            let frame = encode(address, command);
            let [start, to, first, second, left, right, end, check] = frame;
            prop_assert_eq!((start, to, end), (0xA0, address, 0xAF));
            prop_assert_eq!(frame[..7].iter().fold(check, |check, byte| check ^ byte), 0);
            let other = pelco_d::encode(1, command);
            prop_assert_eq!([second, left, right], [other[3] & 0x7F, other[4], other[5]]);
            let has = |bit: u8| first >> bit & 1 == 1;
            let (far, near) = (other[3] & 0x80 != 0, other[2] & 1 != 0);
            prop_assert_eq!((has(0), has(1)), (far, near));
            prop_assert_eq!((has(2), has(3)), (other[2] & 2 != 0, other[2] & 4 != 0));
            prop_assert_eq!(first & 0xF0, 0);
        }
    }
}
