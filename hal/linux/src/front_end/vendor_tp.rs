//! TP2823, TP2827 and TP2853 through Techpoint's kernel driver (`/dev/tp2823dev`).
//!
//! The driver says whether a port has a signal, and how many lines and frames it has; the standard is the one that the port was set to.
//! Versions before 0.6 take TVI alone. Left alone, a port counts as TVI's; composite cameras need a fixed mode.
//!
//! Source: the driver's public versions 0.3.4 (TP2823) and 0.6.4 (TP2827, TP2853) in a HiSilicon SDK. Checked against what they answer by
//! their code, not against a driver that runs. Not done: AHD and CVI found by themselves (`tp28xx.rs` does that on the bus).

use hal::{
    AnalogFormat, AnalogMode, AnalogStandard, CoaxCommand, CoaxControl, ErrorKind, FrontEnd, HalError,
};

use super::coax::{Frame, frame};
use super::ports::{Ports, no_camera};
use super::vendor_modes::Modes;
use super::vendor_node::{Node, Request};

/// Ports of each of these chips.
const PORTS: u8 = 4;

/// The driver's code for composite video, and for a shape that it does not know.
const COMPOSITE: u8 = 6;

/// A decoder behind that driver.
#[derive(Debug)]
pub(super) struct VendorTp<N> {
    node: N,
    /// Driver 0.6, or 0.3.
    newer: bool,
    chip: u8,
    ports: Ports,
    modes: Modes,
}

impl<N: Node> VendorTp<N> {
    /// `chip` counts the driver's chips from 0.
    pub(super) fn new(node: N, newer: bool, chip: u8) -> Self {
        Self { node, newer, chip, ports: Ports::new(PORTS), modes: Modes::new(PORTS) }
    }

    fn words(&self) -> String {
        format!("Techpoint decoder {}", self.chip)
    }

    fn detected(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        let what = format!("lock of port {port} of {}", self.words());
        let mut loss = [self.chip, port, 0];
        self.node.call(Request::TP_LOSS, &mut loss, &what)?;
        if loss[2] != 0 {
            return Ok(None);
        }
        let mut mode = [self.chip, port, 0, 0];
        self.node.call(Request::TP_MODE, &mut mode, &what)?;
        let set = self.modes.set(port);
        let code = mode[2] & 0x07;
        if code == COMPOSITE {
            return Ok(set.filter(|set| set.interlaced));
        }
        let Some((lines, rate)) = shape(code) else { return Ok(None) };
        let tvi = AnalogFormat::progressive(AnalogStandard::Tvi, lines, rate);
        let same = |set: &AnalogFormat| (set.resolution, set.frame_rate) == (tvi.resolution, tvi.frame_rate);
        Ok(Some(set.filter(same).unwrap_or(tvi)))
    }

    fn apply(&mut self, port: u8, format: AnalogFormat) -> Result<(), HalError> {
        let what = format!("mode of port {port} of {}", self.words());
        let Some((mode, standard)) = mode(&format).filter(|(mode, _)| self.newer || *mode < COMPOSITE) else {
            let message = format!("{}'s driver cannot set {format:?}", self.words());
            return Err(HalError::new(ErrorKind::Unsupported, message));
        };
        if self.newer {
            self.node.call(Request::TP_SET_MODE_06, &mut [self.chip, port, mode, standard], &what)?;
        } else if standard == 0 {
            self.node.call(Request::TP_SET_MODE_03, &mut [self.chip, port, mode], &what)?;
        } else {
            let message = format!("this version of {}'s driver sets TVI alone", self.words());
            return Err(HalError::new(ErrorKind::Unsupported, message));
        }
        self.modes.was_set(port, format);
        Ok(())
    }
}

impl<N: Node> FrontEnd for VendorTp<N> {
    fn chip(&self) -> String {
        format!("{} of its driver", self.words())
    }

    fn ports(&self) -> u8 {
        PORTS
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        self.ports.check(&self.words(), port)?;
        let now = self.detected(port)?;
        let steady = self.ports.steady(port, now);
        let Some(format) = self.modes.due(port, steady) else { return Ok(steady) };
        self.apply(port, format)?;
        Ok(self.ports.steady(port, None))
    }

    fn set_mode(&mut self, port: u8, mode: AnalogMode) -> Result<(), HalError> {
        self.ports.check(&self.words(), port)?;
        if let AnalogMode::Fixed(format) = mode {
            self.apply(port, format)?;
        }
        self.modes.want(port, mode);
        Ok(())
    }

    fn coax(&mut self) -> Option<&mut dyn CoaxControl> {
        Some(self)
    }
}

impl<N: Node> CoaxControl for VendorTp<N> {
    fn send(&mut self, port: u8, command: CoaxCommand) -> Result<(), HalError> {
        self.ports.check(&self.words(), port)?;
        let Some(format) = self.detected(port)? else { return Err(no_camera(&self.words(), port)) };
        let what = format!("camera control on port {port} of {}", self.words());
        // For 720 lines and composite video the driver wants the bytes' first bit last.
        let reversed = |bytes: [u8; 4]| bytes.map(u8::reverse_bits).to_vec();
        let (way, bytes) = match frame(&format, command)? {
            Frame::Tvi(bytes) => (0, bytes.to_vec()),
            Frame::Ahd1080(bytes) => (1, bytes.to_vec()),
            Frame::Ahd720(bytes) => (2, reversed(bytes)),
            Frame::Composite(bytes) => (3, reversed(bytes)),
            Frame::Cvi(bytes) => (4, bytes.to_vec()),
        };
        let head = if self.newer { vec![self.chip, port, way] } else { vec![self.chip, port] };
        let request = match (self.newer, way) {
            (true, _) => Request::TP_COAX_06,
            (false, 0) => Request::TP_COAX_03,
            _ => {
                let message = format!("this version of {}'s driver commands TVI cameras alone", self.words());
                return Err(HalError::new(ErrorKind::Unsupported, message));
            }
        };
        let mut data = [head, bytes].concat();
        data.resize(request.bytes(), 0);
        self.node.call(request, &mut data, &what)
    }
}

