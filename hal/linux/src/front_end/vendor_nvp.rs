//! NVP6124 and NVP6134 through the vendor's kernel driver.
//!
//! The devices are `/dev/nvp6124` and `/dev/nc_vdec`. The driver sets a port's mode with all that belongs to it, equaliser and
//! camera control included; which mode, it leaves to the program. One device serves all chips of a board: channels 0 to 3 are the
//! first one's.
//!
//! Sources: public drivers of both chips in HiSilicon SDKs. Checked against what they answer by their code, not against a driver that
//! runs. The NVP6124's driver sets all chips for 25 or for 30 frames a second: cameras of both do not go together there. The NVP6134's
//! says the same of AHD and CVI of 720 lines at 50 or 60 frames a second, which count as AHD. Camera control knows turning, zoom, focus
//! and enter, at the driver's own speed; after a TVI command the driver sends Stop by itself.

use hal::{
    AnalogFormat, AnalogMode, AnalogStandard, CoaxCommand, CoaxControl, ErrorKind, FrameRate, FrontEnd,
    HalError,
};

use super::nvp6134_formats::{composite, half_of_25, of_6124};
use super::ports::Ports;
use super::vendor_modes::Modes;
use super::vendor_node::{Node, Request};

/// Ports of each of these chips.
const PORTS: u8 = 4;

/// The chips that the driver can have.
const MAX_CHIPS: u8 = 4;

/// A decoder behind that driver.
#[derive(Debug)]
pub(super) struct VendorNvp<N> {
    node: N,
    /// An NVP6134, or an NVP6124.
    newer: bool,
    first_channel: u8,
    ports: Ports,
    modes: Modes,
}

impl<N: Node> VendorNvp<N> {
    /// `chip` counts the driver's chips from 0.
    pub(super) fn new(node: N, newer: bool, chip: u8) -> Result<Self, HalError> {
        if chip >= MAX_CHIPS {
            let message = format!("the driver has chips 0 to {}, not {chip}", MAX_CHIPS - 1);
            return Err(HalError::new(ErrorKind::NotFound, message));
        }
        let first_channel = chip * PORTS;
        Ok(Self { node, newer, first_channel, ports: Ports::new(PORTS), modes: Modes::new(PORTS) })
    }

    fn words(&self) -> &'static str {
        if self.newer { "NVP6134" } else { "NVP6124" }
    }

    fn detected(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        let what = format!("lock of port {port} of the {}", self.words());
        let channel = self.first_channel + port;
        // Formats first: later versions of the driver look for signals only then.
        let mut formats = vec![0; Request::NVP_FORMATS.bytes()];
        self.node.call(Request::NVP_FORMATS, &mut formats, &what)?;
        let mut loss = [0; 4];
        self.node.call(Request::NVP_LOSS, &mut loss, &what)?;
        if u32::from_ne_bytes(loss) >> channel & 1 != 0 {
            return Ok(None);
        }
        let (words, _) = formats.as_chunks::<4>();
        let code = words.get(16 + usize::from(channel)).map_or(0, |word| u32::from_ne_bytes(*word));
        let code = u8::try_from(code).unwrap_or(0);
        Ok(if self.newer { of_code(code) } else { of_6124(code) })
    }

    fn apply(&mut self, port: u8, format: AnalogFormat) -> Result<(), HalError> {
        let what = format!("mode of port {port} of the {}", self.words());
        let mode = if self.newer { newer_mode(&format) } else { older_mode(&format) };
        let mode = mode.ok_or_else(|| {
            let message = format!("the {} cannot be set to {format:?}", self.words());
            HalError::new(ErrorKind::Unsupported, message)
        })?;
        let of_25 = matches!(format.frame_rate.numerator, 25 | 50);
        self.node.call(
            Request::NVP_SET_MODE,
            &mut [self.first_channel + port, u8::from(of_25), mode],
            &what,
        )?;
        self.modes.was_set(port, format);
        Ok(())
    }
}

impl<N: Node> FrontEnd for VendorNvp<N> {
    fn chip(&self) -> String {
        format!("{} {} of its driver", self.words(), self.first_channel / PORTS)
    }

    fn ports(&self) -> u8 {
        PORTS
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        self.ports.check(self.words(), port)?;
        let now = self.detected(port)?;
        let steady = self.ports.steady(port, now);
        let Some(format) = self.modes.due(port, steady) else { return Ok(steady) };
        self.apply(port, format)?;
        Ok(self.ports.steady(port, None))
    }

