//! TW2865, TW2868 and TW2960 through HiSilicon's kernel driver.
//!
//! The devices are `/dev/tw2865dev` and its kin. The driver says whether a port has a signal, and sets all ports of a chip to PAL
//! or to NTSC at once; its question for the standard reads other bits than it means to. So the standard is the one that was set,
//! PAL before, as the driver starts with.
//!
//! Source: the public drivers of the three chips for Hi3520DV200. Checked against what they answer by their code, not against a driver that
//! runs. There is no camera control over the cable.

use hal::{AnalogFormat, AnalogMode, AnalogStandard, ErrorKind, FrontEnd, HalError};

use super::ports::Ports;
use super::vendor_node::{Node, Request};

/// A decoder behind that driver.
#[derive(Debug)]
pub(super) struct VendorTw<N> {
    node: N,
    name: &'static str,
    /// Samples a line.
    width: u16,
    chip: u8,
    standard: AnalogStandard,
    ports: Ports,
}

impl<N: Node> VendorTw<N> {
    /// `chip` counts the driver's chips from 0; `width` is how many samples a line its chips take.
    pub(super) fn new(node: N, name: &'static str, chip: u8, ports: u8, width: u16) -> Self {
        Self { node, name, width, chip, standard: AnalogStandard::Pal, ports: Ports::new(ports) }
    }
}

/// The driver's words, one after the other.
fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

impl<N: Node> FrontEnd for VendorTw<N> {
    fn chip(&self) -> String {
        format!("{} {} of its driver", self.name, self.chip)
    }

    fn ports(&self) -> u8 {
        self.ports.count()
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        self.ports.check(self.name, port)?;
        let what = format!("lock of port {port} of the {}", self.name);
        let mut data = words([u32::from(self.chip), u32::from(port), 0]);
        self.node.call(Request::TW_LOSS, &mut data, &what)?;
        let lost = data[8..].iter().any(|byte| *byte != 0);
        let now = (!lost).then(|| AnalogFormat::composite(self.standard, self.width));
        Ok(self.ports.steady(port, now))
    }

    fn set_mode(&mut self, port: u8, mode: AnalogMode) -> Result<(), HalError> {
        self.ports.check(self.name, port)?;
        let (standard, code) = match mode {
            AnalogMode::Fixed(AnalogFormat { standard: AnalogStandard::Ntsc, .. }) => {
                (AnalogStandard::Ntsc, 1)
            }
            AnalogMode::Fixed(AnalogFormat { standard: AnalogStandard::Pal, .. }) => (AnalogStandard::Pal, 2),
            other => {
                let message = format!("the {}'s driver sets PAL or NTSC, not {other:?}", self.name);
                return Err(HalError::new(ErrorKind::Unsupported, message));
            }
        };
        let what = format!("mode of the {}", self.name);
        self.node.call(Request::TW_SET_NORM, &mut words([u32::from(self.chip), code]), &what)?;
        self.standard = standard;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::vendor_node::tests::NodeDouble;
    use super::*;

    #[test]
    fn a_signal_counts_as_what_the_chip_was_set_to() {
        let node = NodeDouble::new(|request, data| {
            if request == Request::TW_LOSS {
                let lost = u32::from(data[4] != 5);
                data[8..].copy_from_slice(&lost.to_ne_bytes());
            }
            Ok(())
        });
        let mut decoder = VendorTw::new(node.clone(), "TW2868", 1, 8, 720);
        assert_eq!((decoder.chip().as_str(), decoder.ports()), ("TW2868 1 of its driver", 8));
        decoder.locked(5).unwrap();
        let pal = AnalogFormat::composite(AnalogStandard::Pal, 720);
        assert_eq!(decoder.locked(5).unwrap(), Some(pal));
        assert_eq!(node.asked()[0], (Request::TW_LOSS, words([1, 5, 0])));
        assert_eq!(decoder.locked(4).unwrap(), None);
        assert_eq!(decoder.locked(8).unwrap_err().kind(), ErrorKind::NotFound);
        let ntsc = AnalogFormat::composite(AnalogStandard::Ntsc, 720);
        node.asked();
        decoder.set_mode(0, AnalogMode::Fixed(ntsc)).unwrap();
        assert_eq!(node.asked(), [(Request::TW_SET_NORM, words([1, 1]))]);
        decoder.locked(5).unwrap();
        assert_eq!(decoder.locked(5).unwrap(), Some(ntsc));
        assert_eq!(decoder.set_mode(0, AnalogMode::Auto).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(decoder.coax().is_none());
    }
}
