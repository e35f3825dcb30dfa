//! Frames of camera control over the coaxial cable, as bytes.
//!
//! What goes over the cable depends on the picture's standard:
//! - composite and AHD carry PELCO-D's two command and two data bytes ("ACP"); at 720 lines the second command byte takes the place
//!   of the first data byte, so that pan has no speed;
//! - TVI has eight bytes: B5, address, command, tilt speed or preset, pan speed, two zeros, the sum of the seven before;
//! - CVI has PELCO-D's seven bytes with A5 for the first one, address 1, and the sum of the six before.
//!
//! Sources: the public Linux drivers of NVP6124 and NVP6134 (all three), Techpoint's (which bit goes first) and PTZ code of public
//! recorder software for TVI. Commands that none of them shows are not sent. No camera has been tried.
//!
//! Does not belong here: how a chip puts the bits on lines of the blanking interval.

use hal::{AnalogFormat, AnalogStandard, CoaxCommand, CoaxSpeed, ErrorKind, HalError};

/// The preset that opens a camera's menu.
const MENU_PRESET: u8 = 95;

/// CVI's speed: the only one that a public driver sends; its scale is not known.
const CVI_SPEED: u8 = 0x9F;

/// A frame for a standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// For composite video.
    Composite([u8; 4]),
    /// For AHD of 720 lines, 25 or 30 frames a second.
    Ahd720([u8; 4]),
    /// For AHD of 1080 lines, 25 or 30 frames a second.
    Ahd1080([u8; 4]),
    /// For TVI.
    Tvi([u8; 8]),
    /// For CVI.
    Cvi([u8; 7]),
}

/// The frame that tells a camera which sends `format`. `Unsupported` when nothing is known for that format or command.
pub(super) fn frame(format: &AnalogFormat, command: CoaxCommand) -> Result<Frame, HalError> {
    let slow = format.frame_rate.numerator <= 30;
    let frame = match (format.standard, format.resolution.height) {
        (AnalogStandard::Pal | AnalogStandard::Ntsc, _) => pelco_d(command).map(Frame::Composite),
        (AnalogStandard::Ahd, 720) if slow => {
            pelco_d(command).map(|[first, second, _, tilt]| Frame::Ahd720([first, second, second, tilt]))
        }
        (AnalogStandard::Ahd, 1080) if slow => pelco_d(command).map(Frame::Ahd1080),
        (AnalogStandard::Tvi, _) => tvi(command).map(Frame::Tvi),
        (AnalogStandard::Cvi, _) => cvi(command).map(Frame::Cvi),
        _ => None,
    };
    frame.ok_or_else(|| {
        let message = format!("no frame is known for {command:?} to a camera of {format:?}");
        HalError::new(ErrorKind::Unsupported, message)
    })
}

/// PELCO-D's command and data bytes.
fn pelco_d(command: CoaxCommand) -> Option<[u8; 4]> {
    Some(match command {
        CoaxCommand::Stop => [0, 0, 0, 0],
        CoaxCommand::Up(speed) => [0, 0x08, 0, speed.get()],
        CoaxCommand::Down(speed) => [0, 0x10, 0, speed.get()],
        CoaxCommand::Left(speed) => [0, 0x04, speed.get(), 0],
        CoaxCommand::Right(speed) => [0, 0x02, speed.get(), 0],
        CoaxCommand::ZoomIn => [0, 0x20, 0, 0],
        CoaxCommand::ZoomOut => [0, 0x40, 0, 0],
        CoaxCommand::FocusNear => [0x01, 0, 0, 0],
        CoaxCommand::FocusFar => [0, 0x80, 0, 0],
        CoaxCommand::IrisOpen => [0x02, 0, 0, 0],
        CoaxCommand::IrisClose => [0x04, 0, 0, 0],
        CoaxCommand::Menu => [0, 0x03, 0, MENU_PRESET],
        CoaxCommand::GoToPreset(preset) => [0, 0x07, 0, preset],
        CoaxCommand::SetPreset(preset) => [0, 0x03, 0, preset],
    })
}

fn tvi(command: CoaxCommand) -> Option<[u8; 8]> {
    let (code, tilt, pan) = match command {
        CoaxCommand::Stop => (0x14, 0, 0),
        CoaxCommand::Up(speed) => (0x06, speed.get(), 0),
        CoaxCommand::Down(speed) => (0x07, speed.get(), 0),
        CoaxCommand::Right(speed) => (0x08, 0, speed.get()),
        CoaxCommand::Left(speed) => (0x09, 0, speed.get()),
        CoaxCommand::IrisClose => (0x0E, 0, 0),
        CoaxCommand::IrisOpen => (0x0F, 0, 0),
        CoaxCommand::FocusNear => (0x10, 0, 0),
        CoaxCommand::FocusFar => (0x11, 0, 0),
        CoaxCommand::ZoomIn => (0x12, 0, 0),
        CoaxCommand::ZoomOut => (0x13, 0, 0),
        CoaxCommand::SetPreset(preset) => (0x15, preset, 0),
        CoaxCommand::GoToPreset(preset) => (0x17, preset, 0),
        CoaxCommand::Menu => (0x17, MENU_PRESET, 0),
    };
    let head = [0xB5, 0, code, tilt, pan, 0, 0];
    Some([head[0], head[1], head[2], head[3], head[4], head[5], head[6], sum(&head)])
}