    fn set_mode(&mut self, port: u8, mode: AnalogMode) -> Result<(), HalError> {
        self.ports.check(self.words(), port)?;
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

impl<N: Node> CoaxControl for VendorNvp<N> {
    fn send(&mut self, port: u8, command: CoaxCommand) -> Result<(), HalError> {
        self.ports.check(self.words(), port)?;
        let number = match command {
            CoaxCommand::Stop => 0x22,
            CoaxCommand::IrisOpen => 0x23,
            CoaxCommand::Up(_) => 0x24,
            CoaxCommand::Down(_) => 0x25,
            CoaxCommand::Left(_) => 0x26,
            CoaxCommand::Right(_) => 0x27,
            CoaxCommand::FocusNear => 0x2B,
            CoaxCommand::FocusFar => 0x2C,
            CoaxCommand::ZoomOut => 0x2D,
            CoaxCommand::ZoomIn => 0x2E,
            other => {
                let message = format!("the {}'s driver has no request for {other:?}", self.words());
                return Err(HalError::new(ErrorKind::Unsupported, message));
            }
        };
        let what = format!("camera control on port {port} of the {}", self.words());
        let mut channel = std::ffi::c_ulong::from(self.first_channel + port).to_ne_bytes();
        self.node.call(Request::NVP_COAX_CHANNEL, &mut channel, &what)?;
        self.node.call(Request::nvp_coax(number), &mut [], &what)
    }
}

/// The NVP6134's driver has codes of its own.
fn of_code(code: u8) -> Option<AnalogFormat> {
    use AnalogStandard::{Ahd, Cvi, Ntsc, Pal, Tvi};
    let (standard, height, rate) = match code {
        0x01 => return Some(composite(Ntsc)),
        0x02 => return Some(composite(Pal)),
        0xA0 => return Some(half_of_25(Ahd)),
        0xA2 => return Some(half_of_25(Tvi)),
        0x04 => (Ahd, 720, 30),
        0x08 => (Ahd, 720, 25),
        0x11 => (Cvi, 720, 30),
        0x12 => (Cvi, 720, 25),
        0x31 | 0x34 => (Tvi, 720, 30),
        0x32 | 0x38 => (Tvi, 720, 25),
        0x40 => (Ahd, 1080, 30),
        0x80 => (Ahd, 1080, 25),
        0x51 => (Ahd, 720, 60),
        0x52 => (Ahd, 720, 50),
        0x54 => (Tvi, 720, 60),
        0x58 => (Tvi, 720, 50),
        0x71 => (Cvi, 1080, 30),
        0x72 => (Cvi, 1080, 25),
        0x74 => (Tvi, 1080, 30),
        0x78 => (Tvi, 1080, 25),
        0x81 => (Ahd, 1440, 30),
        0x82 => (Ahd, 1440, 25),
        0x83 => (Ahd, 1440, 15),
        0x90 => (Ahd, 1536, 18),
        0x91 => (Ahd, 1536, 30),
        0x92 => (Ahd, 1536, 25),
        0x93 => (Tvi, 1536, 18),
        0xA1 => (Ahd, 1944, 20),
        _ => return None,
    };
    Some(AnalogFormat::progressive(standard, height, rate))
}

fn newer_mode(format: &AnalogFormat) -> Option<u8> {
    use AnalogStandard::{Ahd, Cvi, Ntsc, Pal, Tvi};
    let FrameRate { numerator, denominator } = format.frame_rate;
    Some(match (format.standard, format.resolution.height, numerator / denominator.max(1)) {
        (Pal | Ntsc, ..) => 0x01,
        (Ahd, 720, 25 | 30) => 0x10,
        (Cvi, 720, 25 | 30) => 0x11,
        (Tvi, 720, 25 | 30) => 0x13,
        (Ahd, 720, 50 | 60) => 0x18,
        (Cvi, 720, 50 | 60) => 0x19,
        (Tvi, 720, 50 | 60) => 0x1A,
        (Ahd, 1080, 25 | 30) => 0x20,
        (Cvi, 1080, 25 | 30) => 0x21,
        (Tvi, 1080, 25 | 30) => 0x22,
        (Ahd, 1536, 18) => 0x30,
        (Ahd, 1536, 25 | 30) => 0x31,
        (Tvi, 1536, 18) => 0x34,
        (Ahd, 1440, 15) => 0x40,
        (Ahd, 1440, 25 | 30) => 0x41,
        (Ahd, 1944, 12) => 0x50,
        (Tvi, 1944, 12) => 0x54,
        (Ahd, 1944, 20) => 0x56,
        _ => return None,
    })
}

fn older_mode(format: &AnalogFormat) -> Option<u8> {
    use AnalogStandard::{Ahd, Ntsc, Pal};
    Some(match (format.standard, format.resolution.height, format.frame_rate.numerator) {
        (Pal | Ntsc, ..) => 0x00,
        (Ahd, 720, 25 | 30) => 0x01,
        (Ahd, 720, 50 | 60) => 0x02,
        (Ahd, 1080, 25 | 30) => 0x03,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use hal::CoaxSpeed;

    use super::super::vendor_node::tests::NodeDouble;
    use super::*;

    /// A driver that reports `code` for channel 6 and no other signal; the code can be changed.
    fn driver(code: u32) -> (Arc<Mutex<u32>>, NodeDouble) {
        let shared = Arc::new(Mutex::new(code));
        let of_driver = Arc::clone(&shared);
        let node = NodeDouble::new(move |request, data| {
            let code = *of_driver.lock().unwrap();
            if request == Request::NVP_FORMATS {
                data[4 * (16 + 6)..][..4].copy_from_slice(&code.to_ne_bytes());
            } else if request == Request::NVP_LOSS {
                let loss: u32 = if code == 0 { 0xFFFF } else { 0xFFBF };
                data.copy_from_slice(&loss.to_ne_bytes());
            }
            Ok(())
        });
        (shared, node)
    }

    #[test]
    fn an_automatic_port_is_set_to_what_the_driver_sees() {
        let (code, node) = driver(0x74);
        let mut decoder = VendorNvp::new(node.clone(), true, 1).unwrap();
        assert_eq!(decoder.chip(), "NVP6134 1 of its driver");
        decoder.set_mode(2, AnalogMode::Auto).unwrap();
        assert_eq!(decoder.locked(2).unwrap(), None, "first look");
        node.asked();
        assert_eq!(decoder.locked(2).unwrap(), None, "it is being set");
        assert_eq!(node.asked().last().unwrap(), &(Request::NVP_SET_MODE, vec![6, 0, 0x22]));
        assert_eq!(decoder.locked(2).unwrap(), None);
        let tvi = AnalogFormat::progressive(AnalogStandard::Tvi, 1080, 30);
        assert_eq!(decoder.locked(2).unwrap(), Some(tvi));
        assert_eq!(decoder.locked(0).unwrap(), None, "no signal there");
        node.asked();
        *code.lock().unwrap() = 0x80;
        for _ in 0..4 {
            decoder.locked(2).unwrap();
        }
        let set: Vec<_> =
            node.asked().into_iter().filter(|(request, _)| *request == Request::NVP_SET_MODE).collect();
        assert_eq!(set, [(Request::NVP_SET_MODE, vec![6, 1, 0x20])], "another camera, set once");
        *code.lock().unwrap() = 0;
        assert_eq!(decoder.locked(2).unwrap(), None);
    }

    #[test]
    fn an_nvp6124_has_other_numbers() {
        let (_, node) = driver(0x80);
        let mut decoder = VendorNvp::new(node.clone(), false, 1).unwrap();
        decoder.locked(2).unwrap();
        let locked = decoder.locked(2).unwrap().unwrap();
        assert_eq!((locked.standard, locked.resolution.height), (AnalogStandard::Ahd, 1080));
        decoder.set_mode(2, AnalogMode::Fixed(locked)).unwrap();
        assert_eq!(node.asked().last().unwrap(), &(Request::NVP_SET_MODE, vec![6, 1, 0x03]));
        let tvi = AnalogFormat::progressive(AnalogStandard::Tvi, 720, 25);
        assert_eq!(decoder.set_mode(2, AnalogMode::Fixed(tvi)).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(VendorNvp::new(node, false, 4).err().unwrap().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn every_code_can_be_set() {
        let known: Vec<AnalogFormat> = (0..=u8::MAX).filter_map(of_code).collect();
        assert_eq!(known.len(), 30);
        for format in known {
            assert!(newer_mode(&format).is_some(), "{format:?}");
        }
    }

    #[test]
    fn commands_are_for_a_channel() {
        let (_, node) = driver(0x80);
        let mut decoder = VendorNvp::new(node.clone(), true, 1).unwrap();
        let coax = decoder.coax().unwrap();
        coax.send(2, CoaxCommand::Up(CoaxSpeed::new(9))).unwrap();
        let channel = std::ffi::c_ulong::from(6u8).to_ne_bytes().to_vec();
        assert_eq!(node.asked(), [(Request::NVP_COAX_CHANNEL, channel), (Request::nvp_coax(0x24), vec![])]);
        assert_eq!(coax.send(2, CoaxCommand::Menu).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(coax.send(4, CoaxCommand::Stop).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