/// Lines and frames a second.
fn shape(code: u8) -> Option<(u16, u32)> {
    Some(match code {
        0 => (720, 60),
        1 => (720, 50),
        2 => (1080, 30),
        3 => (1080, 25),
        4 => (720, 30),
        5 => (720, 25),
        _ => return None,
    })
}

/// The driver's mode and standard.
fn mode(format: &AnalogFormat) -> Option<(u8, u8)> {
    let standard = match format.standard {
        AnalogStandard::Pal => return Some((0x08, 0)),
        AnalogStandard::Ntsc => return Some((0x09, 0)),
        AnalogStandard::Tvi => 0,
        AnalogStandard::Ahd => 1,
        AnalogStandard::Cvi => 2,
    };
    let size = (format.resolution.height, format.frame_rate.numerator);
    let mode = (0..COMPOSITE).find(|code| shape(*code) == Some(size))?;
    // AHD and CVI of 720 lines have the slower of two clocks.
    let slow = standard != 0 && matches!(size, (720, 25 | 30));
    Some((if slow { mode | 0x08 } else { mode }, standard))
}

#[cfg(test)]
mod tests {
    use super::super::vendor_node::tests::NodeDouble;
    use super::*;

    /// A driver whose chip 1 has a signal of `code` on port 3.
    fn driver(code: u8) -> NodeDouble {
        NodeDouble::new(move |request, data| {
            if request == Request::TP_LOSS {
                data[2] = u8::from(data[..2] != [1, 3]);
            } else if request == Request::TP_MODE {
                data[2] = code;
            }
            Ok(())
        })
    }

    #[test]
    fn an_automatic_port_is_set_to_its_lines() {
        let node = driver(3);
        let mut decoder = VendorTp::new(node.clone(), false, 1);
        decoder.set_mode(3, AnalogMode::Auto).unwrap();
        decoder.locked(3).unwrap();
        assert_eq!(decoder.locked(3).unwrap(), None);
        assert_eq!(node.asked().last().unwrap(), &(Request::TP_SET_MODE_03, vec![1, 3, 3]));
        decoder.locked(3).unwrap();
        let tvi = AnalogFormat::progressive(AnalogStandard::Tvi, 1080, 25);
        assert_eq!(decoder.locked(3).unwrap(), Some(tvi));
        assert_eq!(decoder.locked(0).unwrap(), None);
        let ahd = AnalogFormat::progressive(AnalogStandard::Ahd, 1080, 25);
        assert_eq!(decoder.set_mode(3, AnalogMode::Fixed(ahd)).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_standard_is_the_one_that_was_set() {
        let node = driver(5);
        let mut decoder = VendorTp::new(node.clone(), true, 1);
        let ahd = AnalogFormat::progressive(AnalogStandard::Ahd, 720, 25);
        decoder.set_mode(3, AnalogMode::Fixed(ahd)).unwrap();
        assert_eq!(node.asked(), [(Request::TP_SET_MODE_06, vec![1, 3, 0x0D, 1])]);
        decoder.locked(3).unwrap();
        assert_eq!(decoder.locked(3).unwrap(), Some(ahd));
        node.asked();
        decoder.coax().unwrap().send(3, CoaxCommand::ZoomIn).unwrap();
        let (request, data) = node.asked().pop().unwrap();
        assert_eq!((request, &data[..7]), (Request::TP_COAX_06, &[1, 3, 2, 0x00, 0x04, 0x04, 0x00][..]));
    }

    #[test]
    fn composite_cameras_need_a_fixed_mode() {
        let node = driver(6);
        let mut decoder = VendorTp::new(node.clone(), true, 1);
        decoder.locked(3).unwrap();
        assert_eq!(decoder.locked(3).unwrap(), None);
        let pal = AnalogFormat::composite(AnalogStandard::Pal, 960);
        decoder.set_mode(3, AnalogMode::Fixed(pal)).unwrap();
        assert_eq!(node.asked().last().unwrap(), &(Request::TP_SET_MODE_06, vec![1, 3, 0x08, 0]));
        decoder.locked(3).unwrap();
        assert_eq!(decoder.locked(3).unwrap(), Some(pal));
    }

    #[test]
    fn the_older_driver_commands_tvi() {
        let node = driver(2);
        let mut decoder = VendorTp::new(node.clone(), false, 1);
        decoder.coax().unwrap().send(3, CoaxCommand::Stop).unwrap();
        let (request, data) = node.asked().pop().unwrap();
        assert_eq!((request, data), (Request::TP_COAX_03, vec![1, 3, 0xB5, 0, 0x14, 0, 0, 0, 0, 0xC9, 0, 0]));
        let absent = decoder.coax().unwrap().send(0, CoaxCommand::Stop).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_driver_that_fails_is_told() {
        let node = NodeDouble::new(|_, _| Err(HalError::new(ErrorKind::Device, "EPERM")));
        let mut decoder = VendorTp::new(node, true, 0);
        assert_eq!(decoder.locked(0).unwrap_err().kind(), ErrorKind::Device);
    }
}