fn cvi(command: CoaxCommand) -> Option<[u8; 7]> {
    let turns = |speed: CoaxSpeed| if speed.get() == 0 { 0 } else { CVI_SPEED };
    let (code, pan, tilt) = match command {
        CoaxCommand::Stop => (0, 0, 0),
        CoaxCommand::Up(speed) => (0x08, 0, turns(speed)),
        CoaxCommand::Down(speed) => (0x04, 0, turns(speed)),
        CoaxCommand::Left(speed) => (0x02, turns(speed), 0),
        CoaxCommand::Right(speed) => (0x01, turns(speed), 0),
        CoaxCommand::ZoomIn => (0x41, 0, 0),
        CoaxCommand::ZoomOut => (0x42, 0, 0),
        CoaxCommand::FocusFar => (0x44, 0, 0),
        CoaxCommand::FocusNear => (0x48, 0, 0),
        CoaxCommand::IrisOpen => (0x50, 0, 0),
        CoaxCommand::IrisClose => (0x60, 0, 0),
        CoaxCommand::Menu => (0x89, 1, 0),
        CoaxCommand::GoToPreset(_) | CoaxCommand::SetPreset(_) => return None,
    };
    let head = [0xA5, 1, code, pan, tilt, 0];
    Some([head[0], head[1], head[2], head[3], head[4], head[5], sum(&head)])
}

/// The sum of `bytes`, modulo 256.
fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(standard: AnalogStandard, height: u16, command: CoaxCommand) -> Result<Frame, HalError> {
        frame(&AnalogFormat::progressive(standard, height, 25), command)
    }

    /// Frames as the public drivers of the NVP6134 have them.
    #[test]
    fn frames_are_those_of_public_drivers() {
        use AnalogStandard::{Ahd, Cvi, Tvi};
        use CoaxCommand::{Down, IrisOpen, Left, Menu, Right, Stop, Up, ZoomIn};
        let speed = CoaxSpeed::new(0x32);
        let pal = AnalogFormat::composite(AnalogStandard::Pal, 960);
        assert_eq!(frame(&pal, Up(speed)).unwrap(), Frame::Composite([0, 0x08, 0, 0x32]));
        assert_eq!(of(Ahd, 720, Left(speed)).unwrap(), Frame::Ahd720([0, 0x04, 0x04, 0]));
        assert_eq!(of(Ahd, 1080, Left(speed)).unwrap(), Frame::Ahd1080([0, 0x04, 0x32, 0]));
        assert_eq!(of(Ahd, 1080, Menu).unwrap(), Frame::Ahd1080([0, 0x03, 0, 0x5F]));
        let speed = CoaxSpeed::new(0x24);
        assert_eq!(of(Tvi, 720, Down(speed)).unwrap(), Frame::Tvi([0xB5, 0, 0x07, 0x24, 0, 0, 0, 0xE0]));
        assert_eq!(of(Tvi, 1080, Right(speed)).unwrap(), Frame::Tvi([0xB5, 0, 0x08, 0, 0x24, 0, 0, 0xE1]));
        assert_eq!(of(Tvi, 1080, Stop).unwrap(), Frame::Tvi([0xB5, 0, 0x14, 0, 0, 0, 0, 0xC9]));
        assert_eq!(of(Cvi, 720, Left(speed)).unwrap(), Frame::Cvi([0xA5, 1, 0x02, 0x9F, 0, 0, 0x47]));
        assert_eq!(of(Cvi, 720, Menu).unwrap(), Frame::Cvi([0xA5, 1, 0x89, 1, 0, 0, 0x30]));
        assert_eq!(of(Cvi, 1080, IrisOpen).unwrap(), Frame::Cvi([0xA5, 1, 0x50, 0, 0, 0, 0xF6]));
        assert_eq!(of(Cvi, 1080, ZoomIn).unwrap(), Frame::Cvi([0xA5, 1, 0x41, 0, 0, 0, 0xE7]));
        assert_eq!(of(Cvi, 1080, Stop).unwrap(), Frame::Cvi([0xA5, 1, 0, 0, 0, 0, 0xA6]));
    }

    #[test]
    fn what_no_source_shows_is_not_sent() {
        let fast = AnalogFormat::progressive(AnalogStandard::Ahd, 720, 50);
        for refused in [
            frame(&fast, CoaxCommand::Stop),
            of(AnalogStandard::Ahd, 1536, CoaxCommand::Stop),
            of(AnalogStandard::Cvi, 1080, CoaxCommand::GoToPreset(1)),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}
